"""The driving world: the bicycle against plain geometry, the cost, the expert, and bad input."""
import math

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import ilsupport as il
from ilsupport.envs.camera import AHEAD, FULL_LOCK, HALF_LANE
from ilsupport.envs.driving import RAIL, SPEED, STEP, TURN, WAVES


def road_from_above(phases, metres, fine=1e-3):
    """The road in the plane, integrated finely from the start: positions (k, 2) and directions (k,)."""
    s = torch.arange(0, metres, fine, dtype=torch.float64)
    bend = sum(a * torch.sin(2 * math.pi * s / length + phase)
               for (length, a), phase in zip(WAVES, phases)) * FULL_LOCK
    direction = torch.cumsum(bend * fine, 0)
    return torch.stack([torch.cumsum(torch.cos(direction) * fine, 0),
                        torch.cumsum(torch.sin(direction) * fine, 0)], 1), direction


@pytest.mark.parametrize("seed", range(3))
def test_the_car_drives_a_bicycles_path_over_a_road_in_the_plane(seed):
    """Road coordinates against the plane: a point on a circle of curvature steering * FULL_LOCK."""
    g = il.generator(seed)
    env = il.Driving(dtype=torch.float64)
    obs = env.reset(1, g)
    offset, phases = env._offset.clone(), env._phases.clone()
    x, y, theta = 0.0, float(offset) * HALF_LANE, 0.0
    for sway in (torch.rand(40, generator=g, dtype=torch.float64) - 0.5).tolist():
        a = float(obs[0, 2]) + sway
        obs, *_ = env.step(torch.tensor([[a]], dtype=torch.float64))
        for _ in range(100):
            x, y = x + SPEED * STEP / 100 * math.cos(theta), y + SPEED * STEP / 100 * math.sin(theta)
            theta += SPEED * STEP / 100 * a * FULL_LOCK
    road, direction = road_from_above(phases[0], 25)
    nearest = int(((road - torch.tensor([x, y])) ** 2).sum(1).argmin())
    dx, dy = x - road[nearest, 0], y - road[nearest, 1]
    left = -dx * torch.sin(direction[nearest]) + dy * torch.cos(direction[nearest])
    assert abs(float(left) / HALF_LANE - float(obs[0, 0])) < 0.1  # Euler's steps of 0.5 m over 20 m
    assert abs(theta - float(direction[nearest]) - float(obs[0, 1])) < 0.03


def test_the_bends_ahead_are_those_that_come(device, dtype):
    """What a car on the middle of its lane sees 5 m ahead is under its wheels 5 m later."""
    env = il.Driving(device=device, dtype=dtype)
    obs = env.reset(64, il.generator(0, device))
    ahead = obs[:, 3]
    for _ in range(int(AHEAD[1] / (SPEED * STEP))):
        env._offset.zero_(), env._heading.zero_()  # drive exactly on the middle line
        obs, *_ = env.step(obs[:, 2:3])
    assert torch.allclose(obs[:, 2], ahead, atol=1e-5)


def test_roads_have_the_waves_they_are_given(device):
    """Bends repeat after one wave's length, and fill the observation space to its edge."""
    env = il.Driving(waves=((20, 0.3), (50, 0.0), (75, 0.0)), device=device)
    bends = env.reset(2000, il.generator(0, device))[:, 2:].cpu()
    assert torch.allclose(bends[:, 0], bends[:, AHEAD.index(20)], atol=1e-5)
    assert 0.299 < bends.max() <= env.observation_space.high[2] == np.float32(0.3)
    with pytest.raises(ValueError, match="2 waves, expected 3"):
        il.Driving(waves=((25, 0.3), (50, 0.1)))


def test_the_expert_tracks_the_lane_and_how_well(device):
    """The number of its docstring: 7 cm."""
    env = il.Driving(device=device)
    data = il.rollout(env, il.driving_expert, 200, generator=il.generator(0, device))
    settled = data.observations[:, 40:, 0].abs()
    assert settled.max() * HALF_LANE < 0.07
    assert data.returns().max() == 0 == data.returns().min()


def test_the_expert_comes_back_from_anywhere_within_three_seconds(device):
    env = il.Driving(device=device)
    env.reset(2000, il.generator(0, device))
    unit = torch.rand(2, 2000, generator=il.generator(1, device), device=device) * 2 - 1
    obs = env.place(RAIL * unit[0], TURN * unit[1], env._phases)
    for _ in range(60):
        obs, *_ = env.step(il.driving_expert(obs))
    assert obs[:, 0].abs().max() < 1


def test_it_costs_one_to_be_off_the_lane():
    env = il.Driving()
    env.reset(2, il.generator(0))
    env.place(torch.tensor([0.5, 1.5]), torch.zeros(2), env._phases)
    _, reward, terminated, truncated = env.step(torch.zeros(2, 1))
    assert reward.tolist() == [0, -1] and not terminated.any() and not truncated.any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(-1, 1))
def test_whatever_one_does_the_observation_stays_in_its_space(seed, steering):
    env = il.Driving()
    obs = env.reset(3, il.generator(seed))
    for _ in range(100):
        obs, *_ = env.step(torch.full((3, 1), steering))
    low, high = (torch.as_tensor(x) for x in (env.observation_space.low, env.observation_space.high))
    assert (obs >= low - 1e-6).all() and (obs <= high + 1e-6).all()


def test_gymnasium_accepts_it():
    check_env(gymnasium.make("ilsupport/Driving-v0").unwrapped)


def test_bad_actions():
    env = il.Driving()
    with pytest.raises(RuntimeError, match="before reset"):
        env.step(torch.zeros(1, 1))
    env.reset(2, il.generator(0))
    for action in (torch.zeros(2), torch.zeros(2, 1, dtype=torch.int64), torch.zeros(3, 1)):
        with pytest.raises(ValueError, match=r"expected floats \(2, 1\)"):
            env.step(action)
    with pytest.raises(ValueError, match="outside the action space"):
        il.rollout(env, lambda obs: torch.full((len(obs), 1), 1.5), 2, generator=il.generator(0))
    with pytest.raises(ValueError, match=r"Driving has shape .*expected \(n, 8\)"):
        il.driving_expert(torch.zeros(3, 4))


def test_all_cars_on_one_road_start_in_its_middle(device):
    env = il.Driving(phases=[0.1, 0.2, 0.3], device=device)
    obs = env.reset(4, il.generator(0, device))
    assert torch.equal(obs, env.place(torch.zeros(4), torch.zeros(4), torch.tensor([[0.1, 0.2, 0.3]] * 4)))
    with pytest.raises(ValueError, match=r"\(4, 2\)\], expected \(n,\), \(n,\), \(n, 3\)"):
        il.Driving(phases=[0.1, 0.2], device=device).reset(4, il.generator(0, device))
