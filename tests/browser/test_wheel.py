"""The driving widget under a reader's hands, in a page opened from disk, offline."""
from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from clock import passes
from wheel import now, show, status, steady, student, until  # noqa: F401  (show and steady are fixtures)

import ilsupport as il
from ilsupport.widgets import Drive

pytestmark = pytest.mark.browser

@pytest.fixture(scope="module")
def drivers():
    """A clone of four flawless drives, and what DAgger makes of it."""
    g, env = il.generator(0), il.Driving()
    demos = il.rollout(env, il.driving_expert, 4, generator=g, horizon=200)
    rounds = list(il.dagger(env, il.driving_expert, student, rounds=6, n=4, generator=il.generator(0),
                            horizon=200, data=demos, train=partial(il.fit, steps=800, batch_size=128)))
    return {"BC": rounds[0].policy, "DAgger": rounds[-1].policy}


# -- the reader at the wheel


def test_the_browsers_own_frames_drive_it(show):
    page = show(Drive(), own_time=True)
    page.get_by_role("application").press("Space")
    page.wait_for_function("+document.querySelector('canvas').dataset.t > 3")


def test_keys_steer_and_the_drive_ends_by_itself(show):
    page = show(Drive(horizon=30))
    canvas = page.get_by_role("application")
    canvas.focus()
    assert now(page)["running"] == "false" and now(page)["t"] == "0"
    page.keyboard.press("Space")
    page.keyboard.down("ArrowLeft")
    until(page, "+d.wheel > 0.6")
    page.keyboard.up("ArrowLeft")
    page.keyboard.down("d")
    until(page, "+d.wheel < 0")
    page.keyboard.up("d")
    until(page, "d.running === 'false'")
    assert now(page)["t"] == "30" and status(page).startswith("You drove 1.5 s")
    assert "You: 1.5 s, off the lane for" in page.locator(".line").text_content()


def test_space_and_enter_start_and_stop_and_escape_throws_away(show):
    page = show(Drive())
    page.get_by_role("application").focus()
    for key in ("Space", "Enter"):
        page.keyboard.press(key)
        until(page, "d.running === 'true' && +d.t > 0")
        page.keyboard.press(key)
        until(page, "d.running === 'false'")
        assert status(page) == "Too short to keep."
    page.keyboard.press("Space")
    until(page, "+d.t > 20")
    page.keyboard.press("Escape")
    until(page, "d.running === 'false'")
    assert status(page) == "Thrown away."
    page.get_by_role("button", name="Drive").click()
    until(page, "d.running === 'true'")
    assert page.evaluate("document.activeElement === document.querySelector('canvas')"), "the keys steer"
    page.get_by_role("button", name="Stop").click()
    until(page, "d.running === 'false'")


def test_the_road_is_held_on_its_left_or_right(show):
    page = show(Drive())
    box = page.locator("canvas").bounding_box()
    left, y = box["x"] + 0.25 * box["width"], box["y"] + 0.6 * box["height"]
    page.mouse.click(left, y)
    until(page, "d.running === 'true'")
    page.mouse.move(left, y)
    page.mouse.down()
    until(page, "+d.wheel > 0.5")
    page.mouse.move(box["x"] + 0.9 * box["width"], y)
    until(page, "+d.wheel < -0.5")
    page.mouse.up()
    until(page, "Math.abs(d.wheel) < 0.1")


def test_a_finger_steers(show):
    page = show(Drive(), has_touch=True)
    box = page.locator("canvas").bounding_box()
    page.get_by_role("button", name="Drive").tap()
    until(page, "d.running === 'true'")
    finger = page.context.new_cdp_session(page)
    at = {"x": box["x"] + 0.9 * box["width"], "y": box["y"] + 0.6 * box["height"]}
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    until(page, "+d.wheel < -0.5")
    finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at | {"x": box["x"] + 9}]})
    until(page, "+d.wheel > 0.5")
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    until(page, "Math.abs(d.wheel) < 0.1")


def test_no_key_leaks_and_no_key_is_taken_without_the_focus(show):
    page = show(Drive(), before='<textarea rows="3">words</textarea>', style="height: 3000px")
    page.evaluate("""() => { window.leaked = [];
        document.body.addEventListener("keydown", (event) => leaked.push(event.key)); }""")
    page.get_by_role("application").focus()
    for key in ("Space", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "a", "d"):
        page.keyboard.press(key)
    until(page, "+d.t > 2")
    assert page.evaluate("[scrollY, leaked, document.querySelector('textarea').value]") == [0, [], "words"]
    page.keyboard.press("b")
    page.keyboard.press("Control+d")
    assert page.evaluate("leaked") == ["b", "Control", "d"], "what is no steering is the page's"
    page.keyboard.press("Enter")
    page.locator("textarea").focus()
    page.keyboard.type("a d ")
    assert "a d " in page.locator("textarea").input_value()
    assert now(page)["running"] == "false"


