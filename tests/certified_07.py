"""Page 7, certified: what one answer costs where two are right. `certified_03.py` says what a check is."""

from __future__ import annotations

import math

import torch
from certified_cases import F64, Case, at_most, certifies, equal
from torch.distributions import MultivariateNormal, Normal


@certifies("prop-best-gaussian", "eq-best-gaussian",
           wrong=("at an answer, not between", "the spread of one answer", "variances alone"))
def best_gaussian(c: Case, variant: str | None = None) -> None:
    """Any finite set of answers, exactly.

    No Gaussian has less cross-entropy than the one with its moments.
    """
    d, n = 1 + c.T % 3, 8
    points = torch.randn(n, d, generator=c.generator, dtype=F64)
    points[0] += 3  # lopsided
    weight = torch.rand(n, generator=c.generator, dtype=F64).softmax(-1)
    mean = weight @ points
    covariance = (weight[:, None] * (points - mean)).T @ (points - mean)

    def cross_entropy(at: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        return -(weight * MultivariateNormal(at, spread).log_prob(points)).sum()

    at = points[0] if variant == "at an answer, not between" else mean
    spread = covariance / 4 if variant == "the spread of one answer" else covariance
    claimed = 0.5 * torch.logdet(2 * math.pi * math.e * covariance)
    if variant == "variances alone":
        claimed = 0.5 * torch.log(2 * math.pi * math.e * covariance.diag()).sum()
    equal(cross_entropy(at, spread), claimed)
    for size in (1e-3, 0.1, 1.0):
        move = size * torch.randn(d, generator=c.generator, dtype=F64)
        shear = torch.eye(d, dtype=F64) + size * torch.randn(d, d, generator=c.generator, dtype=F64)
        other = shear @ covariance @ shear.T + 1e-6 * torch.eye(d, dtype=F64)
        for there, wide in ((at + move, spread), (at, other), (at + move, other)):
            at_most(claimed, cross_entropy(there, wide))
        at_most(cross_entropy(at, other),
                cross_entropy(at + move, other))  # with any spread, the mean is best


@certifies("eq-smoothing-price", wrong=("always log 2", "half of it forgotten"))
def smoothing_price(c: Case, variant: str | None = None) -> None:
    """Two clouds on a line, by integration on a fine grid; across the line nothing changes."""
    tremble, apart = 1.0, torch.tensor(6 * c.rho, dtype=F64)
    a = torch.linspace(-20, 20, 40_001, dtype=F64)
    each = torch.stack([Normal(m, tremble).log_prob(a) for m in (-apart, apart)])
    log_density = each.logsumexp(0) - math.log(2)
    density, da = log_density.exp(), a[1] - a[0]
    entropy = -(density * log_density).sum() * da
    sides = (each - each.logsumexp(0)).exp()  # of an action, the chance of either side
    information = math.log(2) + (density * torch.xlogy(sides, sides).sum(0)).sum() * da
    at_most(0, information)
    at_most(information, math.log(2))
    told = math.log(2) if variant == "always log 2" else information
    price = torch.log1p(apart**2 / tremble**2) * (1 if variant == "half of it forgotten" else 0.5) - told
    spread = (density * a.square()).sum() * da
    equal(spread, tremble**2 + apart**2)
    equal(0.5 * torch.log(2 * math.pi * math.e * spread) - entropy, price)


@certifies("prop-side-by-side", "eq-total-correlation", wrong=("a coordinate forgotten", "nothing lost",
                                                               "any product will do"))
def side_by_side(c: Case, variant: str | None = None) -> None:
    """A random joint table of three coordinates, sharp or flat, and one of independent coordinates."""
    shape = (2, 3, 2)
    joint = (4 * c.rho * torch.randn(shape, generator=c.generator,
                                     dtype=F64)).flatten().softmax(0).view(shape)
    marginals = [joint.sum([j for j in range(3) if j != i]) for i in range(3)]
    outer = torch.einsum("i,j,k->ijk", *marginals)

    def entropy(p: torch.Tensor) -> torch.Tensor:
        return -torch.xlogy(p, p).sum()

    def cross_entropy(q: list[torch.Tensor]) -> torch.Tensor:
        return -(joint * torch.einsum("i,j,k->ijk", *q).log()).sum()

    kept = marginals[1:] if variant == "a coordinate forgotten" else marginals
    lost = 0.0 if variant == "nothing lost" else sum(map(entropy, kept)) - entropy(joint)
    others = [[torch.randn(len(m), generator=c.generator, dtype=F64).softmax(0) for m in marginals]
              for _ in range(5)]
    best = others[0] if variant == "any product will do" else marginals
    equal(cross_entropy(best) - entropy(joint), lost)
    for q in others:
        at_most(cross_entropy(best), cross_entropy(q))
    if variant is None:
        at_most(0, lost)
        equal(sum(map(entropy, marginals)), entropy(outer))  # independent: nothing is lost
