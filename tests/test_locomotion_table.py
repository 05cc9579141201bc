"""Page 10's table: complete, and made by the recipe, the rows, the experts and the versions of today."""
from __future__ import annotations

import json
import math
import runpy
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ilsupport as il
from ilsupport.experts import TASKS, WEIGHTS

ROOT = Path(__file__).parents[1]
TABLE = json.loads((ROOT / "notebooks" / "_data" / "locomotion.json").read_text(encoding="utf-8"))
SCRIPT = runpy.run_path(str(ROOT / "experiments" / "locomotion.py"))


@pytest.mark.parametrize("what", ["recipe", "rows"])
def test_it_was_made_as_the_script_makes_it_now(what):
    now = {"recipe": SCRIPT["RECIPE"], "rows": SCRIPT["rows"]()}[what]
    assert TABLE[what] == now, "experiments/locomotion.py has changed: run it, it makes the table anew"


def test_it_was_made_with_the_versions_of_the_constraints():
    pins = (Requirement(line) for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
            if line.strip() and not line.startswith("#"))
    pins = {pin.name: pin.specifier for pin in pins}
    for name, version in TABLE["versions"].items():
        assert pins[name].contains(version), (name, version)


@pytest.mark.parametrize("task", TASKS)
def test_every_cell_is_there_and_adds_up(task):
    column = TABLE["tasks"][task]
    assert column["weights"] == SCRIPT["fingerprint"](SCRIPT["load_file"](WEIGHTS / f"{task}.safetensors"))
    assert column["expert"] == list(il.LocomotionExpert(task).measured)
    assert list(column["cells"]) == list(SCRIPT["ROWS"])
    seeds = [cell["seed"] for cell in column["cells"].values()]
    assert len(set(seeds)) == len(seeds)
    for cell in column["cells"].values():
        assert len(cell["returns"]) == TABLE["recipe"]["students"] and all(map(math.isfinite, cell["returns"]))
        assert cell["estimate"] == pytest.approx(il.Estimate.of(cell["returns"]), abs=0.11)


@pytest.mark.parametrize("task", TASKS)
def test_nobody_is_told_more_labels_than_ten_demonstrations_hold(task):
    cells = TABLE["tasks"][task]["cells"]
    for row, cell in cells.items():
        if "as many labels as 10" in row:
            assert 0 < cell["labels"] <= 10_000
    assert cells["BC, 2 trajectories"]["labels"] < cells["BC, 10 trajectories"]["labels"] < cells["BC, 50 trajectories"]["labels"]
    assert cells["BC, 2 trajectories, every 20th step"]["labels"] == pytest.approx(cells["BC, 2 trajectories"]["labels"] / 20, abs=1)


def test_no_earlier_page_needs_the_simulator():
    for page in sorted((ROOT / "notebooks").glob("0*.md")):
        text = page.read_text(encoding="utf-8")
        assert "LocomotionExpert" not in text and "import mujoco" not in text and "-v5" not in text, page.name
