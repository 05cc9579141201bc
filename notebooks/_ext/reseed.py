"""Executes pages with all their seeds moved by the same number, and says how often each assertion held.

    reseed.py TARGET [PAGE ...] [--moves N]    (every page, ten moves)

An assertion inside a loop or a function counts once; it holds in a move when it held each time it was
reached, and was reached. Neither it nor an error stops a page: what stands after them is executed too.
Results are kept after every page, and what they hold of a page as it is now is not executed again. They lie
outside notebooks/, where a change would build the site anew.
"""
from __future__ import annotations

import argparse
import ast
import asyncio
import copy
import json
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import execute
import moved
import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError

RESULTS = execute.ROOT / "benchmarks" / "results" / "reseed.json"
EACH, ALL, FEWEST = 0.9, 0.995, 570  # of the moves, for one assertion; of all of them; assertions in the book
START = """import sys
sys.path.append({folder!r})
__import__("moved").start(get_ipython(), {move}, {file!r})"""


@dataclass
class Job:
    """One page to be executed with one move."""

    page: execute.Page
    move: int

    @property
    def name(self) -> str:
        return f"{self.page.name}, move {self.move}"

    @property
    def seconds(self) -> float:
        return self.page.seconds

    @property
    def last(self) -> nbformat.NotebookNode | None:
        return self.page.last


# --- one page, one move ---


def assertions(page: execute.Page) -> dict[str, str]:
    """Every assertion of the page: where it stands, and what it says."""
    found = {}
    for number, cell in enumerate(filled(page.notebook), start=1):
        tree = ast.parse(execute.plain_python([cell]))
        asserts = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
        for node in sorted(asserts, key=lambda node: (node.lineno, node.col_offset)):
            said = ast.unparse(node)
            found[moved.place(number, node)] = said if len(said) <= 200 else said[:199] + "…"
    return found


