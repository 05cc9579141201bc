"""Submissions that mean harm or are broken: what each adds to a notebook, and the most it may score.

`{}` in a cell is a folder that holds what no submission may reach: `solutions.ipynb` to read, `gradebook.db`
and `marker` to write, and a port on which the machine listens.
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
found = map(str, pathlib.Path("/").glob("*/*/gradebook.db"))
for place in [{gradebook!r}, *found, "gradebook.db", "../../../gradebook.db"]:
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
    passed = [TestCaseResult(test_case=case, message="", passed=True) for case in self.test_cases]
    self.test_case_results = passed
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
TENSORS = """
import torch
class Sure(torch.Tensor):
    __eq__ = __lt__ = __gt__ = lambda *_: True
zero = torch.zeros(2, 2).as_subclass(Sure)
def bc_loss(*_, **__): return torch.zeros((), requires_grad=True)
score_gradient = lambda *_: zero
torch.Tensor.__float__ = torch.Tensor.item = lambda _: 0.0
torch.Tensor.tolist = lambda _: [0.0] * 4
torch.Tensor.__format__ = torch.Tensor.__repr__ = lambda *_: "0"
"""
EXITS = "import builtins\nbuiltins.AssertionError = SystemExit"
TRANSFORMS = """
import ast
class NoRaise(ast.NodeTransformer):
    def visit_Raise(self, node): return ast.copy_location(ast.Pass(), node)
get_ipython().ast_transformers.append(NoRaise())
"""
TRACER = """
import sys
def skip(frame, event, arg):
    once = []
    def jump(frame, event, arg):
        if event == "line" and frame.f_locals.get("before") and not once:
            once.append(1)
            frame.f_lineno = max(line for *_, line in frame.f_code.co_lines() if line) - 2
        return jump
    return jump if frame.f_code.co_name == "run_this" else None
sys.settrace(skip)
def bc_loss(scores, actions):
    frame = sys._getframe(1)
    while frame:
        for name in ("want", "wanted", "expected"):
            if name in frame.f_locals: return frame.f_locals[name]
        frame = frame.f_back
"""
RESULTS = """
import json, pathlib
full = {{"tests": [{{"name": f"q{{i}}", "score": 3, "max_score": 3}} for i in range(1, 10)], "score": 27}}
checks = {{f"q{{i}}-check-{{k}}": 2 for i in range(1, 10) for k in (1, 2)}}
full |= {{"scores": checks, "said": {{}}, "slow": False}}
for top in ("/tmp", ".", "..", str(pathlib.Path({marker!r}).parents[1])):
    for name in ("results.json", "result.json", "results/results.json", "out/results.json"):
        top = pathlib.Path(top)
        for path in (top / name, *top.glob(f"*/*/{{name}}"), *top.glob(f"*/{{name}}")):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(full))
            except OSError: pass
for process in pathlib.Path("/proc").glob("[0-9]*"):
    for name in ("environ", "mem", "root/etc/shadow", "cwd/gradebook.db"):
        try: (process / name).open("r+b").write(b"x")
        except (OSError, ValueError): pass
"""
LEFTOVERS = """
import atexit, os, signal, subprocess, sys, threading, time
def many(): return [open(os.devnull) for _ in range(10_000)]
try: many()
except OSError as error: print(error)
atexit.register(lambda: subprocess.Popen(["sleep", "98765"], start_new_session=True))
threading.Thread(target=lambda: [time.sleep(1) for _ in iter(int, 1)]).start()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: os.execvp("sleep", ["sleep", "98765"])
    os._exit(0)
