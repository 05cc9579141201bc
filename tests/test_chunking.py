"""Chunks against plans made by hand."""
import math

import gymnasium
import pytest
import torch

from ilsupport import (
    Categorical,
    Chunked,
    Discretised,
    Flow,
    Gaussian,
    Policy,
    Trajectories,
    chunks,
    evaluate,
    fit,
    generator,
    rollout,
    spawn,
)


class Clock:
    """Observation: the step, and who one is. Any action will do."""

    observation_space = gymnasium.spaces.Box(0, 1000, (2,))
    action_space = gymnasium.spaces.Box(-1e4, 1e4, (1,))
    horizon, device, dtype = 7, torch.device("cpu"), torch.float64

    def reset(self, n, generator):
        self.x = torch.stack([torch.zeros(n), torch.arange(n)], 1).double()
        return self.x

    def step(self, action):
        self.x = self.x + torch.tensor([1.0, 0.0])
        never = torch.zeros(len(action), dtype=torch.bool)
        return self.x, action[:, 0], never, never


class Scripted(Policy):
    """Plans made at step t by copy c: 100 c + 10 t + 0, 1, 2."""

    def act(self, obs, generator=None):
        return 100 * obs[:, 1:] + 10 * obs[:, :1] + torch.arange(3.0, dtype=obs.dtype)


def played(policy, n=2):
    return rollout(Clock(), policy, n, generator=generator(0)).actions[..., 0]


def test_open_loop_plays_each_plan_to_its_end():
    assert played(Chunked(Scripted(), 3)).tolist() == [[0, 1, 2, 30, 31, 32, 60],
                                                       [100, 101, 102, 130, 131, 132, 160]]


@pytest.mark.parametrize("m", [0.0, 0.5, 3.0])
def test_an_ensemble_weighs_all_plans_for_a_step_the_oldest_first(m):
    expected = []
    for t in range(7):
        said = [10 * made + (t - made) for made in range(max(0, t - 2), t + 1)]  # the oldest first
        weights = [math.exp(-m * i) for i in range(len(said))]
        expected.append(sum(w * x for w, x in zip(weights, said)) / sum(weights))
    expected = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(played(Chunked(Scripted(), 3, ensemble=m)),
                               torch.stack([expected, expected + 100]))


@pytest.mark.parametrize("ensemble", [None, 0.3])
@pytest.mark.parametrize("students", [None, 3])
def test_a_chunk_of_one_is_the_head(ensemble, students):
    g = generator(0) if students is None else spawn(generator(0), students)
    head = Gaussian(2, 1, generator=g, dtype=torch.float64)
    for sample in (False, True):
        plain, chunked = (rollout(Clock(), policy, 4, generator=generator(1), sample=sample)
                          for policy in (head, Chunked(head, 1, ensemble=ensemble)))
        assert torch.equal(plain.actions, chunked.actions)


def test_every_batch_of_episodes_starts_with_an_empty_memory():
    policy = Chunked(Scripted(), 3)
    assert torch.equal(played(policy), played(policy)) and torch.equal(played(policy, 5)[:2], played(policy))
    said = r"expected \(2, 2\): plans are in force; call begin"
    with pytest.raises(ValueError, match=said):
        policy.act(torch.tensor([[4.0, 1.0]]))
    policy.begin()
    assert policy.act(torch.tensor([[4.0, 1.0]])).tolist() == [[140.0]]


@pytest.mark.parametrize("ensemble", [None, 0.1])
def test_a_stack_is_its_students(ensemble):
    stack = Gaussian(2, 3, generator=spawn(generator(0), 2), dtype=torch.float64)
    actions = played(Chunked(stack, 3, ensemble=ensemble), 4)
    for k, g in enumerate(spawn(generator(0), 2)):
        alone = Chunked(Gaussian(2, 3, generator=g, dtype=torch.float64), 3, ensemble=ensemble)

        class Shifted(Clock):  # copies are numbered through the whole stack
            def reset(self, n, generator):
                self.x = super().reset(n, generator) + torch.tensor([0.0, 4.0 * k])
                return self.x
        mine = rollout(Shifted(), alone, 4, generator=generator(0)).actions[..., 0]
        torch.testing.assert_close(actions[4 * k:4 * k + 4], mine)
    assert len(evaluate(Clock(), Chunked(stack, 3), 2, generator=generator(0))) == 2


def demonstrations(*lengths):
    episodes = [(torch.full((n, 1), float(i)), 10.0 * i + torch.stack([torch.arange(n), -torch.arange(n)], 1))
                for i, n in enumerate(lengths)]
    return Trajectories.from_episodes(episodes)


