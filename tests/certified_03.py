"""Page 3, certified: a check for each label of the derivation.

A check takes a `Case`, computes both sides exactly, in float64, and raises `Violation` when the claim fails.
It also takes the name of a deliberately wrong variant (a constant halved, an assumption dropped, one step too
few), for which it must fail on some case: else it could not tell right from wrong. See `test_certified.py`.
"""

from __future__ import annotations

import math

import torch
from certified_cases import F64, Case, at_most, certifies, disagreeing, equal, pair, survivors, walk
from torch import Tensor

from ilsupport import bounds, tabular
from ilsupport.tabular import MDP

# -- page 3: mixture and drift


@certifies("lem-mixture", "eq-mixture", wrong=("one step early", "assumption S dropped"))
def mixture(c: Case, variant: str | None = None) -> None:
    learner, eps = c.sup, c.eps
    if variant == "assumption S dropped":
        learner, eps = c.free, tabular.error_rates(c.mdp, c.expert, c.free, c.T).mean(-1, keepdim=True)
    p_expert, p_learner = pair(c, learner)
    t = torch.arange(c.T, dtype=F64)
    t = (t - 1).clamp(min=0) if variant == "one step early" else t
    weight = 1 - bounds.total_variation(eps, t)
    rest = p_learner - weight[..., None] * p_expert  # (1 - weight) q_t
    at_most(-rest, 0.0)
    equal(rest.sum(-1), 1 - weight)


@certifies("lem-survivors", wrong=("one step early", "assumption S dropped", "first mistake halved"))
def survivor_mass(c: Case, variant: str | None = None) -> None:
    learner = c.free if variant == "assumption S dropped" else c.sup
    f, (p_expert, p_learner) = survivors(c, learner), pair(c, learner)
    at_most(f, p_expert)
    at_most(f, p_learner)
    t = torch.arange(c.T, dtype=F64) - (1 if variant == "one step early" else 0)
    at_most((1 - bounds.total_variation(c.eps, t.clamp(min=0)))[..., None] * p_expert, f)
    errors = 1 - c.free[..., 0]
    first = (survivors(c, c.free) * errors[:, None]).sum(-1)
    eps_t = tabular.error_rates(c.mdp, c.expert, c.free, c.T)
    at_most(first, eps_t / (2 if variant == "first mistake halved" else 1))


@certifies("prop-mixture-reading", wrong=("errors unequal",))
def mixture_reading(c: Case, variant: str | None = None) -> None:
    """With the same error in every visited state those without a mistake are distributed as the expert, and
    q_t is the law after one. With unequal errors they are not: no mistake so far says where one has been.
    """
    A = c.mdp.cost.shape[-1]
    visited = walk(c.mdp, tabular.one_hot(c.expert, A), c.T).amax(-2) > 0
    least = 0 if variant == "errors unequal" else 1
    error = torch.where(visited, c.eps * torch.linspace(least, 1, visited.shape[-1], dtype=F64), 1.0)
    learner = tabular.erring(c.expert, error, A)
    f, p_expert = survivors(c, learner), pair(c, learner)[0]
    chance = f.sum(-1, keepdim=True)
    equal(f, chance * p_expert)
    if variant is None:
        equal(chance[..., 0], 1 - bounds.total_variation(c.eps, torch.arange(c.T, dtype=F64)))


@certifies("lem-tv", "eq-tv", wrong=("mean of g doubled", "overlap dropped"))
def two_rulers(c: Case, variant: str | None = None) -> None:
    p_expert, p_learner = pair(c, c.free)
    gap = p_learner - p_expert
    tv = gap.clamp(min=0).sum(-1)  # the event where the learner's probability is larger
    equal(tv, gap.abs().sum(-1) / 2)
    g = torch.stack([torch.rand(gap.shape, generator=c.generator, dtype=F64), (gap > 0).double()])
    at_most((gap * g).sum(-1).abs(), tv / (2 if variant == "mean of g doubled" else 1))
    f = survivors(c, c.free)
    at_most(tv, 1 - (torch.maximum(p_expert, p_learner) if variant == "overlap dropped" else f).sum(-1))


