"""The loop, the tightrope under it, and the intervals that come out."""
import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ilsupport import (
    Categorical,
    Env,
    Estimate,
    Gaussian,
    Gymnasium,
    Tightrope,
    Trajectories,
    bounds,
    evaluate,
    generator,
    pendulum_expert,
    rollout,
    spawn,
    tightrope_expert,
)
from ilsupport.envs.tightrope import CLIMB
from ilsupport.estimate import Estimates


def noisy(eps, seed, device="cpu"):
    """The two-state learner of page 3: errs with probability eps on the rope, never climbs off it."""
    g = generator(seed, device)

    def act(obs):
        right = tightrope_expert(obs).clamp(max=1)
        err = torch.rand(len(obs), generator=g, device=obs.device) < eps
        return torch.where(err & (obs[:, 0] > 0.5), 1 - right, right)
    return act


class Countdown:
    """Copies that end after 1, 2, 3, ... steps, and then pay nonsense that nobody may count."""

    def __init__(self, device="cpu"):
        self.observation_space = gymnasium.spaces.Box(-100, 100, (1,))
        self.action_space = gymnasium.spaces.Discrete(2)
        self.horizon, self.device, self.dtype = 10, torch.device(device), torch.float32

    def reset(self, n, generator):
        self.t, self.n = 0, n
        return torch.zeros(n, 1, device=self.device)

    def step(self, action):
        self.t += 1
        over = self.t >= 1 + torch.arange(self.n, device=self.device)
        late = self.t > 1 + torch.arange(self.n, device=self.device)
        reward = torch.where(late, torch.nan, 1.0)
        return torch.full((self.n, 1), float(self.t),
                          device=self.device), reward, over, torch.zeros_like(over)


def test_ended_episodes_are_masked_and_their_last_observation_kept(device):
    policy = lambda obs: torch.zeros(len(obs), dtype=torch.long)  # noqa: E731
    data = rollout(Countdown(device), policy, 4, generator=generator(0, device))
    assert data.lengths().tolist() == [1, 2, 3, 4] == data.returns().tolist()
    assert data.horizon == 4 and data.terminated.all()
    assert data.final_observations[:, 0].tolist() == [1, 2, 3, 4]
    assert evaluate(Countdown(device), policy, 4, generator=generator(0, device)).mean == 2.5


def test_the_expert_never_pays(device, dtype):
    env = Tightrope(device=device, dtype=dtype)
    data = rollout(env, tightrope_expert, 50, generator=generator(0, device))
    assert data.observations.dtype == dtype and data.observations.shape == (50, 100, 9)
    assert data.returns().abs().max() == 0
    assert data.label(tightrope_expert).disagreements().max() == 0
    assert (data.observations[..., 0] == 1).all() and data.observations.abs().max() <= 1


def test_reward_is_minus_the_disagreement_unless_absorbing(device):
    policy = noisy(0.1, 3, device)
    data = rollout(Tightrope(device=device), policy, 500,
                   generator=generator(0, device)).label(tightrope_expert)
    assert torch.equal(-data.returns(), data.disagreements())


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([0.01, 0.05, 0.3]), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([1, 10, 60]))
def test_cost_is_that_of_the_recovery_formula(eps, rho, horizon):
    cost = -evaluate(Tightrope(rho), noisy(eps, 1), 20_000, generator=generator(0), horizon=horizon)
    slack = 2 * (cost.high - cost.mean)  # about four standard errors
    assert abs(cost.mean - bounds.recovery(eps, rho, horizon)) <= slack + 1e-9


def test_climbing_brings_back_unless_absorbing(device):
    def faller(obs):
        return torch.where(obs[:, 0] > 0.5, torch.full((len(obs),), CLIMB, device=obs.device), CLIMB)
    climbs = evaluate(Tightrope(device=device), faller, 10, generator=generator(0, device), horizon=20)
    stuck = evaluate(Tightrope(absorbing=True, device=device), faller, 10, generator=generator(0, device),
                     horizon=20)
    assert (-climbs).mean == 10 and (-stuck).mean == 20


def test_one_seed_gives_one_rollout():
    first, second = (rollout(Tightrope(0.3), noisy(0.1, 1), 20, generator=generator(7)) for _ in range(2))
    assert torch.equal(first.observations, second.observations) and torch.equal(first.actions, second.actions)


