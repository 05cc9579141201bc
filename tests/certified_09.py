"""Page 9, certified: what hindsight makes of luck. `certified_03.py` says what a check is."""

from __future__ import annotations

import torch
from certified_cases import F64, Case, at_most, certifies, equal


def gambler(p: float, h: float, x: float, rounds: int) -> float:
    """The chance to gamble for G after `rounds`, by Bayes' rule on the joint law of order, action and
    outcome."""
    order = torch.tensor([1 - h, h], dtype=F64)  # G, H
    leads = torch.tensor([[1, 0], [p, 1 - p]], dtype=F64)  # action (sure, gamble), outcome (G, H)
    for _ in range(rounds):
        plays = torch.tensor([[1 - x, x], [0, 1]], dtype=F64)  # order, action
        joint = (order[:, None, None] * plays[:, :, None] * leads).sum(0)  # action, outcome
        x = float(joint[1, 0] / joint[:, 0].sum())
    return x


@certifies("prop-luck", "eq-luck-odds", "eq-luck-limit",
           wrong=("orders for H forgotten", "limit without the share", "limit without 1 - p",
                  "failures kept"))
def luck(c: Case, variant: str | None = None) -> None:
    p, h, x0 = 0.02 + 0.9 * c.eps, 0.02 + 0.6 * c.rho, 0.9 * c.gamma
    x = gambler(p, h, x0, 1)
    odds = x0 / (1 - x0)
    claimed = {"orders for H forgotten": p * odds,
               "failures kept": (odds + h) / (1 - h)}.get(variant, p / (1 - h) * (odds + h))
    equal(x, claimed / (1 + claimed))
    limit = p * h / ((1 - p) * (1 - h))
    limit = {"limit without the share": p / (1 - p),
             "limit without 1 - p": p * h / (1 - h)}.get(variant, limit)
    slope, rounds = p / (1 - h), 400
    if slope < 0.9:  # geometric: 0.9 ** 400 is far below the tolerance
        equal(gambler(p, h, x0, rounds), limit)
    elif slope >= 1:  # then the odds grow by slope * h a round, at least
        at_most(1 - gambler(p, h, x0, rounds), 1 / (1 + rounds * slope * h))
