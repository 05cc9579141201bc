"""What students handed in: found, read without trusting it, and put into the form that both tools grade.

A submission is data until it is in the sandbox. It is read with a limit, links are not followed, and of a notebook only the
text of its code cells is kept: outputs, metadata (in which points, tests and kernels could hide) and check cells are
replaced by our own.
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
    r"\b(otter|nbgrader|get_ipython|showtraceback|_getframe|currentframe|f_back|gc\.get_|ctypes|builtins|__builtins__|_exit|"
    r"setitimer|SIGALRM|SIGPROF|excepthook|run_cell|settrace|f_lineno|f_trace|ast_transformers|setprofile|__float__|__eq__)\b")
# In place of Otter's own: the checks run once, at the end, in both tools.
PRELUDE = ("class grader:\n    check = check_all = export = staticmethod(lambda *_, **__: None)\n")


class Unreadable(Exception):
    """A submission that cannot be graded; the message says why."""


@dataclass(frozen=True)
class Submission:
    """One student's: `student` as the folder names them, the `path`, and Canvas's number if the name carries one."""

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
    """Every entry of the folder is a student: NAME.ipynb, NAME.zip, a folder NAME with a notebook in it, a Canvas download."""
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
    """The notebook's bytes, from the file, the zip or the folder, of the assignment of this name. Raises Unreadable."""
    path = submission.path
    if path.is_symlink():
        raise Unreadable("a link to another file")
    if path.is_dir():
        own = path / name  # nbgrader's way: a student's folder holds one for each assignment
        path = own if own.is_dir() and not own.is_symlink() else path
        inside = [os.path.join(where, file) for where, _, files in os.walk(path) for file in files]
        path = _the_one([os.path.relpath(file, path) for file in inside if file.endswith((".ipynb", ".zip"))], name, path)
    data = _bytes(path)
    return _from_zip(data, name) if data[:2] == b"PK" else data


def _the_one(files: list[str], name: str, folder: Path = Path()) -> Path:
    """The notebook among these, else the zip; of several that which has the assignment's name. Raises Unreadable."""
    files = [file for file in files if not {".ipynb_checkpoints", "__MACOSX"} & set(Path(file).parts)
             and not any(OTHER.fullmatch(part) for part in Path(file).parts[:-1] if part != name)]
    notebooks = [file for file in files if file.endswith(".ipynb")] or files
    named = [file for file in notebooks if Path(file).stem == name]
    if len(notebooks) != 1 and len(named) != 1:
        raise Unreadable(f"{len(notebooks)} notebooks in it, expected one" if notebooks else f"no notebook of {name} in it")
    return folder / (named if len(named) == 1 else notebooks)[0]


def _bytes(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Unreadable(f"cannot be opened, or is a link ({error.strerror})") from None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Unreadable("not a file")
        return _limited(file)


def _limited(file) -> bytes:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Unreadable(f"larger than {MOST_BYTES // 2**20} MB")
    return data


def _from_zip(data: bytes, name: str) -> bytes:
    """The single notebook in a zip, read no further than the limit whatever the zip says of its size."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {str(Path(file)): file for file in archive.namelist() if file.endswith(".ipynb")}
            with archive.open(files[str(_the_one(list(files), name))]) as file:
                return _limited(file)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError, zipfile.zlib.error) as error:
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
        raise Unreadable(f"more than {MOST_CELLS} cells" if isinstance(listed, list) else "not a notebook: no list of cells")
    found = []
    for cell in listed:
        source = cell.get("source", "") if isinstance(cell, dict) else None
        source = "".join(map(str, source)) if isinstance(source, list) else source
        if not isinstance(source, str):
            raise Unreadable("not a notebook: a cell without text")
        metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
        source = source.encode("utf-8", "replace").decode()  # half of a surrogate pair cannot be written again
        found.append({"cell_type": cell.get("cell_type"), "source": source, "metadata": metadata})
    if sum(len(cell["source"]) for cell in found) > MOST_CODE:
        raise Unreadable(f"more than {MOST_CODE // 2**20} MB of code")
    otter = notebook.get("metadata", {}).get("otter") if isinstance(notebook.get("metadata"), dict) else None
    return [*found, {"cell_type": "otter", "source": "", "metadata": otter if isinstance(otter, dict) else {}}]


def answers(found: list[dict], bundle: dict) -> tuple[list[str], list[str]]:
    """The code to run before the checks, and what of the released notebook was tampered with."""
    released = [cell for cell in bundle["released"]["cells"] if cell["cell_type"] == "code"]
    ours = {_text(cell).strip() for cell in released if "grader." in _text(cell) or "otter.Notebook" in _text(cell)}
    there = {cell["source"].strip() for cell in found}
    gone = [cell.splitlines()[-1] for cell in sorted(ours) if cell not in there]
    tampered = [f"missing or changed: {', '.join(gone)}"] if gone else []
    tests = found[-1]["metadata"].get("tests")
    if tests is not None and tests != bundle["released"]["metadata"]["otter"]["tests"]:
        tampered.append("the public checks in the notebook's metadata were changed")
    experiments, code = {text.strip() for text in bundle["experiments"]}, []
    for cell in found:
        marks = cell["metadata"].get("nbgrader")
        if isinstance(marks, dict) and marks.get("grade"):
            tampered.append("a cell carries nbgrader's marks of a graded cell")
        tags = cell["metadata"].get("tags")
        skipped = isinstance(tags, list) and "otter_ignore" in tags or cell["source"].strip() in experiments
        if cell["cell_type"] == "code" and not skipped and cell["source"].strip() not in ours:
            code.append(cell["source"])
    looks = sorted(set(LOOKS_INSIDE.findall("\n".join(code))))
    if looks:
        tampered.append(f"the code speaks of {', '.join(looks)}: look at it")
    return [PRELUDE, *code], tampered


def _text(cell: dict) -> str:
    return "".join(cell["source"])
