"""`make homework`: from each source the student notebook, the bundles of both tools, the teacher's solutions.

    OUT/hw1/hw1.ipynb                  for students: made by `otter assign`; no solution, no hidden check
    OUT/hw1/hw1-solutions.ipynb        for instructors
    OUT/hw1/hw1-autograder.zip         for `otter run` and `otter grade`
    OUT/hw1/hw1-gradescope.zip         the same, with the requirements that Gradescope installs
    OUT/hw1/bundle.json, gradebook.db  what `python -m coursework` reads
    OUT/nbgrader/                      nbgrader's folder: source, release (the same notebook), gradebook

The solutions are graded by `otter run` for real: `otter assign` says that tests passed when grading crashed.
Only then is what was made put in its place, file by file, and nothing else there is touched: what students
handed in, an instructor's own files and lines, a gradebook's marks stay. One source gives the same bytes each
time, but for the gradebook's.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from coursework import intake
from coursework import source as sources
from coursework.source import Source

CONFIGURATION = (sources.TEMPLATES / "nbgrader_config.txt").read_text(encoding="utf-8")
YOURS = CONFIGURATION.splitlines(keepends=True)[-1]  # what an instructor writes below it stays


def main(arguments: list[str]) -> None:
    """build.py NOTEBOOKS OUT ADDRESS: the book's notebooks, the target, where Gradescope gets the package."""
    notebooks, out, address = Path(arguments[0]).resolve(), Path(arguments[1]).resolve(), arguments[2]
    sources.write_pages(notebooks)
    assignments = sources.sources(notebooks / "homework")
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder) / "nbgrader"
        for source in assignments:
            print(f"==> {source.name}: {sum(source.points.values())} points", flush=True)
            made = Path(folder) / source.name
            with_otter(source, made, address)
            with_nbgrader(source, course, made / f"{source.name}.ipynb")
            shutil.copy(course / "gradebook.db", made)
            write(bundle(source, made), made / "bundle.json")
            deliver(made, out / source.name)
        keep(course, out, assignments)
        deliver(course, out / "nbgrader")


