"""The driving widget and Python: what the page sends, and the whole of it in a real JupyterLab."""
from __future__ import annotations

import json
import math

import pytest
import torch
from lab import run, run_cell
from wheel import drawn, live, now, show, status, steady, until  # noqa: F401  (show and steady are fixtures)

import ilsupport as il
from ilsupport.widgets import Drive

pytestmark = pytest.mark.browser


def test_what_was_driven_is_sent_and_python_sees_the_same_drive(show):
    drive = Drive(horizon=40)
    page = show(live(drive))
    page.get_by_role("application").focus()
    page.keyboard.press("Space")
    page.keyboard.down("ArrowRight")
    until(page, "d.running === 'false'")
    sent, last = page.evaluate("window.sent"), now(page)
    drive._handle_custom_msg(json.loads(json.dumps(sent)), [])
    demos = drive.demonstrations
    assert drive.driven == 1 and demos.lengths().tolist() == [40] and float(demos.actions.min()) < -0.5
    final = il.rollout(drive.road(), lambda obs,
                       turns=iter(sent["steering"]): torch.tensor([[float(next(turns))]]), 1,
                       generator=il.generator(0)).final_observations[0]
    assert math.isclose(float(final[0]), float(last["offset"]), abs_tol=1e-3)
    assert -float(demos.returns().sum()) == int(last["off"])
    assert page.get_by_role("button", name="Train a clone of me").is_visible()
    until(page, "document.querySelector('.gone').textContent.startsWith('Python has not answered')")


def test_a_page_that_is_closed_sends_what_it_has(show):
    page = show(live(Drive()))
    page.get_by_role("application").focus()
    page.keyboard.press("Space")
    until(page, "+d.t > 30")
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert page.evaluate("window.sent.steering.length") > 30 and now(page)["running"] == "false"


def test_keys_become_labels_of_somebody_elses_drive(show, steady):
    drive = Drive({"clone": steady}, horizon=50)
    asked = il.rollout(drive.road(), steady, 1, generator=il.generator(0)).observations[0]
    states = torch.column_stack(il.Driving().where(asked)).tolist()
    drive.asked = {"id": 1, "by": "clone", "states": states, "got": 10}
    drive.budget = {"given": 410, "total": 450}
    page = show(live(drive))
    assert now(page)["kind"] == "label" and now(page)["driver"] == "clone"
    page.evaluate("window.all = []; Object.defineProperty(window, 'sent', { set: (m) => "
                  "all.push(structuredClone(m)) })")
    page.get_by_role("application").focus()
    page.keyboard.press("Space")
    page.keyboard.down("ArrowLeft")
    until(page, "+d.t >= 25")
    page.keyboard.press("Space")
    until(page, "d.running === 'false'")
    here = now(page)
    assert math.isclose(float(here["offset"]), float(asked[int(here["t"]), 0]),
                        abs_tol=1e-3), "the learner's drive"
    assert "of 450 labels" in page.locator(".line").text_content()
    assert "Paused" in status(page) and "labels to go" in status(page)
    page.keyboard.press("Space")
    until(page, "d.running === 'false'")
    page.keyboard.up("ArrowLeft")
    assert "All labelled" in status(page) and now(page)["kind"] == "it"
    labels = [None] * 50
    for message in page.evaluate("all"):
        assert message["kind"] == "labels" and message["id"] == 1
        labels[message["at"]:message["at"] + len(message["steering"])] = message["steering"]
    assert len(labels) == 50 and labels[:10] == [None] * 10 and max(labels[10:]) > 0.6


NOTEBOOK = """---
jupytext:
  text_representation: {extension: .md, format_name: myst, format_version: 0.13}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

```{code-cell} ipython3
from ilsupport.widgets import Drive
drive = Drive(horizon=40)
drive
```

```{code-cell} ipython3
shape = tuple(drive.demonstrations.actions.shape)
print("Python has", drive.driven, shape, len(drive.labels[0]), len(drive.drivers))
```

```{code-cell} ipython3
other = Drive(seed=3, horizon=40)
other
```
"""
GONE = ".gone:not([hidden])"


