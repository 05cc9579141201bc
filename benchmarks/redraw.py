"""From a slider's input event to a redrawn figure, in ms: in a page opened from disk, and in a live
JupyterLab.

`python benchmarks/redraw.py` prints the medians of one run beside the bars (20 ms static, 50 ms live, and 60
frames a second while the car drives). Three clocks a move: script, the JavaScript that computes and draws;
frame, until the browser has laid out and painted the frame after it; and, live, python, until a value that
Python computed from the moved slider is back in the page. The figure does not wait for Python, so that last
clock has no bar; it is what a figure that Python draws (`widgets.Frames`) pays before it draws. A frame comes
60 times a second, so the frame clock starts at 16.7 ms.
"""
from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

import chromium  # noqa: E402  (the tests' own browser and server)
from lab import jupyter_lab, run  # noqa: E402

from ilsupport.widgets import BoundsExplorer, Drive  # noqa: E402

STATES = [dict(), dict(rho=0.05), dict(eps=0.3, rho=1.0), dict(assumption="A", rho=0.05)]
MOVES = 60
MOVE = """async (moves) => {
  const slider = document.querySelector("[data-slider=T]"), plot = document.querySelector("svg.plot");
  const script = [], frame = [];
  for (let k = 0; k < moves; k++) {
    slider.value = 20 + (7 * k) % 50;
    await new Promise(requestAnimationFrame);
    const began = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    script.push(+plot.dataset.redrawMs);
    await new Promise((done) => requestAnimationFrame(() => {  // then one task later: painted
      const after = new MessageChannel();
      after.port1.onmessage = done;
      after.port2.postMessage(0);
    }));
    frame.push(performance.now() - began);
  }
  return { script, frame };
}"""
ECHO = """async (moves) => {
  const slider = document.querySelector("[data-slider=T]"), echo = document.querySelector(".echo");
  const python = [], any = { childList: true, subtree: true, characterData: true };
  for (let k = 0; k < moves; k++) {
    const answered = new Promise((done) => new MutationObserver(done).observe(echo, any));
    const began = performance.now();
    slider.value = 20 + (7 * k) % 50;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await answered;
    python.push(performance.now() - began);
  }
  return { python };
}"""
DRIVE = """async (frames) => {  // a car on its way: the script of each frame, and from frame to frame
  const canvas = document.querySelector("canvas"), script = [], frame = [];
  document.querySelector("[data-do=start]").click();
  for (let k = 0, before = 0; k < frames; k++) {
    const now = await new Promise(requestAnimationFrame);
    if (k > 30) { script.push(+canvas.dataset.drawMs); frame.push(now - before); }  // the first warm it up
    before = now;
  }
  return { script, frame };
}"""
NOTEBOOK = """---
kernelspec: {display_name: Python 3, language: python, name: python3}
jupytext: {text_representation: {extension: .md, format_name: myst, format_version: 0.13}}
---

```{code-cell}
import ipywidgets
from ilsupport import bounds
from ilsupport.widgets import BoundsExplorer
figure, echo = BoundsExplorer(), ipywidgets.Label("-").add_class("echo")
figure.observe(lambda change: setattr(echo, "value", str(bounds.sharp(figure.eps, figure.T))), "T")
display(figure, echo)
```
"""


def show(where: str, times: dict[str, list[float]], bar: float = float("inf")) -> None:
    for clock, values in times.items():
        middle = statistics.median(values)
        high = statistics.quantiles(values, n=10)[-1]
        print(f"{where:<44} {clock:<7} median {middle:6.1f} ms   90 % below {high:6.1f} ms"
              + (f"   bar {bar:g}" if bar < float("inf") else "") + ("" if middle < bar else "   MISSED"),
              flush=True)


def measure(show: Callable = show) -> dict[str, list[float]]:
    """Milliseconds to a painted frame, static (all states together), live, and driving.

    `show` is told of each clock.
    """
    path = chromium.find() or sys.exit("no Chromium or Chrome here")
    frames: dict[str, list[float]] = {"static": [], "live": []}
    with chromium.browser(path) as browser, tempfile.TemporaryDirectory() as folder:
        for state in STATES:
            page_file = Path(folder) / "page.html"
            html = '<!doctype html><meta charset="utf-8">' + BoundsExplorer(**state).standalone()
            page_file.write_text(html, "utf-8")
            page = chromium.open_page(browser, page_file.as_uri())
            page.wait_for_selector("svg.plot[data-redraws]")
            page.evaluate(MOVE, MOVES)  # warms the engine up
            times = page.evaluate(MOVE, MOVES)
            frames["static"] += times["frame"]
            show(f"static {state}", times, 20)
            page.context.close()
        page_file.write_text('<!doctype html><meta charset="utf-8">' + Drive(horizon=2000).standalone(),
                             "utf-8")
        page = browser.new_page(viewport={"width": 1280, "height": 900}, offline=True)
        page.goto(page_file.as_uri())
        page.wait_for_selector("canvas[data-draws]")
        times = page.evaluate(DRIVE, 300)
        frames["drive"] = times["frame"]
        show("static, the car on its way", times, 17)
        page.close()
        with jupyter_lab(Path(folder)) as lab:
            (lab.folder / "page.md").write_text(NOTEBOOK)
            page = lab.open(browser, "page.md")
            run(page, "notebook:run-all-cells")
            page.wait_for_selector("svg.plot[data-redraws]")
            page.wait_for_selector(".echo")
            page.evaluate(MOVE, MOVES)
            times = page.evaluate(MOVE, MOVES)
            frames["live"] += times["frame"]
            show("live", times, 50)
            show("live, and an answer from Python", page.evaluate(ECHO, MOVES))
    return frames


if __name__ == "__main__":
    measure()
