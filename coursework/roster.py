"""A class list, as Canvas or Gradescope exports it: who is who among those that handed in.

Canvas's gradebook has the columns Student, ID, SIS User ID, SIS Login ID, Section; Gradescope's roster First
Name, Last Name, SID, Email (or Name for the first two). Other columns, the marks of earlier homework say, are
not looked at.
"""
from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import Path

KEYS = ("ID", "SIS Login ID", "SIS User ID", "SID", "Email")
NAMES = ("Student", "Name", "Last Name")


def read(path: Path) -> list[dict[str, str]]:
    """Its students, a dict of columns each. Raises ValueError where there is no column that names anybody."""
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    columns = [column for column in rows[0] if column] if rows else []
    if not {*KEYS, *NAMES} & set(columns):
        raise ValueError(f"{path} has the columns {columns}, expected one of {', '.join((*NAMES, *KEYS))}: "
                         "a gradebook that Canvas exported, or a roster of Gradescope's.")
    rows = [{column: (row[column] or "").strip() for column in columns} for row in rows]
    nobody = ("Points Possible", "Student, Test")
    return [row for row in rows if any(row.values()) and name(row) not in nobody]


def find(student: str, canvas: str, rows: list[dict[str, str]]) -> dict[str, str] | None:
    """The row of a submission: by Canvas's number, else by login, number or address, else by name.

    None unless there is exactly one.
    """
    entry = student.removesuffix(f"_{canvas}") if canvas else student

    def known_as(row: dict[str, str]) -> set[str]:
        keys = [row.get(key, "") for key in KEYS]
        return {key.casefold() for key in (*keys, *(key.partition("@")[0] for key in keys)) if key}

    for same in (lambda row: canvas and row.get("ID") == canvas,
                 lambda row: student.casefold() in known_as(row),
                 lambda row: _plain(entry) in _spellings(row)):
        found = [row for row in rows if same(row)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def name(row: dict[str, str]) -> str:
    parts = row.get("Last Name", ""), row.get("First Name", "")
    return row.get("Student") or row.get("Name") or ", ".join(parts).strip(", ")


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())


def _spellings(row: dict[str, str]) -> set[str]:
    """Miller, Ann; Ann Miller; millerann."""
    last, comma, first = name(row).partition(",")
    if not comma:
        first, _, last = name(row).rpartition(" ")
    return {_plain(last + first), _plain(first + last)} - {""}
