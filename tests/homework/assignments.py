"""Runs the checks of an assignment in this process: what the tests of every homework share.

PYTHONPATH=. python tests/homework/assignments.py says how much processor time the graded cells of each take
(the bars: 1 s for the first, 20 s for the others, first imports of libraries not counted).
"""
from __future__ import annotations

import functools
import time

import pytest

import tasks
from coursework import source as sources
from coursework.source import Source

FOLDER = tasks.ROOT / "notebooks" / "homework"
ALL = sources.sources(FOLDER)
# For tests of what was built: an assignment takes a quarter of a minute, so all but the first are slow.
BUILT = [ALL[0], *(pytest.param(each, marks=pytest.mark.slow) for each in ALL[1:])]


@functools.cache
def compiled(name: str, question: str):
    """The checks of a question: (function, the names it asks for, points)."""
    source = next(each for each in ALL if each.name == name)
    found = []
    for i, check in enumerate(source.checks(question), 1):
        text, names = sources.standalone(check, f"{question}_check_{i}")
        space: dict = {}
        exec(compile(text, f"{source.page} {question} check {i}", "exec"), space)
        found.append((space[f"{question}_check_{i}"], names, check.points))
    return found


def run(source: Source, *, blank: bool = False) -> dict:
    """The names a notebook holds when all of it has run, with every answer given or none."""
    space: dict = {"__name__": "__main__"}
    for cell in source.cells:
        if cell.kind == "code" and (cell.role in (None, "answer")):
            text = sources.blank(cell.text) if blank and cell.role == "answer" else cell.text
            exec(compile(text, f"{source.page} {cell.question or 'given'}", "exec"), space)
    return space


def score(source: Source, question: str, space: dict) -> tuple[int, list[str]]:
    """Points of a question, and what its failing checks say."""
    points, said = 0, []
    for function, names, worth in compiled(source.name, question):
        try:
            function(*(space.get(name) for name in names))
            points += worth
        except AssertionError as error:
            said.append(str(error))
    return points, said


def with_answer(source: Source, space: dict, text: str) -> dict:
    """What the names hold when one answer is replaced."""
    changed = dict(space)
    exec(compile(text, f"{source.page} answer", "exec"), changed)
    return changed


if __name__ == "__main__":
    for each in ALL:
        seconds = []
        for _ in ("with first imports", "without"):
            begun = time.process_time()
            names = run(each)
            worth = {question: score(each, question, dict(names))[0] for question in each.questions}
            seconds.append(time.process_time() - begun)
        print(f"{each.name}: {seconds[1]:.2f} s, with first imports {seconds[0]:.2f} s; "
              f"{sum(worth.values())} of {sum(each.points.values())} points")
