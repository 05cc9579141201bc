"""A benchmark worker: says it is ready, then measures whatever task it is asked for, one JSON line each.

Every contender lives in a process of its own, in the environment its library needs; the orchestrator asks
them in turn, so that all see the same machine at the same time.
"""
from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable


def serve(tasks: dict[str, Callable[[], float | dict]]) -> None:
    """Answer task names on standard input with {"value": ...}.

    Whatever a task prints goes to standard error.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # below Python too: some libraries hold on to the standard output they were imported with
    print(json.dumps({"ready": sorted(tasks)}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = {"value": tasks[line.strip()]()}
        except Exception as problem:  # the row is shown as failed, with the reason, and the others go on
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), file=answers, flush=True)


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        work()
    return time.perf_counter() - start
