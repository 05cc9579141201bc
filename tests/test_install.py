"""The book installs with every Python that the README names and refuses others; its package stands alone."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from book.machine import checkout

import tasks

HERE = Path(sys.executable)
QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
TRY = """
import json, pathlib, sys
import torch, ilsupport as il
from ilsupport.widgets import BoundsExplorer, Drive
expert = il.LocomotionExpert("Hopper-v5")
print(json.dumps({"file": il.__file__, "torques": list(expert(torch.zeros(2, 11)).shape),
                  "scripts": len(BoundsExplorer().standalone()) > 20_000 and Drive().demonstrations.steps > 0,
                  "more": [name for name in ("coursework", "notebooks", "tests")
                           if (pathlib.Path(il.__file__).parents[1] / name).exists()]}))
"""


def interpreters() -> dict[str, Path]:
    """Every CPython of this machine, by its version: what is on the path, and pyenv's."""
    names = [shutil.which(f"python3{minor}") for minor in ("", *(f".{n}" for n in range(6, 16)))]
    found = {}
    for python in [*filter(None, names), *Path.home().glob(".pyenv/versions/3*/bin/python")]:
        done = subprocess.run([python, "-c", "import platform; print(platform.python_version())"],
                              capture_output=True, text=True)
        if done.returncode == 0:
            found.setdefault(done.stdout.strip(), Path(python))
    return found


FOUND = interpreters()
FIT = {version: python for version, python in FOUND.items()
       if tasks.PYTHONS[0] <= tuple(map(int, version.split(".")[:2])) <= tasks.PYTHONS[1]}


def run(*command, **options) -> subprocess.CompletedProcess:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | QUIET
    return subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          encoding="utf-8", env=env, **options)


# --- an interpreter that cannot ---


