"""What students handed in: found, read without trusting it, and put into the form that both tools grade.

A submission is data until it is in the sandbox. It is read with a limit, links are not followed, and of a
notebook only the text of its code cells is kept: outputs, metadata (in which points, tests and kernels could
hide) and check cells are replaced by our own.
"""
from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 32 * 2**20  # of a notebook; figures in it count
MOST_CODE = 2 * 2**20
MOST_CELLS = 1000
CANVAS = re.compile(r"^(?P<name>.+?)_(?:LATE_)?(?P<id>\d+)_\d+_")
OTHER = re.compile(r"hw\d+")  # a folder of another assignment, if not of this one
LOOKS_INSIDE = re.compile(
    r"\b(otter|nbgrader|get_ipython|showtraceback|_getframe|currentframe|f_back|gc\.get_|ctypes|builtins|"
    r"__builtins__|_exit|setitimer|SIGALRM|SIGPROF|excepthook|run_cell|settrace|f_lineno|f_trace|"
    r"ast_transformers|setprofile|__float__|__eq__)\b")
# What a line of code may give a value: a function, a class, what is imported, the names before a =. It is not
# parsed: the code is a stranger's.
GIVES = re.compile(r"^[ \t]*(?:(?:async[ \t]+)?def[ \t]+(\w+)|class[ \t]+(\w+)|(?:from|import)[ \t](.*)"
                   r"|([A-Za-z_][\w, \t]*)(?::[^=\n]*)?=(?!=))", re.MULTILINE)
# In place of Otter's own: the checks run once, at the end, in both tools.
PRELUDE = ("class grader:\n    check = check_all = export = staticmethod(lambda *_, **__: None)\n")


class Unreadable(Exception):
    """A submission that cannot be graded; the message says why."""


@dataclass(frozen=True)
class Submission:
    """One student's: `student` as the folder names them, the `path`, Canvas's number if there is one."""

    student: str
    path: Path
    canvas: str = ""

    @property
    def stem(self) -> str:
        """A file name for this student's results that no other student has and any system takes."""
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", self.student)[:60].strip("-") or "student"
        mark = hashlib.sha256(self.student.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        return plain if plain == self.student else f"{plain}-{mark}"


def find(folder: Path) -> list[Submission]:
    """Every entry is a student: NAME.ipynb, NAME.zip, a folder with a notebook in it, a Canvas download."""
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith((".", "__MACOSX")):
            continue
        name = entry.name if entry.is_dir(follow_symlinks=False) else Path(entry.name).stem
        canvas = CANVAS.match(entry.name)
        student = f"{canvas['name']}_{canvas['id']}" if canvas else name
        found.append(Submission(student, Path(entry.path), canvas["id"] if canvas else ""))
    return found


def content(submission: Submission, name: str) -> bytes:
    """The notebook of the assignment of this name, from file, zip or folder. Raises Unreadable."""
    path = submission.path
    if path.is_symlink():
        raise Unreadable("a link to another file")
    if path.is_dir():
        own = path / name  # nbgrader's way: a student's folder holds one for each assignment
        path = own if own.is_dir() and not own.is_symlink() else path
        inside = [os.path.relpath(os.path.join(where, file), path) for where, _, files in os.walk(path)
                  for file in files if file.endswith((".ipynb", ".zip"))]
        path = path / _the_one(inside, name)
    data = untrusted(path)
    return _from_zip(data, name) if data[:2] == b"PK" else data


def _the_one(files: list[str], name: str) -> str:
    """The notebook among these, else the zip; of several the assignment's namesake. Raises Unreadable."""
    files = [file for file in files if not {".ipynb_checkpoints", "__MACOSX"} & set(Path(file).parts)
             and not any(OTHER.fullmatch(part) for part in Path(file).parts[:-1] if part != name)]
    notebooks = [file for file in files if file.endswith(".ipynb")] or files
    named = [file for file in notebooks if Path(file).stem == name]
    if len(notebooks) != 1 and len(named) != 1:
        found = f"{len(notebooks)} notebooks in it, expected one"
        raise Unreadable(found if notebooks else f"no notebook of {name} in it")
    return (named if len(named) == 1 else notebooks)[0]


def untrusted(path: Path, most: int = MOST_BYTES) -> bytes:
    """A file that a submission is, or may have written: no link followed, no more read. Raises Unreadable."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Unreadable(f"cannot be opened, or is a link ({error.strerror})") from None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Unreadable("not a file")
        return _limited(file, most)


def _limited(file, most: int = MOST_BYTES) -> bytes:
    data = file.read(most + 1)
    if len(data) > most:
        raise Unreadable(f"larger than {most // 2**20} MB")
    return data


def _from_zip(data: bytes, name: str) -> bytes:
    """The single notebook in a zip, read no further than the limit whatever the zip says of its size."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {str(Path(file)): file for file in archive.namelist() if file.endswith(".ipynb")}
            with archive.open(files[_the_one(list(files), name)]) as file:
                return _limited(file)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError,
            zipfile.zlib.error) as error:
        raise Unreadable(f"a zip that cannot be read ({error})") from None


