"""The registry of worlds: each gives the cases that a statement is put to, every name of it computed."""
from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

from certified.judge import table

F64 = torch.float64
WORLDS: dict[str, Callable[[int], list[dict]]] = {}


def world(make: Callable[[int], list[dict]]) -> Callable[[int], list[dict]]:
    """Register a function of a number of draws that returns cases: what each name is, and "case", its own."""
    WORLDS[make.__name__] = make
    return make


@cache
def cases_of(name: str, draws: int) -> list[dict]:
    return [{key: table(value) for key, value in case.items()} for case in WORLDS[name](draws)]


def rand(g: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=g, dtype=F64)