def test_winds_are_balanced_and_independent():
    wind = rollout(Tightrope(), tightrope_expert, 1000,
                   generator=generator(0)).observations[..., 1:].reshape(-1, 8)
    correlation = (wind.T @ wind) / len(wind)
    expected = torch.eye(8) * (1 / 3 + 2 / 3 / 255)  # variance of 256 even levels on [-1, 1]
    assert (correlation - expected).abs().max() < 5 / len(wind) ** 0.5
    assert wind.mean(0).abs().max() < 5 / len(wind) ** 0.5


def test_a_stack_is_evaluated_student_by_student():
    students = Categorical(9, 3, generator=spawn(generator(0), 3))
    costs = evaluate(Tightrope(), students, 50, generator=generator(1))
    data = rollout(Tightrope(), students, 50, generator=generator(1))
    assert [cost.mean for cost in costs] == data.returns().double().view(3, 50).mean(1).tolist()
    assert [cost.n for cost in costs] == [50] * 3


@pytest.mark.parametrize("options, error", [(dict(horizon=0), ValueError), (dict(horizon=-3), ValueError),
                                            (dict(horizon=2.5), TypeError), (dict(n=0), ValueError)])
def test_bad_sizes_are_refused(options, error):
    for play in (rollout, evaluate):
        with pytest.raises(error):
            play(Tightrope(), tightrope_expert, **{"n": 3, "generator": generator(0), **options})


@pytest.mark.parametrize("policy, message", [
    (lambda obs: torch.zeros(1, dtype=torch.long), "expected"),
    (lambda obs: torch.zeros(len(obs)), "whole numbers"),
    (lambda obs: torch.full((len(obs),), 3), "outside the action space"),
])
def test_bad_actions_are_refused(policy, message):
    for play in (rollout, evaluate):
        with pytest.raises(ValueError, match=message):
            play(Tightrope(), policy, 5, generator=generator(0))


def test_what_is_no_policy_and_no_generator_is_refused():
    with pytest.raises(TypeError, match="function of observations"):
        rollout(Tightrope(), "expert", 5, generator=generator(0))
    with pytest.raises(TypeError, match=r"torch\.Generator"):
        rollout(Tightrope(), tightrope_expert, 5, generator=0)


def test_a_policy_of_another_dtype_is_refused():
    with pytest.raises(ValueError, match="dtype"):
        rollout(Tightrope(dtype=torch.float64), Categorical(9, 3, generator=generator(0)), 5,
                generator=generator(0))


@pytest.mark.parametrize("options", [dict(rho=-0.1), dict(rho=1.5), dict(rho=float("nan")), dict(horizon=0),
                                     dict(rho=0.5, absorbing=True)])
def test_bad_tightropes_are_refused(options):
    with pytest.raises(ValueError):
        Tightrope(**options)


def test_stepping_before_reset_says_so():
    with pytest.raises(RuntimeError, match="reset"):
        Tightrope().step(torch.zeros(3, dtype=torch.long))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_exact_rate_interval_agrees_with_the_binomial_tails(kn):
    from scipy.stats import binom
    k, n = kn
    estimate = Estimate.of_rate(k, n)
    assert estimate.low <= k / n <= estimate.high
    if k:
        assert binom.sf(k - 1, n, estimate.low) == pytest.approx(0.025)
    if k < n:
        assert binom.cdf(k, n, estimate.high) == pytest.approx(0.025)


def test_mean_interval_covers_95_times_in_a_hundred():
    samples = torch.randn(4000, 6, generator=generator(0), dtype=torch.float64)
    covered = sum(estimate.low <= 0 <= estimate.high for estimate in map(Estimate.of, samples)) / 4000
    assert 0.935 < covered < 0.965


def test_a_cost_is_minus_a_return():
    estimate = Estimate(2.0, 1.0, 4.0, 9)
    assert -estimate == Estimate(-2.0, -4.0, -1.0, 9) and str(estimate) == "2 [1, 4] (n = 9)"
    assert str(Estimate(4147.3, -999.6, 0.012345, 10)) == "4,147 [-1,000, 0.0123] (n = 10)"


@pytest.mark.parametrize("samples", [[], [float("nan")], [float("inf"), 1.0]])
def test_estimates_refuse_nothing_and_nan(samples):
    with pytest.raises(ValueError):
        Estimate.of(samples)


def pendulums(seed):
    return rollout(Gymnasium("Pendulum-v1"), pendulum_expert, 3, generator=generator(seed), horizon=20)


