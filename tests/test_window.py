"""Windows against a memory kept by hand."""
import math

import gymnasium
import pytest
import torch

from ilsupport import BrakeLight, Gymnasium, Tightrope, Window, generator, rollout, tightrope_expert


class Countdown:
    """Continuous actions: the observation counts steps, so that every frame is known in advance."""

    observation_space = gymnasium.spaces.Box(0, 100, (1,))
    action_space = gymnasium.spaces.Box(0.5, 2.0, (2,))
    horizon, device, dtype = 6, torch.device("cpu"), torch.float32

    def reset(self, n, generator):
        self.t = torch.zeros(n, 1)
        return self.t

    def step(self, action):
        self.t = self.t + 1
        never = torch.zeros(len(self.t), dtype=torch.bool)
        return self.t, torch.zeros(len(self.t)), never, never


def test_a_window_holds_the_last_frames_and_starts_filled_with_the_first(device, dtype):
    options = dict(rho=0.3, horizon=12, device=device, dtype=dtype)
    alone = rollout(Tightrope(**options), tightrope_expert, 5, generator=generator(1, device))
    env = Window(Tightrope(**options), 4)
    windows = rollout(env, lambda w: tightrope_expert(w[:, -1]), 5, generator=generator(1, device))
    assert windows.observations.dtype == dtype and windows.observations.shape == (5, 12, 4, 9)
    assert torch.equal(windows.actions, alone.actions) and torch.equal(windows.rewards, alone.rewards)
    for t in range(12):
        for age in range(4):
            assert torch.equal(windows.observations[:, t, 3 - age], alone.observations[:, max(t - age, 0)])
    assert torch.equal(windows.final_observations[:, -1], alone.final_observations)


def test_past_actions_stand_beside_the_frame_they_led_to():
    env = Window(BrakeLight(horizon=9), 3, actions=True)
    drive = rollout(env, lambda w: (w[:, -1, 0] > 0).long(), 6, generator=generator(2))
    assert drive.observations.shape == (6, 9, 3, 4) and not drive.observations[:, 0, :, 2:].any()
    taken = torch.nn.functional.one_hot(drive.actions, 2).float()
    for t in range(1, 9):
        assert torch.equal(drive.observations[:, t, -1, 2:], taken[:, t - 1])
        assert torch.equal(drive.observations[:, t, -1, 1], drive.actions[:, t - 1].float())  # the light, too


def test_the_space_of_a_window_holds_what_it_shows():
    env = Window(BrakeLight(horizon=6), 3, actions=True)
    play = rollout(env, lambda w: (w[:, -1, 0] > 0).long(), 2, generator=generator(0))
    space = env.observation_space
    assert space.shape == (3, 4) and space.dtype == play.observations.numpy().dtype
    assert all(space.contains(frame) for frame in play.observations.flatten(0, 1).numpy())
    assert space.low[0].tolist() == [-math.inf, 0, 0, 0] and space.high[0].tolist() == [math.inf, 1, 1, 1]


def test_any_environment_with_these_attributes_fits():
    play = rollout(Window(Countdown(), 3), lambda w: 1 + 0.1 * w[:, -1, :1].expand(-1, 2), 2,
                   generator=generator(0))
    assert play.observations[0, :3, :, 0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2]]


def test_any_environment_of_gymnasium_fits():
    env = Window(Gymnasium("CartPole-v1", horizon=7), 7, actions=True)
    drive = rollout(env, lambda w: (w[:, -1, 2] > 0).long(), 3, generator=generator(0))
    assert drive.observations.shape[2:] == (7, 6) and env.observation_space.shape == (7, 6)


def test_old_windows_do_not_change():
    env = Window(Tightrope(), 2)
    first = env.reset(3, generator(0))
    kept = first.clone()
    env.step(torch.zeros(3, dtype=torch.int64))
    assert torch.equal(first, kept)


def test_bad_windows():
    with pytest.raises(ValueError, match="window length must be at least 1 and at most 5"):
        Window(Tightrope(horizon=5), 6)
    with pytest.raises(ValueError, match="window length must be at least 1"):
        Window(Tightrope(), 0)
    with pytest.raises(TypeError, match="is a count"):
        Window(Tightrope(), 2.0)
    with pytest.raises(TypeError, match="Box of vectors"):
        Window(Window(Tightrope(), 2), 2)
    with pytest.raises(TypeError, match="leave actions=True out"):
        Window(Countdown(), 2, actions=True)
    with pytest.raises(RuntimeError, match="reset"):
        Window(Tightrope(), 2).step(torch.zeros(3, dtype=torch.int64))
