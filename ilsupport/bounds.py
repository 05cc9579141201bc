"""What theory says a learner's mistakes cost: every bound of the book as a function (pages 3 and 5).

Steps are t = 0, ..., T-1; a mistake costs 1, at its own step. Two assumptions hide behind "error eps":

S (sup)      in every state the expert visits, the learner disagrees with chance at most eps;
A (average)  eps_t, its chance to disagree in the expert's states at step t, has a mean of at most eps.

Numbers and tensors both go in, and broadcast: floats give a float, any tensor gives a float64 tensor.
Probabilities outside [0, 1] and horizons below 1 raise ValueError; other types raise TypeError.
"""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ilsupport._checks import check_between, check_discount, check_finite, check_probability

Number = float | Tensor


def _check_argument(name: str, value: Number) -> None:
    if name.startswith("eps") or name in ("rho", "beta"):
        check_probability(name, value)
    elif name == "gamma":
        check_discount(value)
    elif name in ("t", "T"):
        check_between("the number of steps", value, 0 if name == "t" else 1, 2.0**53)
        if bool((torch.as_tensor(value) % 1 != 0).any()):
            raise ValueError(f"the number of steps must be whole; got {value}.")


def _bound(formula: Callable[..., Tensor]) -> Callable[..., Number]:
    """A formula in float64 tensors as a function of numbers too, its arguments checked by their names."""
    signature = inspect.signature(formula)

    @functools.wraps(formula)
    def bound(*args: Number, **named: Number) -> Number:
        given = signature.bind(*args, **named).arguments
        for name, value in given.items():
            _check_argument(name, value)
        device = next((x.device for x in given.values() if isinstance(x, Tensor)), None)
        tensors = [torch.as_tensor(x, dtype=torch.float64, device=device) for x in given.values()]
        value = formula(*torch.broadcast_tensors(*tensors))
        return value.item() if device is None else value
    return bound


# -- assumption S


@_bound
def total_variation(eps: Number, t: Number) -> Number:
    """1 - (1 - eps)^t <= eps t, the most total variation of the states at step t (S; lem-drift).

    In L1, summed over states, they differ by twice that; what is left of 1 is the weight of the expert's
    distribution in the learner's (lem-mixture).
    """
    return torch.where(t > 0, -torch.expm1(t * torch.log1p(-eps)), 0.0)  # keeps its digits; 0 at eps = 1 too


@_bound
def textbook(eps: Number, T: Number) -> Number:
    """eps T^2 = sum_t (eps + 2 eps t), the bound of most lecture notes (S; thm-textbook).

    It is also the most that `average` can be at mean error eps, attained for eps T <= 1 (A; thm-average).
    """
    return eps * T**2


@_bound
def sharp(eps: Number, T: Number) -> Number:
    """sum_{k=1..T} (1 - (1 - eps)^k) <= eps T (T + 1) / 2, attained if a fall is for good (S; thm-sharp)."""
    return eps * _relaxations(eps, T)


@_bound
def slope(eps: Number, T: Number) -> Number:
    """Local log-log slope of `sharp` at T: of the chord from T to T + 1, log(J(T+1) / J(T)) / log((T+1) / T).

    Between 1 and 2; at eps = 0, where J = 0, its limit. To compare measured costs with a curve put both
    through `log_log_slopes` on the same horizons: the chord of a longer stretch has another slope.
    """
    step, J = total_variation(eps, T + 1), sharp(eps, T)
    ratio = torch.where(J > 0, step / J, 2 / T)
    return torch.log1p(ratio) / torch.log1p(1 / T)


def log_log_slopes(T: Tensor, J: Float[Tensor, "... k"]) -> Float[Tensor, "... k-1"]:
    """Slopes of the chords between neighbours of a curve J(T) > 0 on log-log axes; T (k,) increasing."""
    T, J = (check_finite(name, torch.as_tensor(x, dtype=torch.float64)) for name, x in (("T", T), ("J", J)))
    curve = T.ndim == 1 and len(T) > 1 and J.shape[-1:] == T.shape
    if not curve or bool((T <= 0).any() | (T.diff() <= 0).any() | (J <= 0).any()):
        raise ValueError("log-log slopes need increasing T > 0 (k,), k > 1, and J > 0 (..., k); got T = "
                         f"{T.tolist()} and J from {float(J.min()):.3g}, {tuple(J.shape)}.")
    return J.log().diff(dim=-1) / T.log().diff()


# -- assumption A


def average(eps_t: Float[Tensor, "... T"]) -> Float[Tensor, "..."]:
    """sum_t (T - t) eps_t, each mistake paid for to the end (A; thm-average; Ross & Bagnell 2010).

    It is also the most that |V* - V| can be with any rewards in [0, 1] a step (A; thm-value).
    """
    eps_t = _rates(eps_t)
    left = torch.arange(eps_t.shape[-1], 0, -1, dtype=torch.float64, device=eps_t.device)
    return (left * eps_t).sum(-1)


def drift_average(eps_t: Float[Tensor, "... T"]) -> Float[Tensor, "... T"]:
    """2 sum_{i<t} eps_i for t = 0 .. T-1, the most the state distributions differ in L1 (A; lem-drift)."""
    eps_t = _rates(eps_t)
    return 2 * (eps_t.cumsum(-1) - eps_t)


