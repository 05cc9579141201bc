"""The statements of the book as a computer checks them, read from NN.toml beside this file (NN is the page).

A label has one part or more. A part says: in every case of its world in which all of `given` holds, all of
`claim` holds. Both are lists of Python expressions, and every name in them is computed from the case.
`stronger` lists the variants that are true, each with its reason.
"""
from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent


class Part(NamedTuple):
    """One implication of a labelled statement; `reasons` maps a true variant to why it is true."""

    label: str
    number: int
    page: str
    world: str
    given: tuple[str, ...]
    claim: tuple[str, ...]
    equations: tuple[str, ...]
    steps: frozenset[str]
    reasons: dict[str, str]


def read_part(label: str, number: int, page: str, table: dict) -> Part:
    """Return the part that a table of the file describes; raises ValueError for a key that means nothing."""
    odd = set(table) - {"world", "given", "claim", "equations", "steps", "stronger"}
    if odd or not table.get("claim") or "world" not in table:
        raise ValueError(f"{label} in {page}.toml needs `world` and `claim`, and knows no {sorted(odd)}.")
    reasons = {variant: entry["why"] for entry in table.get("stronger", []) for variant in entry["variants"]}
    return Part(label, number, page, table["world"], tuple(table.get("given", ())), tuple(table["claim"]),
                tuple(table.get("equations", ())), frozenset(table.get("steps", ())), reasons)


def read_worlds(folder: Path = FOLDER) -> dict[str, str]:
    """What the cases of each world are, in a sentence or two for the reader."""
    return tomllib.loads((folder / "worlds.toml").read_text(encoding="utf-8"))


def read_forms(folder: Path = FOLDER) -> dict[str, list[Part]]:
    """Return the parts of every labelled statement, by label, page by page."""
    forms: dict[str, list[Part]] = {}
    for path in sorted(folder.glob("[0-9]*.toml")):
        for label, tables in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if label in forms:
                raise ValueError(f"{label} has a form in two files; the second is {path.name}.")
            forms[label] = [read_part(label, k, path.stem, table) for k, table in enumerate(tables)]
    return forms
