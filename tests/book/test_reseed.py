"""`make reseed` moves every seed of a page, goes on past what fails, counts it, and stops where it was."""
from __future__ import annotations

import json

import execute
import moved
import pytest
import reseed

import tasks

HEADER = (tasks.ROOT / "notebooks" / "references.md").read_text(encoding="utf-8").split("\n# ")[0]
PACKAGE = "def generator(seed, device='cpu'):\n    return seed\n"
FIRST = """import ilsupport as il
assert il.generator(3) % 2 == 1
assert il.generator(3) < 3_000_000
def even(n):
    assert n % 2 == 0, "odd"
    return n
---
for n in range(4):
    assert n < 4; assert n != 2
even(8)
even(9)
---
if False:
    assert True
1 / 0
assert "after an error"
---
import sys
assert sys.version, "it went on"
"""
SECOND = "import ilsupport as il\nassert il.generator(0) >= 0\n"


def page(code: str) -> str:
    cells = "\n\n".join(f"```{{code-cell}} ipython3\n{cell}```" for cell in code.split("---\n"))
    return f"{HEADER}\n# A page\n\n{cells}\n"


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of two pages that assert something and one that does not; `book(...)` moves their seeds, and
    returns the results and what `make reseed` says in the end, if it fails."""
    files = {"ilsupport/__init__.py": PACKAGE, "constraints.txt": "", "notebooks/index.md": page("1\n"),
             "notebooks/first.md": page(FIRST), "notebooks/second.md": page(SECOND),
             "notebooks/_toc.yml": "format: jb-book\nroot: index\nparts:\n  - caption: Rest\n    chapters:\n"
                                   "      - file: first\n      - file: second\n",
             "book.yml": (tasks.ROOT / "book.yml").read_text(encoding="utf-8")}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(execute, "ROOT", tmp_path)
    monkeypatch.setattr(execute, "PAGES", tmp_path / "notebooks")
    for name, value in (tasks.KERNELS | {"PYTHONPATH": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "reseed.json"

    def run(*arguments: str) -> tuple[dict, str]:
        try:
            reseed.main([str(tmp_path / "_build"), *arguments], file)
            said = ""
        except SystemExit as stopped:
            said = str(stopped.code)
        return json.loads(file.read_text(encoding="utf-8")), said

    run.folder, run.file = tmp_path, file
    return run


def edit(book, name: str, old: str, new: str) -> None:
    path = book.folder / "notebooks" / f"{name}.md"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_every_assertion_is_counted_and_nothing_stops_a_page(book, capsys):
    results, said = book("first", "--moves", "3")
    out = capsys.readouterr().out
    held = {each.said: each for each in reseed.tallies(results, ["first"])}
    assert {text: each.held for text, each in held.items()} == {
        "assert il.generator(3) % 2 == 1": 3,
        "assert il.generator(3) < 3000000": 2,  # the seeds really move: 3 and one, two or three millions
        "assert n % 2 == 0, 'odd'": 0,  # called twice: one 9 is enough
        "assert n < 4": 3, "assert n != 2": 0,  # in a loop, and on one line
        "assert True": 0, "assert 'after an error'": 0,  # never reached
        "assert sys.version, 'it went on'": 3}
    assert [each.unreached for each in held.values()] == [0, 0, 0, 0, 0, 3, 3, 0]
    assert "held 0 of 3 (in 3 never reached)  first, cell 3, line 4  assert 'after an error'" in out
    assert "held 2 of 3  first, cell 1, line 3" in said and "assert il.generator(3) < 3000000" in said
    assert "45.83% of the assertions held, expected 99.5%" in said and "expected 570" not in said
    moves = results["pages"]["first"]["moves"]
    error = "cell 3: ZeroDivisionError: division by zero"
    assert [move["errors"] for move in moves.values()] == [[error]] * 3
    assert moves["1"]["missed"]["2:2:18"] == [4, 3]
    table = book.file.with_suffix(".md").read_text(encoding="utf-8")
    assert "| first | 8 | 3 | 3 | 45.83% |" in table and "  assert n != 2\n" in table
    assert f"- first, move 2: {error}" in table


def test_pages_that_hold_pass_and_no_others_are_executed(book):
    results, said = book("second", "--moves", "2")
    assert said == "" and list(results["pages"]) == ["second"]
    assert results["versions"]["torch"] and results["span"] == moved.SPAN


def test_the_whole_book_has_to_have_enough_assertions(book, monkeypatch):
    path = book.folder / "notebooks" / "first.md"
    path.write_text(page("assert 1\n"), encoding="utf-8")
    assert book("--moves", "1")[1].strip().endswith("2 assertions on the pages, expected 570")
    monkeypatch.setattr(reseed, "FEWEST", 2)
    assert book("--moves", "1")[1] == ""


def test_what_is_there_is_not_executed_again(book, capsys):
    book("second", "--moves", "1")
    capsys.readouterr()
    book("--moves", "2")
    assert "Executing 3 moved pages" in capsys.readouterr().out
    edit(book, "second", "# A page", "# The page")
    results, _ = book("--moves", "2")
    assert "Executing" not in capsys.readouterr().out
    edit(book, "second", ">= 0", ">= 1")
    book("first", "--moves", "2")
    assert "Executing" not in capsys.readouterr().out
    assert "| second (an older version) | 1 | 2 |" in book.file.with_suffix(".md").read_text(encoding="utf-8")
    again, _ = book("--moves", "2")
    assert "Executing 2 moved pages" in capsys.readouterr().out
    assert again["pages"]["first"] == results["pages"]["first"]
    again["versions"]["torch"] = "0.1"
    book.file.write_text(json.dumps(again), encoding="utf-8")
    book("second", "--moves", "1")
    said = capsys.readouterr().out
    assert "made with python" in said and "torch 0.1" in said and "Executing 1 moved page," in said


def test_a_page_that_is_stopped_keeps_what_came_before(book):
    path = book.folder / "notebooks" / "first.md"
    path.write_text(page("assert 1\n---\n__import__('os')._exit(1)\n---\nassert 2\n"), encoding="utf-8")
    results, said = book("first", "--moves", "1")
    (move,) = results["pages"]["first"]["moves"].values()
    assert move["missed"] == {"3:1:0": [0, 0]}
    assert move["errors"] == ["its Python died; no cell after that ran"]
    path.write_text(page("assert 1\n---\nimport time\ntime.sleep(60)\n---\nassert 2\n"), encoding="utf-8")
    (book.folder / "book.yml").write_text("execute: {timeout: 1}\nparse: {myst_enable_extensions: []}\n")
    results, said = book("first", "--moves", "1")
    (move,) = results["pages"]["first"]["moves"].values()
    assert move["missed"] == {"3:1:0": [0, 0]} and "took over 1 s; none after it ran" in move["errors"][0]


def test_a_seed_that_could_meet_anothers_is_refused():
    generator = moved.shifted(lambda seed, device="cpu": (seed, device), 2)
    assert generator(7, "cuda") == (2_000_007, "cuda") and generator(0) == (2_000_000, "cpu")
    for seed in (-1, 1_000_000):
        with pytest.raises(ValueError, match=f"the seed is {seed}, expected one from 0 to 999,999"):
            generator(seed)


def test_who_draws_from_everybodys_generator_is_told(book):
    path = book.folder / "notebooks" / "first.md"
    (book.folder / "ilsupport" / "__init__.py").write_text("import numpy\n" + PACKAGE, encoding="utf-8")
    path.write_text(page("import numpy\nassert numpy.random.rand() < 2\n"), encoding="utf-8")
    results, said = book("first", "--moves", "1")
    assert said == "" and "no seed of a page moves" in results["pages"]["first"]["moves"]["1"]["errors"][0]


def test_no_page_is_made_anew_for_new_results():
    assert not reseed.RESULTS.is_relative_to(tasks.ROOT / "notebooks")
    assert not reseed.RESULTS.is_relative_to(tasks.ROOT / "ilsupport")
