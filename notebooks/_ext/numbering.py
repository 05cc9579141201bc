"""Numbers a page, its statements, its equations and its figures as its file's name does.

05-dagger.md is page 5, with Theorem 5.1 and (5.1). Sphinx would count the pages of a contents list from 1,
and leave no gap. Pages to look things up in have letters.
"""
from __future__ import annotations

import re

from docutils import nodes
from sphinx.environment.collectors.toctree import TocTreeCollector

NAME = re.compile(r"(\d\d)-")
LETTERS = {"appendix-curves": "A", "audit": "B"}


def number(app, env) -> list[str]:
    """Give every page its number, then count its statements anew; returns the pages to be written again."""
    for page in env.found_docs:
        name = NAME.match(page)
        if name or page in LETTERS:
            secnumber = (int(name[1]) if name else LETTERS[page],)
            title, *sections = env.tocs[page].findall(nodes.reference)
            title["secnumber"] = env.titles[page]["secnumber"] = secnumber
            # A section without a number counts on in its page's; one that is not listed would show it.
            env.toc_secnumbers[page] = {"": secnumber, **{part["anchorname"]: () for part in sections}}
    return TocTreeCollector().assign_figure_numbers(env)


def setup(app) -> dict:
    app.connect("env-get-updated", number, priority=900)  # after Sphinx has counted
    return {"parallel_read_safe": True, "parallel_write_safe": True}
