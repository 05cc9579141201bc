"""The book is built in pieces: a page is executed again when what it reaches changed, for nothing else."""
from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import execute
import pytest
import reach

import ilsupport as il
import tasks

PACKAGE = reach.Package(tasks.ROOT / "ilsupport")
HEADER = (tasks.ROOT / "notebooks" / "references.md").read_text(encoding="utf-8").split("\n# ")[0]


def reached(code: str) -> set[str]:
    return {path.relative_to(PACKAGE.folder).as_posix() for path in PACKAGE.reached(code)}


# --- the graph of the real package ---


@pytest.mark.parametrize("name", [name for name, thing in vars(il).items()
                                  if inspect.isclass(thing) or inspect.isfunction(thing)])
def test_every_public_name_reaches_the_file_that_defines_it(name):
    file = inspect.getsourcefile(inspect.unwrap(getattr(il, name)))
    for code in (f"import ilsupport as il\nil.{name}", f"from ilsupport import {name}",
                 f"import ilsupport\nilsupport.{name}()"):
        assert Path(file).relative_to(PACKAGE.folder).as_posix() in reached(code)


def test_a_page_reaches_what_it_uses_and_what_that_uses():
    bounds = reached("import ilsupport as il\nil.bounds.sharp(0.1, 10)")
    assert "bounds.py" in bounds and not {"bc.py", "envs/driving.py", "policies/gaussian.py"} & bounds
    dagger = reached("import ilsupport as il\nil.dagger")
    assert {"dagger.py", "rollout.py", "trajectories.py"} <= dagger
    assert not {"bounds.py", "plots.py", "relabel.py"} & dagger


@pytest.mark.parametrize("opaque", ["import ilsupport as il\nvars(il)", "from ilsupport import *",
                                    "import ilsupport as il\nx = il\nx.fit",
                                    "import ilsupport as il\ngetattr(il, name)"])
def test_a_package_used_as_a_whole_is_reached_as_a_whole(opaque):
    assert reached(opaque) >= {path.relative_to(PACKAGE.folder).as_posix()
                               for path in PACKAGE.modules.values()}


def test_weights_are_reached_with_the_expert_and_javascript_by_nobody():
    expert = reached("import ilsupport as il\nil.LocomotionExpert('Hopper-v5')")
    assert "weights/Hopper-v5.safetensors" in expert
    drive = reached("from ilsupport.widgets import Drive")
    assert {"widgets/drive.py", "widgets/drive.json"} <= drive
    assert not {"weights/Hopper-v5.safetensors", "widgets/film.py"} & drive
    assert not [name for name in reached("import ilsupport as il\nvars(il)") if name.endswith(".js")]


def test_an_environment_asked_for_by_its_id_is_reached():
    made = reached("import gymnasium\ngymnasium.make('ilsupport/Tightrope-v0')")
    assert {"envs/registration.py", "envs/tightrope.py"} <= made


# --- a small book ---