@certifies("lem-drift", "eq-drift", "eq-drift-average",
           wrong=("L1 halved", "total variation halved", "one step short", "average halved"))
def drift(c: Case, variant: str | None = None) -> None:
    p_expert, p_learner = pair(c, c.sup)
    l1 = (p_expert - p_learner).abs().sum(-1)
    t = torch.arange(c.T, dtype=F64)
    t_used = (t - 1).clamp(min=0) if variant == "one step short" else t
    at_most(l1, 2 * bounds.total_variation(c.eps, t_used) / (2 if variant == "L1 halved" else 1))
    at_most(l1 / 2, bounds.total_variation(c.eps, t_used) / (2 if variant == "total variation halved" else 1))
    at_most(2 * bounds.total_variation(c.eps, t), 2 * c.eps * t)
    p_expert, p_learner = pair(c, c.free)
    summed = bounds.drift_average(tabular.error_rates(c.mdp, c.expert, c.free, c.T))
    at_most((p_expert - p_learner).abs().sum(-1), summed / (2 if variant == "average halved" else 1))


@certifies("lem-bernoulli", "eq-bernoulli", wrong=("slope halved", "second order dropped"))
def bernoulli(c: Case, variant: str | None = None) -> None:
    t = torch.arange(4 * c.T, dtype=F64)
    mistake = bounds.total_variation(c.eps, t)
    at_most(mistake, (c.eps * t).clamp(max=1) / (2 if variant == "slope halved" else 1))
    second = 0 if variant == "second order dropped" else c.eps**2 * t * (t - 1) / 2
    at_most(c.eps * t - second, mistake)


# -- page 3: the bounds


@certifies("thm-textbook", "eq-textbook", wrong=("constant halved", "one term too many"))
def textbook(c: Case, variant: str | None = None) -> None:
    bound = bounds.textbook(c.eps, c.T)
    at_most(tabular.expected_cost(c.mdp, c.sup, c.T), bound / (2 if variant == "constant halved" else 1))
    terms = c.T + 1 if variant == "one term too many" else c.T
    equal(sum(c.eps + 2 * c.eps * t for t in range(terms)), bound)


@certifies("cor-total-variation", "eq-total-variation", wrong=("constant halved", "one term too many"))
def right_ruler(c: Case, variant: str | None = None) -> None:
    bound = c.eps * c.T * (c.T + 1) / 2
    at_most(tabular.expected_cost(c.mdp, c.sup, c.T), bound / (2 if variant == "constant halved" else 1))
    equal(sum(c.eps + c.eps * t for t in range(c.T + 1 if variant == "one term too many" else c.T)), bound)


@certifies("thm-sharp", "eq-sharp",
           wrong=("constant halved", "one step short", "assumption S dropped", "mistake itself free"))
def sharp(c: Case, variant: str | None = None) -> None:
    learner, eps = c.sup, torch.as_tensor(c.eps, dtype=F64)
    if variant == "assumption S dropped":
        learner, eps = c.free, tabular.error_rates(c.mdp, c.expert, c.free, c.T).mean(-1)
    bound = bounds.sharp(eps, c.T)
    T = c.T - 1 if variant == "one step short" else c.T
    claimed = bounds.sharp(eps, T) / (2 if variant == "constant halved" else 1)
    at_most(tabular.expected_cost(c.mdp, learner, c.T), claimed)
    at_most(bound, eps * c.T * (c.T + 1) / 2)
    if c.eps > 1e-3:  # the closed form loses its digits below
        power = c.T if variant != "mistake itself free" else c.T - 1
        equal(bound, c.T - (1 - eps) * (1 - (1 - eps) ** power) / eps)
    rope = tabular.tightrope(absorbing=True)
    equal(tabular.expected_cost(rope, tabular.tightrope_learner(c.eps), c.T), bounds.sharp(c.eps, c.T))


@certifies("prop-sharp-ends", "eq-sharp-ends",
           wrong=("cubic term dropped", "one step short", "upper end halved"))
