"""Sampling the times of falls and returns gives the distribution that walking step by step gives."""
import sys
from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ilsupport import bounds, generator

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))
from walks import simulate, simulate_by_steps  # noqa: E402

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
