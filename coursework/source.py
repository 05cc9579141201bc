"""One hand-written source an assignment, notebooks/homework/*.md: how it is read, and what is made of it.

A source is a MyST page whose code cells carry tags that say what they are for:

    (no tag)               given to the student as it stands, and run before grading
    [experiment]           given too, but not run when graded: it may take minutes
    [q3, answer]           one a question; the teacher keeps what is in `# BEGIN SOLUTION`, `# END SOLUTION`
    [q3, check, 1-point]   a public check: one function of the student's names; at least one a question
    [q3, hidden, 2-points] a hidden check, of the same form; at least one a question
    [q3, mutant]           a wrong answer that must lose points, named in its first line (`# mutant: signs`);
                           at least four a question. It goes nowhere but into the project's tests

The function of a check may use everything in `checks` (`same`, `number`, `numbers`, `expect`): those lines
are pasted into it, so that neither tool needs anything of ours beside the check, and a student who patches a
module patches nothing.
"""
from __future__ import annotations

import ast
import json
import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template

CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
HEADER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
TAGS = re.compile(r"\A:tags: \[([^\]]*)\]\n")
LINK = re.compile(r"\[([^\]]+)\]\([\w-]+\.md(?:#[\w-]+)?\)")
ROLES = ("answer", "check", "hidden", "mutant", "experiment")
PASSED = "What you can see of this question is right. Hidden checks, on other inputs, follow."
TEMPLATES = Path(__file__).parent / "templates"
PROMPT = "..."  # what Otter leaves where a solution stood


@dataclass(frozen=True)
class Cell:
    """A cell of the source; `question`, `role` and `points` come from its tags."""

    kind: str
    text: str
    question: str | None = None
    role: str | None = None
    points: int = 0


