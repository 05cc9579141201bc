"""A headless Chromium without a network, for the tests of the built pages and for pictures of them."""
from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from clock import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
# MathJax has drawn its formulas when its start-up promise is kept; pages without formulas do not load it.
DRAWN = "window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => true) : true"


def find() -> str | None:
    """The path of a Chromium that is installed here, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser(path: str) -> Iterator:
    """A running browser (Playwright's `Browser`), closed at the end."""
    from playwright.sync_api import sync_playwright  # loads only where a browser is wanted

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE)
        yield running
        running.close()


def open_page(browser, address: str, theme: str = "light", **options):
    """A page opened offline in light or dark, once its formulas are drawn; the caller closes `page.context`.

    It carries two lists: `outside`, the addresses it asked a network for, and `errors`, those of its scripts.
    """
    context = browser.new_context(offline=True, color_scheme=theme, reduced_motion="reduce", **options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.outside, page.errors = [], []
    page.on("request", lambda request: request.url.startswith("http") and page.outside.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and page.errors.append(
        f"{message.text} ({message.location['url']})"))
    page.goto(address)
    page.evaluate(DRAWN)
    return page
