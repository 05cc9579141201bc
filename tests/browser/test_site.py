"""Every built page, opened from its file with no network, in light and in dark: whole, readable and quiet."""
from __future__ import annotations

from pathlib import Path

import pytest
from built import toc
from chromium import open_page

pytestmark = pytest.mark.browser

CHECKS = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")
BENIGN = (
    "THEBE_JS_URL",  # the theme's script for live code, which the book does not use
    "Access to font", ".woff2",  # preloaded from a file, in vain; the page then loads its fonts another way
    "invalid theme mode: . Resetting to auto",  # the theme, to a reader who has not chosen light or dark yet
)


@pytest.fixture(scope="module", params=["light", "dark"])
def theme(request):
    return request.param


@pytest.fixture(scope="module", params=[*toc(), "genindex", "search"])
def page(request, site, browser, theme):
    opened = open_page(browser, (site / f"{request.param}.html").as_uri(), theme)
    yield opened
    opened.context.close()


@pytest.fixture(scope="module")
def complaints(page):
    return page.evaluate(CHECKS)


def test_page_is_as_light_or_dark_as_the_reader_prefers(page, theme):
    assert page.evaluate("document.documentElement.dataset.theme") == theme


def test_page_asks_for_nothing_outside(page):
    assert page.outside == []


def test_page_runs_without_script_errors(page):
    assert [error for error in page.errors if not any(known in error for known in BENIGN)] == []


def test_page_draws_every_formula(complaints):
    assert complaints["latexErrors"] == []
    assert complaints["undrawn"] == []


def test_every_figure_says_what_it_shows(complaints):
    assert complaints["withoutAlt"] == []


def test_text_and_ink_stand_out_from_the_ground(complaints):
    assert complaints["faint"] == []


def test_search_in_the_sidebar_finds_a_page(site, browser):
    page = open_page(browser, (site / "index.html").as_uri())
    page.locator(".bd-sidebar .search-button__button").click()
    page.locator("#search-input:visible").fill("tightrope")
    page.keyboard.press("Enter")
    results = page.locator("#search-results ul.search li a")
    results.first.wait_for()
    found = {result.get_attribute("href").split(".html")[0] for result in results.all()}
    assert found & set(toc())
    assert page.outside == []
    page.context.close()


WRONG = """<!doctype html><html><body style="background: #fff"><article>
<p style="color: #ddd">faint</p><p>left over {prf:ref}</p><img src="data:,"><span class="math">x</span>
<mjx-container><span style="color: red">an error</span></mjx-container>
<div class="cell_output">
  <svg role="img" aria-label="white ink on white"><path stroke="#fff" d="M0 0L9 9"/></svg><svg></svg>
</div></article>
<script>fetch("http://localhost:9/").catch(() => 0); throw new Error("a script error")</script>
</body></html>"""


def test_the_checks_see_what_they_look_for(browser, tmp_path):
    (tmp_path / "wrong.html").write_text(WRONG, encoding="utf-8")
    page = open_page(browser, (tmp_path / "wrong.html").as_uri())
    complaints = page.evaluate(CHECKS)
    assert page.outside == ["http://localhost:9/"]
    assert any("a script error" in error for error in page.errors)
    assert len(complaints["latexErrors"]) == 1
    assert complaints["undrawn"] == ["{prf:ref}"]
    assert len(complaints["withoutAlt"]) == 2
    assert len(complaints["faint"]) == 2
    page.context.close()
