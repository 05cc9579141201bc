"""Page 6, certified: the spring that a distracted driver teaches. `certified_03.py` says what a check is."""

from __future__ import annotations

import torch
from certified_cases import F64, Case, certifies, equal


def taught(k: float, b: float, keep: float, size: float) -> float:
    """Least-squares spring of the recorded steering on the offset, from the stationary covariance of (offset,
    error)."""
    step = torch.tensor([[1 - b * k, b], [0.0, keep]], dtype=F64)
    fresh = torch.tensor([[0.0, 0.0], [0.0, size**2]], dtype=F64)
    system = torch.eye(4, dtype=F64) - torch.kron(step, step)
    S = torch.linalg.solve(system, fresh.flatten()).view(2, 2)  # S = step S step^T + fresh
    return float((k * S[0, 0] - S[0, 1]) / S[0, 0])


@certifies("prop-lasting-spring", "eq-lasting-spring",
           wrong=("errors that last do no harm", "the lane forgotten", "wrong sign of the lane",
                  "only what fades"))
def lasting(c: Case, variant: str | None = None) -> None:
    b, keep = 0.1 + c.rho, min(c.eps, 0.99)
    k = (0.1 + 1.7 * c.gamma) / b  # 0 < b k < 2
    m = 1 - b * k
    claimed = {"errors that last do no harm": k, "the lane forgotten": k * (1 - keep) / (1 + keep),
               "wrong sign of the lane": k * (1 - keep) / (1 - keep * m), "only what fades": k * (1 - keep)}
    for size in (0.01, 1.0):
        equal(taught(k, b, keep, size), claimed.get(variant, k * (1 - keep) / (1 + keep * m)))