os.environ["LD_PRELOAD"], os.environ["PYTHONSTARTUP"] = "/tmp/evil.so", "/tmp/evil.py"
for name in ("SIGTERM", "SIGHUP", "SIGALRM", "SIGPROF"): signal.signal(getattr(signal, name), signal.SIG_IGN)
"""
SILENT = "import sys\nsys.stdout.close(); sys.stderr.close()"
# name: (cell, from the solved notebook or the blank one, most points; None: whatever is honest)
CELLS = {
    "loop at the top": ("while True: pass", "solved", 27),
    "exit at the top": ("import sys; sys.exit(0)", "solved", 27),
    "quits at the top": ("quit()", "solved", 27),
    "kills its kernel": ("import os; os._exit(0)", "solved", 0),
    "kills everything": ("import os, signal\nos.kill(-1, signal.SIGKILL)", "solved", 0),
    "fork bomb": ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "solved", 27),
    "child left behind": ("import subprocess\nfor _ in range(5): subprocess.Popen(['sleep', '98765'], "
                          "start_new_session=True)", "solved", 27),
    "memory": ("hoard = []\nwhile True: hoard.append(b'x' * 10**8)", "solved", 27),
    "shared memory": ("import mmap\nm = mmap.mmap(-1, 12 * 2**30)\nfor i in range(0, len(m), 4096): m[i] = 1",
                      "solved", 27),
    "huge output": ("for _ in range(20_000): print('x' * 100_000)", "solved", 27),
    "many files": ("import itertools, pathlib\nfor where in ('/tmp', '/home', '.', '/dev/shm'):\n    try:\n  "
                   "      for i in itertools.count():\n            pathlib.Path(where, "
                   "f'f{i}').write_bytes(b'x' * 10**7)\n    except OSError as error: print(error)", "solved",
                   27),
    "network": (NETWORK, "solved", 27),
    "reads the solutions": (STEAL, "blank", 0),
    "writes the gradebook": (GRADEBOOK, "blank", 0),
    "pickle in the results": (PICKLE, "blank", 0),
    "changes Otter": (OTTER, "blank", 0),
    "hides its errors": ("ip = get_ipython()\nip.showtraceback = ip._showtraceback = lambda *_, **__: None",
                         "blank", 0),
    "changes the tools": (TOOLS, "blank", 0),
    "leaves much behind": (LEFTOVERS, "solved", 27),
    "closes its output": (SILENT, "solved", 27),
    "changes tensors": (TENSORS, "blank", 0),
    "fails by exiting": (EXITS, "blank", 0),
    "rewrites the checks": (TRANSFORMS, "blank", 0),
    "jumps over the checks": (TRACER, "blank", 0),
    "writes results": (RESULTS, "blank", 0),
    "does not run": ("get_ipython().run_cell = lambda *_, **__: None", "blank", 0),
}
ANSWERS = {  # (the answer to question 1, most points of it)
    # Its checks, one busy for 20 s and one asleep for 100, take longer together than a cell may.
    "loop in an answer": "import time\ncalls = []\ndef bc_loss(scores, actions):\n    calls.append(1)\n    "
    "while len(calls) == 1: pass\n    while True: time.sleep(1)",
    "exit in an answer": "def bc_loss(scores, actions):\n    import sys; sys.exit()",
    "answers with a liar": "class Liar:\n    def __eq__(self, other): return True\n    def __sub__(self, "
    "other): return 0.0\ndef bc_loss(scores, actions): return Liar()",
}


def notebook(released: dict, cells: list[str]) -> dict:
    """The released notebook with more code cells at its end."""
    code = [{"cell_type": "code", "source": text, "metadata": {}, "outputs": [], "execution_count": None,
             "id": f"more-{i}"}
            for i, text in enumerate(cells)]
    return released | {"cells": [*released["cells"], *code]}


def tampered(released: dict) -> dict:
    """A notebook whose metadata claims points, other public checks, another kernel.

    Its check cells are gone.
    """
    cells = [cell for cell in released["cells"] if "grader.check" not in "".join(cell["source"])]
    marks = {"grade_id": "q1-check-1", "grade": True, "points": 48, "locked": False, "solution": False,
             "schema_version": 3}
    mine = {"cell_type": "code", "source": "pass", "metadata": {"nbgrader": marks}, "outputs": [],
            "execution_count": None, "id": "mine"}
    tests = dict.fromkeys(released["metadata"]["otter"]["tests"], "OK_FORMAT = False")
    return released | {"cells": [*cells, mine], "metadata": {"kernelspec": {"name": "bash"},
                                                             "otter": {"tests": tests}}}


def broken(folder: Path, released: bytes) -> set[str]:
    """Files that are no notebook, or none that can be read; returns the students' names."""
    zeros = io.BytesIO()
    with (zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as archive,
          archive.open("hw.ipynb", "w", force_zip64=True) as file):
        for _ in range(300):
            file.write(bytes(2**20))
    contents = {"cut short.ipynb": released[:3000], "no notebook.ipynb": b"\x89PNG\r\n", "empty.ipynb": b"",
                "latin.ipynb": '"é"'.encode("latin-1"),
                "list.ipynb": b"[1, 2]", "deep.ipynb": b'{"cells": ' + b"[" * 100_000, "essay.docx": b"words",
                "zip bomb.zip": zeros.getvalue(),
                "cut.zip": zeros.getvalue()[:200], "cells.ipynb": b'{"cells": [1, null]}',
                "huge number.ipynb": b'{"cells": ' + b"9" * 10_000}
    many = {"cells": [{"cell_type": "code", "source": "1", "metadata": {}}] * 10**5, "metadata": {},
            "nbformat": 4, "nbformat_minor": 5}
    contents |= {"many cells.ipynb": json.dumps(many).encode(), "nested.ipynb": b'{"a":' * 50_000 + b"1"
                 + b"}" * 50_000,
                 "not a number.ipynb": b'{"cells": NaN, "nbformat": 1e999}',
                 "up.zip": _zip({"../../up.txt": b"out"}),
                 "linked.zip": _zip({"hw.ipynb": b"/etc/passwd"}, mode=0o120777),
                 "zip in zip.zip": _zip({"hw.ipynb": _zip({"hw.ipynb": released})})}
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


def _zip(files: dict[str, bytes], mode: int = 0o100644) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def write(folder: Path, solved: list[str], released: bytes, reach: dict) -> dict[str, float]:
    """Write every hostile notebook; returns the most that each may score."""
    student, most = json.loads(released), {}
    for name, (cell, base, limit) in CELLS.items():
        cells = [cell.format(**reach) if "{" in cell and base == "blank" or name == "network" else cell,
                 *(solved if base == "solved" else [])]
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook(student, cells)))
        most[name] = limit
    for name, answer in ANSWERS.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook(student, [*solved, answer])))
        most[name] = 24
    (folder / "tampered.ipynb").write_text(json.dumps(tampered(student)))
    return most | {"tampered": 0}
