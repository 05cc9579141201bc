"""The built book, as the tests see it: its table of contents, and its site, built only if it is stale."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

import tasks
from coursework import source

NOTEBOOKS = tasks.ROOT / "notebooks"
source.write_pages(NOTEBOOKS)  # the pages of the homework are generated, and in the table of contents


def toc() -> list[str]:
    """The names of the pages in the table of contents, in reading order."""
    contents = yaml.safe_load((NOTEBOOKS / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    return [contents["root"], *chapters]


@pytest.fixture(scope="session")
def site(request) -> Path:
    """The folder of the site, built as `make book` builds it: every page executed, every warning an error."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # a build of minutes shows its progress
        tasks.build(Path(sys.executable))
    return tasks.SITE