def sharp_ends(c: Case, variant: str | None = None) -> None:
    eps, T = max(c.eps, 1e-6), c.T
    curve, parabola = bounds.sharp(eps, T), eps * T * (T + 1) / 2
    at_most(curve, min(parabola, T) / (2 if variant == "upper end halved" else 1))
    at_most(parabola * (1 - (0 if variant == "cubic term dropped" else eps * (T - 1) / 3)), curve)
    at_most(T - (1 - eps) / eps + (1 if variant == "one step short" else 0), curve)


@certifies("prop-tightrope-exact", wrong=("wind kept",))
def tightrope_exact(c: Case, variant: str | None = None) -> None:
    """Three winds, drawn afresh each step; a policy is right or wrong in each, for certain or by chance."""
    wind = torch.tensor([c.eps, (1 - c.eps) / 3, 2 * (1 - c.eps) / 3], dtype=F64)
    p0 = torch.cat([wind, torch.zeros(1, dtype=F64)])
    P = torch.zeros(4, 2, 4, dtype=F64)
    P[:, 0] = torch.eye(4, dtype=F64) if variant == "wind kept" else p0
    P[3, 0], P[:, 1, 3] = p0, 1.0  # climbing returns; a wrong action is off the rope
    mdp = MDP(P, p0, torch.tensor([[0.0, 1.0]] * 4, dtype=F64))
    expert = tabular.expert_of(mdp)
    for error in ([1.0, 0.0, 0.0, 1.0], [0.5, c.rho, c.eps, 1.0]):
        learner = tabular.erring(expert, torch.tensor(error, dtype=F64), 2)
        eps = (wind * torch.tensor(error[:3], dtype=F64)).sum()
        equal(tabular.error_rates(mdp, expert, learner, c.T), eps)
        equal(tabular.expected_cost(mdp, learner, c.T), bounds.sharp(eps, c.T))


@certifies("thm-average", "eq-average", wrong=("constant halved", "one step short"))
def average(c: Case, variant: str | None = None) -> None:
    eps_t = tabular.error_rates(c.mdp, c.expert, c.free, c.T)
    bound = bounds.average(eps_t)
    at_most(bound, bounds.textbook(eps_t.mean(-1), c.T))
    claimed = bound - eps_t.sum(-1) if variant == "one step short" else bound
    claimed = claimed / 2 if variant == "constant halved" else claimed
    at_most(tabular.expected_cost(disagreeing(c), c.free, c.T), claimed)
    at_most(tabular.expected_cost(c.mdp, c.free, c.T), claimed)  # absorbing: the fallen pay whatever they do


@certifies("prop-average-tight", wrong=("mistake itself free", "constant halved"))
def average_tight(c: Case, variant: str | None = None) -> None:
    at_start = min(1.0, c.T * c.eps)
    mdp = tabular.tight_example()
    expert = tabular.expert_of(mdp)
    learner = tabular.erring(expert, torch.tensor([at_start, 0, 1], dtype=F64), 2)
    eps_t = tabular.error_rates(mdp, expert, learner, c.T)
    at_most(eps_t.mean(), c.eps)
    paid = {None: c.T, "mistake itself free": c.T - 1, "constant halved": c.T / 2}[variant]
    equal(tabular.expected_cost(mdp, learner, c.T), at_start * paid)
    equal(bounds.average(eps_t), min(bounds.textbook(c.eps, c.T), c.T))


@certifies("prop-sharp-not-average", "eq-sharp-not-average", wrong=("error spread evenly",))
def sharp_not_average(c: Case, variant: str | None = None) -> None:
    T = max(c.T, 2)
    eps = min(max(c.eps, 1e-6), 1 / T)
    spread = variant == "error spread evenly"
    error = torch.tensor([eps, eps, 1.0] if spread else [T * eps, 0.0, 1.0], dtype=F64)
    mdp = tabular.tight_example()
    expert = tabular.expert_of(mdp)
    learner = tabular.erring(expert, error, 2)
    cost = tabular.expected_cost(mdp, learner, T)
    parabola = eps * T * (T + 1) / 2
    at_most(parabola * (1 + 0.3 * (T - 1) / (T + 1)), cost)  # T^2 is that much above T (T + 1) / 2, and more
    at_most(bounds.sharp(eps, T), parabola)
    equal(tabular.error_rates(mdp, expert, learner, T).mean(), eps)
    equal(cost, bounds.textbook(eps, T))