def write(content: dict, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def deliver(made: Path, target: Path) -> None:
    """Put each file in its place, whole or not at all; what else is there stays."""
    for path in sorted(made.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(made)
            place.parent.mkdir(parents=True, exist_ok=True)
            part = Path(shutil.copy(path, place.with_name(f".{place.name}.part")))
            os.replace(part, place)


def with_otter(source: Source, target: Path, address: str) -> None:
    """Student notebook, autograder, solutions. Raises RuntimeError unless Otter gives these full marks."""
    work, autograder = target / "work", target / f"{source.name}-autograder.zip"
    master = write(sources.otter_notebook(source), work / f"{source.name}.ipynb")
    tool("otter", "assign", "--no-run-tests", "--no-pdfs", master, work / "dist", cwd=work)
    student = json.loads((work / "dist" / "student" / f"{source.name}.ipynb").read_text(encoding="utf-8"))
    cells = [cell | {"id": f"cell-{i}"} for i, cell in enumerate(student["cells"])]  # Otter's are random
    write(student | {"cells": cells}, target / f"{source.name}.ipynb")
    made = next((work / "dist" / "autograder").glob("*.zip"))
    pack(made, autograder)
    pack(made, target / f"{source.name}-gradescope.zip",
         f"      - ilsupport @ git+{address}\n      - sympy\n")
    solutions = write(sources.solutions_notebook(source), target / f"{source.name}-solutions.ipynb")
    tool("otter", "run", "--no-logo", "-a", autograder, "-o", work, solutions, cwd=work)
    results = json.loads((work / "results.json").read_text(encoding="utf-8"))
    scores = {test["name"]: test["score"] for test in results["tests"] if "max_score" in test}
    if scores != source.points:
        raise RuntimeError(f"{source.page}: Otter gives the solutions {scores}, expected {source.points}.")
    shutil.rmtree(work)


def pack(made: Path, target: Path, requirements: str = "") -> None:
    """Otter's bundle, always of the same bytes, with more requirements for Gradescope's machine."""
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(target, "w") as new:
        for name in sorted(old.namelist()):
            content, entry = old.read(name), zipfile.ZipInfo(name)  # of the first date that a zip can hold
            entry.external_attr = old.getinfo(name).external_attr
            if name == "environment.yml":
                content = content.rstrip() + b"\n" + requirements.encode()
            new.writestr(entry, content, zipfile.ZIP_DEFLATED)


def with_nbgrader(source: Source, course: Path, student: Path) -> None:
    """The source folder, the gradebook's entry, and the student notebook as what is released."""
    write(sources.nbgrader_notebook(source), course / "source" / source.name / f"{source.name}.ipynb")
    (course / "nbgrader_config.py").write_text(CONFIGURATION, encoding="utf-8")
    try:
        tool("nbgrader", "generate_assignment", "--force", "--create", source.name, cwd=course)
    finally:
        release = course / "release" / source.name
        release.mkdir(parents=True, exist_ok=True)
        shutil.copy(student, release / f"{source.name}.ipynb")


def keep(course: Path, out: Path, assignments: list[Source]) -> None:
    """Take over what an instructor has in OUT's course folder: lines of its configuration, the gradebook."""
    old = out / "nbgrader"
    if (old / "gradebook.db").exists():
        shutil.copy(old / "gradebook.db", course)
        for source in assignments:
            file = Path("source", source.name, f"{source.name}.ipynb")
            if (old / file).exists() and (old / file).read_bytes() == (course / file).read_bytes():
                continue
            try:
                with_nbgrader(source, course, out / source.name / f"{source.name}.ipynb")
            except RuntimeError as error:
                print(f"    nbgrader's gradebook keeps the old {source.name}: it holds marks, and checks "
                      f"came or went.\n{error}")
    if (old / "nbgrader_config.py").exists():
        theirs = (old / "nbgrader_config.py").read_text(encoding="utf-8").partition(YOURS)[2]
        (course / "nbgrader_config.py").write_text(CONFIGURATION + theirs, encoding="utf-8")


def bundle(source: Source, folder: Path) -> dict:
    """What grading needs to know: checks with points and hints, nbgrader's cells, the released cells."""
    released = json.loads((folder / f"{source.name}.ipynb").read_text(encoding="utf-8"))
    checks = []
    for question in source.questions:
        for i, cell in enumerate(source.checks(question), 1):
            hint = re.search(r'^ *reread = "(.*?)"', cell.text, re.MULTILINE)
            checks.append({"id": f"{question}-check-{i}", "question": question, "points": cell.points,
                           "hidden": cell.role == "hidden", "reread": hint[1] if hint else ""})
    title = re.search("^# (.*)", "\n".join(cell.text for cell in source.cells), re.MULTILINE)[1]
    return {"name": source.name, "title": title, "checks": checks, "cells": sources.nbgrader_checks(source),
            "experiments": [cell.text for cell in source.cells if cell.role == "experiment"],
            "answers": {question: asked(source, question) for question in source.questions},
            "released": released}


def asked(source: Source, question: str) -> list[str]:
    """The names that the answer to a question gives, of those that its checks ask for."""
    checks = [sources.standalone(check, "check")[1] for check in source.checks(question)]
    return sorted(intake.gives(source.answer(question).text).intersection(*[sum(checks, [])]))


def tool(name: str, *arguments, cwd: Path) -> None:
    """Run a command of this environment quietly. Raises RuntimeError with what it said, if it fails."""
    scripts = Path(sys.executable).parent
    variables = dict.fromkeys(
        ("JUPYTER_PREFER_ENV_PATH", "OMP_NUM_THREADS", "PYDEVD_DISABLE_FILE_VALIDATION"), "1")
    command = [shutil.which(name, path=scripts) or name, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | variables | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"})
    if done.returncode:
        raise RuntimeError(f"{name} {arguments[0]} failed:\n{done.stdout[-4000:]}")


if __name__ == "__main__":
    main(sys.argv[1:])
