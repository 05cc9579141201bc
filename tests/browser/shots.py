"""Pictures of the built pages in light and in dark, for people: `python tasks.py shots [page ...]`.

A long page comes in several pictures, in _build/shots, so that it can be read. `--width 420` shows a phone's.
"""
from __future__ import annotations

import argparse
from pathlib import Path

from chromium import browser, find, open_page

ROOT = Path(__file__).resolve().parents[2]
SITE, SHOTS = ROOT / "_build" / "html", ROOT / "_build" / "shots"


def main() -> None:
    parser = argparse.ArgumentParser(prog="tasks.py shots", description="Take pictures of the built pages.")
    parser.add_argument("pages", nargs="*", help="names such as 05-dagger; all pages if none is given")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=1600, help="of one picture, in pixels")
    options = parser.parse_args()
    pages = options.pages or [path.stem for path in sorted(SITE.glob("*.html"))]
    SHOTS.mkdir(parents=True, exist_ok=True)
    path = find() or parser.error("no Chromium or Chrome here (on Debian and Ubuntu: apt install chromium)")
    with browser(path) as running:
        for name in pages:
            for theme in ("light", "dark"):
                page = open_page(running, (SITE / f"{name}.html").as_uri(), theme,
                                 viewport={"width": options.width, "height": options.height})
                page.add_style_tag(content="* { transition: none !important }")  # no half-open sidebar
                for details in page.locator("details, .toggle-button").all():
                    details.evaluate("e => e.tagName === 'DETAILS' ? e.open = true : e.click()")
                height = page.evaluate("document.documentElement.scrollHeight")
                for old in SHOTS.glob(f"{name}-{theme}-*.png"):
                    old.unlink()
                for i, top in enumerate(range(0, height, options.height)):
                    page.screenshot(path=SHOTS / f"{name}-{theme}-{i:02}.png", full_page=True, clip={
                        "x": 0, "y": top,
                        "width": options.width, "height": min(options.height, height - top)})
                page.context.close()
                print(f"{name} {theme}: {i + 1} pictures in {SHOTS.relative_to(ROOT)}", flush=True)


if __name__ == "__main__":
    main()
