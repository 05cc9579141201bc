"""A stand-in for a Colab machine: it has what our install cell's requirements bring, a kernel and pip, and
nothing of ours.

No network is asked. The requirements are borrowed from this environment, so pip finds them satisfied, and it
cannot fetch what the extras forgot; the repository's address leads git to a copy of this checkout.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

import tasks

TOOLS = ["ipykernel", "nbclient", "pip", "setuptools"]  # the last builds our package
EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def git(folder: Path, *arguments: str) -> str:
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = {f"GIT_{role}_{what}": "a@test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, stdout=subprocess.PIPE,
                          encoding="utf-8", env=os.environ | quiet | who)
    return done.stdout.strip()


def checkout(target: Path) -> Path:
    """A repository whose one commit, on main, is this checkout as it is now, uncommitted work included."""
    names = git(tasks.ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if (tasks.ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tasks.ROOT / name, target / name)
    git(target, "init", "--quiet", "--initial-branch=main")
    git(target, "add", "--all")
    git(target, "commit", "--quiet", "--message=All")
    return target


def needed(extras: str) -> dict[str, metadata.Distribution]:
    """The distributions here that the package with these extras and a kernel ask for, directly or not."""
    project = tomllib.loads((tasks.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = sum((project["optional-dependencies"][extra] for extra in extras.split(",")),
                TOOLS + project["dependencies"])
    asked, found, seen = [Requirement(line) for line in lines], {}, set()
    while asked:
        requirement = asked.pop()
        for extra in {"", *requirement.extras}:
            if (requirement.name, extra) not in seen:
                seen.add((requirement.name, extra))
                found[requirement.name] = here = metadata.distribution(requirement.name)
                further = map(Requirement, here.requires or [])
                asked += [line for line in further if line.marker is None
                          or line.marker.evaluate({"extra": extra})]
    return found


def make(folder: Path, extras: str) -> Path:
    """A machine in this folder; returns its Python."""
    venv.create(folder)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    for distribution in needed(extras).values():
        for name in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (site / name).exists():
                (site / name).symlink_to(distribution.locate_file(name))
    python = Path(sysconfig.get_path("scripts", "venv", {"base": str(folder)})) / Path(sys.executable).name
    subprocess.run([python, "-m", "ipykernel", "install", "--sys-prefix"], check=True, capture_output=True)
    return python


def execute(notebook: Path, python: Path, repository: Path, folder: Path) -> Path:
    """Run a notebook in an empty folder, return what it became; AssertionError if a cell raised anything."""
    folder.mkdir()
    done = subprocess.run(
        # To pip a 0 here means: no build isolation, which would want a network.
        [python, "-c", EXECUTE, notebook, notebook.with_suffix(".done")], cwd=folder, encoding="utf-8",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={name: value for name, value in os.environ.items()
                                       if name != "PYTHONPATH"} | {
            "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_NO_INDEX": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf", "GIT_CONFIG_VALUE_0": tasks.address(),
            "JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"})
    assert done.returncode == 0, done.stdout[-6000:]
    return notebook.with_suffix(".done")