SMALL = {
    "ilsupport/__init__.py": "from ilsupport import bounds\nfrom ilsupport.drive import Drive\n",
    "ilsupport/bounds.py": "from ilsupport._checks import check\n\ndef sharp():\n    return check(1)\n",
    "ilsupport/_checks.py": "def check(x):\n    return x\n",
    "ilsupport/drive.py": "class Drive:\n    def _repr_html_(self):\n        return '<div "
    "data-il=\"a.js\"></div>'\n",
    "ilsupport/widgets/js/a.js": "export default {};\n",
    "coursework/grade.py": "points = 3\n",
    "notebooks/_data/table.json": '{"a": 1}\n',
    "notebooks/_toc.yml": "format: jb-book\nroot: index\nparts:\n  - caption: Rest\n    chapters:\n"
                          "      - file: bound\n      - file: prose\n",
    "notebooks/index.md": "# One\n\n```{code-cell} ipython3\nimport json\nfrom ilsupport import Drive\nfrom "
    "pathlib import Path\nprint(json.loads(Path('_data/table.json').read_text()))\nDrive()\n```\n",
    "notebooks/bound.md": "# Two\n\n```{code-cell} ipython3\n:tags: [hide-input]\n\nimport ilsupport as "
    "il\n%pwd\nil.bounds.sharp()\n```\n",
    "notebooks/prose.md": "# Three\n\nWords.\n",
    "constraints.txt": "# Pins.\ntorch==1\n",
}


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of three pages, two with code, and a package of its own; `book()` executes what is due."""
    for name, text in SMALL.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{HEADER}\n{text}" if name.endswith(".md") else text, encoding="utf-8")
    shutil.copy(tasks.ROOT / "book.yml", tmp_path)
    monkeypatch.setattr(execute, "ROOT", tmp_path)
    monkeypatch.setattr(execute, "PAGES", tmp_path / "notebooks")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")

    def build(*pages: str) -> list[str]:
        before = {path.name: path.read_bytes() for path in (tmp_path / "_build/executed").glob("*")}
        execute.main([str(tmp_path / "_build"), *pages])
        after = {path.name: path.read_bytes() for path in (tmp_path / "_build/executed").glob("*")}
        return sorted(name.removesuffix(".ipynb") for name in after if after[name] != before.get(name))

    build.folder = tmp_path
    return build


def change(book, name: str, old: str, new: str) -> None:
    path = book.folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def outputs(book, page: str) -> str:
    cells = json.loads((book.folder / f"_build/executed/{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    return json.dumps([cell.get("outputs") for cell in cells])


def test_a_page_is_executed_when_what_it_reaches_changed_and_for_nothing_else(book, capsys):
    assert book() == ["bound", "index", "prose"] and '["1"]' in outputs(book, "bound")
    said = capsys.readouterr().out
    assert re.search(r"Executing 3 pages, \d at once", said) and re.search(r"\[3/3\] +\d+\.\d s  \w+\n", said)
    assert book() == [] and "No page has to be executed" in capsys.readouterr().out
    for name, old, new in [("ilsupport/widgets/js/a.js", "{}", "{ render }"),
                           ("coursework/grade.py", "3", "4"),
                           ("notebooks/index.md", "# One", "# First"),
                           ("notebooks/bound.md", "hide-input", "hide-cell"),
                           ("ilsupport/__init__.py", "import bounds", "import bounds, _checks"),
                           ("constraints.txt", "# Pins.", "# The pins.")]:
        change(book, name, old, new)
        assert book() == [], name
    capsys.readouterr()
    change(book, "notebooks/_data/table.json", "1", "2")
    assert book() == []
    said = capsys.readouterr().out
    assert "index reads a table that changed since it was executed (table.json)" in said
    assert "make book ARGS=index" in said
    assert book("index") == ["index"] and "{'a': 2}" in outputs(book, "index")
    assert "changed since" not in capsys.readouterr().out
    change(book, "ilsupport/_checks.py", "return x", "return 2 * x")
    assert book() == ["bound"] and '["2"]' in outputs(book, "bound")
    change(book, "constraints.txt", "torch==1", "torch==2")
    assert book() == ["bound", "index", "prose"]


def test_a_page_that_fails_is_named_with_its_cell_and_stops_no_other(book):
    book()
    change(book, "ilsupport/bounds.py", "check(1)", "1 / 0")
    change(book, "ilsupport/drive.py", "a.js", "b.js")
    with pytest.raises(SystemExit, match=r"bound\.md, cell 1 \(line \d+\): ZeroDivisionError") as wrong:
        book()
    assert "1 of 2 pages failed" in str(wrong.value) and "bounds.py" in str(wrong.value)
    assert re.match(r" +bound\.md, cell 1 \(line \d+\): ZeroDivisionError", str(wrong.value).splitlines()[-1])
    assert "b.js" in outputs(book, "index")
    change(book, "ilsupport/bounds.py", "1 / 0", "__import__('warnings').warn('mind the gap')")
    with pytest.raises(SystemExit, match=r"bound\.md, cell 1 .*standard error[^\0]*mind the gap"):
        book()
    change(book, "ilsupport/bounds.py", "__import__('warnings').warn('mind the gap')",
           "__import__('os')._exit(1)")
    with pytest.raises(SystemExit, match=r"bound\.md: its Python died"):
        book()
    change(book, "ilsupport/bounds.py", "__import__('os')._exit(1)", "7")
    assert book() == ["bound"]


def test_what_cannot_be_executed_is_refused_in_a_sentence(book):
    with pytest.raises(SystemExit, match="no page 'bounds', expected one of index, bound, prose"):
        book("bounds")
    change(book, "notebooks/bound.md", "il.bounds.sharp()", "il.bounds.sharp(")
    with pytest.raises(SystemExit, match=r"bound\.md: a code cell is no Python"):
        book()


def test_progress_says_what_is_running_for_how_long_and_what_is_left(capsys, monkeypatch):
    last = execute.nbformat.v4.new_notebook(metadata={"executed": {"seconds": 30.0}})
    pages = [execute.Page(name, None, "", {}, Path(f"{name}.ipynb"), last) for name in ("a", "b", "c")]
    now = 100.0
    monkeypatch.setattr(execute.time, "monotonic", lambda: now)
    progress = execute.Progress(pages, 2)
    progress.running |= {"a": 100.0, "b": 100.0}
    now = 110.0
    assert progress.remaining() == "... about 35 s to go"
    progress.ended(pages[0], 10.0)
    assert capsys.readouterr().out == "    [1/3]  10.0 s  a   (running: b for 10 s)\n"
    pages[1].last = None
    assert progress.remaining() == "...", "nobody knows"


def test_little_memory_means_one_page_at_a_time(monkeypatch):
    class Memory:
        available = 2 * 2**30

    monkeypatch.setattr(execute.psutil, "virtual_memory", lambda: Memory)
    assert execute.at_once() == 1
    Memory.available = 64 * 2**30
    monkeypatch.setattr(execute.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert execute.at_once() == 2


@pytest.mark.slow
def test_the_site_takes_new_javascript_without_executing_anything(tmp_path):
    folders = ("ilsupport", "notebooks/_ext", "notebooks/_static", "coursework")
    for folder in folders:
        if (tasks.ROOT / folder).exists():
            shutil.copytree(tasks.ROOT / folder, tmp_path / folder,
                            ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tasks.py", "book.yml", "constraints.txt", "notebooks/references.bib"):
        shutil.copy(tasks.ROOT / name, tmp_path / name)
    shutil.copytree(tasks.ROOT / "tests" / "certified", tmp_path / "tests" / "certified")
    cell = "```{code-cell} ipython3\nfrom ilsupport import widgets\nwidgets.BoundsExplorer(T=%d)\n```\n"
    (tmp_path / "notebooks" / "index.md").write_text(f"{HEADER}\n# Two\n\n{cell % 30}\n{cell % 40}",
                                                     encoding="utf-8")
    (tmp_path / "notebooks" / "_toc.yml").write_text("format: jb-book\nroot: index\n", encoding="utf-8")

    def site() -> tuple[str, bytes]:
        code = "import sys, tasks; from pathlib import Path; tasks.build(Path(sys.executable))"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, encoding="utf-8",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=os.environ | {"PYTHONPATH": str(tmp_path)})
        assert done.returncode == 0, done.stdout
        assert "Executing notebook" not in done.stdout, "the site's engine executes nothing"
        built = tmp_path / "_build"
        return ((built / "html/index.html").read_text(encoding="utf-8"),
                (built / "executed/index.ipynb").read_bytes())

    html, executed = site()
    assert html.count('data-il="bounds_explorer.js"') == 2 and html.count("function exactCost(") == 1
    script = tmp_path / "ilsupport/widgets/js/bounds_explorer.js"
    script.write_text("// made anew\n" + script.read_text(encoding="utf-8"), encoding="utf-8")
    again, still = site()
    assert still == executed and "// made anew" in again and "// made anew" not in html