def cells(data: bytes) -> list[dict]:
    """The cells of a notebook: dicts with `cell_type`, `source` (text), `metadata`. Raises Unreadable."""
    try:
        notebook = json.loads(data.decode("utf-8-sig") if data[:1] not in (b"\xff", b"\xfe") else data)
    except UnicodeDecodeError:
        raise Unreadable("not a notebook: its text is not UTF-8") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"not a notebook, or one cut short ({str(error)[:100]})") from None
    listed = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_CELLS:
        many = f"more than {MOST_CELLS} cells"
        raise Unreadable(many if isinstance(listed, list) else "not a notebook: no list of cells")
    found = []
    for cell in listed:
        source = cell.get("source", "") if isinstance(cell, dict) else None
        source = "".join(map(str, source)) if isinstance(source, list) else source
        if not isinstance(source, str):
            raise Unreadable("not a notebook: a cell without text")
        metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
        source = source.encode("utf-8", "replace").decode()  # half of a surrogate pair cannot be written
        found.append({"cell_type": cell.get("cell_type"), "source": source, "metadata": metadata})
    if sum(len(cell["source"]) for cell in found) > MOST_CODE:
        raise Unreadable(f"more than {MOST_CODE // 2**20} MB of code")
    metadata = notebook.get("metadata")
    otter = metadata.get("otter") if isinstance(metadata, dict) else None
    otter = otter if isinstance(otter, dict) else {}
    return [*found, {"cell_type": "otter", "source": "", "metadata": otter}]


def answers(found: list[dict], bundle: dict) -> tuple[list[str], list[str]]:
    """The code to run before the checks, and what of the released notebook was tampered with."""
    released = {_text(cell): cell["cell_type"] for cell in bundle["released"]["cells"]}
    ours = {text for text in released if re.match(r"grader\.|# (Save|Initialize).*\n.*(grader|otter)", text)}
    there = {cell["source"].strip() for cell in found}
    gone = [text.splitlines()[-1] for text in sorted(ours) if text not in there]
    tampered = [f"missing or changed: {', '.join(gone)}"] if gone else []
    tests = found[-1]["metadata"].get("tests")
    if tests is not None and tests != bundle["released"]["metadata"]["otter"]["tests"]:
        tampered.append("the public checks in the notebook's metadata were changed")
    code = []
    for cell in found:
        marks, tags = cell["metadata"].get("nbgrader"), cell["metadata"].get("tags")
        if isinstance(marks, dict) and marks.get("grade"):
            tampered.append("a cell carries nbgrader's marks of a graded cell")
        skipped = isinstance(tags, list) and "otter_ignore" in tags or _text(cell) in ours
        if cell["cell_type"] != "code" or skipped:
            continue
        if experiment := _experiment(cell["source"], bundle["experiments"]):
            tampered.append(f"an experiment has lost its tag, and was not run: {experiment}")
        else:
            code.append(cell["source"])
    tampered += _lost_answers(found, code, released, bundle)
    looks = sorted(set(LOOKS_INSIDE.findall("\n".join(code))))
    if looks:
        tampered.append(f"the code speaks of {', '.join(looks)}: look at it")
    return [PRELUDE, *code], tampered


def _lost_answers(found: list[dict], code: list[str], released: dict[str, str], bundle: dict) -> list[str]:
    """What became of answers that no code gives any more."""
    prose = [cell["source"] for cell in found if cell["cell_type"] != "code" and _text(cell) not in released]
    before = [text for text, kind in released.items()
              if kind == "code" and not _experiment(text, bundle["experiments"])]
    given, elsewhere, before = (gives("\n".join(texts)) for texts in (code, prose, before))
    said = []
    for question, wanted in bundle["answers"].items():
        if lost := (set(wanted) - given) & (elsewhere | before):  # an answer never begun is nothing to say
            where = "stands in a cell that is not run" if lost & elsewhere else "is gone"
            said.append(f"the answer to {question} {where}")
    return said


def gives(text: str) -> set[str]:
    """The names that code may give a value, and a few more; see GIVES."""
    return {word for groups in GIVES.findall(text) for group in groups for word in re.findall(r"\w+", group)}


def _experiment(text: str, experiments: list[str]) -> str | None:
    """The first line of the experiment of which this cell holds half the lines or more: tags get lost."""
    lines = set(map(str.strip, text.splitlines()))
    for experiment in experiments:
        own = {line.strip() for line in experiment.splitlines() if len(line.strip()) > 15}
        if 2 * len(own & lines) >= len(own):
            return experiment.splitlines()[0]
    return None


def _text(cell: dict) -> str:
    return "".join(cell["source"]).strip()