def test_nothing_runs_that_is_not_started_or_not_to_be_seen(show):
    page = show(Drive(), style="height: 5000px")
    page.evaluate("testSeen()")
    until(page, "testStill()", most=3)
    page.get_by_role("application").focus()
    page.keyboard.press("Space")
    until(page, "+d.t > 3")
    page.evaluate("scrollTo(0, 4000); testSeen()")
    until(page, "testStill()", most=3)
    before = now(page)
    assert before["running"] == "true" and not passes(page, "!testStill()", most=12) and now(page) == before
    page.evaluate("scrollTo(0, 0); testSeen()")
    until(page, f"+d.t > {before['t']}", most=5)


def test_two_on_one_page_are_independent_even_when_equal(show, steady):
    page = show(Drive({"BC": steady, "DAgger": steady}), Drive({"BC": steady, "DAgger": steady}),
                Drive(seed=1))
    page.get_by_role("radio", name="DAgger").nth(1).check()
    assert [now(page, k)["driver"] for k in range(3)] == ["you", "DAgger", "you"]
    page.locator("canvas").nth(1).focus()
    page.keyboard.press("Space")
    until(page, "+d.t > 5", nth=1)
    assert [now(page, k)["t"] for k in (0, 2)] == ["0", "0"]
    page.locator("canvas").nth(2).focus()
    page.keyboard.press("Space")
    page.keyboard.down("ArrowLeft")
    until(page, "+d.wheel > 0.3", nth=2)
    page.keyboard.up("ArrowLeft")
    assert now(page, 0)["wheel"] == "0" and now(page, 1)["running"] == "true"
    assert page.evaluate("Object.keys(window).filter((key) => /^il|render|WAVES|step/.test(key))") == []


# -- drivers, and a nudge


def pushed(policy, phases, push, steps):
    """Offsets of a driver that is nudged at the start, as the page nudges: 0.18 half lanes a step."""
    env = il.Driving()
    obs = env.place(torch.zeros(1), torch.zeros(1), torch.tensor([phases]))
    offsets = []
    for _ in range(steps):
        action = policy.act(obs).detach()
        moved = max(-0.18, min(0.18, push))
        push -= moved
        env.place((env._offset + moved).clamp(-3, 3), env._heading, env._phases)
        obs, *_ = env.step(action)
        offsets.append(float(obs[0, 0]))
    return offsets


def where_they_part(drivers, push=1.8, steps=120):
    """A road on which BC does not come back from a nudge to the left within six seconds, and DAgger does."""
    for seed in range(30):
        phases = Drive(seed=seed).phases
        ends = {name: pushed(policy, phases, push, steps) for name, policy in drivers.items()}
        if min(abs(x) for x in ends["BC"][-60:]) > 1.3 and max(abs(x) for x in ends["DAgger"][-60:]) < 0.7:
            return seed, ends
    raise AssertionError("on none of 30 roads is BC lost where DAgger comes back")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["BC", "DAgger"])
def test_nudged_off_its_lane_dagger_comes_back_where_bc_does_not(show, drivers, name):
    seed, ends = where_they_part(drivers)
    page = show(Drive(drivers, seed=seed))
    page.get_by_role("radio", name=name).check()
    page.evaluate("""() => { const press = (what) => document.querySelector(`[data-do=${what}]`).click();
        press("start"); press("left"); press("left"); }""")
    until(page, "+d.t === 118")
    found = now(page)
    assert math.isclose(float(found["offset"]), ends[name][117], abs_tol=0.25)
    assert (abs(float(found["offset"])) < 1) == (name == "DAgger")
    line = page.locator(".line").text_content()
    assert line.startswith(name) and (int(found["off"]) > 80) == (name == "BC")
    assert ("is back in the lane" in status(page)) == (name == "DAgger")


