"""The registry of certified results, and the cases that every check is run on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ilsupport import tabular
from ilsupport.tabular import MDP

F64 = torch.float64
KINDS = ("dense", "absorbing", "recoverable", "tightrope", "tight")


class Check(NamedTuple):
    labels: tuple[str, ...]
    wrong: tuple[str, ...]
    run: Callable[[Case, str | None], None]


CHECKS: list[Check] = []


def certifies(*labels: str, wrong: tuple[str, ...]) -> Callable:
    """Register a check under the labels it certifies, with the names of the wrong variants it must reject."""

    def register(run: Callable) -> Callable:
        CHECKS.append(Check(labels, wrong, run))
        return run

    return register


class Case(NamedTuple):
    """A batch of MDPs, an expert and two learners; `mdp` costs 0 along the expert's way, `task` anything."""

    mdp: MDP
    task: MDP
    expert: Tensor
    sup: Tensor  # satisfies S with eps; always wrong where the expert never goes
    free: Tensor  # satisfies nothing
    eps: float
    rho: float
    T: int
    gamma: float
    generator: torch.Generator


def make_case(kind: str, seed: int, eps: float, rho: float, T: int, gamma: float, n: int = 4) -> Case:
    """Build a case: random structure for three of the KINDS, page 3's two extremal MDPs for the others."""
    g = torch.Generator().manual_seed(seed)
    S, A = 2 + seed % 5, 2 + seed % 2
    if kind == "tightrope":
        mdp = tabular.tightrope(torch.zeros(1, dtype=F64), absorbing=True)
    elif kind == "tight":
        one = tabular.tight_example()
        mdp = MDP(*(table[None] for table in one))
    else:
        mdp = tabular.random_mdps(n, S, A, g, kind)
    extremal = kind in ("tightrope", "tight")
    expert, (n, S, A) = tabular.expert_of(mdp), mdp.cost.shape
    task = mdp if extremal else MDP(mdp.transition, mdp.initial, torch.rand(n, S, A, generator=g, dtype=F64))
    visited = walk(mdp, tabular.one_hot(expert, A), max(T, S)).amax(-2) > 0
    power = 0 if extremal else seed % 3  # power 0: the same eps everywhere
    sup = torch.where(visited, eps * torch.rand(n, S, generator=g, dtype=F64) ** power, 1.0)
    free = torch.rand(n, S, generator=g, dtype=F64) ** 4
    if kind == "tight":
        free = torch.tensor([[min(1.0, T * eps), 0.0, 1.0]], dtype=F64)
    if kind == "tightrope":
        free = sup
    return Case(mdp, task, expert, tabular.erring(expert, sup, A), tabular.erring(expert, free, A),
                eps, rho, T, gamma, g)


def walk(mdp: MDP, policy: Tensor, T: int) -> Tensor:
    return tabular.state_distributions(mdp.transition, policy, mdp.initial, T)


def pair(c: Case, learner: Tensor, T: int | None = None) -> tuple[Tensor, Tensor]:
    """Return p*_t and the learner's p_t, each (n, T, S)."""
    expert = tabular.one_hot(c.expert, c.mdp.cost.shape[-1])
    return walk(c.mdp, expert, T or c.T), walk(c.mdp, learner, T or c.T)


def disagreeing(c: Case) -> MDP:
    cost = tabular.disagreement_cost(c.expert, c.mdp.cost.shape[-1])
    return MDP(c.mdp.transition, c.mdp.initial, cost)


class Violation(AssertionError):
    """A claim that does not hold, and by how much: a counter-test wants more than rounding."""

    def __init__(self, by: float) -> None:
        super().__init__(f"exceeds its bound by {by:.3g}")
        self.by = by


def at_most(a: Tensor | float, b: Tensor | float) -> None:
    a, b = torch.as_tensor(a, dtype=F64), torch.as_tensor(b, dtype=F64)
    if not bool((a <= b + 1e-9 * (1 + b.abs())).all()):  # NaN is a violation too
        raise Violation(float((a - b).max()))


def equal(a: Tensor | float, b: Tensor | float) -> None:
    at_most(a, b)
    at_most(b, a)


def survivors(c: Case, learner: Tensor) -> Tensor:
    """Return f_t(s) (n, T, S): in s at step t under the learner, without a mistake so far."""
    f, steps = c.mdp.initial, []
    for _ in range(c.T):
        steps.append(f)
        f = ((f * learner[..., 0])[..., None, :] @ c.mdp.transition[..., 0, :]).squeeze(-2)
    return torch.stack(steps, -2)
