"""Started in a page's kernel before its first cell: moves the page's seeds, and counts how its assertions
fare.

Only what the page itself asks of `il.generator` moves. A road or a film that an instrument shows keeps its
seed, since what was recorded on it belongs to it.
"""
from __future__ import annotations

import ast
import builtins
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

SPAN = 1_000_000  # a page's seeds lie in 0 ... SPAN - 1, so those of two moves, or of none, never meet


def shifted(generator: Callable, move: int) -> Callable:
    """The package's `generator`, with every seed moved. Raises ValueError for one that could meet another."""
    @functools.wraps(generator)
    def moved(seed: int, *more, **options):
        if not 0 <= seed < SPAN:
            raise ValueError(f"the seed is {seed}, expected one from 0 to {SPAN - 1:,}: in move {move} "
                             "it could be a seed of another move.")
        return generator(seed + move * SPAN, *more, **options)

    return moved


class Counts(dict):
    """How often each assertion was reached, and how often it held, by the place where it stands."""

    def reached(self, where: str) -> None:
        self.setdefault(where, [0, 0])[0] += 1

    def held(self, where: str) -> None:
        self[where][1] += 1


class Counting(ast.NodeTransformer):
    """Makes a count of every assertion of a cell, so that one which fails stops nothing."""

    def __init__(self) -> None:
        self.cell = 0

    def next_cell(self, _) -> None:
        self.cell += 1

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        where = place(self.cell, node)
        new = ast.parse(f"__moved__.reached({where!r})\nif ...: __moved__.held({where!r})").body
        for part in (part for statement in new for part in ast.walk(statement)):
            ast.copy_location(part, node)
        new[1].test = node.test
        return new


def place(cell: int, node: ast.Assert) -> str:
    """Where an assertion stands: the number of its cell, its line there and its column."""
    return f"{cell}:{node.lineno}:{node.col_offset}"


def everybodys() -> dict[str, bytes]:
    """The state of the generators that the whole process shares, which no page is to draw from."""
    found = {}
    if torch := sys.modules.get("torch"):
        found["torch"] = torch.get_rng_state().numpy().tobytes()
    if numpy := sys.modules.get("numpy"):
        _, key, position, *_ = numpy.random.get_state()
        found["numpy"] = key.tobytes() + bytes(str(position), "ascii")
    return found


def start(shell, move: int, file: str) -> None:
    """After every cell `file` holds the counts so far, and whether a generator of everybody's was used."""
    import ilsupport
    ilsupport.generator = shifted(ilsupport.generator, move)
    builtins.__moved__ = counts = Counts()
    counting, before = Counting(), everybodys()
    shell.ast_transformers.append(counting)

    def write(_) -> None:
        now = everybodys()
        found = {"counts": counts, "drew": any(now[name] != state for name, state in before.items())}
        half = Path(file).with_suffix(".half")
        half.write_text(json.dumps(found), encoding="utf-8")
        half.replace(file)

    shell.events.register("pre_run_cell", counting.next_cell)
    shell.events.register("post_run_cell", write)
