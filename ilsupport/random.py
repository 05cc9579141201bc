"""Explicit randomness: the package never touches torch's global generator."""
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Generators = torch.Generator | Sequence[torch.Generator]


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


def rand(shape: Sequence[int], generator: Generators | None, like: Tensor) -> Float[Tensor, "*shape"]:
    """Numbers uniform in [0, 1), drawn on the generator's device and handed over with the dtype and device of
    `like`.

    With a list of generators the leading dimension is the student's, and each student's numbers come from its
    own, so that it sees what it would see alone. Raises TypeError without a generator.
    """
    return _draw(torch.rand, shape, generator, like)


def randn(shape: Sequence[int], generator: Generators | None, like: Tensor) -> Float[Tensor, "*shape"]:
    """Standard normal numbers, as `rand`."""
    return _draw(torch.randn, shape, generator, like)


def _draw(kind, shape: Sequence[int], generator: Generators | None, like: Tensor) -> Tensor:
    if generator is None:
        raise TypeError("this draws noise, so it needs a generator: write generator=il.generator(seed).")
    if isinstance(generator, torch.Generator):
        return kind(shape, generator=generator, dtype=like.dtype, device=generator.device).to(like.device)
    return torch.stack([_draw(kind, shape[1:], g, like) for g in generator])
