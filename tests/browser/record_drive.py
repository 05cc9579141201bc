"""Makes the drive that ships with the book: `python tests/browser/record_drive.py`, about two minutes.

Nobody sat at the keyboard. A script did, through the real widget and with real key events, and with a
person's failings: it acts on what it saw a fifth of a second ago (and later, as the keys take their time),
misjudges where it is, leaves small errors alone, only ever holds or releases a key, and looks away for a
moment now and then. The wall clock is in it too, so two recordings differ.
"""
from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import chromium

from ilsupport.widgets.drive import SHIPPED, Drive

DELAY, SLACK, BLUR = 4, 0.15, 0.06  # steps, shares of full lock
KEYS = {1: "ArrowLeft", -1: "ArrowRight"}
PAGE = """<!doctype html><meta charset="utf-8"><div id="here"></div><script type="module">
SOURCE
const state = STATE;
const nothing = () => {}, get = (key) => state[key], send = (message) => { window.sent = message; };
const model = { get, send, set: nothing, save_changes: nothing, on: nothing, off: nothing };
ilWidget.render({ model, el: document.querySelector("#here") });
</script>"""
SEE = """(before) => {
  const now = document.querySelector("canvas").dataset;
  return now.t !== before && { ...now };
}"""


def recording(widget: Drive) -> str:
    """A page with the widget as a notebook has it, except that what it sends to Python stays in
    `window.sent`."""
    source = widget._esm.replace("export default ", "const ilWidget = ")
    state = widget.placeholder().partition("json\">")[2].partition("</script>")[0]
    return PAGE.replace("SOURCE", source).replace("STATE", state)


def fingers(rng: random.Random) -> Iterator[int]:
    """Which key to hold, 1 left, -1 right, 0 none.

    Sent the step and what is to be seen, answers what was seen before.
    """
    seen, key, away = [], 0, rng.randint(60, 120)
    while True:
        t, now = yield key
        seen.append((t, now))
        offset, heading, bend, _ = next(what for when, what in reversed(seen)
                                        if when <= max(t - DELAY, seen[0][0]))
        if t >= away:  # looks away for 0.4 s, and keeps pressing what it pressed
            if t >= away + 8:
                away = t + rng.randint(60, 120)
            continue
        wanted = bend - 0.7 * offset - 2.5 * heading + rng.gauss(0,
                                                                 BLUR) - now[3]  # it feels the wheel it holds
        key = 1 if wanted > SLACK else -1 if wanted < -SLACK else 0


def drive(page, rng: random.Random) -> dict:
    """One drive at the keyboard; what the widget recorded of it."""
    driver, held = fingers(rng), 0
    next(driver)
    page.locator("canvas").focus()
    page.keyboard.press("Space")
    before = "0"
    while page.locator("canvas").get_attribute("data-running") == "true":
        now = page.wait_for_function(f"window.sent ? {{}} : ({SEE})({json.dumps(before)})").json_value()
        if not now:
            break
        before = now["t"]
        key = driver.send((int(before), [float(now[name])
                                         for name in ("offset", "heading", "bend", "wheel")]))
        if key != held:
            if held:
                page.keyboard.up(KEYS[held])
            if key:
                page.keyboard.down(KEYS[key])
            held = key
    if held:
        page.keyboard.up(KEYS[held])
    return page.evaluate("window.sent")


def main() -> None:
    episodes = []
    with chromium.browser(chromium.find()) as browser, tempfile.TemporaryDirectory() as folder:
        for seed in range(4):
            widget = Drive(seed=seed)
            page_file = Path(folder) / "page.html"
            page_file.write_text(recording(widget), encoding="utf-8")
            page = browser.new_page(offline=True)
            page.goto(page_file.as_uri())
            page.wait_for_selector("canvas[data-t]")
            sent = drive(page, random.Random(seed))
            print(f"road {seed}: {len(sent['steering'])} steps. "
                  + page.locator("[role=status]").text_content(), flush=True)
            episodes.append({"phases": widget.phases, "steering": sent["steering"]})
            page.close()
    made = {"made_by": "tests/browser/record_drive.py", "episodes": episodes}
    SHIPPED.write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