@dataclass(frozen=True)
class Source:
    """An assignment: `name` (hw1), the `page` it makes (the file's own name), and its cells in order."""

    name: str
    page: str
    cells: tuple[Cell, ...]

    @property
    def questions(self) -> dict[str, list[Cell]]:
        """The tagged cells of each question, in order."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            if cell.question:
                found.setdefault(cell.question, []).append(cell)
        return found

    def checks(self, question: str) -> list[Cell]:
        return [cell for cell in self.questions[question] if cell.role in ("check", "hidden")]

    def answer(self, question: str) -> Cell:
        return next(cell for cell in self.questions[question] if cell.role == "answer")

    def mutants(self, question: str) -> dict[str, Cell]:
        """The wrong answers, by the name of the mistake."""
        cells = [cell for cell in self.questions[question] if cell.role == "mutant"]
        return {cell.text.splitlines()[0].removeprefix("# mutant: "): cell for cell in cells}

    @property
    def points(self) -> dict[str, int]:
        return {question: sum(cell.points for cell in self.checks(question)) for question in self.questions}


def read(path: Path) -> Source:
    """Read a source. Raises ValueError, with the file and the cell, where it does not keep to the format."""
    text = HEADER.sub("", path.read_text(encoding="utf-8"), count=1)
    cells, end = [], 0
    for match in CELL.finditer(text):
        cells += _markdown(text[end:match.start()])
        cells.append(_code(match[1], path.name))
        end = match.end()
    cells += _markdown(text[end:])
    source = Source(path.stem.split("-")[0], path.stem, tuple(cells))
    _check(source, path.name)
    return source


def sources(folder: Path) -> list[Source]:
    """Every assignment in notebooks/homework."""
    return [read(path) for path in sorted(folder.glob("hw*.md"))]


def _markdown(text: str) -> list[Cell]:
    return [Cell("markdown", text.strip())] if text.strip() else []


def _code(text: str, where: str) -> Cell:
    match = TAGS.match(text)
    tags = [tag.strip() for tag in match[1].split(",")] if match else []
    text = (text[match.end():] if match else text).strip()
    question = next((tag for tag in tags if re.fullmatch(r"q\d+", tag)), None)
    role = next((tag for tag in tags if tag in ROLES), None)
    points = next((int(tag.split("-")[0]) for tag in tags if re.fullmatch(r"\d+-points?", tag)), 0)
    if len(tags) != sum((question is not None, role is not None, points > 0)):
        raise ValueError(f"{where}: tags {tags}, expected a question (q1), a role of {', '.join(ROLES)}, "
                         "points (2-points).")
    if (role in ROLES[:4]) != (question is not None) or (role in ("check", "hidden")) != (points > 0):
        raise ValueError(f"{where}: tags {tags}; answers, checks, hidden checks and mutants belong to a "
                         "question, and checks, only they, carry points.")
    return Cell("code", text, question, role, points)


def _check(source: Source, where: str) -> None:
    for question, cells in source.questions.items():
        roles = [cell.role for cell in cells]
        if roles.count("answer") != 1 or roles[0] != "answer" or not {"check", "hidden"} <= set(roles):
            raise ValueError(f"{where}: {question} has the cells {roles}, expected its answer first, then at "
                             "least one check and one hidden check.")
        first = [cell.text.splitlines()[0] for cell in cells if cell.role == "mutant"]
        if len(set(first)) < 4 or not all(line.startswith("# mutant: ") for line in first):
            raise ValueError(f"{where}: {question} has the wrong answers {first}, expected four or more, "
                             "each named in its first line: # mutant: the mistake.")


# --- what each reader gets ---


def blank(text: str) -> str:
    """An answer cell as the student gets it, stripped as Otter does it."""
    kept, inside = [], False
    for line in text.splitlines():
        if line.strip() == "# BEGIN SOLUTION":
            inside = True
            kept.append(line[:len(line) - len(line.lstrip())] + PROMPT)
        elif line.strip() == "# END SOLUTION":
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def solved(text: str) -> str:
    """An answer cell as the teacher reads it: the solution, without the marks around it."""
    return "\n".join(line for line in text.splitlines()
                     if line.strip() not in ("# BEGIN SOLUTION", "# END SOLUTION"))


def unlinked(text: str) -> str:
    """The prose without its links into the book, which lead nowhere from a notebook."""
    return LINK.sub(r"\1", text)


def page(source: Source) -> str:
    """The page of the book: the student notebook as `otter assign` makes it (a test compares), not run."""
    parts = []
    for cell, following in zip(source.cells, [*source.cells[1:], Cell("markdown", "")]):
        if cell.kind == "markdown":
            parts.append(cell.text)
        elif cell.role in (None, "experiment", "answer"):
            parts.append(f"```python\n{blank(cell.text) if cell.role == 'answer' else cell.text}\n```")
        if cell.question and following.question != cell.question:
            parts.append(f'```python\ngrader.check("{cell.question}")\n```')
    title = next(i for i, part in enumerate(parts) if part.startswith("# "))
    first, _, rest = parts.pop(title).partition("\n")
    text = {"title": first, "beginning": rest.strip(), "name": source.name, "cells": "\n\n".join(parts)}
    return Template((TEMPLATES / "page.md").read_text(encoding="utf-8")).substitute(text)


def write_pages(notebooks: Path) -> None:
    """Write the page of every assignment beside the book's own, where it changed; needs neither tool."""
    for source in sources(notebooks / "homework"):
        text, target = page(source), notebooks / f"{source.page}.md"
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


# --- what the tools get ---


def standalone(check: Cell, name: str) -> tuple[str, list[str]]:
    """A check as one function `name` that needs nothing beside it, and the names it asks the student for."""
    tree = ast.parse(check.text)
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        raise ValueError(f"{name}: a check is one function and nothing else.")
    function = tree.body[0]
    helpers = ast.parse((Path(__file__).parent / "checks.py").read_text(encoding="utf-8"))
    for node in [helpers, *helpers.body]:
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            del node.body[0]
    helpers = [node for node in helpers.body if not isinstance(node, ast.ImportFrom)]
    inner = ast.FunctionDef("check", ast.arguments([], [], None, [], [], None, []), function.body, [], None)
    call = ast.parse("run_this(check)").body
    outer = ast.FunctionDef(name, function.args, [*helpers, inner, *call], [], None)
    return (ast.unparse(ast.fix_missing_locations(ast.Module([outer], []))),
            [arg.arg for arg in function.args.args])


def code_cell(text: str, metadata: dict | None = None) -> dict:
    """A code cell of a notebook, not run."""
    return {"cell_type": "code", "source": text, "metadata": metadata or {}, "outputs": [],
            "execution_count": None}


def _graded(name: str, **more) -> dict:
    base = {"grade_id": name, "locked": True, "schema_version": 3}
    return {"nbgrader": base | dict.fromkeys(("grade", "solution", "task"), False) | more}


