"""The fork: its tree, its two right answers, and a mean that is neither."""
import math

import gymnasium
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ilsupport import Fork, ForkExpert, generator, rollout
from ilsupport.envs import fork


def run(policy, n=500, seed=0, **options):
    return rollout(Fork(**options), policy, n, generator=generator(seed))


@pytest.fixture(scope="module")
def shown():
    return run(ForkExpert(generator(1)), 2000)


def test_the_expert_arrives_and_takes_both_sides(shown):
    assert not shown.returns().any() and not shown.terminated.any() and shown.lengths().eq(18).all()
    assert fork.arrived(shown.final_observations).all() and not fork.crashed(shown.observations).any()
    left = float((fork.side(shown.observations[:, 1]) > 0).double().mean())
    assert abs(left - 0.5) < 4 * 0.5 / math.sqrt(2000)


def test_the_expert_decides_on_the_first_step_and_keeps_its_side(shown):
    side = fork.side(shown.observations)
    assert side[:, 0].eq(0).all()
    before_the_tree = shown.observations[:, 1:, 0] < 0
    assert side[:, 1:][before_the_tree].ne(0).all()
    assert (side[:, 1:] == side[:, 1:2])[before_the_tree].all()


def test_the_choice_is_a_coin_that_the_observation_does_not_show(shown):
    """Two modes at the start, and no observation says which: the same one, both answers."""
    start, first = shown.observations[:, 0], shown.actions[:, 0, 1]
    assert ((first.abs() - 0.8).abs() < 5 * fork.TREMBLE).all()
    correlation = torch.corrcoef(torch.stack([*start.T, first.sign()]))[-1, :-1]
    assert correlation.abs().max() < 4 / math.sqrt(2000)
    one = run(lambda obs: obs[:, :2] * 0, 1).observations[0, :1].expand(1000, 4)
    assert 400 < (ForkExpert(generator(3))(one)[:, 1] > 0).sum() < 600


@pytest.mark.parametrize("left, side", [(1.0, 1), (0.0, -1)])
def test_a_demonstrator_with_one_side_only(left, side):
    shown = run(ForkExpert(generator(1), left))
    assert (fork.side(shown.observations[:, 1]) == side).all() and not shown.returns().any()


def test_left_is_fast_and_right_is_slow(shown):
    left = fork.side(shown.observations[:, 1]) > 0
    tempo = shown.observations[:, 3, 2]
    assert tempo[left].min() > 1.02 and tempo[~left].max() < 0.98


def test_the_mean_of_the_two_right_answers_is_the_tree():
    ones = torch.ones(500)
    mean = run(lambda obs: (fork.steer(obs, ones) + fork.steer(obs, -ones)) / 2)
    assert fork.crashed(mean.final_observations).all() and mean.returns().eq(-1).all()


def test_a_crash_costs_once_and_is_for_good():
    straight = run(lambda obs: torch.zeros(len(obs), 2), 20)
    hit = fork.crashed(straight.observations)
    assert straight.rewards.sum(1).eq(-1).all() and hit[:, -1].all()
    when = hit.double().argmax(1)
    assert straight.rewards[torch.arange(20), when - 1].eq(-1).all()
    after = straight.observations[0, when[0]:]
    assert (after == after[0]).all() and after[0, 2:].eq(0).all()


def test_who_neither_crashes_nor_arrives_pays_at_the_end():
    still = run(lambda obs: torch.stack([-obs[:, 2].clamp(-1, 1), -obs[:, 3]], 1), 20)
    assert not fork.crashed(still.final_observations).any()
    assert still.rewards[:, :-1].eq(0).all() and still.rewards[:, -1].eq(-1).all()


@given(seed=st.integers(0, 2**32 - 1), hold=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_wherever_one_drives_an_episode_costs_nought_or_one_and_stays_in_the_field(seed, hold):
    env, g = Fork(), generator(seed)
    obs, total = env.reset(50, g), torch.zeros(50)
    for t in range(env.horizon):
        if t % hold == 0:
            action = 2 * torch.rand(50, 2, generator=g) - 1
        obs, reward, *_ = env.step(action)
        total += reward
        assert env.observation_space.contains(obs[0].numpy()) and (obs.abs() <= torch.tensor(fork.HIGH)).all()
    assert ((total == 0) | (total == -1)).all()
    assert ((total == 0) == (fork.arrived(obs) & ~fork.crashed(obs))).all()


def test_a_step_is_that_of_a_point_mass(device, dtype):
    env = Fork(device=device, dtype=dtype)
    obs = env.reset(5, generator(0, device))
    action = torch.tensor([[0.5, -0.2]], device=device, dtype=dtype).expand(5, 2)
    velocity = obs[:, 2:] + 0.5 * action
    after = env.step(action)[0]
    torch.testing.assert_close(after, torch.cat([obs[:, :2] + 0.1 * velocity, velocity], 1))
    assert after.dtype == dtype and after.device.type == device.type


def test_the_same_seeds_are_the_same_demonstrations():
    one, same, other = (run(ForkExpert(generator(seed)), 10, seed) for seed in (1, 1, 2))
    assert torch.equal(one.actions, same.actions) and not torch.equal(one.actions, other.actions)


def test_bad_input():
    env = Fork()
    with pytest.raises(RuntimeError, match="reset"):
        env.step(torch.zeros(3, 2))
    env.reset(3, generator(0))
    for action in (torch.zeros(3), torch.zeros(2, 2), torch.zeros(3, 2, dtype=torch.int64)):
        with pytest.raises(ValueError, match="expected floats"):
            env.step(action)
    with pytest.raises(ValueError, match="horizon"):
        Fork(horizon=0)
    with pytest.raises(ValueError, match="outside the action space"):
        run(lambda obs: torch.full((len(obs), 2), 2.0))
    with pytest.raises(ValueError, match="left"):
        ForkExpert(generator(0), 1.5)
    with pytest.raises(ValueError, match="Fork"):
        ForkExpert(generator(0))(torch.zeros(3, 9))


def test_through_gymnasium_the_expert_arrives_too():
    env = gymnasium.make_vec("ilsupport/Fork-v0", num_envs=50)
    expert, (obs, _) = ForkExpert(generator(1)), env.reset(seed=0)
    for _ in range(18):
        obs, reward, terminated, truncated, _ = env.step(expert(torch.from_numpy(obs)).numpy())
        assert not reward.any() and not terminated.any()
    assert truncated.all() and fork.arrived(torch.from_numpy(obs)).all()
