"""Page 10's table: complete, made by the rows, experts, versions and, two lines aside, recipe of today."""
from __future__ import annotations

import json
import math
import runpy
from functools import partial
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ilsupport as il
from ilsupport.experts import TASKS, WEIGHTS

ROOT = Path(__file__).parents[1]
TABLE = json.loads((ROOT / "notebooks" / "_data" / "locomotion.json").read_text(encoding="utf-8"))
SCRIPT = runpy.run_path(str(ROOT / "experiments" / "locomotion.py"))


def test_its_rows_are_those_of_the_script():
    assert TABLE["rows"] == SCRIPT["rows"](), "experiments/locomotion.py has changed: make the table anew"


def test_its_recipe_is_the_scripts_but_for_what_policies_do_by_themselves_since():
    """The table stands until it is made anew.

    It was made with torques as they come, and with whole plans only.
    """
    since = {"standardised", "chunks"}
    assert TABLE["recipe"] == {key: value for key, value in SCRIPT["RECIPE"].items() if key not in since}


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
        assert len(cell["returns"]) == TABLE["recipe"]["students"]
        assert all(map(math.isfinite, cell["returns"]))
        assert cell["estimate"] == pytest.approx(il.Estimate.of(cell["returns"]), abs=0.11)


@pytest.mark.parametrize("task", TASKS)
def test_nobody_is_told_more_labels_than_ten_demonstrations_hold(task):
    cells = TABLE["tasks"][task]["cells"]
    for row, cell in cells.items():
        if "as many labels as 10" in row:
            assert 0 < cell["labels"] <= 10_000
    two, ten, fifty = (cells[f"BC, {n} trajectories"]["labels"] for n in (2, 10, 50))
    assert two < ten < fifty
    assert cells["BC, 2 trajectories, every 20th step"]["labels"] == pytest.approx(two / 20, abs=1)


@pytest.mark.slow
def test_the_script_still_makes_every_row(tmp_path, monkeypatch):
    pytest.importorskip("mujoco")
    small = {"pool": 10, "episodes": 1, "rounds": 2, "episodes_a_round": 1,
             "steps_at_lr": [[3, 3e-3], [2, 3e-4]], "short": [[2, 3e-3]]}
    for name, value in small.items():
        monkeypatch.setitem(SCRIPT["RECIPE"], name, value)
    monkeypatch.setitem(SCRIPT["Task"].__init__.__globals__, "POOL", tmp_path)
    monkeypatch.setattr(il, "Gymnasium", partial(il.Gymnasium, horizon=25))
    task = SCRIPT["Task"]("Hopper-v5")
    for row in SCRIPT["ROWS"]:
        made = SCRIPT["cell"](task, row)
        assert len(made["returns"]) == 10 and all(map(math.isfinite, made["returns"])), row
        assert made["labels"] > 0, row


def test_no_earlier_page_needs_the_simulator():
    for page in sorted((ROOT / "notebooks").glob("0*.md")):
        text = page.read_text(encoding="utf-8")
        assert "LocomotionExpert" not in text and "import mujoco" not in text and "-v5" not in text, page.name