def notebook(cells: list[dict]) -> dict:
    """A notebook in Jupyter's format, its cells numbered."""
    cells = [cell | {"id": f"cell-{i}"} for i, cell in enumerate(cells)]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def _given(cell: Cell) -> dict:
    if cell.kind == "markdown":
        return {"cell_type": "markdown", "source": unlinked(cell.text), "metadata": {}}
    return code_cell(cell.text, {"tags": ["otter_ignore"]} if cell.role == "experiment" else {})


def _cells(source: Source, answer: Callable[[Cell], list[dict]]) -> list[dict]:
    """The given cells, and what `answer` makes of each answer; no check."""
    return [made for cell in source.cells if cell.role in (None, "experiment", "answer")
            for made in (answer(cell) if cell.question else [_given(cell)])]


def otter_notebook(source: Source) -> dict:
    """The notebook that `otter assign` takes: its structure in raw cells, nbgrader's marks on the answers."""
    def answer(cell: Cell) -> list[dict]:
        tests = source.checks(cell.question)
        config = {"name": cell.question, "points": [test.points for test in tests]}
        return [_raw("BEGIN QUESTION", config), _raw("BEGIN SOLUTION"), _answer(cell, cell.text),
                _raw("END SOLUTION"), _raw("BEGIN TESTS"),
                *(_otter_test(test, f"{cell.question}_check_{i}") for i, test in enumerate(tests, 1)),
                _raw("END TESTS"), _raw("END QUESTION")]
    return notebook([_raw("ASSIGNMENT CONFIG", {
        "init_cell": True, "check_all_cell": True, "export_cell": {"pdf": False, "run_tests": True},
        "tests": {"files": False, "ok_format": False},
        "generate": {"show_stdout": False, "show_hidden": False}}), *_cells(source, answer)])


def _raw(title: str, config: dict | None = None) -> dict:
    lines = [f"# {title}", *([json.dumps(config)] if config else [])]
    return {"cell_type": "raw", "source": "\n".join(lines), "metadata": {}}


def _otter_test(test: Cell, name: str) -> dict:
    config = {"hidden": test.role == "hidden"} | ({"success_message": PASSED} if test.role == "check" else {})
    begin, end = '""" # BEGIN TEST CONFIG', '""" # END TEST CONFIG'
    return code_cell("\n".join([begin, json.dumps(config), end, standalone(test, name)[0]]))


def _answer(cell: Cell, text: str) -> dict:
    return code_cell(text, _graded(cell.question, solution=True, locked=False))


def nbgrader_checks(source: Source) -> list[dict]:
    """The graded cells, in nbgrader's marks: each defines a check and runs it on what its names hold then."""
    cells = []
    for question in source.questions:
        for i, test in enumerate(source.checks(question), 1):
            text, names = standalone(test, f"{question}_check_{i}")
            given = ", ".join(f"globals().get('{name}')" for name in names)
            text += f"\n{question}_check_{i}({given})"
            if test.role == "hidden":
                text = f"### BEGIN HIDDEN TESTS\n{text}\n### END HIDDEN TESTS"
            cells.append(code_cell(text, _graded(f"{question}-check-{i}", grade=True, points=test.points)))
    return cells


def nbgrader_notebook(source: Source) -> dict:
    """The notebook of nbgrader's source folder: given cells, answers with solutions, then every check."""
    def answer(cell: Cell) -> list[dict]:
        return [_answer(cell, re.sub("# (BEGIN|END) SOLUTION", r"### \1 SOLUTION", cell.text))]
    return notebook(_cells(source, answer) + nbgrader_checks(source))


def solutions_notebook(source: Source) -> dict:
    """What the instructor reads: every answer solved, with its checks, the hidden ones too."""
    cells = []
    for cell in source.cells:
        if cell.question is None:
            cells.append(_given(cell))
        elif cell.role == "answer":
            cells.append(code_cell(solved(cell.text)))
        elif cell.role != "mutant":
            kind = "Hidden check" if cell.role == "hidden" else "Check"
            title = f"**{kind}, {cell.points} point{'s' * (cell.points > 1)}**"
            text = f"{title}\n\n{textwrap.indent(cell.text, '    ')}"
            cells.append({"cell_type": "markdown", "source": text, "metadata": {}})
    return notebook(cells)


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
