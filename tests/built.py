"""The built book, as the tests see it: its table of contents, and its site, built only if it is stale."""
from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

import tasks
from coursework import source

NOTEBOOKS = tasks.ROOT / "notebooks"
BUILD = [sys.executable, "-c", "import sys, tasks, pathlib; tasks.build(pathlib.Path(sys.executable))"]
LOCK = tasks.BUILD / "lock"
TELLS = re.compile(r"\b(WARNING|ERROR)\b")  # of the site's engine, which goes on after one
source.write_pages(NOTEBOOKS)  # the pages of the homework are generated, and in the table of contents


def toc() -> list[str]:
    """The names of the pages in the table of contents, in reading order."""
    contents = yaml.safe_load((NOTEBOOKS / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    return [contents["root"], *chapters]


@functools.cache  # tests of several folders ask, and a build that failed would fail again
def build() -> str:
    """Build the book as `make book` does: every page executed, every warning an error.

    What the build says is shown as it comes. Returns nothing, or why it failed. One process builds; others
    that run tests beside it wait, and find the site up to date.
    """
    said = []
    LOCK.parent.mkdir(exist_ok=True)
    with FileLock(LOCK), subprocess.Popen(
            BUILD, cwd=tasks.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            errors="replace") as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            said.append(line.rstrip())
    telling = [line for line in said[:-30] if TELLS.search(line)]
    return "\n".join([*telling[-30:], *said[-30:]]) if process.returncode else ""


def tell(config: pytest.Config, why: str) -> None:
    """Have the end of the run say why the book did not build; a process that only runs tests hands it on."""
    if hasattr(config, "workeroutput"):
        config.workeroutput["the book did not build"] = why
    elif not config.pluginmanager.has_plugin("told"):
        config.pluginmanager.register(Told(why), "told")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error) -> None:
    """A process that ran tests beside others ends."""
    if why := getattr(node, "workeroutput", {}).get("the book did not build"):
        tell(node.config, why)


class Told:
    """Says why the book did not build once, after all that the tests that need it had to say."""

    def __init__(self, why: str) -> None:
        self.why = why

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter):
        yield
        terminalreporter.section("The book did not build")
        terminalreporter.write_line(self.why)


@pytest.fixture(scope="session")
def site(request) -> Path:
    """The folder of the site, built as `make book` builds it."""
    plugins = request.config.pluginmanager
    with plugins.getplugin("capturemanager").global_and_fixture_disabled():  # minutes show their progress
        why = build()
    if why:
        tell(request.config, why)
        pytest.fail("the book did not build; the end of this run says why", pytrace=False)
    return tasks.SITE