def test_chunks_are_actions_in_a_row_of_every_step_and_end_where_the_episode_ends():
    obs, plans = chunks(demonstrations(4, 2, 3), 3)
    assert obs[:, 0].tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2], "every observation stays"
    nobody = [math.nan, math.nan]
    said = [[0, 0, 1, -1, 2, -2], [1, -1, 2, -2, 3, -3], [2, -2, 3, -3, *nobody], [3, -3, *nobody * 2],
            [10, 10, 11, 9, *nobody], [11, 9, *nobody * 2],
            [20, 20, 21, 19, 22, 18], [21, 19, 22, 18, *nobody], [22, 18, *nobody * 2]]
    torch.testing.assert_close(plans, torch.tensor(said), equal_nan=True)
    one = demonstrations(4, 2, 3)
    assert all(torch.equal(a, b) for a, b in zip(chunks(one, 1), one.pairs()))


def test_fit_learns_the_plan_to_the_end_of_the_task():
    """The last steps of an episode, where plans of full length are not to be had."""
    data = rollout(Clock(), lambda obs: torch.sin(obs[:, :1]), 8, generator=generator(0))
    policy = Chunked(Gaussian(2, 3, generator=generator(1), dtype=torch.float64), 3)
    pairs = chunks(data, 3)
    losses = fit(policy, pairs, generator=generator(2), steps=600, lr=1e-2).losses
    assert losses[-1] < losses[0] and pairs[0][:, 0].max() == 6
    assert (policy.plan(pairs[0]).flatten(1) - pairs[1]).abs()[~pairs[1].isnan()].mean() < 0.1
    torch.testing.assert_close(policy.loss(*pairs), -policy.log_prob(*pairs).mean())


def test_what_nobody_played_teaches_nothing():
    """A plan that ends early moves the network as its beginning would alone."""
    obs, plan = torch.randn(5, 2, generator=generator(0)), torch.randn(5, 6, generator=generator(1))
    cut, policy = plan.clone(), Chunked(Gaussian(2, 6, generator=generator(2)), 3)
    cut[:, 2:] = math.nan
    policy.loss(obs, cut).backward()
    last = policy.head.net.weights[-1].grad
    assert (last[2:] == 0).all() and (last[:2] != 0).any()


@pytest.mark.parametrize("hole", [[0, 1], [2, 3], [0], [5], [2, 3, 5]])
def test_a_plan_with_a_hole_is_refused(hole):
    plan = torch.zeros(4, 6)
    plan[1, hole] = math.nan
    with pytest.raises(ValueError, match="NaN before its end"):
        fit(Chunked(Gaussian(2, 6, generator=generator(0)), 3), (torch.zeros(4, 2), plan),
            generator=generator(1), steps=1)


def test_a_cut_off_plan_need_not_have_zero_within_the_limits():
    data = Trajectories.from_episodes([(torch.zeros(3, 2), torch.full((3, 1), 5.0))])
    policy = Chunked(Discretised(2, 2, limits=(4, 6), generator=generator(0)), 2)
    assert fit(policy, chunks(data, 2), generator=generator(1), steps=1).losses.isfinite().all()
    assert policy.log_prob(*chunks(data, 2)).isfinite().all()
    with pytest.raises(TypeError, match="whole actions only"):
        Chunked(Flow(2, 2, generator=generator(0)), 2).log_prob(*chunks(data, 2))


def test_bad_chunks():
    with pytest.raises(ValueError, match="chunk length must be at least 1"):
        Chunked(Scripted(), 0)
    with pytest.raises(ValueError, match="ensemble is -1"):
        Chunked(Scripted(), 3, ensemble=-1)
    with pytest.raises(ValueError, match=r"shape \(.*\), expected floats \(N, 2 \* act\)"):
        Chunked(Scripted(), 2).act(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="plans are torch.int64 .*continuous"):
        Chunked(Categorical(2, 4, generator=generator(0)), 3).act(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="longest episode has 4 steps"):
        chunks(demonstrations(4, 2), 5)
    data = demonstrations(4)
    with pytest.raises(ValueError, match="are no plan"):
        chunks(data.label(lambda obs: torch.zeros(len(obs), 2)), 2)
    assert len(chunks(data.label(lambda obs: data.actions[0]), 2)[0]) == 4  # the expert's own
    with pytest.raises(ValueError, match="continuous"):
        chunks(Trajectories.from_episodes([(torch.zeros(4, 1), torch.zeros(4, dtype=torch.int64))]), 2)