@pytest.mark.slow
def test_batches_with_seeds_of_their_own_are_the_same_in_any_number_of_processes():
    joblib = pytest.importorskip("joblib", reason="needs the extra ilsupport[sweeps]")
    alone, spread = (Trajectories.cat(joblib.Parallel(n_jobs=jobs)(joblib.delayed(pendulums)(seed)
                                                                   for seed in range(4)))
                     for jobs in (1, 2))
    assert len(alone) == 12 and len(alone.observations[:, 0].unique(dim=0)) == 12
    assert torch.equal(alone.observations, spread.observations) and torch.equal(alone.rewards, spread.rewards)


# -- what a roll-out keeps is its own


class Reusing:
    """An environment that writes every answer into the same tensors, counts its steps, and may pay in
    float64."""

    action_space = gymnasium.spaces.Box(-9, 9, (1,))
    observation_space = gymnasium.spaces.Box(-99, 99, (1,))
    horizon, device, dtype = 5, torch.device("cpu"), torch.float32

    def __init__(self, pays=torch.float32, nan_after=None):
        self.pays, self.nan_after = pays, nan_after

    def reset(self, n, generator):
        self.obs, self.reward = torch.zeros(n, 1), torch.zeros(n, dtype=self.pays)
        self.over = torch.zeros(n, dtype=torch.bool), torch.zeros(n, dtype=torch.bool)
        return self.obs

    def step(self, action):
        action.add_(0.25)  # it may scribble on what it is given, too
        self.obs += 1
        self.reward.copy_(self.obs[:, 0])
        if self.nan_after is not None:
            self.over[0].copy_(self.obs[:, 0] >= 1 + torch.arange(len(self.obs)))
            self.obs[self.obs[:, 0] > self.nan_after + torch.arange(len(self.obs))] = torch.nan
        return self.obs, self.reward, *self.over


@pytest.mark.parametrize("pays", [torch.float32, torch.float64])
def test_an_environment_may_reuse_its_tensors(pays):
    policy = lambda obs: 2 * obs  # noqa: E731
    data = rollout(Reusing(pays), policy, 2, generator=generator(0))
    assert data.observations[..., 0].tolist() == [[0, 1, 2, 3, 4]] * 2
    assert data.actions[..., 0].tolist() == [[0, 2, 4, 6, 8]] * 2, "as they were played"
    assert data.rewards.tolist() == [[1, 2, 3, 4, 5]] * 2 and data.final_observations.tolist() == [[5], [5]]
    assert data.rewards.dtype == pays and data.observations.dtype == torch.float32
    assert evaluate(Reusing(pays), policy, 2, generator=generator(0)).mean == 15


def test_an_expert_may_reuse_its_answer_and_an_observation_may_be_an_answer():
    answer = torch.zeros(2, 1)

    def scribbles(obs):
        return answer.copy_(obs * 2)
    assert rollout(Reusing(), scribbles, 2,
                   generator=generator(0)).actions[0, :, 0].tolist() == [0, 2, 4, 6, 8]
    data = rollout(Reusing(), lambda obs: obs, 2, generator=generator(0))
    assert torch.equal(data.actions[:, 1:], data.observations[:, 1:])


def test_nan_after_the_end_of_an_episode_is_nobodys_business():
    """Copy k ends at step k + 1; what is seen after that is padding, for roll-outs and returns alike."""
    policy = lambda obs: torch.zeros_like(obs)  # noqa: E731
    data = rollout(Reusing(nan_after=1), policy, 3, generator=generator(0))
    assert data.lengths().tolist() == [1, 2, 3] and data.final_observations.isfinite().all()
    assert evaluate(Reusing(nan_after=1), policy, 3, generator=generator(0)).mean == data.returns().mean()
    follow = evaluate(Reusing(nan_after=1), lambda obs: obs.clamp(-9, 9), 3, generator=generator(0))
    assert follow.mean == data.returns().mean(), "nor are the actions that follow from it"


def test_nan_while_an_episode_runs_is_refused_by_both():
    for play in (rollout, evaluate):
        with pytest.raises(ValueError, match="NaN|nan"):
            play(Reusing(nan_after=-1), lambda obs: obs.clamp(-9, 9), 3, generator=generator(0))
        with pytest.raises(ValueError, match="observations.* NaN"):
            play(Reusing(nan_after=-1), torch.zeros_like, 3, generator=generator(0))


class Counter(Env):
    """A world of one's own that counts in place, and shows what it is told to from step `since` on."""

    observation_space = action_space = gymnasium.spaces.Box(-9, 9, (1,))

    def __init__(self, since=9, shows=0.0):
        super().__init__(5, "cpu", torch.float32)
        self.since, self.shows = since, shows

    def _first(self, n):
        self._obs, self._reward = torch.zeros(n, 1), torch.zeros(n)
        return self._obs

    def _next(self, action):
        self._obs += 1
        self._reward += 1
        if self._obs[0] >= self.since:
            return torch.full_like(self._obs, self.shows), self._reward
        return self._obs, self._reward


