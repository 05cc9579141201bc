"""How long a page is, and how many minutes it may promise.

    python tests/book/length.py    (a table of all pages)

In sight is what a reader meets before unfolding anything: no folded proof, aside, solution or cell.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WORDS_A_MINUTE, MINUTES_A_FIGURE, MINUTES_AN_EXERCISE = 200, 1, 5
HEADER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
FENCE = re.compile(r"^(`{3,}|:{3,})(.*)$")
FOLDED = re.compile(r"^:class:.*\b(dropdown|toggle)\b", re.MULTILINE)
HIDDEN = re.compile(r"\b(hide-input|hide-cell|remove-input|remove-cell)\b")
OPTION = re.compile(r"^:[a-z-]+:.*$", re.MULTILINE)
FORMULA = re.compile(r"\$\$.*?\$\$(\s*\([\w-]+\))?|\\begin\{(\w+\*?)\}.*?\\end\{\2\}", re.DOTALL)
SYMBOL = re.compile(r"\$[^$]+\$|`[^`]+`")
COMMENT = re.compile(r"^%.*$|<!--.*?-->", re.MULTILINE | re.DOTALL)
PROMISE = re.compile(r"\bTakes (?:about )?(\d+) minutes")
FIGURE = re.compile(r"plots\.show\(|\bshow\(fig|\{figure\}|\{image\}|!\[")


@dataclass
class Length:
    words: int  # of the whole file, as `wc -w` counts: code and folded parts too
    prose: int  # words of prose in sight: a formula in a sentence is one, one on a line of its own none
    cells: int  # code cells in sight
    minutes: int  # to the nearest five
    promised: int | None


def blocks(text: str) -> list[tuple[str, str]]:
    """The top-level fenced blocks (what opens them, their text), and ("", prose) between them."""
    found, opener, lines = [], None, []
    for line in text.splitlines():
        fence = FENCE.match(line)
        if opener is None and fence and fence[2].strip():
            found.append(("", "\n".join(lines)))
            opener, lines = fence, []
        elif opener is not None and fence and fence[1] == opener[1] and not fence[2].strip():
            found.append((opener[2].strip(), "\n".join(lines)))
            opener, lines = None, []
        else:
            lines.append(line)
    return [*found, ("", "\n".join(lines))]


def in_sight(text: str) -> tuple[list[str], list[str]]:
    """The prose and the code cells that a reader meets before unfolding anything."""
    prose, cells, solving = [], [], False
    for opener, body in blocks(text):
        if opener.startswith(("{solution-start}", "{solution-end}")):
            solving = "start" in opener and bool(FOLDED.search(body))
        elif opener.startswith("{code-cell}"):
            if not (solving or HIDDEN.search(body.split("\n\n")[0])):
                cells.append(body)
        elif not solving and not opener.startswith("{dropdown}") and not FOLDED.search(body):
            if opener:
                inner, more = in_sight(OPTION.sub("", body))
                prose += inner
                cells += more
            else:
                prose.append(body)
    return prose, cells


def count(prose: str) -> int:
    plain = SYMBOL.sub("x", FORMULA.sub("", COMMENT.sub("", prose)))
    return sum(any(c.isalnum() for c in word) for word in plain.split())


def measure(page: str) -> Length:
    text = HEADER.sub("", (NOTEBOOKS / f"{page}.md").read_text(encoding="utf-8"))
    prose, cells = in_sight(text)
    words = sum(map(count, prose))
    minutes = (words / WORDS_A_MINUTE + MINUTES_A_FIGURE * len(FIGURE.findall(text))
               + MINUTES_AN_EXERCISE * text.count("{exercise-start}"))
    promise = PROMISE.search(text)
    return Length(len(text.split()), words, len(cells), 5 * round(minutes / 5),
                  int(promise[1]) if promise else None)


if __name__ == "__main__":
    pages = sorted(path.stem for path in NOTEBOOKS.glob("*.md"))
    print(f"{'page':32s}  words  prose  cells  minutes  promised")
    for name in pages:
        length = measure(name)
        print(f"{name:32s} {length.words:6,d} {length.prose:6,d} {length.cells:6d} {length.minutes:8d}"
              f"  {length.promised or '':>8}")
    print(f"{'together':32s} {sum(measure(name).words for name in pages):6,d}")
