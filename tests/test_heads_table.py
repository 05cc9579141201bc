"""Page 7's table: complete, made by the recipe and version of today, and every choice is the rule's."""
from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

import ilsupport as il

ROOT = Path(__file__).parents[1]
TABLE = json.loads((ROOT / "notebooks" / "_data" / "heads.json").read_text(encoding="utf-8"))
SCRIPT = runpy.run_path(str(ROOT / "experiments" / "heads.py"))


def test_its_recipe_is_the_scripts():
    recipe = json.loads(json.dumps(SCRIPT["recipe"]()))
    assert TABLE["recipe"] == recipe, "experiments/heads.py has changed: make the table anew"


def test_it_was_made_with_the_version_of_the_constraints():
    pins = map(Requirement, filter(lambda line: line.startswith("torch=="),
                                   (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()))
    assert next(pins).specifier.contains(TABLE["versions"]["torch"])


def test_every_cell_of_the_plan_is_there():
    for name, times, heads in SCRIPT["PLAN"]:
        for head in heads or SCRIPT["WORLDS"][name]().heads:
            fails = TABLE["worlds"][name][head][str(times)]["fails"]
            assert len(fails) == SCRIPT["M"] and all(0 <= x <= 1 for x in fails), (name, head, times)


def test_each_head_tried_everything_and_keeps_what_failed_least():
    for name, heads in TABLE["worlds"].items():
        if name in SCRIPT["TUNED_AS"]:
            continue
        world = SCRIPT["WORLDS"][name]()
        rates = TABLE["recipe"]["rates"][world.name]
        for head, cells in heads.items():
            tried = [(one["setting"], one["rate"]) for one in cells["tried"]]
            assert tried == [(setting, rate) for setting in world.heads[head][1] for rate in rates]
            assert cells["chosen"] in cells["tried"]
            assert sum(cells["chosen"]["fails"]) == min(sum(one["fails"]) for one in cells["tried"])


def test_a_student_with_a_rate_of_its_own_learns_as_it_would_alone():
    x = torch.randn(200, 2, generator=il.generator(0))
    data = x, x @ torch.ones(2, 1)

    def trained(students: list[int], lr: float, **options) -> torch.Tensor:
        policy = il.Gaussian(2, 1, hidden=(8,), generator=[il.generator(k) for k in students])
        il.fit(policy, data, generator=[il.generator(9 + k) for k in students], steps=30, lr=lr, **options)
        return policy.net.weights[0].detach()

    rates = torch.tensor([1e-3, 1e-2])
    both = trained([1, 2], 1e-2, optimiser=lambda p, lr: SCRIPT["EachRate"](p, lr, rates / 1e-2))
    for k, rate in enumerate(rates.tolist()):
        torch.testing.assert_close(both[k], trained([k + 1], rate)[0], rtol=1e-4, atol=1e-6)


def test_turning_the_axes_changes_what_is_said_and_nothing_else():
    for make in ("fork", "16 grips"):
        plain, turned = (SCRIPT["WORLDS"][name]() for name in (make, f"{make}, turned"))
        (obs, said), (same, other) = (world.data(il.generator(3)) for world in (plain, turned))
        assert torch.equal(obs, same) and not torch.allclose(said, other)
        torch.testing.assert_close(other @ turned.axes, said, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SCRIPT["WORLDS"])
def test_the_script_still_examines_every_head(name):
    world = SCRIPT["WORLDS"][name]()
    world.steps = 2
    for head, (_, settings) in world.heads.items():
        marks = SCRIPT["students"](world, head, settings[-1], 5, [1e-3, 2e-3], 2)
        assert all(x.shape == (2, 2) and x.isfinite().all() for x in marks.values()), head