# -- page 3: values, recovery


@certifies("lem-performance-difference", "eq-performance-difference",
           wrong=("expert's advantage", "learner's states"))
def performance_difference(c: Case, variant: str | None = None) -> None:
    """In costs: J(learner) - J(expert) sums the learner's V_t - Q_t(., a*) over the expert's states."""
    expert = tabular.one_hot(c.expert, c.mdp.cost.shape[-1])
    judge, walker = c.free, expert
    if variant == "expert's advantage":
        judge = expert
    if variant == "learner's states":
        walker = c.free
    q, v = tabular.values(c.task, judge, c.T)
    advantage = v[..., :-1, :] - (q * expert[:, None]).sum(-1)  # of the expert's action, in rewards
    gap = tabular.expected_cost(c.task, c.free, c.T) - tabular.expected_cost(c.task, expert, c.T)
    equal(gap, (walk(c.mdp, walker, c.T) * advantage).sum((-2, -1)))


@certifies("thm-value", "eq-value", wrong=("constant halved", "one step short"))
def value(c: Case, variant: str | None = None) -> None:
    """Any rewards in [0, 1], here 1 - task cost; the learner may be stochastic and the gap of either sign."""
    eps_t = tabular.error_rates(c.mdp, c.expert, c.free, c.T)
    bound = bounds.average(eps_t)
    claimed = {None: bound, "constant halved": bound / 2, "one step short": bound - eps_t.sum(-1)}[variant]
    expert = tabular.one_hot(c.expert, c.mdp.cost.shape[-1])
    gap = tabular.expected_cost(c.task, c.free, c.T) - tabular.expected_cost(c.task, expert, c.T)
    at_most(gap.abs(), claimed)
    at_most(bound, c.T**2 * eps_t.mean(-1))


@certifies("prop-terminal", "eq-terminal",
           wrong=("last step's error only", "constant halved", "one step short"))
def terminal(c: Case, variant: str | None = None) -> None:
    expert = tabular.one_hot(c.expert, c.mdp.cost.shape[-1])

    def gap(learner: Tensor) -> Tensor:
        by_expert, by_learner = pair(c, learner)
        last = [p[..., -1, :, None] * pi for p, pi in ((by_expert, expert), (by_learner, learner))]
        return ((last[0] - last[1]) * c.task.cost).sum((-2, -1)).abs()

    eps_t = tabular.error_rates(c.mdp, c.expert, c.free, c.T)
    bound = bounds.terminal(eps_t) / (2 if variant == "constant halved" else 1)
    at_most(gap(c.free), eps_t[..., -1] if variant == "last step's error only" else bound)
    at_most(gap(c.sup), bounds.total_variation(c.eps, c.T - 1 if variant == "one step short" else c.T))


@certifies("thm-recovery", "eq-recovery", "eq-recovery-linear",
           wrong=("one step late", "recovery ignored", "slope halved"))
def recovery(c: Case, variant: str | None = None) -> None:
    rope, learner = tabular.tightrope(c.rho), tabular.tightrope_learner(c.eps)
    rho = 0.0 if variant == "recovery ignored" else c.rho
    t = torch.arange(c.T, dtype=F64) + (1 if variant == "one step late" else 0)
    equal(walk(rope, learner, c.T)[:, 1], bounds.recovery_state(c.eps, rho, t))
    equal(tabular.expected_cost(rope, learner, c.T), bounds.recovery(c.eps, rho, c.T))
    equal(bounds.recovery(c.eps, 0.0, c.T), bounds.sharp(c.eps, c.T))
    line = bounds.long_run(c.eps, c.rho) * c.T
    at_most(bounds.recovery(c.eps, c.rho, c.T), line / (2 if variant == "slope halved" else 1))
    if c.rho > 1e-3 and c.eps + c.rho < 2:
        at_most(line, c.eps * (1 + 1 / c.rho) * c.T)
        late = torch.tensor(1e7, dtype=F64)
        step = c.eps + (1 - c.eps) * bounds.recovery_state(c.eps, c.rho, late)
        equal(step, bounds.long_run(c.eps, c.rho))