def test_keys_buttons_and_mouse_nudge_whoever_drives(show, steady):
    page = show(Drive({"DAgger": steady}))
    left, right = page.get_by_role("button",
                                   name="Nudge left"), page.get_by_role("button", name="Nudge right")
    assert not left.is_visible()
    page.get_by_role("radio", name="DAgger").check()
    assert left.is_disabled()
    page.get_by_role("application").focus()
    page.keyboard.press("Space")
    for nudge, side in ((lambda: page.keyboard.press("ArrowLeft"), 1), (lambda: page.keyboard.press("d"), -1),
                        (left.click, 1), (right.click, -1)):
        until(page, "Math.abs(d.offset) < 0.2")
        nudge()
        until(page, f"d.offset * {side} > 0.5")
    box = page.locator("canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 0.8 * box["height"]
    until(page, "Math.abs(d.offset) < 0.2")
    page.mouse.click(x + 200, y)
    until(page, "d.offset < -0.5")
    until(page, "Math.abs(d.offset) < 0.2")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 260, y, steps=5)
    page.mouse.up()
    until(page, "d.offset > 1")
    until(page, "Math.abs(d.offset) < 0.5")


def test_the_wheel_changes_hands_in_mid_drive(show, steady):
    page = show(Drive({"BC": steady, "DAgger": steady}))
    page.get_by_role("radio", name="BC").check()
    page.get_by_role("button", name="Let BC drive").click()
    until(page, "+d.t > 10")
    page.get_by_role("radio", name="DAgger").check()
    until(page, "d.driver === 'DAgger' && +d.t > 15 && d.running === 'true'")
    assert "takes the wheel" in status(page)
    page.get_by_role("radio", name="you").check()
    until(page, "d.driver === 'you' && d.running === 'false' && d.t === '0'")


# -- everyone can use it


def test_a_keyboard_is_enough_and_a_screen_reader_is_told(show, steady):
    page = show(Drive({"BC": steady, "DAgger": steady}))
    page.keyboard.press("Tab")
    canvas = page.get_by_role("application")
    assert page.evaluate("document.activeElement.tagName") == "CANVAS"
    told = canvas.get_attribute("aria-label")
    assert "You are at the wheel" in told and "←" in told
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "radio"
    page.keyboard.press("ArrowDown")
    assert now(page)["driver"] == "BC" and "BC is at the wheel" in canvas.get_attribute("aria-label")
    for control in page.locator("canvas, .il-drive button, .il-drive input").all():
        assert control.get_attribute("data-lm-suppress-shortcuts") == "true"
    for button in page.get_by_role("button").all():
        assert button.text_content().strip()
    page.evaluate("""() => { window.said = []; const status = document.querySelector("[role=status]");
        new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true }); }""")
    canvas.focus()
    page.keyboard.press("Space")
    until(page, "+d.t > 30")
    page.keyboard.press("Space")
    until(page, "d.running === 'false'")
    assert len(page.evaluate("said")) <= 6, "it speaks of events, not of every step"


def test_less_motion_means_a_road_that_stands_still(show, steady):
    page = show(Drive({"BC": steady, "DAgger": steady}), reduced_motion="reduce")
    assert page.get_by_role("checkbox", name="from above").is_checked()
    page.get_by_role("application").focus()
    page.keyboard.press("Space")
    page.keyboard.down("ArrowRight")
    until(page, "+d.wheel < -0.5 && +d.t > 10")
    page.keyboard.up("ArrowRight")
    corner = """() => { const canvas = document.querySelector("canvas"), w = canvas.width, h = canvas.height;
        return [...canvas.getContext("2d").getImageData(0, h - 40, w / 4, 40).data].join(); }"""
    t, before = now(page)["t"], page.evaluate(corner)
    until(page, f"+d.t > {t} + 3")
    assert page.evaluate(corner) == before, "the scenery does not move"
    assert page.evaluate("document.getAnimations().length") == 0
    moving = show(Drive({"BC": steady, "DAgger": steady}), reduced_motion="no-preference")
    assert not moving.get_by_role("checkbox", name="from above").is_checked()


@pytest.mark.parametrize("width", [340, 480, 900])
@pytest.mark.parametrize("sharp", [1, 2])
def test_the_canvas_fits_and_is_sharp(show, steady, width, sharp):
    page = show(Drive({"BC": steady, "DAgger": steady}), width=width, device_scale_factor=sharp)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    pixels, css = page.locator("canvas").evaluate("(c) => [c.width, c.clientWidth]")
    assert pixels == sharp * css


@pytest.mark.parametrize("ground, ink", [("#fff", "#111"), ("#111", "#eee")])
def test_the_sky_follows_the_page(show, ground, ink):
    page = show(Drive(), style=f"background: {ground}; color: {ink}")
    sky = page.locator("canvas").evaluate("(c) => [...c.getContext('2d').getImageData(c.width / 2, 2, 1, "
                                          "1).data]")
    assert (sum(sky[:3]) > 300) == (ground == "#fff")
