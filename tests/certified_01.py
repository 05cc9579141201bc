"""Page 1, certified: squared error is a Gaussian's loss. `certified_03.py` says what a check is."""

from __future__ import annotations

import math

import torch
from certified_cases import F64, Case, at_most, certifies, equal

from ilsupport.policies import Gaussian


@certifies("prop-squared-error", "eq-gaussian-loss",
           wrong=("constant log 2", "half dropped", "best spread not rooted"))
def squared_error(c: Case, variant: str | None = None) -> None:
    """The package's loss against the formula, and the best spread against its neighbours."""
    d, std = 1 + c.T % 3, 0.5 + 2 * c.rho
    obs, action = (torch.randn(20, k, generator=c.generator, dtype=F64) for k in (2, d))

    def policy(spread: float) -> Gaussian:  # the same means whatever the spread
        g = torch.Generator().manual_seed(c.T)
        return Gaussian(2, d, std=spread, hidden=(4,), generator=g, dtype=F64)

    def loss(spread: float) -> torch.Tensor:
        return policy(spread).loss(obs, action).detach()

    squared = (action - policy(1.0).act(obs).detach()).square().sum(-1).mean()
    constant = d * math.log(2) if variant == "constant log 2" else d / 2 * math.log(2 * math.pi)
    scaled = squared / std**2 if variant == "half dropped" else squared / (2 * std**2)
    equal(loss(std), scaled + d * math.log(std) + constant)
    best = float(squared / d) ** (1.0 if variant == "best spread not rooted" else 0.5)
    for factor in (0.7, 0.99, 1.01, 1.4):
        at_most(loss(best), loss(factor * best))
    equal(loss(best), d / 2 * (1 + math.log(2 * math.pi * squared / d)))
