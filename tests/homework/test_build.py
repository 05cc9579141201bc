"""What `make homework` makes: the student's notebook is Otter's and the page shows it, and neither gives
anything away."""
from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from assignments import ALL, BUILT, FOLDER
from built import site  # noqa: F401  (a fixture; and the pages are written)

import tasks
from coursework import build
from coursework import source as sources
from coursework.source import Cell

BOOK = FOLDER.parent


def cells(path: Path) -> list[Cell]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    found = [Cell(cell["cell_type"], "".join(cell["source"]).strip()) for cell in notebook["cells"]]
    return [cell for cell in found if cell.text]


def secrets(data: bytes) -> bool:
    return b"secret_" in data.lower()


@pytest.mark.parametrize("source", BUILT, ids=lambda source: source.name)
def test_the_page_shows_the_student_notebook_that_otter_makes(built, source):
    page = (BOOK / f"{source.page}.md").read_text(encoding="utf-8")
    assert page == sources.page(source)
    of_otter = cells(built / source.name / f"{source.name}.ipynb")
    parts = [f"```python\n{cell.text}\n```" if cell.kind == "code" else cell.text for cell in of_otter]
    title = next(part for part in parts if part.startswith("# ")).partition("\n")
    shown = sources.unlinked(page)
    assert title[0] in shown and title[2].strip() in shown
    shown = shown[shown.index(parts[0]):]
    assert shown == "\n\n".join(part for part in parts if not part.startswith("# ")) + "\n"


@pytest.mark.parametrize("source", BUILT, ids=lambda source: source.name)
def test_students_get_no_solution_and_no_hidden_check(built, source):
    for path in (built / source.name / f"{source.name}.ipynb",
                 built / "nbgrader" / "release" / source.name / f"{source.name}.ipynb"):
        assert not secrets(path.read_bytes()), path


@pytest.mark.parametrize("source", BUILT, ids=lambda source: source.name)
def test_both_tools_hand_out_the_same_notebook(built, source):
    release = built / "nbgrader" / "release" / source.name / f"{source.name}.ipynb"
    assert release.read_bytes() == (built / source.name / f"{source.name}.ipynb").read_bytes()


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "gradebook.db"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
# nbgrader adds a submission in an order that SQLAlchemy finds odd
@pytest.mark.filterwarnings("ignore:Object of type")
def test_a_rebuild_gives_the_same_bytes_and_keeps_what_is_not_its_own(built, tmp_path):
    from nbgrader.api import Gradebook
    notebooks, out = tmp_path / "notebooks", tmp_path / "built"
    planted = next((built.parent / "notebooks" / "homework").glob("hw1*.md"))
    (notebooks / "homework").mkdir(parents=True)
    source = Path(shutil.copy(planted, notebooks / "homework"))
    shutil.copytree(built, out)
    book = f"sqlite:///{out / 'nbgrader' / 'gradebook.db'}"
    with Gradebook(book) as gradebook:
        gradebook.add_student("ann")
        gradebook.add_submission("hw1", "ann")
    for name in ("hw1/handed-in/ann.ipynb", "nbgrader/submitted/ann/hw1/hw1.ipynb",
                 "nbgrader/feedback/ann/hw1/hw1.html"):
        (out / name).parent.mkdir(parents=True)
        (out / name).write_text("not ours")
    with open(out / "nbgrader" / "nbgrader_config.py", "a", encoding="utf-8") as file:
        file.write("c.Exchange.root = '/exchange'\n")
    before = contents(out)

    def rebuild() -> int:
        build.main([str(notebooks), str(out), "https://example.com/book"])
        with Gradebook(book) as gradebook:
            assert [each.student_id for each in gradebook.assignment_submissions("hw1")] == ["ann"]
            return gradebook.find_assignment("hw1").max_score

    assert rebuild() == 27
    assert contents(out) == before
    source.write_text(planted.read_text(encoding="utf-8").replace("[q1, hidden, 2-points]",
                                                                  "[q1, hidden, 4-points]"), encoding="utf-8")
    assert rebuild() == 29
    changed = {name for name, data in contents(out).items() if data != before[name]}
    assert changed == {"hw1/bundle.json", "hw1/hw1-autograder.zip", "hw1/hw1-gradescope.zip",
                       "hw1/hw1-solutions.ipynb",
                       "nbgrader/source/hw1/hw1.ipynb"}


