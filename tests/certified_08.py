"""Page 8, certified: the smallest copycat. `certified_03.py` says what a check is."""

from __future__ import annotations

from itertools import product

import torch
from certified_cases import F64, Case, at_most, certifies, equal

from ilsupport import tabular
from ilsupport.tabular import MDP

TAKEN, LIGHT = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])


def road(q: float) -> MDP:
    """States 2 taken + light; drive or brake.

    The road changes with chance q, the light shows the last action.
    """
    P = torch.zeros(4, 2, 4, dtype=F64)
    for s, a in product(range(4), range(2)):
        P[s, a, 2 * TAKEN[s] + a] += 1 - q
        P[s, a, 2 * (1 - TAKEN[s]) + a] += q
    return MDP(P, torch.tensor([1.0, 0, 0, 0], dtype=F64), (torch.arange(2) != TAKEN[:, None]).to(F64))


def driver(brakes: tuple[float, ...], e: float) -> torch.Tensor:
    """Chances to brake at (camera, light) = 00, 01, 10, 11, as a policy of (taken, light).

    The camera is marginalised out.
    """
    table = torch.tensor(brakes, dtype=F64).view(2, 2)
    right, wrong = table[TAKEN, LIGHT], table[1 - TAKEN, LIGHT]
    brake = (1 - e) * right + e * wrong
    return torch.stack([1 - brake, brake], -1)


COPY, TRUST = (0, 1, 0, 1), (0, 0, 1, 1)


@certifies("prop-copycat", "eq-copycat-error", "eq-copycat-cost",
           wrong=("the camera may be better than the light", "it errs less than q", "linear cost",
                  "one step late"))
def copycat(c: Case, variant: str | None = None) -> None:
    small, large = sorted((c.eps / 2, c.rho / 2))
    q, e = (large, small) if variant == "the camera may be better than the light" else (small, large)
    mdp, T = road(q), c.T
    star = tabular.one_hot(TAKEN, 2)
    p = tabular.state_distributions(mdp.transition, star, mdp.initial, T)

    def errors(brakes: tuple[float, ...]) -> torch.Tensor:
        return (p * (driver(brakes, e) * mdp.cost).sum(-1)).sum(-1)

    floor = torch.full((T,), q, dtype=F64)
    floor[0] = 0
    equal(errors(COPY), floor / 2 if variant == "it errs less than q" else floor)
    some = torch.rand(8, 4, generator=c.generator, dtype=F64).tolist()
    for brakes in [*product((0, 1), repeat=4),
                   *map(tuple, some)]:  # the error is linear in the policy: vertices suffice
        at_most(floor, errors(brakes) + (torch.arange(T) == 0))  # nothing is claimed at t = 0
    t = torch.arange(T, dtype=F64) + (variant == "one step late")
    paid = (1 - (1 - 2 * q) ** t) / 2
    cost = {"linear cost": torch.tensor(q * T)}.get(variant, paid.sum())
    equal(tabular.expected_cost(mdp, driver(COPY, e), T), cost)
    if variant is None and q > 1e-6:
        equal(paid.sum(), T / 2 - (1 - (1 - 2 * q) ** T) / (4 * q))
    equal(tabular.expected_cost(mdp, driver(TRUST, e), T), e * T)