def terminal(eps_t: Float[Tensor, "... T"]) -> Float[Tensor, "..."]:
    """min(1, sum_t eps_t), the value gap if only the last step has a reward (A; prop-terminal)."""
    return _rates(eps_t).sum(-1).clamp(max=1)


# -- recovery


@_bound
def recovery_state(eps: Number, rho: Number, t: Number) -> Number:
    """q_t = eps / (eps + rho) (1 - (1 - eps - rho)^t), the chance to be off the rope (thm-recovery)."""
    return eps * _relaxation(eps + rho, t)


@_bound
def recovery(eps: Number, rho: Number, T: Number) -> Number:
    """sum_t (eps + (1 - eps) q_t), the exact cost with recovery rho; `sharp` at rho = 0 (thm-recovery)."""
    return eps * T + (1 - eps) * eps * _relaxations(eps + rho, T - 1)


@_bound
def crossover(eps: Number, rho: Number) -> Number:
    """1 / (eps + rho), the step at which the cost of a step stops growing (prop-crossover); inf at 0, 0."""
    return 1 / (eps + rho)


@_bound
def long_run(eps: Number, rho: Number) -> Number:
    """eps (1 + rho) / (eps + rho), the cost of a step as t grows (thm-recovery); 0 at eps = 0."""
    return torch.where(eps > 0, eps * (1 + rho) / (eps + rho), 0.0)


# -- interaction


@_bound
def recoverable(u: Number, T: Number, eps_own: Number) -> Number:
    """u T eps_own, the most a learner costs more than its expert (thm-recoverability; u = 1, thm-own-states).

    u in [0, T] from `tabular.recoverability`; eps_own, the learner's mean error on the states it visits.
    """
    check_between("recoverability u, as a share of T,", u / T, 0.0, 1.0)
    return u * T * eps_own


@_bound
def beta_mixing(beta: Number, T: Number) -> Number:
    """min(1, (T - 1) beta / 2), the most a share beta of expert steps moves the states (lem-beta-mixing).

    In total variation, of their mean over the T steps.
    """
    return ((T - 1) * beta / 2).clamp(max=1)


class DaggerBound(NamedTuple):
    """The terms of thm-dagger: their `sum` bounds the mean of the N learners' losses on their own states."""

    class_error: float
    regret: float
    mixing: float


def dagger(class_error: float, regret: float, betas: Tensor, T: int, loss_max: float = 1.0) -> DaggerBound:
    """eps_N + gamma_N + (loss_max / N) sum_i min(1, (T - 1) beta_i / 2) (thm-dagger; after Ross et al. 2011).

    class_error: eps_N, the best fixed policy's mean loss over the N rounds; regret: gamma_N, the learners'
    mean loss minus that; betas: the expert's shares (N,). The paper charges each round at least twice that.
    """
    betas = torch.as_tensor(betas, dtype=torch.float64)
    check_between("loss_max", loss_max, 0.0, float("inf"))
    check_between("class_error", class_error, 0.0, loss_max)
    check_between("regret", regret, -loss_max, loss_max)
    return DaggerBound(float(class_error), float(regret), loss_max * float(beta_mixing(betas, T).mean()))


# -- discounted, sum_t gamma^t over t = 0, 1, ...: each bound above, averaged over a geometric horizon. It has
# mean 1 / (1 - gamma); that of T (T + 1) / 2 is 1 / (1 - gamma)^2, that of T^2 (1 + gamma) / (1 - gamma)^2.


@_bound
def discounted_sharp(eps: Number, gamma: Number) -> Number:
    """eps / ((1 - gamma) (1 - gamma + gamma eps)), attained when a fall is for good (S; thm-discounted)."""
    return eps / ((1 - gamma) * (1 - gamma + gamma * eps))


@_bound
def discounted_average(eps_gamma: Number, gamma: Number) -> Number:
    """eps_gamma / (1 - gamma)^2, the error being in the expert's occupancy (A; thm-discounted)."""
    return eps_gamma / (1 - gamma) ** 2


# -- inside: tensors in, tensors out


def _relaxation(rate: Tensor, t: Tensor) -> Tensor:
    """(1 - (1 - rate)^t) / rate for rate in [0, 2], its limit t at rate = 0."""
    slow = -torch.expm1(t * torch.log1p(-rate.clamp(max=0.5)))
    moved = torch.where(rate <= 0.5, slow, 1 - (1 - rate) ** t)
    small = rate < 1e-300  # a subnormal rate has lost its digits
    return torch.where(small, t, moved / torch.where(small, 1.0, rate))


def _relaxations(rate: Tensor, T: Tensor) -> Tensor:
    """The sum of `_relaxation(rate, t)` over t = 1, ..., T, whatever T.

    In closed form where that keeps its digits; where rate T < 1 it cancels, and there the binomial series
    sum_j C(T + 1, j + 2) (-rate)^j, of which twenty terms are more than enough.
    """
    term = T * (T + 1) / 2
    series = term
    for j in range(1, 20):
        term = -term * rate * (T - j) / (j + 2)
        series = series + term
    closed = (T - (1 - rate) * _relaxation(rate, T)) / rate
    return torch.where(rate * T < 1, series, closed)


def _rates(eps_t: Tensor) -> Tensor:
    eps_t = torch.as_tensor(eps_t, dtype=torch.float64)
    if eps_t.ndim == 0:
        raise ValueError(f"eps_t holds one error rate a step, (..., T); got the number {float(eps_t)}.")
    return check_probability("eps_t", eps_t)
