"""A book that does not build fails every test that needs it, and is explained once, at the very end."""
import os
import re
import subprocess
import sys

import pytest

import tasks

SAYS = """
import os, sys
with open({log!r}, "a") as log:
    log.write("built ")
print("page.md: WARNING: a reference leads nowhere")
for line in range(100):
    print("    progress", line)
sys.stdout.flush()
os.write(2, b"03.md, cell 7 (line 90): AssertionError: no more")
sys.exit(1)
"""
CONFTEST = """
import pathlib
import sys
import built
from built import pytest_testnodedown, site
built.BUILD[:] = [sys.executable, "-c", {code!r}]
built.LOCK = pathlib.Path({lock!r})
"""
TESTS = "def test_{name}_once(site): pass\ndef test_{name}_twice(site): pass\n"


@pytest.mark.parametrize("processes", [[], ["-n", "2", "--dist", "loadfile"]], ids=["one", "two"])
def test_the_cause_stands_once_in_the_last_lines_and_every_test_fails(tmp_path, processes):
    code = SAYS.format(log=str(tmp_path / "log"))
    for folder in (".", "a", "b"):  # as in the real tests, each folder has the fixture from the same module
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "conftest.py").write_text(
            CONFTEST.format(code=code, lock=str(tmp_path / "lock")))
    for folder in ("a", "b"):
        (tmp_path / folder / f"test_{folder}.py").write_text(TESTS.format(name=folder))
    path = os.pathsep.join(map(str, (tasks.ROOT, tasks.ROOT / "tests")))
    run = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider"]
    done = subprocess.run([*run, *processes, tmp_path],
                          cwd=tmp_path, capture_output=True, encoding="utf-8",
                          env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 1, done.stdout
    assert (tmp_path / "log").read_text() == "built " * max(1, len(processes) // 2)
    assert "4 errors" in done.stdout.splitlines()[-1]
    assert "_finalizers" not in done.stdout and "Traceback" not in done.stdout
    tests, end = done.stdout.split("= The book did not build =")
    assert len(re.findall(r"^ERROR \S+::test_\w+ - .*the book did not build", tests, re.MULTILINE)) == 4
    assert end.splitlines()[-2] == "03.md, cell 7 (line 90): AssertionError: no more"
    assert "page.md: WARNING: a reference leads nowhere" in end and "progress 5\n" not in end
    assert len(end.splitlines()) < 40
