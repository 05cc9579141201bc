"""Executes the pages that have to be, as many at once as the machine bears, and hands the outputs to the
site.

    execute.py TARGET [PAGE ...]    (the named pages whether they have to be or not)

Each page runs in a kernel of its own. It is executed again when its code cells change, or what they reach by
import (reach.py), or a pin; not when its prose does, nor a figure's JavaScript, nor a table of results.
TARGET/executed holds the executed pages; TARGET/.jupyter_cache is filled from there on every run, so the
site's engine executes nothing.
"""
from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import reach
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

PAGES = Path(__file__).resolve().parent.parent
ROOT = PAGES.parent
MEMORY = 1.5 * 2**30  # bytes that a page may need
EVERY = 30  # seconds between two signs of life
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Wrong(Exception):
    """A page that cannot be executed, and why."""


@dataclass
class Page:
    """A page as it is now, and what its last execution left behind."""

    name: str
    notebook: nbformat.NotebookNode
    key: str
    tables: dict[str, str]
    file: Path
    last: nbformat.NotebookNode | None

    @property
    def code(self) -> list[nbformat.NotebookNode]:
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def fresh(self) -> bool:
        return self.last is not None and self.last.metadata.executed.key == self.key

    @property
    def seconds(self) -> float:
        """How long it took the last time; a page that was never executed may be long."""
        return self.last.metadata.executed.seconds if self.last else 30.0

    def where(self, cell: nbformat.NotebookNode) -> str:
        index = self.notebook.cells.index(cell)
        line = self.notebook.metadata.source_map[index] + 1
        return f"{self.name}.md, cell {self.code.index(cell) + 1} (line {line})"


def plain_python(cells: list[nbformat.NotebookNode]) -> str:
    return "\n".join(TransformerManager().transform_cell(cell.source) for cell in cells)


def stored(file: Path) -> nbformat.NotebookNode | None:
    """An executed page; None if there is none, or what is there was written by half."""
    try:
        notebook = nbformat.read(file, 4)
        return notebook if "executed" in notebook.metadata else None
    except (OSError, ValueError):
        return None


def read(names: list[str], settings: dict, executed: Path) -> list[Page]:
    """Raises Wrong for a page whose code is no Python."""
    package = reach.Package(ROOT / "ilsupport")
    pins = reach.pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    markdown = MdParserConfig(enable_extensions=settings["parse"]["myst_enable_extensions"])
    pages = []
    for name in names:
        file = PAGES / f"{name}.md"
        text = file.read_text(encoding="utf-8")
        notebook = read_myst_markdown_notebook(text, markdown, add_source_map=True, path=file)
        code = plain_python([cell for cell in notebook.cells if cell.cell_type == "code"])
        try:
            key = reach.key(code, package, pins)
        except SyntaxError as error:
            what = (error.text or "").strip()
            raise Wrong(f"{name}.md: a code cell is no Python: {error.msg}: {what}") from error
        place = executed / f"{name}.ipynb"
        pages.append(Page(name, notebook, key, reach.tables(code, PAGES / "_data"), place, stored(place)))
    return pages


# --- executing ---


def at_once() -> int:
    """How many pages to execute at once: one a core, where the free memory holds them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(psutil.virtual_memory().available / MEMORY)))


async def run_cells(notebook: nbformat.NotebookNode, timeout: float, **options: bool) -> None:
    """Run a notebook's cells in a kernel of its own, among the pages. Raises what nbclient does."""
    client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", store_widget_state=False,
                            record_timing=False, resources={"metadata": {"path": str(PAGES)}}, **options)
    with tempfile.TemporaryDirectory() as sockets:
        kernel = client.create_kernel_manager()
        if os.name != "nt":  # files, not ports, for which two kernels that start at once could race
            kernel.transport, kernel.ip = "ipc", str(Path(sockets) / "kernel")
        await client.async_execute()


def warned(cell: nbformat.NotebookNode) -> str:
    """What the cell wrote to standard error."""
    return "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stderr")


async def execute(page: Page, timeout: float) -> float:
    """Run the page's cells; returns the seconds it took. Raises Wrong: where, why."""
    start = time.monotonic()
    try:
        if page.code:
            await run_cells(page.notebook, timeout)
    except CellExecutionError as error:
        failed = [cell for cell in page.code if any(o.output_type == "error" for o in cell.outputs)]
        raise Wrong(f"{page.where(failed[-1])}: {error.ename}: {error.evalue}\n{error.traceback}") from error
    except CellTimeoutError as error:
        begun = [cell for cell in page.code if cell.execution_count or cell.outputs] or page.code
        raise Wrong(f"{page.where(begun[-1])}: this cell, or the next, took over {timeout:g} s") from error
    except DeadKernelError as error:
        raise Wrong(f"{page.name}.md: its Python died, most often because the memory is full") from error
    for cell in page.code:
        if said := warned(cell):
            raise Wrong(f"{page.where(cell)}: a warning on standard error, which counts as an error:\n{said}")
    return time.monotonic() - start


def keep(page: Page, seconds: float) -> None:
    """Store an executed page; a build that is stopped halfway goes on from here."""
    page.notebook.metadata["executed"] = {
        "key": page.key, "seconds": round(seconds, 2), "tables": page.tables}
    half = page.file.with_suffix(".half")
    nbformat.write(page.notebook, half)
    half.replace(page.file)
    page.last = page.notebook


