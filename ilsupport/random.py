"""Explicit randomness: the package never touches torch's global generator."""
from __future__ import annotations

import torch


def generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator on `device`: the same seed gives the same book on every run (on CPU, bit for bit)."""
    return torch.Generator(device=device).manual_seed(seed)


def spawn(parent: torch.Generator, n: int) -> list[torch.Generator]:
    """`n` independent generators drawn from `parent`, one a student of a stack. Advances `parent`.

    Raises ValueError for `n` below 1.
    """
    if n < 1:
        raise ValueError(f"n is {n}, expected at least one generator to spawn.")
    seeds = torch.randint(2**62, (n,), generator=parent, device=parent.device).tolist()
    return [generator(seed, parent.device) for seed in seeds]