def tells(page, key, value):
    """Wait for Python: the first canvas tells of it in no time of its own."""
    page.wait_for_function("([key, value]) => document.querySelector('canvas').dataset[key] === value",
                           arg=[key, value])


@pytest.mark.slow
def test_drive_clone_and_label_in_jupyterlab(browser, lab):
    (lab.folder / "drive.md").write_text(NOTEBOOK)
    page = lab.open(browser, "drive.md", hold="draw")
    run(page, "notebook:run-all-cells")
    page.wait_for_function("document.querySelectorAll('canvas').length === 2")
    drawn(page, 2)
    cells = page.locator(".jp-Cell").count()
    source = page.locator(".jp-CodeCell .cm-content").all_text_contents()

    # Keys arrive, and nowhere else.
    page.locator("canvas").first.focus()
    page.keyboard.press("Space")
    page.keyboard.down("ArrowLeft")
    until(page, "+d.wheel > 0.5")
    page.keyboard.up("ArrowLeft")
    for key in ("ArrowDown", "a", "d", "b", "x", "Escape"):  # JupyterLab would insert, cut and leave
        page.keyboard.press(key)
    until(page, "d.running === 'false'")
    assert status(page) == "Thrown away."
    page.keyboard.press("Enter")
    page.keyboard.down("ArrowRight")
    until(page, "+d.wheel < -0.5")
    page.keyboard.up("ArrowRight")
    until(page, "d.running === 'false'")
    assert page.locator(".jp-Cell").count() == cells
    assert page.locator(".jp-CodeCell .cm-content").all_text_contents() == source
    assert now(page, 1)["t"] == "0" and page.evaluate("document.activeElement.tagName") == "CANVAS"
    run_cell(page, 1)
    page.wait_for_selector("text=Python has 1 (1, 40, 1) 0 0")

    # A clone is trained, and drives.
    page.get_by_role("button", name="Train a clone of me").first.click()
    tells(page, "driver", "clone")
    until(page, "d.driver === 'clone' && d.running === 'true' && +d.t > 3")
    assert "learnt from 40 steps of driving (yours)" in status(page)
    page.get_by_role("button", name="Stop").click()
    until(page, "d.running === 'false'")

    # It drives, and the keys are labels.
    page.get_by_role("button", name="It drives, I label").first.click()
    tells(page, "kind", "label")
    until(page, "document.querySelector('.line').textContent.includes('40 of 80 labels')")
    page.locator("canvas").first.focus()
    page.keyboard.press("Space")
    page.keyboard.down("ArrowLeft")
    until(page, "+d.t > 22 && d.kind === 'label'")
    run_cell(page, 1)  # the kernel is free, and has what was labelled so far; the drive waits for its reader
    page.wait_for_selector("text=/Python has 1 \\(1, 40, 1\\) (20|40) 1/")
    page.keyboard.up("ArrowLeft")
    until(page, "d.running === 'false'")
    tells(page, "driver", "DAgger 1")
    run_cell(page, 1)
    page.wait_for_selector("text=Python has 1 (1, 40, 1) 40 2")
    assert now(page, 1)["driver"] == "you" and now(page, 1)["t"] == "0"

    # A restarted kernel has forgotten the widget; the car still drives.
    assert page.locator(GONE).count() == 0
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.wait_for_function(f"document.querySelectorAll('{GONE}').length === 2")
    assert "Run the cell again" in page.locator(GONE).first.text_content()
    page.get_by_role("radio", name="you").first.check()
    page.locator("canvas").first.focus()
    page.keyboard.press("Space")
    until(page, "d.driver === 'you' && d.running === 'false' && d.t === '40'")
    assert page.get_by_role("button", name="Train a clone of me").first.is_disabled()
    page.close()