def filled(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The code cells that a kernel gets to see."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


async def run(job: Job, timeout: float) -> dict:
    """Execute a page with its seeds moved: the seconds it took, the assertions that did not hold (how often
    each was reached, how often it held), and the errors."""
    start, notebook, errors = time.monotonic(), copy.deepcopy(job.page.notebook), []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "counts.json"
        first = START.format(folder=str(Path(__file__).parent), move=job.move, file=str(file))
        notebook.cells.insert(0, nbformat.v4.new_code_cell(first))
        try:
            await execute.run_cells(notebook, timeout, allow_errors=True)
        except CellTimeoutError:
            begun = [number for number, cell in enumerate(filled(notebook)) if cell.outputs or
                     cell.execution_count]
            errors.append(f"cell {begun[-1]}, or the next, took over {timeout:g} s; none after it ran")
        except DeadKernelError:
            errors.append("its Python died; no cell after that ran")
        found = {"counts": {}, "drew": False}  # of a page whose first cell does not end
        if file.exists():
            found = json.loads(file.read_text(encoding="utf-8"))
    counts = {where: found["counts"].get(where, [0, 0]) for where in assertions(job.page)}
    if found["drew"]:
        errors.append("it drew from torch's or numpy's own generator, which no seed of a page moves")
    return {"seconds": round(time.monotonic() - start, 1),
            "missed": {where: [reached, held] for where, (reached, held) in counts.items()
                       if not reached or held < reached},
            "errors": [*errors, *raised(notebook)]}


def raised(notebook: nbformat.NotebookNode) -> list[str]:
    """The errors and the warnings of an executed page, whose cell 0 is ours."""
    found = []
    for number, cell in enumerate(filled(notebook)):
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {number}: {output.ename}: {output.evalue}")
        if said := execute.warned(cell):
            found.append(f"cell {number}: on standard error: {said}")
    return [" ".join(execute.COLOURS.sub("", text).split())[:300] for text in found]


# --- the results ---


def versions() -> dict[str, str]:
    """Of what decides the numbers of a page."""
    found = {"python": platform.python_version()}
    for name in ("torch", "numpy", "scipy", "gymnasium", "mujoco", "sympy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            pass
    return found


def stored(file: Path) -> dict:
    """The results so far; none if they were made with other versions, which may give other numbers."""
    now = versions()
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = {"versions": now}
    if found["versions"] != now:
        print(f"==> The results were made with {listed(found['versions'])}; they are made anew", flush=True)
        found = {}
    return {"versions": now, "span": moved.SPAN, "pages": found.get("pages", {})}


def listed(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items())


def save(results: dict, pages: list[execute.Page], file: Path) -> None:
    """Write the results and their table; neither is ever there by half."""
    order = [page.name for page in pages if page.name in results["pages"]]
    results["pages"] = {name: results["pages"][name] for name in order}
    for path, text in ((file, json.dumps(results, indent=1, ensure_ascii=False)),
                       (file.with_suffix(".md"), table(results, {page.name: page.key for page in pages}))):
        half = path.with_suffix(".half")
        half.write_text(text + "\n", encoding="utf-8")
        half.replace(path)


@dataclass
class Tally:
    """An assertion over the moves."""

    page: str
    where: str
    said: str
    held: int
    unreached: int
    moves: int

    def __str__(self) -> str:
        cell, line, _ = self.where.split(":")
        never = f" (in {self.unreached} never reached)" * bool(self.unreached)
        return f"held {self.held} of {self.moves}{never}  {self.page}, cell {cell}, line {line}"


def tallies(results: dict, names: list[str]) -> list[Tally]:
    """Every assertion of these pages, in reading order."""
    found = []
    for name in (name for name in names if name in results["pages"]):
        entry = results["pages"][name]
        for where, said in entry["assertions"].items():
            missed = [move["missed"][where] for move in entry["moves"].values() if where in move["missed"]]
            moves = len(entry["moves"])
            found.append(Tally(name, where, said, moves - len(missed), sum(not n for n, _ in missed), moves))
    return found


def share(found: list[Tally]) -> float:
    return sum(each.held for each in found) / max(1, sum(each.moves for each in found))


def wrong(found: list[Tally], whole: bool) -> list[str]:
    """What the assertions of these pages, or of the whole book, fall short of."""
    weak = [f"{each}\n        {each.said}" for each in found if each.held < EACH * each.moves]
    if share(found) < ALL:
        weak.append(f"{share(found):.2%} of the assertions held, expected {ALL:.1%}")
    if whole and len(found) < FEWEST:
        weak.append(f"{len(found)} assertions on the pages, expected {FEWEST}")
    return weak


def row(name: str, found: list[Tally], moves: int | str) -> str:
    always = sum(each.held == each.moves for each in found)
    return f"| {name} | {len(found)} | {moves} | {always} | {share(found):.2%} |"


def table(results: dict, keys: dict[str, str]) -> str:
    """The results as a page of Markdown."""
    names = list(results["pages"])
    found = tallies(results, names)
    lines = ["# Do the assertions of the pages survive other seeds?", "",
             f"Made by `make reseed`; do not edit. Each move adds a multiple of {results['span']:,} to every "
             f"seed of a page. With {listed(results['versions'])}.", "",
             "| page | assertions | moves | held in every move | held, of all moves |",
             "|---|--:|--:|--:|--:|"]
    for name, entry in results["pages"].items():
        older = " (an older version)" * (entry["key"] != keys[name])
        lines.append(row(name + older, [each for each in found if each.page == name], len(entry["moves"])))
    lines.append(row("**all**", found, ""))
    failed = sorted((each for each in found if each.held < each.moves), key=lambda each: each.held)
    lines += ["", "## What failed in some move", "",
              *([f"- {each}\n\n  ```python\n  {each.said}\n  ```" for each in failed] or ["Nothing."])]
    errors = [f"- {name}, move {move}: {error}" for name in names
              for move, entry in results["pages"][name]["moves"].items() for error in entry["errors"]]
    lines += ["", "## Errors", "", *(errors or ["None."])]
    return "\n".join(lines)


# --- all of it ---


def due(results: dict, pages: list[execute.Page], moves: int) -> list[Job]:
    """What has to be executed; forgets what is known of a page that has changed."""
    jobs = []
    for page in pages:
        entry = results["pages"].get(page.name)
        if entry is None or entry["key"] != page.key:
            entry = {"key": page.key, "assertions": assertions(page), "moves": {}}
            results["pages"][page.name] = entry
        jobs += [Job(page, move) for move in range(1, moves + 1) if str(move) not in entry["moves"]]
    return jobs


def reseed(target: Path, named: list[str], moves: int, file: Path) -> list[str]:
    """Execute what has to be, keep the results, print them; returns what they fall short of. Raises Wrong."""
    pages, timeout = execute.whole_book(named, target / "executed")
    results, asserting = stored(file), [page for page in pages if assertions(page)]
    chosen = [page for page in asserting if page.name in named or not named]

    async def work(job: Job) -> float:
        entry = results["pages"][job.page.name]
        entry["moves"][str(job.move)] = found = await run(job, timeout)
        entry["moves"] = dict(sorted(entry["moves"].items(), key=lambda item: int(item[0])))
        save(results, asserting, file)
        return found["seconds"]

    if jobs := due(results, chosen, moves):
        asyncio.run(execute.in_lanes(jobs, work, "moved page"))
    save(results, asserting, file)
    found = tallies(results, [page.name for page in chosen])
    for each in found:
        print(f"    {each}  {each.said}")
    print(f"==> {len(found)} assertions, which held in {share(found):.2%} of the moves; see "
          f"{file.with_suffix('.md').name}", flush=True)
    return wrong(found, whole=not named)


def main(arguments: list[str] | None = None, file: Path = RESULTS) -> None:
    parser = argparse.ArgumentParser(prog="make reseed", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("named", nargs="*", metavar="page")
    parser.add_argument("--moves", type=int, default=10)
    options = parser.parse_args(arguments)
    try:
        if short := reseed(options.target, options.named, options.moves, file):
            sys.exit("\n".join(["", "Not robust enough:", *(f"    {each}" for each in short)]))
    except execute.Wrong as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit("\nStopped; what was executed is kept")


if __name__ == "__main__":
    main()