@certifies("prop-crossover", "eq-crossover", "eq-crossover-total",
           wrong=("crossover at 1 / rho", "upper side halved", "quadratic halved"))
def crossover(c: Case, variant: str | None = None) -> None:
    """q_t lies between (1 - 1/e) and 1 times eps min(t, 1 / (eps + rho)), for eps + rho <= 1."""
    eps, rho = c.eps / 2, c.rho / 2
    t = torch.arange(20 * c.T, dtype=F64)
    at = 1 / rho if variant == "crossover at 1 / rho" and rho > 0 else bounds.crossover(eps, rho)
    corner = eps * t.clamp(max=at)
    q = bounds.recovery_state(eps, rho, t)
    at_most(q, corner / (2 if variant == "upper side halved" else 1))
    at_most((1 - math.exp(-1)) * corner, q)
    eps, rho = c.eps, c.rho  # the rest holds above 1 too
    quadratic = eps * c.T + (1 - eps) * eps * c.T * (c.T - 1) / (4 if variant == "quadratic halved" else 2)
    at_most(bounds.recovery(eps, rho, c.T), min(quadratic, bounds.long_run(eps, rho) * c.T))


# -- discounted


@certifies("thm-discounted", "eq-discounted-sharp", "eq-discounted-textbook", "eq-discounted-average",
           "eq-discounted-value", "eq-geometric-horizon",
           wrong=("one factor 1/(1 - gamma)", "constant halved", "average halved", "assumption S dropped",
                  "horizon one short"))
def discounted(c: Case, variant: str | None = None) -> None:
    eps, learner = c.eps, c.sup
    error = tabular.discounted_error(c.mdp, c.expert, c.free, c.gamma)
    if variant == "assumption S dropped":
        eps, learner = error, c.free
    cost = tabular.discounted_cost(c.mdp, learner, c.gamma)
    limit = bounds.discounted_sharp(eps, c.gamma)
    at_most(cost, limit / (2 if variant == "constant halved" else 1))
    at_most(limit, bounds.discounted_average(eps, c.gamma))
    at_most(bounds.discounted_average(eps, c.gamma), eps * (1 + c.gamma) / (1 - c.gamma) ** 2)
    bound = bounds.discounted_average(error, c.gamma) / (2 if variant == "average halved" else 1)
    bound = bound * (1 - c.gamma) if variant == "one factor 1/(1 - gamma)" else bound
    expert = tabular.one_hot(c.expert, c.mdp.cost.shape[-1])
    at_most(tabular.discounted_cost(disagreeing(c), c.free, c.gamma), bound)
    gap = tabular.discounted_cost(c.task, c.free, c.gamma) - tabular.discounted_cost(c.task, expert, c.gamma)
    at_most(gap.abs(), bound)
    rope = tabular.tightrope(absorbing=True)
    attained = tabular.discounted_cost(rope, tabular.tightrope_learner(c.eps), c.gamma)
    equal(attained, bounds.discounted_sharp(c.eps, c.gamma))
    T = torch.arange(1, 800, dtype=F64)  # a geometric horizon T: chance (1 - gamma) gamma^(T-1)
    chance = (1 - c.gamma) * c.gamma ** (T if variant == "horizon one short" else T - 1)
    J_T = tabular.own_error_rates(c.mdp, c.expert, c.free, len(T)).cumsum(-1)
    equal((chance * J_T).sum(-1), tabular.discounted_cost(disagreeing(c), c.free, c.gamma))
    equal((chance * bounds.sharp(c.eps, T)).sum(), bounds.discounted_sharp(c.eps, c.gamma))
    equal((chance * bounds.textbook(c.eps, T)).sum(), c.eps * (1 + c.gamma) / (1 - c.gamma) ** 2)