def test_a_world_of_ones_own_may_reuse_its_tensors():
    data = rollout(Counter(), torch.zeros_like, 2, generator=generator(0))
    assert data.observations[..., 0].tolist() == [[0, 1, 2, 3, 4]] * 2
    assert data.rewards.tolist() == [[1, 2, 3, 4, 5]] * 2 and data.final_observations.tolist() == [[5], [5]]
    assert evaluate(Counter(), torch.zeros_like, 2, generator=generator(0)).mean == 15


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_refused_by_both_in_the_last_observation_too(number):
    for play in (rollout, evaluate):
        with pytest.raises(ValueError, match="NaN or infinite"):
            play(Counter(5, number), torch.zeros_like, 2, generator=generator(0))


def test_large_numbers_are_finite():
    for play in (rollout, evaluate):
        play(Counter(2, 3e38), torch.zeros_like, 2, generator=generator(0))


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1)])
def test_rewards_that_are_not_one_an_episode_are_refused_by_both(shape):
    class Odd(Tightrope):
        def step(self, action):
            obs, _, *ends = super().step(action)
            return obs, torch.zeros(shape), *ends
    for play in (rollout, evaluate):
        with pytest.raises(ValueError, match=r"expected \(3,\) each"):
            play(Odd(0.2), tightrope_expert, 3, generator=generator(0))


def test_a_gaussian_that_leaves_the_action_space_is_told_of_limits():
    env = Gymnasium("Pendulum-v1")
    policy = Gaussian(3, 1, std=9.0, generator=generator(0))
    for play in (rollout, evaluate):
        with pytest.raises(ValueError, match="outside the action space .*(limits|Head.of|Gaussian.of)"):
            play(env, policy, 2, generator=generator(0), sample=True)
    rollout(env, Gaussian.of(env, std=9.0, generator=generator(0)), 2, generator=generator(0), sample=True,
            horizon=5)


# -- success


def test_evaluate_gives_the_share_of_successes_with_its_exact_interval():
    class Coin(Reusing, Env):
        def __init__(self):
            Env.__init__(self, 5, "cpu", torch.float32)
            self.pays, self.nan_after = torch.float32, None

        def step(self, action):
            self.success = torch.arange(len(action)) % 4 == 0
            return Reusing.step(self, action)
    still = lambda obs: obs.clamp(-9, 9)  # noqa: E731
    assert evaluate(Coin(), still, 20, generator=generator(0), success=True) == Estimate.of_rate(5, 20)
    played = rollout(Coin(), still, 8, generator=generator(0))
    assert played.successes.tolist() == [True, False, False, False] * 2
    stack = Gaussian(1, 1, limits=(-1, 1), generator=spawn(generator(0), 2))
    assert evaluate(Coin(), stack, 20, generator=generator(0), success=True) == [Estimate.of_rate(5, 20)] * 2
    for env in (Tightrope(), Reusing()):
        with pytest.raises(ValueError, match="gives no info"):
            evaluate(env, tightrope_expert if isinstance(env, Tightrope) else still, 3,
                     generator=generator(0), success=True)


# -- estimates


def test_an_estimate_times_a_number_is_in_another_unit_and_a_sum_is_refused():
    estimate = Estimate(2.0, 1.0, 4.0, 9)
    assert 2 * estimate == estimate * 2 == Estimate(4.0, 2.0, 8.0, 9)
    assert estimate * -1 == -estimate and estimate * 0.5 == Estimate(1.0, 0.5, 2.0, 9)
    for wrong in (lambda: estimate + estimate, lambda: estimate + (1,), lambda: estimate * estimate,
                  lambda: estimate * "2"):
        with pytest.raises(TypeError):
            wrong()
    assert str(np.float64(2) * Estimate(1.0, 0.0, 3.0, 9)) == "2 [0, 6] (n = 9)"
    assert 2 * Estimates([Estimate(1.0, 0.0, 3.0, 9)]) == [Estimate(2.0, 0.0, 6.0, 9)]


def test_minus_the_returns_of_a_stack_are_its_costs():
    stack = Categorical(9, 3, generator=spawn(generator(0), 3))
    returns = evaluate(Tightrope(), stack, 20, generator=generator(1))
    costs = -evaluate(Tightrope(), stack, 20, generator=generator(1))
    assert isinstance(returns, list) and costs == [-one for one in returns] and costs[0].mean > 0
