"""What theory says a learner's mistakes cost: every bound of the book as a function (pages 3 and 5).

Steps are t = 0, ..., T-1; a mistake costs 1, at its own step. Two assumptions hide behind "error eps":

S (sup)      in every state the expert visits, the learner disagrees with chance at most eps;
A (average)  eps_t, its chance to disagree in the expert's states at step t, has a mean of at most eps.

Numbers and tensors both go in, and broadcast: floats give a float, any tensor gives a float64 tensor.
Probabilities outside [0, 1] and horizons below 1 raise ValueError; other types raise TypeError.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ilsupport._checks import check_between, check_discount, check_finite, check_probability

Number = float | Tensor


# -- assumption S


def mixture_weight(eps: Number, t: Number) -> Number:
    """(1 - eps)^t, the weight of the expert's distribution in the learner's at step t (S; lem-mixture)."""
    return _out(1 - _some_mistake(*_steps(eps, t, least=0)), eps, t)


def total_variation(eps: Number, t: Number) -> Number:
    """1 - (1 - eps)^t <= eps t, the most total variation of the states at step t (S; lem-drift)."""
    return _out(_some_mistake(*_steps(eps, t, least=0)), eps, t)


def drift_l1(eps: Number, t: Number) -> Number:
    """2 (1 - (1 - eps)^t) <= 2 eps t, the same in L1, summed over states (S; lem-drift)."""
    return _out(2 * _some_mistake(*_steps(eps, t, least=0)), eps, t)


def textbook(eps: Number, T: Number) -> Number:
    """eps T^2 = sum_t (eps + 2 eps t), the bound of most lecture notes (S; thm-textbook)."""
    eps_, T_ = _steps(eps, T)
    return _out(eps_ * T_**2, eps, T)


def sharp(eps: Number, T: Number) -> Number:
    """sum_{k=1..T} (1 - (1 - eps)^k) <= eps T (T + 1) / 2, attained if a fall is for good (S; thm-sharp)."""
    return _out(_sharp(*_steps(eps, T)), eps, T)


def slope(eps: Number, T: Number) -> Number:
    """Local log-log slope of `sharp` at T: of the chord from T to T + 1, log(J(T+1) / J(T)) / log((T+1) / T).

    Between 1 and 2; at eps = 0, where J = 0, its limit. To compare measured costs with a curve put both
    through `log_log_slopes` on the same horizons: the chord of a longer stretch has another slope.
    """
    eps_, T_ = _steps(eps, T)
    step, J = _some_mistake(eps_, T_ + 1), _sharp(eps_, T_)
    ratio = torch.where(J > 0, step / J, 2 / T_)
    return _out(torch.log1p(ratio) / torch.log1p(1 / T_), eps, T)


def log_log_slopes(T: Tensor, J: Float[Tensor, "... k"]) -> Float[Tensor, "... k-1"]:
    """Slopes of the chords between neighbours of a curve J(T) > 0 on log-log axes; T (k,) increasing."""
    T, J = torch.as_tensor(T, dtype=torch.float64), torch.as_tensor(J, dtype=torch.float64)
    check_finite("T", T)
    check_finite("J", J)
    if T.ndim != 1 or len(T) < 2 or J.shape[-1:] != T.shape:
        raise ValueError("log-log slopes need T (k,), k > 1, and J (..., k); "
                         f"got shapes {tuple(T.shape)} and {tuple(J.shape)}.")
    if bool((T <= 0).any() | (T.diff() <= 0).any() | (J <= 0).any()):
        raise ValueError(f"log-log slopes need J > 0 and increasing T > 0; got J from {float(J.min()):.3g}, "
                         f"T = {T.tolist()}.")
    return J.log().diff(dim=-1) / T.log().diff()


# -- assumption A


def average(eps_t: Float[Tensor, "... T"]) -> Float[Tensor, "..."]:
    """sum_t (T - t) eps_t, each mistake paid for to the end (A; thm-average; Ross & Bagnell 2010)."""
    eps_t = _rates(eps_t)
    left = torch.arange(eps_t.shape[-1], 0, -1, dtype=torch.float64, device=eps_t.device)
    return (left * eps_t).sum(-1)


def average_sup(eps: Number, T: Number) -> Number:
    """eps T^2, the most `average` can be at mean error eps; attained for eps T <= 1 (A; thm-average)."""
    return textbook(eps, T)


def value_gap(eps_t: Float[Tensor, "... T"]) -> Float[Tensor, "..."]:
    """sum_t (T - t) eps_t, the most |V* - V| can be with any rewards in [0, 1] a step (A; thm-value)."""
    return average(eps_t)


def drift_average(eps_t: Float[Tensor, "... T"]) -> Float[Tensor, "... T"]:
    """2 sum_{i<t} eps_i for t = 0 .. T-1, the most the state distributions differ in L1 (A; lem-drift)."""
    eps_t = _rates(eps_t)
    return 2 * (eps_t.cumsum(-1) - eps_t)


def terminal(eps_t: Float[Tensor, "... T"]) -> Float[Tensor, "..."]:
    """min(1, sum_t eps_t), the value gap if only the last step has a reward (A; prop-terminal)."""
    return _rates(eps_t).sum(-1).clamp(max=1)


# -- recovery


def recovery_state(eps: Number, rho: Number, t: Number) -> Number:
    """q_t = eps / (eps + rho) (1 - (1 - eps - rho)^t), the chance to be off the rope (thm-recovery)."""
    check_probability("rho", rho)
    eps_, t_, rho_ = _steps(eps, t, rho, least=0)
    return _out(eps_ * _relaxation(eps_ + rho_, t_), eps, rho, t)


def recovery(eps: Number, rho: Number, T: Number) -> Number:
    """sum_t (eps + (1 - eps) q_t), the exact cost with recovery rho; `sharp` at rho = 0 (thm-recovery)."""
    check_probability("rho", rho)
    eps_, T_, rho_ = _steps(eps, T, rho)
    off = _relaxations(eps_ + rho_, T_ - 1)
    return _out(eps_ * T_ + (1 - eps_) * eps_ * off, eps, rho, T)


def crossover(eps: Number, rho: Number) -> Number:
    """1 / (eps + rho), the step at which the cost of a step stops growing (prop-crossover); inf at 0, 0."""
    return _out(1 / sum(_rates_of(eps, rho)), eps, rho)


def long_run(eps: Number, rho: Number) -> Number:
    """eps (1 + rho) / (eps + rho), the cost of a step as t grows (thm-recovery); 0 at eps = 0."""
    eps_, rho_ = _rates_of(eps, rho)
    return _out(torch.where(eps_ > 0, eps_ * (1 + rho_) / (eps_ + rho_), 0.0), eps, rho)


# -- interaction


def recoverable(u: Number, T: Number, eps_own: Number) -> Number:
    """u T eps_own, the most a learner costs more than its expert (thm-recoverability; u = 1, thm-own-states).

    u in [0, T] from `tabular.recoverability`; eps_own, the learner's mean error on the states it visits.
    """
    eps_, T_, u_ = _steps(eps_own, T, u, name="eps_own")
    check_between("recoverability u, as a share of T,", u_ / T_, 0.0, 1.0)
    return _out(u_ * T_ * eps_, u, T, eps_own)


def beta_mixing(beta: Number, T: Number) -> Number:
    """min(2, 2 T beta), the most a share beta of expert steps moves the states in L1 (lem-beta-mixing)."""
    beta_, T_ = _steps(beta, T, name="beta")
    return _out((2 * T_ * beta_).clamp(max=2), beta, T)


class DaggerBound(NamedTuple):
    """The terms of thm-dagger: their sum bounds the own-state loss of the best of the N learners."""

    class_error: float
    regret: float
    mixing: float

    @property
    def total(self) -> float:
        return self.class_error + self.regret + self.mixing


def dagger(
    class_error: float, regret: float, betas: Float[Tensor, "N"], T: int, loss_max: float = 1.0
) -> DaggerBound:
    """eps_N + gamma_N + (2 loss_max / N) (n_beta + T sum_{i > n_beta} beta_i) (thm-dagger; Ross et al. 2011).

    class_error: eps_N, the best fixed policy's mean loss over the N rounds; regret: gamma_N, the learners'
    mean loss minus that; betas: the expert's shares. n_beta counts the rounds to the last with beta > 1 / T.
    """
    betas, T_ = _steps(torch.as_tensor(betas, dtype=torch.float64), T, name="betas")
    check_between("loss_max", loss_max, 0.0, float("inf"))
    check_between("class_error", class_error, 0.0, loss_max)
    check_between("regret", regret, -loss_max, loss_max)
    large = (betas * T_ > 1).nonzero()
    n_beta = int(large.max()) + 1 if len(large) else 0
    mixing = 2 * loss_max / len(betas) * (n_beta + float((T_ * betas)[n_beta:].sum()))
    return DaggerBound(float(class_error), float(regret), mixing)


# -- discounted, sum_t gamma^t over t = 0, 1, ...: each bound above, averaged over a geometric horizon. It has
# mean 1 / (1 - gamma); that of T (T + 1) / 2 is 1 / (1 - gamma)^2, that of T^2 (1 + gamma) / (1 - gamma)^2.


def discounted_textbook(eps: Number, gamma: Number) -> Number:
    """sum_t gamma^t (eps + 2 eps t) = eps (1 + gamma) / (1 - gamma)^2 (S; thm-discounted)."""
    eps_, gamma_ = _discounted(eps, gamma)
    return _out(eps_ * (1 + gamma_) / (1 - gamma_) ** 2, eps, gamma)


def discounted_sharp(eps: Number, gamma: Number) -> Number:
    """eps / ((1 - gamma) (1 - gamma + gamma eps)), attained when a fall is for good (S; thm-discounted)."""
    eps_, gamma_ = _discounted(eps, gamma)
    return _out(eps_ / ((1 - gamma_) * (1 - gamma_ + gamma_ * eps_)), eps, gamma)


def discounted_average(eps_gamma: Number, gamma: Number) -> Number:
    """eps_gamma / (1 - gamma)^2, the error being in the expert's occupancy (A; thm-discounted)."""
    eps_, gamma_ = _discounted(eps_gamma, gamma)
    return _out(eps_ / (1 - gamma_) ** 2, eps_gamma, gamma)


