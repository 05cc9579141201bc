"""The two-state learner of the tightrope, with a draw for each of its falls or one for each of its steps."""
from __future__ import annotations

import math

import torch
from torch import Tensor


def simulate(eps: float, T: int, n: int, *, rho: float = 0.0, generator: torch.Generator) -> Tensor:
    """Costs of `n` trajectories of the two-state learner, without a network and without a step loop.

    The learner errs with probability `eps` at every step on the rope and never climbs off it. Only the times
    of its falls and returns are drawn, each a geometric number of steps; the costs have the distribution of
    walks step by step exactly (pages 3 and 4). float64, on the generator's device.
    """
    costs = torch.zeros(n, dtype=torch.float64, device=generator.device)
    for chunk in costs.split(2**16):  # stays in the processor's cache
        now, rows = torch.zeros_like(chunk), None
        while len(now):
            fall = now + _geometric(eps, len(now), generator)
            back = fall + 1 + (T if rho == 0 else 1 + _geometric(rho, len(now), generator))
            paid = (back.clamp(max=T) - fall).clamp_(min=0)
            if rows is None:
                chunk.copy_(paid)
            else:
                chunk.index_add_(0, rows, paid)
            if rho == 0:
                break
            running = (back < T).nonzero().squeeze(1)
            rows, now = running if rows is None else rows[running], back[running]
    return costs


def _geometric(p: float, n: int, generator: torch.Generator) -> Tensor:
    """Failures before the first success of probability `p`, by inverting the distribution function."""
    if p in (0, 1):
        return torch.full((n,), 0.0 if p == 1 else torch.inf, dtype=torch.float64, device=generator.device)
    uniform = torch.rand(n, generator=generator, dtype=torch.float64, device=generator.device)
    return uniform.log_().mul_(1 / math.log1p(-p)).floor_()


def simulate_by_steps(eps: float, T: int, n: int, rho: float, generator: torch.Generator) -> Tensor:
    """What `simulate` draws, one step after the other."""
    on = torch.ones(n, dtype=torch.bool, device=generator.device)
    costs = torch.zeros(n, dtype=torch.float64, device=generator.device)
    for _ in range(T):
        wrong = torch.rand(n, generator=generator, device=generator.device) < eps
        back = torch.rand(n, generator=generator, device=generator.device) < rho
        costs += wrong | ~on
        on = torch.where(on, ~wrong, back)
    return costs
