"""Submissions that mean harm or are broken: what each adds to a notebook, and the most it may score.

`{}` in a cell is a folder that holds what no submission may reach: `solutions.ipynb` to read, `gradebook.db` and `marker` to
write, and a port on which the machine listens.
"""
from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

STEAL = """
import json, pathlib
try:
    for cell in json.loads(pathlib.Path({solutions!r}).read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), globals())
except Exception as error:
    print(error)
"""
GRADEBOOK = """
import pathlib, sqlite3
for place in [{gradebook!r}, *map(str, pathlib.Path("/").glob("*/*/gradebook.db")), "gradebook.db", "../../../gradebook.db"]:
    try:
        with sqlite3.connect(place) as book:
            book.execute("update grade set auto_score = 48")
    except Exception as error:
        print(error)
pathlib.Path({marker!r}).write_text("was here")
"""
PICKLE = """
import os, pickle
real = pickle.dumps
class Evil:
    def __reduce__(self):
        return os.system, ("touch {marker}; echo '{{\\"tests\\": []}}' > results/results.json",)
pickle.dump = lambda thing, file, *_, **__: file.write(real(Evil()))
"""
OTTER = """
from otter.test_files import exception_test as module
from otter.test_files.abstract_test import TestCaseResult
def run(self, env):
    self.test_case_results = [TestCaseResult(test_case=case, message="", passed=True) for case in self.test_cases]
module.ExceptionTestFile.run = run
"""
TOOLS = """
import builtins, numpy, torch
torch.testing.assert_close = numpy.testing.assert_allclose = lambda *_, **__: None
torch.equal = torch.allclose = lambda *_, **__: True
builtins.abs = builtins.max = lambda *_: 0
builtins.float = lambda *_: 0.0
"""
NETWORK = """
import socket, urllib.request
for host in ("127.0.0.1", "localhost", "10.0.0.1", "example.com"):
    try:
        socket.create_connection((host, {port}), timeout=2).sendall(b"hello")
    except OSError as error:
        print(error)
"""
# name: (cell, from the solved notebook or the blank one, most points; None: whatever is honest)
CELLS = {
    "loop at the top": ("while True: pass", "solved", 27),
    "exit at the top": ("import sys; sys.exit(0)", "solved", 27),
    "kills its kernel": ("import os; os._exit(0)", "solved", 0),
    "kills everything": ("import os, signal\nos.kill(-1, signal.SIGKILL)", "solved", 0),
    "fork bomb": ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "solved", 27),
    "child left behind": ("import subprocess\nfor _ in range(5): subprocess.Popen(['sleep', '98765'], start_new_session=True)", "solved", 27),
    "memory": ("hoard = []\nwhile True: hoard.append(b'x' * 10**8)", "solved", 27),
    "shared memory": ("import mmap\nm = mmap.mmap(-1, 12 * 2**30)\nfor i in range(0, len(m), 4096): m[i] = 1", "solved", 27),
    "huge output": ("for _ in range(20_000): print('x' * 100_000)", "solved", 27),
    "many files": ("import itertools, pathlib\nfor where in ('/tmp', '/home', '.', '/dev/shm'):\n    try:\n        for i in itertools.count():"
                   "\n            pathlib.Path(where, f'f{i}').write_bytes(b'x' * 10**7)\n    except OSError as error: print(error)", "solved", 27),
    "network": (NETWORK, "solved", 27),
    "reads the solutions": (STEAL, "blank", 0),
    "writes the gradebook": (GRADEBOOK, "blank", 0),
    "pickle in the results": (PICKLE, "blank", 0),
    "changes Otter": (OTTER, "blank", 0),
    "hides its errors": ("ip = get_ipython()\nip.showtraceback = ip._showtraceback = lambda *_, **__: None", "blank", 0),
    "changes the tools": (TOOLS, "blank", 0),
    "runs nothing": ("get_ipython().run_cell = lambda *_, **__: None", "blank", 0),
}
ANSWERS = {  # (the answer to question 1, most points of it)
    "loop in an answer": "def bc_loss(scores, actions):\n    while True: pass",
    "exit in an answer": "def bc_loss(scores, actions):\n    import sys; sys.exit()",
    "answers with a liar": "class Liar:\n    def __eq__(self, other): return True\n    def __sub__(self, other): return 0.0\n"
                           "def bc_loss(scores, actions): return Liar()",
}


def notebook(released: dict, cells: list[str]) -> dict:
    """The released notebook with more code cells at its end."""
    code = [{"cell_type": "code", "source": text, "metadata": {}, "outputs": [], "execution_count": None, "id": f"more-{i}"}
            for i, text in enumerate(cells)]
    return released | {"cells": [*released["cells"], *code]}


def tampered(released: dict) -> dict:
    """A notebook whose metadata claims points, other public checks, another kernel; its check cells are gone."""
    cells = [cell for cell in released["cells"] if "grader.check" not in "".join(cell["source"])]
    marks = {"grade_id": "q1-check-1", "grade": True, "points": 48, "locked": False, "solution": False, "schema_version": 3}
    mine = {"cell_type": "code", "source": "pass", "metadata": {"nbgrader": marks}, "outputs": [], "execution_count": None, "id": "mine"}
    tests = {name: "OK_FORMAT = False" for name in released["metadata"]["otter"]["tests"]}
    return released | {"cells": [*cells, mine], "metadata": {"kernelspec": {"name": "bash"}, "otter": {"tests": tests}}}


def broken(folder: Path, released: bytes) -> set[str]:
    """Files that are no notebook, or none that can be read; returns the students' names."""
    zeros = io.BytesIO()
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("hw.ipynb", "w", force_zip64=True) as file:
        for _ in range(300):
            file.write(bytes(2**20))
    contents = {"cut short.ipynb": released[:3000], "no notebook.ipynb": b"\x89PNG\r\n", "empty.ipynb": b"", "latin.ipynb": '"é"'.encode("latin-1"),
                "list.ipynb": b"[1, 2]", "deep.ipynb": b'{"cells": ' + b"[" * 100_000, "essay.docx": b"words", "zip bomb.zip": zeros.getvalue(),
                "cut.zip": zeros.getvalue()[:200], "cells.ipynb": b'{"cells": [1, null]}', "huge number.ipynb": b'{"cells": ' + b"9" * 10_000}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    with open(folder / "enormous.ipynb", "wb") as file:
        file.truncate(2**34)
    (folder / "link.ipynb").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "nothing in it").mkdir()
    (folder / "two in it").mkdir()
    for name in ("a.ipynb", "b.ipynb"):
        (folder / "two in it" / name).write_bytes(released)
    return {Path(name).stem for name in contents} | {"enormous", "link", "pipe", "nothing in it", "two in it"}


def write(folder: Path, solved: list[str], released: bytes, reach: dict) -> dict[str, float]:
    """Write every hostile notebook; returns the most that each may score."""
    student, most = json.loads(released), {}
    for name, (cell, base, limit) in CELLS.items():
        cells = [cell.format(**reach) if "{" in cell and base == "blank" or name == "network" else cell, *(solved if base == "solved" else [])]
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook(student, cells)))
        most[name] = limit
    for name, answer in ANSWERS.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook(student, [*solved, answer])))
        most[name] = 24
    (folder / "tampered.ipynb").write_text(json.dumps(tampered(student)))
    return most | {"tampered": 0}
