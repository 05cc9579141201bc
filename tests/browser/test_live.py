"""Live figures under a reader's hand: in a page opened from disk, offline, and in a real JupyterLab."""
from __future__ import annotations

import pytest
import torch
from clock import PATIENCE
from lab import run, run_cell

import ilsupport as il
from ilsupport import plots
from ilsupport.widgets import BoundsExplorer, Film, Frames

pytestmark = pytest.mark.browser
READY = "form.il-bounds svg.plot[data-redraws]"


def drawing(value):
    fig, ax = plots.figure(2, 1)
    ax.plot([0, value])
    return plots.show(fig, alt=f"a line that climbs from 0 to {value}")


@pytest.fixture
def show(browser, tmp_path):
    """Opens widgets as a built page carries them, over file://; a request or an error fails the test."""
    asked, thrown = [], []

    def show(*widgets, width=800, style="", own_time=False, **context):
        page_file = tmp_path / "page.html"
        body = "\n<hr>\n".join(widget.standalone() for widget in widgets)
        page_file.write_text(f'<!doctype html><meta charset="utf-8"><body style="{style}">{body}', "utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900}, offline=True, **context)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.set_default_timeout(PATIENCE)
        if own_time:
            page.clock.install(time=0)
        page.goto(page_file.as_uri())
        return page

    yield show
    assert [url for url in asked if not url.endswith("page.html")] == []
    assert thrown == []


def value(page, name, nth=0):
    return page.locator(f"[data-value={name}]").nth(nth).text_content()


def curve(page, name, nth=0):
    return page.locator("form.il-bounds").nth(nth).locator(f"path.{name}").get_attribute("d")


def readout(page, nth=0):
    return page.locator("form.il-bounds dl").nth(nth).inner_text()


@pytest.mark.parametrize(("name", "moves"), [("eps", ["bound", "best", "exact"]), ("rho", ["exact"])])
def test_arrow_keys_move_the_curves_and_the_readout(show, name, moves):
    page = show(BoundsExplorer(eps=0.01, T=100, rho=0.01))
    page.wait_for_selector(READY)
    before = {key: curve(page, key) for key in ("bound", "best", "exact", "ceiling")}
    words, label = readout(page), value(page, name)
    page.locator(f"[data-slider={name}]").press("ArrowRight")
    assert float(value(page, name)) > float(label)
    assert [key for key in before if curve(page, key) != before[key]] == moves
    assert readout(page) != words
    page.locator(f"[data-slider={name}]").press("ArrowLeft")
    assert {key: curve(page, key) for key in before} == before and readout(page) == words


def test_the_mouse_moves_a_slider_and_the_horizon_in_the_plot(show):
    page = show(BoundsExplorer())
    page.wait_for_selector(READY)
    box = page.locator("[data-slider=eps]").bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    assert float(value(page, "eps")) > 0.1
    box = page.locator("svg.plot").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 150)
    page.mouse.down()
    near = int(value(page, "T"))
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 150)
    page.mouse.up()
    assert near < 10 < int(value(page, "T"))


def test_the_switches_change_assumption_and_axes(show):
    page = show(BoundsExplorer(eps=0.01, T=50, rho=0))
    page.wait_for_selector(READY)
    assert "Sharp bound\n10.9" in readout(page) and page.locator("path.even").count() == 0
    page.get_by_role("radio", name="A, average").check()
    assert "Best bound\n25\n" in readout(page) and page.locator("path.even").count() == 1
    log = curve(page, "exact")
    page.get_by_role("radio", name="linear").check()
    assert curve(page, "exact") != log
    assert "Linear plot" in page.locator("svg.plot").get_attribute("aria-label")


def test_new_episodes_move_the_simulation_and_nothing_else(show):
    page = show(BoundsExplorer())
    page.wait_for_selector(READY)
    points, exact = page.locator("g.point").first.inner_html(), curve(page, "exact")
    page.get_by_role("button").click()
    assert page.locator("g.point").first.inner_html() != points and curve(page, "exact") == exact


