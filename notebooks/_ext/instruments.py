"""Puts the JavaScript of the live figures into the pages, as it is when the site is built.

An executed page holds of each figure only its name and its state, so a change in its JavaScript executes
nothing.
"""
from __future__ import annotations

import re

from ilsupport.widgets.static import page_script

PLACE = re.compile(r'<div data-il="([\w. ]+)">')


def place(app, pagename, templatename, context, doctree) -> None:
    """End the page with one script for all its figures."""
    names = dict.fromkeys(name for name in PLACE.findall(context.get("body") or "") if name.endswith(".js"))
    if names:
        context["body"] += page_script(names)


def setup(app) -> dict:
    app.connect("html-page-context", place)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