class Progress:
    """Says which page is done and how long it took, which ones are running, and what is left."""

    def __init__(self, jobs: list, lanes: int) -> None:
        self.left, self.total, self.lanes = list(jobs), len(jobs), lanes
        self.running: dict[str, float] = {}

    def say(self, what: str) -> None:
        now = time.monotonic()
        busy = ", ".join(f"{name} for {now - since:.0f} s" for name, since in self.running.items())
        print(f"    {what}{f'   (running: {busy})' if busy else ''}", flush=True)

    def ended(self, job, seconds: float, problem: str = "") -> None:
        del self.running[job.name]
        self.left.remove(job)
        self.say(f"[{self.total - len(self.left)}/{self.total}] {seconds:5.1f} s  {job.name}{problem}")

    async def signs_of_life(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            self.say(f"[{self.total - len(self.left)}/{self.total}] {self.remaining()}")

    def remaining(self) -> str:
        """From what each page took the last time; nothing is said where a page has no last time."""
        now = time.monotonic()
        left = [job.seconds - now + self.running.get(job.name, now) for job in self.left]
        known = all(job.last for job in self.left) and min(left) > 0
        return f"... about {sum(left) / self.lanes:.0f} s to go" if known else "..."


async def in_lanes(jobs: list, work: Callable[..., Awaitable[float]], what: str = "page") -> list[str]:
    """Do the work of every job, as many at once as the machine bears, the longest first; returns what went
    wrong. No job stops another.

    A job has a `name`, `seconds` that it may take, and `last`, which is None where that is a guess. Its work
    returns the seconds that it took, or raises Wrong.
    """
    lanes, wrong = min(at_once(), len(jobs)), []
    progress = Progress(jobs, lanes)
    queue = sorted(jobs, key=lambda job: -job.seconds)

    async def lane() -> None:
        while queue:
            job, start = queue.pop(0), time.monotonic()
            progress.running[job.name] = start
            try:
                progress.ended(job, await work(job))
            except Wrong as problem:
                wrong.append(str(problem))
                progress.ended(job, time.monotonic() - start, "  FAILED")

    print(f"==> Executing {len(jobs)} {what}{'s' * (len(jobs) != 1)}, {lanes} at once", flush=True)
    alive = asyncio.create_task(progress.signs_of_life())
    try:
        await asyncio.gather(*(lane() for _ in range(lanes)))
    finally:
        alive.cancel()
    return wrong


async def execute_all(pages: list[Page], timeout: float) -> list[str]:
    """Execute and store these pages; returns what went wrong."""
    async def work(page: Page) -> float:
        keep(page, await execute(page, timeout))
        return page.seconds

    return await in_lanes(pages, work)


# --- what the site gets ---


def hand_over(pages: list[Page], target: Path) -> None:
    """Fill the cache of the site's engine with the pages as they are now, each cell with its last outputs."""
    cache = get_cache(target / ".jupyter_cache")
    cache.clear_cache()
    for page in pages:
        executed = iter([cell for cell in page.last.cells if cell.cell_type == "code"])
        for cell in page.code:
            cell.outputs, cell.execution_count = (last := next(executed)).outputs, last.execution_count
        page.notebook.metadata["language_info"] = page.last.metadata.get("language_info", {})
        bundle = CacheBundleIn(page.notebook, str(PAGES / f"{page.name}.md"),
                               data={"execution_seconds": page.seconds})
        cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def contents() -> list[str]:
    """The pages of the book, in reading order."""
    toc = yaml.safe_load((PAGES / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc.get("parts", []) for chapter in part["chapters"])]


def whole_book(named: list[str], executed: Path) -> tuple[list[Page], float]:
    """Every page, and the seconds that a cell may take. Raises Wrong if one of the named is no page."""
    names, settings = contents(), yaml.safe_load((ROOT / "book.yml").read_text(encoding="utf-8"))
    if unknown := [name for name in named if name not in names]:
        raise Wrong(f"There is no page {unknown[0]!r}, expected one of {', '.join(names)}")
    return read(names, settings, executed), settings["execute"]["timeout"]


def build(target: Path, named: list[str]) -> None:
    """Execute what has to be, and the named pages, and hand all to the site. Raises Wrong."""
    executed = target / "executed"
    executed.mkdir(parents=True, exist_ok=True)
    pages, timeout = whole_book(named, executed)
    due = [page for page in pages if page.name in named or not page.fresh]
    if not due:
        print("==> No page has to be executed", flush=True)
    elif wrong := asyncio.run(execute_all(due, timeout)):
        # Once more in a line each, at the end, which is what one sees of a long log.
        briefly = [f"    {COLOURS.sub('', problem).splitlines()[0]}" for problem in wrong]
        summary = "\n".join([f"{len(wrong)} of {len(due)} pages failed:", *briefly])
        raise Wrong("\n\n".join(["", *wrong, summary]))
    for page in pages:
        if page.last.metadata.executed.tables != page.tables:
            print(f"==> {page.name} reads a table that changed since it was executed "
                  f"({', '.join(page.tables)}); to execute it again: make book ARGS={page.name}", flush=True)
    for left in set(executed.glob("*.ipynb")) - {page.file for page in pages}:
        left.unlink()
    hand_over(pages, target)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("named", nargs="*", metavar="page")
    options = parser.parse_args(arguments)
    try:
        build(options.target, options.named)
    except Wrong as problem:
        sys.exit(str(problem) if sys.stderr.isatty() else COLOURS.sub("", str(problem)))
    except KeyboardInterrupt:
        sys.exit("\nStopped; what was executed is kept")


if __name__ == "__main__":
    main()