def test_two_on_one_page_are_independent_even_when_equal(show):
    page = show(BoundsExplorer(), BoundsExplorer(), BoundsExplorer(assumption="A"))
    page.wait_for_function(f"document.querySelectorAll('{READY}').length === 3")
    page.locator("[data-slider=T]").nth(1).press("ArrowRight")
    assert [value(page, "T", k) for k in range(3)] == ["100", "110", "100"]
    page.get_by_role("radio", name="A, average").nth(0).check()
    assert [page.locator("input[value=A]").nth(k).is_checked() for k in range(3)] == [True, False, True]
    assert page.evaluate("Object.keys(window).filter((key) => /^il|render|RANGES|costs/.test(key))") == []


def test_a_reader_who_cannot_see_it_is_told_once_the_hand_rests(show):
    page = show(BoundsExplorer(), own_time=True)
    page.wait_for_selector(READY)
    page.clock.pause_at(10_000)  # from here on its time is the test's
    picture, spoken = page.get_by_role("img"), page.locator("[aria-live=polite]")
    state = "T = 100, ε = 0.01, ρ = 0: exact cost 37.2, sharp bound 37.2, textbook bound 100"
    assert state in picture.first.get_attribute("aria-label")
    page.wait_for_function("document.querySelector('[aria-live]').textContent.includes('T = 100')")
    page.evaluate("""() => { const spoken = document.querySelector('[aria-live]'); window.said = [];
        const note = () => window.said.push(spoken.textContent);
        new MutationObserver(note).observe(spoken, { childList: true }); }""")
    for _ in range(5):
        page.locator("[data-slider=T]").press("ArrowRight")
        page.clock.run_for(100)
    assert page.evaluate("window.said") == [], "the hand does not rest yet"
    page.clock.run_for(1000)
    assert page.evaluate("window.said.length") == 1 and "T = 180" in spoken.text_content()
    assert spoken.text_content() in picture.first.get_attribute("aria-label")
    assert page.locator("[data-slider=T]").get_attribute("aria-valuetext") == "180"
    for control in page.locator("input, button").all():
        assert control.get_attribute("data-lm-suppress-shortcuts") == "true"
    assert page.get_by_role("slider", name="T horizon, in steps", exact=True).count() == 1


@pytest.mark.parametrize("state", [dict(eps=0.0), dict(eps=1.0, rho=1.0, T=10_000), dict(eps=1e-9, T=1),
                                   dict(T=10_000, assumption="A"), dict(eps=0.0, assumption="A"),
                                   dict(eps=0.5, rho=1e-3, T=7)])
def test_extreme_states_draw_finite_curves(show, state):
    page = show(BoundsExplorer(**state))
    page.wait_for_selector(READY)
    for _ in range(2):
        drawn = page.locator("svg.plot").inner_html()
        assert "NaN" not in drawn and "Infinity" not in drawn and "undefined" not in drawn + readout(page)
        page.get_by_role("radio", name="linear").check()


@pytest.mark.parametrize("width", [340, 400, 800])
def test_the_figure_fits_its_page(show, width):
    page = show(BoundsExplorer(rho=0.01), width=width)
    page.wait_for_selector(READY)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    edge = page.locator("svg.plot").bounding_box()
    for label in page.locator("svg.plot text").all():
        box = label.bounding_box()
        assert box["x"] >= edge["x"] - 2 and box["x"] + box["width"] <= edge["x"] + edge["width"] + 8


def test_the_ink_follows_the_page(show):
    page = show(BoundsExplorer(), style="background: #111; color: rgb(220, 221, 222)")
    page.wait_for_selector(READY)
    for selector, what in (("path.exact", "stroke"), ("svg.plot text", "fill"), ("dd", "color")):
        drawn = page.locator(selector).first.evaluate(f"(e) => getComputedStyle(e).{what}")
        assert drawn == "rgb(220, 221, 222)"


def test_nothing_moves_by_itself(show):
    page = show(BoundsExplorer(), reduced_motion="reduce")
    page.wait_for_selector(READY)
    assert page.evaluate("document.getAnimations().length") == 0


