"""The loop, the tightrope under it, and the intervals that come out."""
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ilsupport import (
    Categorical,
    Estimate,
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
        import gymnasium
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
