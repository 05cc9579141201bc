"""Grades one submission by both tools, each in its sandbox, and says what came of it.

Otter runs whole inside: its results travel as a pickle, which no process of ours ever loads; we read the JSON
that it writes beside. Of nbgrader only the kernel is inside, so the gradebook is out of reach. Where a
submission bends one of them, the other still says what it is worth: the score that counts is the smaller of
the two, question by question.
"""
from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from coursework import intake, sandbox
from coursework.source import code_cell, notebook

HERE = Path(__file__).parent
KERNEL = [sys.executable, "-P", str(HERE / "kernel.py"), "-f", "{connection_file}"]
MOST_RESULTS = 8 * 2**20
CELL_SECONDS = 120  # more than a check gives itself
CHECK_SECONDS = 20  # of processor time, that a check gives an answer: see checks.py


@dataclass(frozen=True)
class Settings:
    """What holds for a whole batch: the folder of the built assignment, what it says of itself, limits."""

    built: Path
    bundle: dict
    boxed: bool = True
    seconds: int = 300
    memory: int = 4 * sandbox.GB

    @property
    def name(self) -> str:
        return self.bundle["name"]

    @property
    def points(self) -> dict[str, int]:
        return self.sums({check["id"]: check["points"] for check in self.bundle["checks"]})

    def sums(self, scores: dict[str, float]) -> dict[str, float]:
        """Scores of checks, by their ids, added up by question; none more than its check is worth."""
        found: dict[str, float] = {}
        for check in self.bundle["checks"]:
            score = min(scores.get(check["id"], 0), check["points"])
            found[check["question"]] = found.get(check["question"], 0) + score
        return found

    @property
    def limit(self) -> int:
        """Seconds that a tool may take: loops in every answer, each stopped by its check, stay below."""
        return self.seconds + CHECK_SECONDS * len(self.bundle["checks"])

    @property
    def version(self) -> str:
        """Changes where scores could: with checks, points, given code, limits; not with prose."""
        checks = [(check["id"], check["points"]) for check in self.bundle["checks"]]
        cells = self.bundle["cells"] + self.bundle["released"]["cells"]
        code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
        what = [checks, code, self.boxed, self.seconds, self.memory, CELL_SECONDS]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def grade(submission: intake.Submission, settings: Settings, work: Path, slot: int) -> dict:
    """Scores by question in both tools, statuses, what checks said, what was tampered with; never raises."""
    begun = time.monotonic()
    nothing = dict.fromkeys(settings.points, 0)
    result = {"student": submission.student, "canvas": submission.canvas, "file": submission.path.name,
              "tampered": [], "said": {}}
    try:
        cells = intake.cells(intake.content(submission, settings.name))
        code, result["tampered"] = intake.answers(cells, settings.bundle)
    except intake.Unreadable as error:
        why = {"status": f"unreadable: {error}", "scores": nothing}
        return result | {"otter": why, "nbgrader": why, "seconds": 0}
    for name, tool in (("otter", _otter), ("nbgrader", _nbgrader)):
        folder = Path(tempfile.mkdtemp(dir=work))
        folder.chmod(0o755)
        try:
            status, scores, said = tool(code, settings, folder, slot)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        result[name] = {"status": status, "scores": nothing | scores}
        result["said"] |= said
    return result | {"seconds": round(time.monotonic() - begun, 1)}


def _write(cells: list[str], graded: list[dict], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook([*map(code_cell, cells), *graded])), encoding="utf-8")
    return path


def _owned(folder: Path, slot: int) -> Path:
    """An empty folder that the sandbox may write to."""
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, sandbox.FIRST_USER + slot, sandbox.FIRST_USER + slot)
    return folder


def _otter(code: list[str], settings: Settings, folder: Path, slot: int) -> tuple[str, dict, dict]:
    inside = folder / "in"
    path = _write(code, [], inside / f"{settings.name}.ipynb")
    archive = Path(shutil.copy(settings.built / f"{settings.name}-autograder.zip", inside))
    out = _owned(folder / "out", slot)
    _kernel(KERNEL, inside / "jupyter")
    command = ["env", f"JUPYTER_PATH={inside / 'jupyter'}", sys.executable, "-P", HERE / "run_otter.py",
               archive, path, out, CELL_SECONDS]
    if settings.boxed:
        command = sandbox.wrap(command, slot=slot, readable=[inside], writable=out, memory=settings.memory,
                               processor_seconds=settings.limit + 60)
    ended = sandbox.run(list(map(str, command)), seconds=settings.limit, memory=settings.memory, watched=out)
    if ended.status != "ok":
        return ended.status, {}, {}
    try:
        tests = json.loads(intake.untrusted(out / "results.json", MOST_RESULTS))["tests"]
        tests = [test for test in tests if test.get("name") in settings.points]
        scores = {test["name"]: min(max(float(test["score"]), 0), settings.points[test["name"]])
                  for test in tests}
    except (intake.Unreadable, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "crashed", {}, {}
    return ("ok" if scores else "crashed"), scores, {}


def _kernel(command: list[str], jupyter: Path, interrupt: str = "signal") -> None:
    """Make this command the kernel named python3 of a folder in JUPYTER_PATH."""
    spec = jupyter / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python",
                                "interrupt_mode": interrupt, "metadata": {"debugger": False}}))


def _nbgrader(code: list[str], settings: Settings, folder: Path, slot: int) -> tuple[str, dict, dict]:
    course, run = folder / "course", _owned(folder / "run", slot)
    _write(code, settings.bundle["cells"],
           course / "submitted" / "student" / settings.name / f"{settings.name}.ipynb")
    shutil.copy(settings.built / "gradebook.db", course)
    (course / "source" / settings.name).mkdir(parents=True)
    kernel = KERNEL
    if settings.boxed:
        kernel = sandbox.wrap(kernel, slot=slot, writable=run, memory=settings.memory,
                              processor_seconds=settings.limit + 60)
        if os.geteuid() == 0:  # the kernel's own user reads where it is to listen from a file that we write
            user = sandbox.FIRST_USER + slot
            shown = f'chown -R {user}:{user} {shlex.quote(str(run))} && exec "$@"'
            kernel = ["sh", "-c", shown, "sh", *kernel]
    _kernel(kernel, folder / "jupyter", "message" if settings.boxed else "signal")
    result = folder / "result.json"
    command = [sys.executable, "-P", str(HERE / "run_nbgrader.py"), str(course), settings.name,
               str(CELL_SECONDS), str(result), *([str(run / "k")] if settings.boxed else [])]
    if settings.boxed:  # ends with us, even if we are killed
        command = ["setpriv", "--pdeathsig", "KILL", *command]
    ended = sandbox.run(command, seconds=settings.limit, memory=settings.memory, watched=run, environment={
        "JUPYTER_PATH": str(folder / "jupyter"), "JUPYTER_RUNTIME_DIR": str(run),
        "JUPYTER_CONFIG_DIR": str(folder / "config"), "HOME": str(folder), "TMPDIR": str(run),
        "OMP_NUM_THREADS": "1"})
    if ended.status != "ok" or not result.exists():
        return ended.status if ended.status != "ok" else "crashed", {}, {}
    read = json.loads(result.read_text(encoding="utf-8"))
    failed = {check["id"]: read["said"].get(check["id"], "") for check in settings.bundle["checks"]
              if read["scores"].get(check["id"], 0) < check["points"]}
    return ("timed out" if read["slow"] else "ok"), settings.sums(read["scores"]), failed
