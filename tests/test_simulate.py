"""Sampling the times of falls and returns gives the distribution that walking step by step gives."""
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ilsupport import bounds, generator
from ilsupport.envs import simulate


def simulate_by_steps(eps, T, n, *, rho, generator):
    """The same learner, one step after the other."""
    on, costs = torch.ones(n, dtype=torch.bool), torch.zeros(n, dtype=torch.float64)
    for _ in range(T):
        wrong, back = torch.rand(n, generator=generator) < eps, torch.rand(n, generator=generator) < rho
        costs += wrong | ~on
        on = torch.where(on, ~wrong, back)
    return costs


probability = st.sampled_from([0.0, 0.003, 0.05, 0.5, 1.0])


@settings(max_examples=25, deadline=None)
@given(eps=probability, rho=probability, T=st.integers(1, 40))
def test_events_and_steps_have_one_distribution(eps, rho, T):
    n = 20_000
    counts = [torch.bincount(play(eps, T, n, rho=rho, generator=generator(3)).long(), minlength=T + 1)
              for play in (simulate, simulate_by_steps)]
    both = (counts[0] + counts[1]).double()
    seen = both >= 20  # a two-sample chi-square over the costs that occur often enough
    chi2 = float(((counts[0] - counts[1]).double()[seen] ** 2 / both[seen]).sum())
    freedom = int(seen.sum())
    assert chi2 < freedom + 6 * (2 * freedom) ** 0.5 + 6


@settings(max_examples=25, deadline=None)
@given(eps=probability, rho=probability, T=st.integers(1, 300))
def test_mean_is_the_exact_cost(eps, rho, T):
    costs = simulate(eps, T, 20_000, rho=rho, generator=generator(5))
    standard_error = float(costs.std()) / 20_000 ** 0.5
    assert abs(float(costs.mean()) - bounds.recovery(eps, rho, T)) <= 5 * standard_error + 1e-6


def test_runs_where_its_generator_lives(device):
    assert simulate(0.1, 50, 10, rho=0.2, generator=generator(0, device)).device.type == device.type


@pytest.mark.parametrize("bad", [dict(eps=1.1), dict(eps=-0.1), dict(eps=float("nan")), dict(rho=2.0),
                                 dict(T=0), dict(n=0)])
def test_bad_numbers_are_refused(bad):
    with pytest.raises(ValueError):
        simulate(**{"eps": 0.1, "T": 10, "n": 5, "generator": generator(0), **bad})
