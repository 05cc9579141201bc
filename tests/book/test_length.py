"""No page is longer than a reader's patience, and each promises the time that it takes."""
from __future__ import annotations

import length
import pytest
from built import toc

PAGES = [page for page in toc() if not page.startswith("hw")]
MOST = {"words of all pages": 80_000, "words of prose in sight": 2_500, "cells in sight": 25}
# Still longer than that; a page that was shortened leaves the list.
LONG = {"10-locomotion"}


@pytest.mark.parametrize("page", PAGES)
def test_page_is_no_longer_than_one_sitting(page):
    found = length.measure(page)
    fits = found.prose <= MOST["words of prose in sight"] and found.cells <= MOST["cells in sight"]
    assert fits != (page in LONG), f"{found.prose} words of prose and {found.cells} cells are in sight"


@pytest.mark.parametrize("page", PAGES)
def test_page_promises_the_minutes_it_takes(page):
    found = length.measure(page)
    assert found.promised in (None, found.minutes)


def test_what_is_folded_is_not_in_sight():
    prose, cells = length.in_sight(
        "One two.\n\n````{prf:theorem} Name\n:label: thm-x\nthree $a + b$\n\n$$ c $$ (eq-c)\n````\n\n"
        "````{prf:proof}\n:class: dropdown\nhidden\n````\n\n```{dropdown} Why\nhidden\n```\n\n"
        "```{code-cell} ipython3\n:tags: [hide-input]\n\nfolded()\n```\n\n"
        "```{code-cell} ipython3\nseen()\n```\n\n"
        "```{solution-start} ex-x\n:class: dropdown\n```\n\n"
        "hidden\n\n```{code-cell} ipython3\nanswer()\n```\n\n"
        "```{solution-end}\n```\n\nfour\n")
    assert sum(map(length.count, prose)) == 5, "a formula in a sentence counts as a word"
    assert len(cells) == 1 and "seen()" in cells[0]
