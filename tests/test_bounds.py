"""The bounds as functions: exact values, limits, stability, broadcasting, and what bad input is told."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ilsupport import bounds

probabilities = st.floats(0, 1)
horizons = st.integers(1, 300)


def rational_sharp(eps, T):
    return sum(1 - (1 - Fraction(eps)) ** k for k in range(1, T + 1))


@settings(deadline=None)
@given(st.fractions(0, 1, max_denominator=1000), st.integers(1, 40))
def test_sharp_agrees_with_rational_arithmetic(eps, T):
    exact = rational_sharp(eps, T)
    assert bounds.sharp(float(eps), T) == pytest.approx(float(exact), rel=1e-12)
    if eps > 0:
        assert exact == T - (1 - eps) * (1 - (1 - eps) ** T) / eps


def test_sharp_keeps_its_digits_where_the_closed_form_has_none():
    eps, T = 1e-14, 100
    assert bounds.sharp(eps, T) == pytest.approx(eps * T * (T + 1) / 2, rel=1e-11)
    assert bounds.sharp(0.0, T) == 0.0
    assert bounds.sharp(1.0, T) == T
    closed = T - (1 - eps) * (1 - (1 - eps) ** T) / eps
    assert abs(closed / bounds.sharp(eps, T) - 1) > 1e-3


@settings(deadline=None)
@given(st.fractions(0, 1, max_denominator=10**6), st.fractions(0, 1, max_denominator=1000),
       st.integers(1, 60))
def test_recovery_agrees_with_rational_arithmetic(eps, rho, T):
    off, exact = Fraction(0), Fraction(0)
    for _ in range(T):
        exact += eps + (1 - eps) * off
        off = (1 - off) * eps + off * (1 - rho)
    assert bounds.recovery(float(eps), float(rho), T) == pytest.approx(float(exact), rel=1e-11)


@pytest.mark.parametrize("T", [10**5, 10**11, 2**52])
@pytest.mark.parametrize("x", [0.0, 1e-9, 0.5, 0.999999, 1.0, 1.000001, 3.0, 700.0])
def test_horizons_of_any_length_cost_nothing(T, x):
    """x = eps T decides; a table of T entries would take 800 GB at T = 10^11."""
    law = bounds.sharp(x / T, T)
    limit = x / 2 - x**2 / 6 if x < 1e-3 else 1 - (1 - math.exp(-x)) / x  # of J / T, for long ropes
    assert law / T == pytest.approx(limit, rel=1e-3)
    assert bounds.recovery(x / T, 0.0, T) == pytest.approx(law)
    assert 0 <= bounds.recovery(x / T, 0.5, T) <= law * (1 + 1e-12)


def test_the_closed_form_meets_the_series():
    T = torch.tensor([1, 2, 3, 10, 1000, 10**6, 10**9], dtype=torch.float64)
    below, above = (bounds.sharp((1 + side * 1e-12) / T.clamp(min=1 + 1e-9), T) for side in (-1, 1))
    torch.testing.assert_close(below, above, rtol=1e-11, atol=0)


def test_a_long_horizon_as_it_was_met():
    assert bounds.sharp(0.1, 10**11) == pytest.approx(10**11 - 9, rel=1e-15)


def test_numbers_of_the_theory():
    assert bounds.sharp(0.05, 20) == pytest.approx(7.811, abs=5e-4)
    assert bounds.average([1.0] + [0.0] * 19).item() == 20  # the counterexample: average error 0.05, cost 20
    assert bounds.textbook(0.01, 30) == pytest.approx(9.0)
    free = [bounds.sharp(0.01, T) - bounds.total_variation(0.01, T) for T in (10, 30, 100, 300)]
    assert free == pytest.approx([0.438, 3.970, 36.60, 204.9], rel=2e-3)  # the mistake itself left free
    assert bounds.sharp(0.0073, 160) == pytest.approx(66.12, abs=0.01)


def test_the_slope_peaks_below_two():
    T = torch.arange(1, 2000)
    slopes = bounds.slope(0.0073, T)
    assert slopes.max().item() == pytest.approx(1.90, abs=0.01)
    assert 15 < T[slopes.argmax()] < 25
    assert 1 < slopes[-1] < 1.1
    by_hand = math.log(bounds.sharp(0.0073, 8) / bounds.sharp(0.0073, 7)) / math.log(8 / 7)
    assert bounds.slope(0.0073, 7) == pytest.approx(by_hand)
    assert bounds.slope(0.0, 7) == pytest.approx(bounds.slope(1e-12, 7))
    assert bounds.slope(1.0, 7) == pytest.approx(1.0)


def test_log_log_slopes_of_powers():
    T = torch.tensor([1, 3, 10, 40])
    J = torch.stack([T**2.0, 5.0 * T])
    assert torch.allclose(bounds.log_log_slopes(T, J), torch.tensor([[2.0], [1.0]]).double().expand(2, 3))
    for bad_T, bad_J in (([1, 2], [0.0, 1.0]), ([2, 1], [1.0, 2.0]), ([1, 2], [1.0]), ([1], [1.0])):
        with pytest.raises(ValueError, match="log-log slopes"):
            bounds.log_log_slopes(torch.tensor(bad_T), torch.tensor(bad_J))


@settings(deadline=None)
@given(probabilities, horizons)
def test_the_bounds_are_ordered(eps, T):
    sharp = bounds.sharp(eps, T)
    slack = 1 + 1e-12
    assert sharp <= min(T, eps * T * (T + 1) / 2) * slack
    assert eps * T * (T + 1) / 2 <= bounds.textbook(eps, T) * slack
    assert bounds.total_variation(eps, T) <= min(1, eps * T) * slack
    assert bounds.total_variation(eps, T) == pytest.approx(1 - (1 - eps) ** T, abs=1e-12)
    assert bounds.average([eps] * T).item() == pytest.approx(eps * T * (T + 1) / 2)


@settings(deadline=None)
@given(probabilities, probabilities, st.integers(1, 60))
def test_recovery_follows_its_recursion(eps, rho, T):
    q, cost = 0.0, 0.0
    for t in range(T):
        assert bounds.recovery_state(eps, rho, t) == pytest.approx(q, rel=1e-9, abs=1e-12)
        cost += eps + (1 - eps) * q
        q = (1 - q) * eps + q * (1 - rho)
    assert bounds.recovery(eps, rho, T) == pytest.approx(cost, rel=1e-9, abs=1e-12)
    assert bounds.recovery(eps, rho, T) <= bounds.long_run(eps, rho) * T * (1 + 1e-9) + 1e-300 or rho == 0


@pytest.mark.parametrize("rho", [0.0, 5e-5, 9e-5])
def test_every_rope_bends_alike(rho):
    kappa, x = 1e-4, torch.tensor([0.1, 1.0, 5.0], dtype=torch.float64)  # x = (eps + rho) T
    slopes = [bounds.log_log_slopes(t, bounds.recovery(kappa - rho, rho, t))
              for t in (x / kappa * torch.tensor([[0.99], [1.01]])).round().T]
    limit = x * (1 - torch.exp(-x)) / (x - 1 + torch.exp(-x))
    assert torch.allclose(torch.cat(slopes), limit, atol=0.01)


def test_recovery_at_the_edges():
    assert bounds.recovery(0.0, 0.0, 50) == 0.0
    assert bounds.recovery_state(0.0, 0.0, 50) == 0.0
    assert bounds.recovery(0.3, 0.0, 50) == pytest.approx(bounds.sharp(0.3, 50))
    assert bounds.recovery(1e-300, 1e-300, 50) == pytest.approx(1e-300 * 50 * 51 / 2)
    assert bounds.crossover(0.0, 0.0) == math.inf
    assert bounds.crossover(0.01, 0.04) == pytest.approx(20)
    assert bounds.long_run(0.0, 0.0) == 0.0
    assert bounds.long_run(1e-6, 0.5) == pytest.approx(3e-6, rel=1e-5)  # eps (1 + 1 / rho)


def test_floats_give_floats_and_tensors_broadcast(device):
    eps = torch.tensor([[0.0], [0.01], [1.0]], dtype=torch.float64, device=device)
    T = torch.tensor([1, 10, 100], device=device)
    for bound in (bounds.textbook, bounds.sharp, bounds.slope, lambda e, T: bounds.recovery(e, 0.1, T)):
        assert isinstance(bound(0.01, 10), float)
        table = bound(eps, T)
        assert table.shape == (3, 3) and table.dtype == torch.float64 and table.device.type == device.type
        assert table[1, 1].item() == pytest.approx(bound(0.01, 10))
    assert bounds.average(torch.rand(2, 5, 7)).shape == (2, 5)
    assert bounds.drift_average([0.1, 0.2, 0.3]).tolist() == pytest.approx([0.0, 0.2, 0.6])
    assert bounds.terminal([0.6, 0.6]).item() == 1.0


def test_dagger_names_its_terms():
    bound = bounds.dagger(0.01, 0.02, [1.0, 0.5, 0.01, 0.001], T=10)
    assert bound.mixing == pytest.approx((1 + 1 + 0.045 + 0.0045) / 4)  # total variation, averaged over steps
    assert sum(bound) == pytest.approx(0.03 + bound.mixing)
    assert bounds.dagger(0.01, 0.02, [0.0], T=10).mixing == 0
    assert bounds.dagger(0.01, 0.02, [0.01, 1.0], T=10).mixing == pytest.approx(1.045 / 2)  # each by itself
    assert bounds.dagger(0.0, 0.0, [1.0, 0, 0, 0, 0, 0], T=100, loss_max=3.0).mixing == pytest.approx(3 / 6)
    assert bounds.beta_mixing(0.001, 10) == pytest.approx(0.0045)
    assert bounds.beta_mixing(0.5, 10) == 1
    assert bounds.recoverable(3, 10, 0.01) == pytest.approx(0.3)


@settings(deadline=None)
@given(probabilities, st.floats(0, 0.9))
def test_discounted_bounds_are_means_over_a_geometric_horizon(eps, gamma):
    T = torch.arange(1, 400, dtype=torch.float64)
    chance = (1 - gamma) * gamma ** (T - 1)
    mean = (chance * bounds.sharp(eps, T)).sum().item()
    assert bounds.discounted_sharp(eps, gamma) == pytest.approx(mean, rel=1e-9, abs=1e-12)
    assert bounds.discounted_sharp(eps, gamma) <= bounds.discounted_average(eps, gamma) * (1 + 1e-12)


@pytest.mark.parametrize("call,told", [
    (lambda: bounds.sharp(1.5, 10), r"eps must lie in \[0, 1\]; got 1.5"),
    (lambda: bounds.sharp(-0.1, 10), "eps must lie"),
    (lambda: bounds.sharp(float("nan"), 10), "eps must lie"),
    (lambda: bounds.textbook(torch.tensor([0.1, 2.0]), 10), "an entry 2"),
    (lambda: bounds.sharp(0.1, 0), "number of steps must lie"),
    (lambda: bounds.sharp(0.1, 2.5), "must be whole; got 2.5"),
    (lambda: bounds.total_variation(0.1, -1), "number of steps must lie"),
    (lambda: bounds.recovery(0.1, 1.1, 10), "rho must lie"),
    (lambda: bounds.crossover(0.1, -1.0), "rho must lie"),
    (lambda: bounds.average(0.1), "one error rate a step"),
    (lambda: bounds.average([0.1, 1.2]), "eps_t must lie"),
    (lambda: bounds.recoverable(11, 10, 0.1), "u, as a share of T, must lie"),
    (lambda: bounds.recoverable(-1, 10, 0.1), "u, as a share of T, must lie"),
    (lambda: bounds.beta_mixing(1.1, 10), "beta must lie"),
    (lambda: bounds.dagger(0.1, 0.1, [0.5, 1.5], 10), "beta must lie"),
    (lambda: bounds.dagger(1.1, 0.1, [0.5], 10), "class_error must lie"),
    (lambda: bounds.discounted_sharp(0.1, 1.0), "gamma must be below 1"),
])
def test_bad_input_is_told_what_is_wrong(call, told):
    with pytest.raises(ValueError, match=told):
        call()


@pytest.mark.parametrize("eps", ["0.1", None, True, 0.1j, torch.tensor([True])])
def test_what_is_no_number_is_refused(eps):
    with pytest.raises(TypeError, match="eps must"):
        bounds.sharp(eps, 10)