def test_frames_flip_without_a_kernel(show):
    page = show(Frames(drawing, label="climb", value=[1, 2, 5]))
    picture = page.get_by_role("img")
    assert picture.get_attribute("aria-label") == drawing(1).alt
    page.get_by_role("slider").press("ArrowRight")
    page.get_by_role("slider").press("ArrowRight")
    assert picture.get_attribute("aria-label") == drawing(5).alt
    assert page.locator(".value").text_content() == "5"
    assert page.get_by_role("slider").get_attribute("max") == "2"


NOTEBOOK = """---
jupytext:
  text_representation: {extension: .md, format_name: myst, format_version: 0.13}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A page

```{code-cell} ipython3
from ilsupport.widgets import BoundsExplorer
figure = BoundsExplorer(eps=0.01, T=100)
figure
```

```{code-cell} ipython3
print("Python has", figure.eps, figure.T, figure.rho, figure.assumption)
```

```{code-cell} ipython3
figure.T = 500
```

```{code-cell} ipython3
from ilsupport import plots
from ilsupport.widgets import Frames

def draw(n):
    fig, ax = plots.figure(2, 1)
    ax.plot([0, n])
    return plots.show(fig, alt=f"a line that climbs from 0 to {n}")

Frames(draw, n=[1, 3, 5])
```
"""


@pytest.mark.slow
def test_python_and_the_figure_move_each_other_in_jupyterlab(browser, lab):
    (lab.folder / "page.md").write_text(NOTEBOOK)
    page = lab.open(browser, "page.md")
    run(page, "notebook:run-all-cells")
    page.wait_for_selector(READY)
    # Python moved it
    page.wait_for_function("document.querySelector('[data-value=T]').textContent === '500'")
    before = curve(page, "exact")
    page.locator("[data-slider=eps]").press("ArrowRight")
    page.locator("[data-slider=rho]").press("End")
    page.get_by_role("radio", name="A, average").check()
    assert curve(page, "exact") != before and value(page, "eps") == "0.011"
    run_cell(page, 1)
    page.wait_for_selector("text=Python has 0.011 500 1.0 A")
    frames = page.locator(".il-frames")
    frames.get_by_role("slider").press("ArrowRight")  # 2 is no frame: Python draws it
    page.wait_for_function("document.querySelector('.il-frames .figure').dataset.value === '2'")
    assert frames.get_by_role("img").get_attribute("aria-label") == "a line that climbs from 0 to 2"
    page.close()


# -- films


@pytest.fixture(scope="module")
def film():
    pytest.importorskip("mujoco")
    return Film("Hopper-v5", {"expert": il.LocomotionExpert("Hopper-v5"),
                              "limp": lambda obs: torch.zeros(1, 3)},
                alt="one hops, one falls", seed=3, seconds=2)


def test_a_film_plays_by_itself_and_stops_at_the_readers_word(show, film):
    page = show(film)
    page.wait_for_function("+document.querySelector('.il-film input').value > 3")
    page.locator(".il-film button").press("Enter")
    assert page.locator(".il-film button").text_content() == "Play"
    stopped = page.locator(".il-film input").input_value()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.locator(".il-film input").input_value() == stopped
    assert page.get_by_role("img", name="one hops, one falls").is_visible()


def test_a_film_waits_for_readers_who_asked_for_less_motion_and_the_slider_moves_it(show, film):
    page = show(film, reduced_motion="reduce")
    page.wait_for_selector(".il-film figcaption:has-text('expert')")
    assert page.locator(".il-film button").text_content() == "Play"
    assert page.locator(".il-film input").input_value() == "0"
    first = page.locator(".il-film svg").first.inner_html()
    page.locator(".il-film input").press("End")
    expert, limp = page.locator(".il-film figcaption").all_text_contents()
    assert expert.startswith("expert: 2.0 s") and limp.startswith("limp: fell after")
    assert page.locator(".il-film svg").first.inner_html() != first