@pytest.mark.parametrize("version", sorted(set(FOUND) - set(FIT)) or [None])
def test_a_python_that_cannot_is_refused_in_a_sentence_and_nothing_is_installed(version, tmp_path):
    if version is None:
        pytest.skip("only Pythons that fit on this machine")
    shutil.copy(tasks.ROOT / "tasks.py", tmp_path)
    done = run(FOUND[version], "tasks.py", "book", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.startswith(f"tasks.py: this is Python {version}, and the "
                                                           "book needs one from 3.11 to 3.13.")
    assert done.stdout.count("\n") == 1 and [path.name for path in tmp_path.iterdir()] == ["tasks.py"]


def test_a_python_that_is_too_new_is_refused_too(tmp_path):
    shutil.copy(tasks.ROOT / "tasks.py", tmp_path)
    newer = ("import runpy, sys; sys.version_info = (3, 14, 1, 'final', 0); sys.argv = ['tasks.py', 'book'];"
             "runpy.run_path('tasks.py')")
    done = run(sys.executable, "-c", newer, cwd=tmp_path)
    assert done.returncode == 1
    assert "this is Python 3.14.1, and the book needs one from 3.11 to 3.13." in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.py"]


# --- an environment of another folder ---


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout `here` with an environment; tasks looks where `folder(name)` says, and runs nothing."""
    (tmp_path / "here").mkdir()
    venv.create(tmp_path / "here" / ".venv", symlinks=os.name != "nt")
    scripts = tmp_path / "here" / ".venv" / "bin"
    site = tmp_path / "here" / ".venv" / "lib" / "python3.11" / "site-packages" / "pip"
    (scripts / "pip").write_text(f"#!{scripts / 'python'}\nimport pathlib\nplace = "
                                 f"pathlib.Path(__file__).parents[1]\nprint('pip 23.2.1 from {site} (python "
                                 "3.11)')\n", encoding="utf-8")
    (scripts / "pip").chmod(0o755)
    asked = []

    def at(name: str) -> list:
        monkeypatch.setattr(tasks, "VENV", tmp_path / name / ".venv")
        monkeypatch.setattr(tasks, "run", lambda *command, **_: asked.append(command) or 0)
        monkeypatch.setattr(tasks.sys, "prefix", "/usr")
        tasks.interpreter()
        return asked

    at.folder = tmp_path
    return at


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for pip is a script")
def test_an_environment_is_kept_where_it_was_made_and_made_anew_elsewhere(folder, capsys):
    assert folder("here") == []
    shutil.copytree(folder.folder / "here", folder.folder / "copy", symlinks=True)
    (command,) = folder("copy")
    assert command[1:] == ("-m", "venv", "--clear",
                           folder.folder / "copy" / ".venv") and "anew" in capsys.readouterr().out
    (folder.folder / "here").rename(folder.folder / "moved")
    assert len(folder("moved")) == 2, "its scripts start a Python that is gone"
    (folder.folder / "link").symlink_to(folder.folder / "copy")
    assert len(folder("nowhere")) == 3 and "anew" not in capsys.readouterr().out.splitlines()[-1]


def test_an_environment_of_another_python_is_refused(folder):
    pip = folder.folder / "here" / ".venv" / "bin" / "pip"
    pip.write_text(pip.read_text(encoding="utf-8").replace("(python 3.11)", "(python 3.10)"),
                   encoding="utf-8")
    with pytest.raises(SystemExit, match=r"\.venv has Python 3\.10, and the book needs one from 3\.11"):
        folder("here")


# --- the package alone ---


def alone(python: Path, folder: Path) -> dict:
    """What the package, installed there, can do where no repository is near."""
    folder.mkdir()
    done = run(python, "-W", "error", "-c", TRY, cwd=folder)
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("source", ["wheel", "git"])
def test_the_package_installs_by_itself(source, tmp_path):
    """Into an environment that borrows what it depends on from this one, so that no network is asked."""
    (tmp_path / "repository").mkdir()
    repository = checkout(tmp_path / "repository")
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / HERE.parent.name / HERE.name
    site = json.loads(run(python, "-c", "import json, sysconfig; "
                                        "print(json.dumps(sysconfig.get_path('purelib')))").stdout)
    others = run(HERE, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    (Path(site) / "borrowed.pth").write_text(f"{others}\n", encoding="utf-8")
    pip = (HERE, "-m", "pip", "--python", python)
    how = ("--no-index", "--no-build-isolation", "--no-deps")
    what = f"git+{repository.as_uri()}"
    if source == "wheel":
        done = run(*pip, "wheel", *how, "--wheel-dir", tmp_path, repository)
        assert done.returncode == 0, done.stdout
        (what,) = tmp_path.glob("*.whl")
    done = run(*pip, "install", *how, what)
    assert done.returncode == 0, done.stdout
    shutil.rmtree(repository)
    found = alone(python, tmp_path / "empty")
    assert Path(found["file"]).is_relative_to(tmp_path / "venv")
    assert found["torques"] == [2, 3] and found["scripts"] and found["more"] == []


# --- every interpreter that the README names ---


OLDEST = {version.rpartition(".")[0]: version for version in sorted(FIT,
                                                                    key=lambda v:
                                                                    -int(v.split(".")[2]))}  # of each series


@pytest.mark.slow
@pytest.mark.parametrize("version", sorted(OLDEST.values()))
def test_everything_installs_and_imports_with_this_python(version, tmp_path):
    """As `make test` installs it, from the index that pip is set to; it may bring CUDA, several GB."""
    if shutil.disk_usage(tmp_path).free < 20 * 2**30:
        pytest.skip("an environment may need 10 GB, and less than 20 are free here")
    (tmp_path / "repository").mkdir()
    repository = checkout(tmp_path / "repository")
    try:
        done = run(FIT[version], "-c", "import tasks; tasks.install('test')", cwd=repository)
        assert done.returncode == 0, done.stdout[-6000:]
        python = repository / ".venv" / HERE.parent.name / "python"
        assert run(python, "-V").stdout.strip() == f"Python {version}"
        tests = run(python, "-m", "pytest", "-q", "tests/test_environment.py", "tests/test_widgets.py",
                    cwd=repository)
        assert tests.returncode == 0, tests.stdout[-6000:]
        assert alone(python, tmp_path / "empty")["torques"] == [2, 3]
    finally:
        shutil.rmtree(repository / ".venv", ignore_errors=True)
