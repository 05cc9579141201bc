"""The driving widget in a page, and what a test may ask about it."""
from __future__ import annotations

import math

import pytest
import torch
from clock import MOST, PATIENCE, held, passes
from record_drive import recording

import ilsupport as il


@pytest.fixture
def show(browser, tmp_path):
    """Opens widgets as a built page carries them, over file://; a request or an error fails the test.

    Their time is the test's (`until`), unless `own_time` leaves it to the browser.
    """
    asked, thrown = [], []

    def show(*widgets, width=900, height=900, before="", style="", own_time=False, **context):
        page_file = tmp_path / "page.html"
        body = before + "\n<hr>\n".join(w if isinstance(w, str) else w.standalone() for w in widgets)
        page_file.write_text(f'<!doctype html><meta charset="utf-8"><body style="{style}">{body}', "utf-8")
        page = browser.new_page(viewport={"width": width, "height": height}, offline=True, **context)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.set_default_timeout(PATIENCE)
        if not own_time:
            page.add_init_script(held())
        page.goto(page_file.as_uri())
        if not own_time:
            drawn(page, len(widgets))
        return page

    yield show
    assert [url for url in asked if not url.endswith("page.html")] == []
    assert thrown == []


def drawn(page, count):
    """Let time pass until so many canvases have been drawn."""
    assert passes(page, f"document.querySelectorAll('canvas[data-t]').length === {count}")


def until(page, condition, nth=0, most=MOST):
    """Let time pass until a condition holds on `d`, what the nth canvas tells of its drive."""
    look = f"document.querySelectorAll('canvas')[{nth}].dataset"
    assert passes(page, f"((d) => {condition})({look})", most), f"not {condition} but {now(page, nth)}"


def now(page, nth=0):
    return page.locator("canvas").nth(nth).evaluate("(canvas) => ({ ...canvas.dataset })")


def status(page, nth=0):
    return page.get_by_role("status").nth(nth).text_content()


def student(g):
    return il.Seeing(il.Camera(), il.Gaussian(960, 1, hidden=(16,), limits=(-1, 1), generator=g))


@pytest.fixture(scope="module")
def steady():
    """A network that drives well: it has seen the expert's answers all over the road."""
    g, n = il.generator(0), 4000
    spread = torch.randn(n, 2, generator=g) * torch.tensor([0.5, 0.15])
    states = il.Driving().place(spread[:, 0], spread[:, 1], 2 * math.pi * torch.rand(n, 3, generator=g))
    policy = student(g)
    il.fit(policy, (states, il.driving_expert(states)), generator=g, steps=1000, lr=3e-3)
    return policy


def live(widget):
    """The widget as a notebook has it, in a page; what it sends stays in `window.sent`."""
    return recording(widget).split('<meta charset="utf-8">')[1]