def leaks(folder: Path) -> list[Path]:
    """The files in which a secret stands, or in which one is packed."""
    return [path for path in folder.rglob("*") if path.is_file()
            and (secrets(path.read_bytes()) or zipfile.is_zipfile(path) and secrets(_inside(path)))]


@pytest.mark.parametrize("source", BUILT, ids=lambda source: source.name)
def test_a_leak_would_be_seen(built, source):
    """In what only instructors get there are secrets, packed ones too."""
    assert {f"{source.name}-solutions.ipynb", f"{source.name}-autograder.zip",
            "bundle.json"} <= {path.name for path in leaks(built / source.name)}
    assert leaks(built / "nbgrader" / "source" / source.name)


def test_a_site_built_beside_the_sources_gives_nothing_away(built, tmp_path):
    """With the planted sources in their place, no file of the site holds a secret: no archive, no index."""
    planted, site = built.parent / "notebooks", tmp_path / "notebooks"
    shutil.copytree(planted, site)
    for name in ("_ext", "_static"):
        shutil.copytree(BOOK / name, site / name)
    shutil.copytree(tasks.ROOT / "tests" / "certified", tmp_path / "tests" / "certified")
    shutil.copy(BOOK / "references.bib", site)
    pages = [path.stem for path in sorted(planted.glob("hw*.md"))]
    rest = {"chapters": [{"file": page} for page in pages[1:]]} if len(pages) > 1 else {}
    (site / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": pages[0], **rest}))
    shutil.copy(tasks.ROOT / "book.yml", tmp_path)
    done = subprocess.run([sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build",
                           "notebooks", "--config", "book.yml", "--path-output", "."],
                          cwd=tmp_path, capture_output=True, text=True)
    files = {path.name for path in (tmp_path / "_build").rglob("*")}
    wanted = {"searchindex.js", *(f"{page}.{kind}" for page in pages for kind in ("html", "md"))}
    assert wanted <= files, done.stdout[-2000:] + done.stderr[-2000:]
    assert leaks(tmp_path / "_build") == []


def _inside(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return b"".join(map(archive.read, archive.namelist()))


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
def test_the_book_itself_holds_no_line_of_a_solution(source, site):
    shown = {line.strip() for line in sources.page(source).splitlines()}
    kept = {line.strip() for question in source.questions for cell in source.questions[question]
            for line in cell.text.splitlines()
            if cell.role in ("answer", "hidden", "mutant") and line.strip() not in shown
            and len(line.strip()) > 40}
    names = (f"_sources/{source.page}.md", f"{source.page}.html", "searchindex.js")
    text = "\n".join((site / name).read_text(encoding="utf-8", errors="replace") for name in names)
    assert kept and [line for line in kept if line in text] == []
    assert not any("homework" in str(path.relative_to(site)) for path in site.rglob("*.md"))


@pytest.mark.parametrize("source", BUILT, ids=lambda source: source.name)
def test_gradescope_is_told_to_install_the_package(built, source):
    with zipfile.ZipFile(built / source.name / f"{source.name}-gradescope.zip") as archive:
        assert "ilsupport @ git+https://example.com/book" in archive.read("environment.yml").decode()


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
def test_jupytext_opens_the_source_as_the_same_cells(source):
    import jupytext
    notebook = jupytext.read(FOLDER / f"{source.page}.md")
    assert [cell.source.strip() for cell in notebook.cells if cell.cell_type == "code"] == \
        [cell.text for cell in source.cells if cell.kind == "code"]


INSTANT = """
import otter, torch
grader = otter.Notebook("hw1.ipynb")
def bc_loss(scores, actions):
    return -scores.log_softmax(1)[torch.arange(len(actions)), actions].{}()
print(grader.check("q1", global_env={{"bc_loss": bc_loss}}))
"""


@pytest.mark.slow
def test_the_student_notebook_says_at_once_what_is_wrong(built):
    """Otter's check as the student runs it: the tests come from the notebook's own metadata."""
    says = {}
    for what in ("sum", "mean"):
        done = subprocess.run([sys.executable, "-c", INSTANT.format(what)], cwd=built / "hw1",
                              capture_output=True, encoding="utf-8")
        says[what] = done.stdout
    for part in ("expected  1.09861\n", "got       8.78", "Reread page 1, the definition"):
        assert part in says["sum"]
    assert "All test cases passed" in says["mean"] and "Hidden checks" in says["mean"]