# -- inside: tensors in, tensors out


def _some_mistake(eps: Tensor, k: Tensor) -> Tensor:
    """1 - (1 - eps)^k without cancellation; k = 0 gives 0 even at eps = 1."""
    return torch.where(k > 0, -torch.expm1(k * torch.log1p(-eps)), 0.0)


def _sharp(eps: Tensor, T: Tensor) -> Tensor:
    return eps * _relaxations(eps, T)


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


def _tensors(*xs: Number) -> list[Tensor]:
    device = next((x.device for x in xs if isinstance(x, Tensor)), None)
    tensors = [torch.as_tensor(x, dtype=torch.float64, device=device) for x in xs]
    return list(torch.broadcast_tensors(*tensors))


def _steps(eps: Number, T: Number, *more: Number, least: int = 1, name: str = "eps") -> list[Tensor]:
    check_probability(name, eps)
    check_between("the number of steps", T, least, 2.0**53)
    eps_, T_, *rest = _tensors(eps, T, *more)
    if bool((T_ != T_.round()).any()):
        raise ValueError(f"the number of steps must be whole; got {T}.")
    return [eps_, T_, *rest]


def _rates_of(eps: Number, rho: Number) -> list[Tensor]:
    return _tensors(check_probability("eps", eps), check_probability("rho", rho))


def _discounted(eps: Number, gamma: Number) -> list[Tensor]:
    return _tensors(check_probability("eps", eps), check_discount(gamma))


def _rates(eps_t: Tensor) -> Tensor:
    eps_t = torch.as_tensor(eps_t, dtype=torch.float64)
    if eps_t.ndim == 0:
        raise ValueError(f"eps_t holds one error rate a step, (..., T); got the number {float(eps_t)}.")
    return check_probability("eps_t", eps_t)


def _out(value: Tensor, *given: Number) -> Number:
    return value if any(isinstance(x, Tensor) for x in given) else value.item()
