"""`make homework`: from each source the student notebook, the bundles of both tools and the teacher's solutions.

    OUT/hw1/hw1.ipynb                  for students: what `otter assign` makes, no solution and no hidden check
    OUT/hw1/hw1-solutions.ipynb        for instructors
    OUT/hw1/hw1-autograder.zip         for `otter run` and `otter grade`
    OUT/hw1/hw1-gradescope.zip         the same, with the requirements that Gradescope installs
    OUT/hw1/bundle.json                what `python -m ilsupport.grading` reads
    OUT/nbgrader/                      nbgrader's course folder: source, release (the same student notebook), gradebook

Then the solutions are graded by `otter run` for real: `otter assign` says that tests passed when grading crashed.
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ilsupport.grading import source as sources
from ilsupport.grading.source import Source

CONFIGURATION = '''\
# Made by `make homework`.
c = get_config()
c.CourseDirectory.course_id = "imitation-learning"
c.ClearSolutions.code_stub = {"python": "..."}
# The student notebook is Otter's: it holds no check cells. These lines put them back before grading.
c.OverwriteCells.add_missing_cells = True
c.Execute.timeout = 60
# A warning on stderr would cost the points of the cell that it stands in.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = "(?s).*"
'''


def main(arguments: list[str]) -> None:
    """build.py NOTEBOOKS OUT ADDRESS: the book's notebooks folder, where to build, where Gradescope gets the package."""
    notebooks, out, address = Path(arguments[0]).resolve(), Path(arguments[1]).resolve(), arguments[2]
    sources.write_pages(notebooks)
    assignments = sources.sources(notebooks / "homework")
    course = out / "nbgrader"
    shutil.rmtree(course, ignore_errors=True)
    course.mkdir(parents=True)
    (course / "nbgrader_config.py").write_text(CONFIGURATION, encoding="utf-8")
    for source in assignments:
        print(f"==> {source.name}: {len(source.questions)} questions, {sum(source.points.values())} points", flush=True)
        with_otter(source, out / source.name, address)
        with_nbgrader(source, course, out / source.name / f"{source.name}.ipynb")
        write(bundle(source, out / source.name), out / source.name / "bundle.json")


def write(content: dict, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def with_otter(source: Source, target: Path, address: str) -> None:
    """Student notebook, autograder, solutions. Raises RuntimeError if Otter does not give the solutions full marks."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        master = write(sources.otter_notebook(source), work / f"{source.name}.ipynb")
        tool("otter", "assign", "--no-run-tests", "--no-pdfs", master, work / "dist", cwd=work)
        shutil.copy(work / "dist" / "student" / f"{source.name}.ipynb", target)
        made = next((work / "dist" / "autograder").glob("*.zip"))
        shutil.copy(made, target / f"{source.name}-autograder.zip")
        for_gradescope(made, target / f"{source.name}-gradescope.zip", address)
        solutions = write(sources.solutions_notebook(source), target / f"{source.name}-solutions.ipynb")
        tool("otter", "run", "--no-logo", "-a", target / f"{source.name}-autograder.zip", "-o", work, solutions, cwd=work)
        results = json.loads((work / "results.json").read_text(encoding="utf-8"))
        scores = {test["name"]: test["score"] for test in results["tests"] if "max_score" in test}
        if scores != source.points:
            raise RuntimeError(f"{source.page}: Otter gives the solutions {scores} points, expected {source.points}.")


def for_gradescope(made: Path, target: Path, address: str) -> None:
    """Otter's bundle, with our package among the requirements that Gradescope's machine installs."""
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "environment.yml":
                content = content.rstrip() + f"\n      - ilsupport @ git+{address}\n      - sympy\n".encode()
            new.writestr(old.getinfo(name), content)


def with_nbgrader(source: Source, course: Path, student: Path) -> None:
    """The source folder, the gradebook's entry, and the student notebook as what is released."""
    write(sources.nbgrader_notebook(source), course / "source" / source.name / f"{source.name}.ipynb")
    tool("nbgrader", "generate_assignment", "--force", "--create", source.name, cwd=course)
    shutil.copy(student, course / "release" / source.name / f"{source.name}.ipynb")


def bundle(source: Source, folder: Path) -> dict:
    """What grading needs to know: every check with its points and its hint, nbgrader's cells, the released cells."""
    released = json.loads((folder / f"{source.name}.ipynb").read_text(encoding="utf-8"))
    checks = []
    for question in source.questions:
        for i, cell in enumerate(source.checks(question), 1):
            hints = [line.split('"')[1] for line in cell.text.splitlines() if line.strip().startswith("reread = ")]
            checks.append({"id": f"{question}-check-{i}", "question": question, "points": cell.points,
                           "hidden": cell.role == "hidden", "reread": hints[0] if hints else ""})
    title = next(cell.text.removeprefix("# ").splitlines()[0] for cell in source.cells if cell.text.startswith("# "))
    return {"name": source.name, "title": title, "checks": checks, "cells": sources.nbgrader_checks(source),
            "experiments": [cell.text for cell in source.cells if cell.role == "experiment"],
            "released": released}


def tool(name: str, *arguments, cwd: Path) -> None:
    """Run a command of this environment quietly. Raises RuntimeError with what it said, if it fails."""
    scripts = Path(sys.executable).parent
    variables = {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1",
                 "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    done = subprocess.run([shutil.which(name, path=scripts) or name, *map(str, arguments)], cwd=cwd, encoding="utf-8",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | variables)
    if done.returncode:
        raise RuntimeError(f"{name} {arguments[0]} failed:\n{done.stdout[-4000:]}")


if __name__ == "__main__":
    main(sys.argv[1:])
