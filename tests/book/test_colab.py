"""The pages as notebooks for Colab: all there, readable, without a secret, published, and they run."""
from __future__ import annotations

import functools
import json
import re
import subprocess
import sys

import machine
import nbformat
import pytest
from built import NOTEBOOKS, toc

import tasks
from coursework import source as homework
from scripts import colab

ASSIGNMENTS = {assignment.page: assignment for assignment in homework.sources(NOTEBOOKS / "homework")}
MADE = colab.notebooks()
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?::\w+:[^\n]*\n)*(.*?)^```$", re.DOTALL | re.MULTILINE)
CODE_BLOCK = re.compile(r"^(?:> )?```\w*\n.*?^(?:> )?```$", re.DOTALL | re.MULTILINE)


@functools.cache
def solved() -> dict[str, dict]:
    return colab.notebooks(solved=True)


def sources(page: str, kind: str) -> list[str]:
    return [cell["source"] for cell in MADE[page]["cells"] if cell["cell_type"] == kind]


def prose(page: str) -> str:
    return CODE_BLOCK.sub("", "\n\n".join(sources(page, "markdown")))


# --- what is in them ---


def test_every_page_has_a_notebook_and_every_notebook_a_page():
    assert list(MADE) == toc()


@pytest.mark.parametrize("page", toc())
def test_a_notebook_is_one_and_begins_with_the_installation(page):
    nbformat.validate(nbformat.from_dict(MADE[page]))
    first = MADE[page]["cells"][0]
    assert first["cell_type"] == "code" and first["source"].startswith("%pip install ")
    assert f"@ git+{tasks.address()}" in first["source"]


@pytest.mark.parametrize("page", [page for page in toc() if page not in ASSIGNMENTS])
def test_a_notebook_has_the_cells_that_the_site_executes(page):
    cells = CELL.findall((NOTEBOOKS / f"{page}.md").read_text(encoding="utf-8"))
    assert [cell.strip() for cell in sources(page, "code")[1:]] == [cell.strip() for cell in cells]


@pytest.mark.parametrize("page", toc())
def test_nothing_is_left_that_colab_cannot_show(page):
    left = r"\{[\w:-]+\}`|^[:`]{3,}.*|^\([\w-]+\)=|^%.*|\$\$ *\([\w-]+\)|\.md\b(?=[)#])|^:\w+:.*"
    assert re.findall(left, prose(page), re.MULTILINE) == []
    assert prose(page).startswith("# ")
    # A formula that goes on in the next quoted line would have its > for an inequality.
    quoted = [re.sub(r"`[^`]*`", "", line) for line in prose(page).splitlines() if line.startswith(">")]
    assert [line for line in quoted if len(re.findall(r"(?<!\\)\$", line)) % 2] == []


@pytest.mark.parametrize("page", toc())
def test_links_lead_to_notebooks_of_the_branch(page):
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"\$[^$]+\$|`[^`\n]+`", "", prose(page)))
    assert [link for link in links if link not in map(colab.opened, MADE)
            and not link.startswith("https://")] == []


def read(text: str) -> str:
    where = {"thm": ("here", "Theorem *Sharp*"), "eq-far": ("05-dagger", "(far)"),
             "ex": ("here", "Exercise *Slip*")}
    entries = {"ross": {"who": "Ross and Bagnell", "year": "2010"},
               "ng": {"who": "Ng et al.", "year": "2004"}}
    return colab.plain(text, "here", where, entries)


@pytest.mark.parametrize(("myst", "markdown"), [
    ("```{prf:theorem} Sharp\n:label: thm\n\nLet\n\n$$\na\n= b\n$$ (eq-one)\n```",
     "> **Theorem (Sharp).**\n>\n> Let\n>\n> $$ a = b \\tag{one}$$"),
    (":::{prf:proof}\nBy {prf:ref}`thm`.\n:::", "> **Proof.**\n>\n> By Theorem *Sharp*."),
    ("```{note}\nText.\n```", "> **Note**\n>\n> Text."),
    ("```{admonition} Two words\n:class: note\nText.\n```", "> **Two words**\n>\n> Text."),
    ("```{exercise-start} Slip\n:label: ex\n```\n\nWhy?\n\n```{exercise-end}\n```",
     "#### Exercise: Slip\n\nWhy?"),
    ("```{solution-start} ex\n:label: sol\n:class: dropdown\n```\n\nSo.", "#### Solution\n\nSo."),
    ("$$\na\n$$\n\n$$ b $$ (eq-two)\n", "$$\na\n$$\n\n$$ b \\tag{two}$$"),
    ("(sec-x)=\n## Where", "## Where"),
    ("{ref}`the slip <ex>`, {ref}`ex`", "the slip, Exercise *Slip*"),
    ("{cite:t}`ross` and {cite:p}`ross,ng`",
     "Ross and Bagnell (2010) and (Ross and Bagnell, 2010; Ng et al., 2004)"),
])
def test_markup_becomes_plain_markdown(myst, markdown):
    assert read(myst) == markdown


def test_what_would_be_lost_is_an_error():
    with pytest.raises(ValueError, match="list-table"):
        read("```{list-table}\n* - a\n```")
    with pytest.raises(ValueError, match="no page has the label thm-nowhere"):
        read("{prf:ref}`thm-nowhere`")


def test_a_reference_to_another_page_is_a_link():
    assert read("{eq}`eq-far`") == f"[(far)]({colab.opened('05-dagger')})"
    assert read("[page 5](05-dagger.md#why)") == f"[page 5]({colab.opened('05-dagger')})"


def test_every_reference_and_citation_of_the_book_is_known():
    entries = colab.bibliography()
    assert len(entries) == (NOTEBOOKS / "references.bib").read_text(encoding="utf-8").count("\n@") + 1
    ross = entries["ross2010efficient"]
    assert ross["who"] == "Ross and Bagnell" and "Stéphane" in ross["author"]
    assert not any(re.search(r"[{}\\]", entry["author"]) for entry in entries.values())


# --- homework gives nothing away ---


@pytest.mark.parametrize("page", ASSIGNMENTS)
def test_a_student_gets_blanks_and_public_checks_and_nothing_else(page):
    assignment = ASSIGNMENTS[page]
    given, kept = set(), {}
    for cell in assignment.cells:
        if cell.role in (None, "experiment", "check"):
            given |= set(cell.text.splitlines())
        elif cell.role == "answer":
            given |= set(homework.blank(cell.text).splitlines())
        for line in cell.text.splitlines() if cell.role in ("answer", "hidden", "mutant") else []:
            kept[line] = cell.role
    secret = {line: role for line, role in kept.items()
              if line not in given and len(line.strip()) > 25 and "SOLUTION" not in line}
    assert {"answer", "hidden", "mutant"} <= set(secret.values())
    shown, told = ({line for cell in made[page]["cells"] for line in cell["source"].splitlines()}
                   for made in (MADE, solved()))
    assert shown & set(secret) == set() and "SOLUTION" not in json.dumps(MADE[page])
    assert told & set(secret), "the test could not fail"
    assert sum(cell.startswith("def ") and "\ncheck(" in cell for cell in sources(page, "code")) == \
        sum(cell.role == "check" for cell in assignment.cells)


# --- the button, the branch ---


def test_every_colab_button_opens_its_page_on_the_branch(site):
    for page in toc():
        links = re.findall(r'href="(https://colab[^"]+)"',
                           (site / f"{page}.html").read_text(encoding="utf-8"))
        assert links == [colab.opened(page)], page


@pytest.mark.slow
def test_publishing_makes_one_branch_and_touches_nothing_else(tmp_path):
    here, remote = machine.checkout(tmp_path / "here"), tmp_path / "remote.git"
    machine.git(tmp_path, "init", "--quiet", "--bare", remote.name)
    machine.git(here, "remote", "add", "origin", str(remote))
    machine.git(here, "config", "user.name", "A test")
    machine.git(here, "config", "user.email", "a@test")
    with (here / "notebooks" / "notation.md").open("a", encoding="utf-8") as page:
        page.write("\nNot committed.\n")
    (here / "new.txt").write_text("staged\n")
    machine.git(here, "add", "new.txt")

    def state():
        return (machine.git(here, "rev-parse", "HEAD", "main"), machine.git(here, "symbolic-ref", "HEAD"),
                machine.git(here, "status", "--porcelain"), machine.git(here, "diff", "HEAD"))

    def published(*arguments):
        done = subprocess.run([sys.executable, "-m", "scripts.colab", *arguments], cwd=here,
                              capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr
        return machine.git(here, "rev-list", "colab").split()

    before = state()
    (first,) = published("--publish")
    names = machine.git(here, "ls-tree", "-r", "--name-only", "colab").splitlines()
    assert sorted(names) == sorted(["README.md", *(f"{page}.ipynb" for page in toc())])
    assert "Not committed." in machine.git(here, "show", "colab:notation.ipynb")
    assert published("--publish") == [first], "nothing changed, so there is no new commit"
    assert machine.git(here, "ls-remote", "origin") == "", "not asked for, so not pushed"

    with (here / "notebooks" / "notation.md").open("a", encoding="utf-8") as page:
        page.write("\nOnce more.\n")
    now = state()
    second, parent = published("--push", "origin")
    assert parent == first and state() == now and now[:2] == before[:2]
    assert machine.git(here, "ls-remote", "origin") == f"{second}\trefs/heads/colab"

    # Another clone goes on from what was published, and does not write over a branch that somebody is working
    # on.
    machine.git(here, "branch", "--quiet", "-D", "colab")
    assert published("--push", "origin") == [second, first]
    machine.git(here, "stash", "--quiet")
    machine.git(here, "worktree", "add", "--quiet", str(tmp_path / "elsewhere"), "colab")
    refused = subprocess.run([sys.executable, "-m", "scripts.colab", "--publish"], cwd=here,
                             capture_output=True, encoding="utf-8")
    assert refused.returncode == 1 and "checked out" in refused.stderr


# --- they run ---


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return machine.checkout(tmp_path_factory.mktemp("repository"))


def run(notebook: dict, repository, tmp_path) -> dict:
    file = tmp_path / "page.ipynb"
    file.write_text(json.dumps(notebook), encoding="utf-8")
    extras = re.search(r"ilsupport\[([\w,]+)\]", notebook["cells"][0]["source"])[1]
    python = machine.make(tmp_path / "machine", extras)
    early = subprocess.run([python, "-c", "import ilsupport"], cwd=tmp_path, stderr=subprocess.PIPE,
                           encoding="utf-8")
    assert "ModuleNotFoundError" in early.stderr, "the package is not there before the notebook installs it"
    done = machine.execute(file, python, repository, tmp_path / "empty")
    where = "import ilsupport, pathlib; print(pathlib.Path(ilsupport.__file__).resolve())"
    assert str(tmp_path) in subprocess.check_output([python, "-c", where], cwd=tmp_path, encoding="utf-8")
    return json.loads(done.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("page", toc())
def test_the_notebook_runs_from_top_to_bottom_where_only_its_first_cell_installed(page, repository, tmp_path):
    done = run(solved()[page], repository, tmp_path)
    if page in ASSIGNMENTS:
        said = json.dumps([cell.get("outputs") for cell in done["cells"]])
        checks = [cell for cell in ASSIGNMENTS[page].cells if cell.role == "check"]
        assert said.count("What you can see of this question is right.") == len(checks)


@pytest.mark.slow
def test_a_wrong_answer_is_told_and_does_not_stop_the_notebook(repository, tmp_path):
    page = next(iter(ASSIGNMENTS))
    blank = MADE[page]["cells"]
    end = next(i for i, cell in enumerate(blank) if "\ncheck(" in cell["source"])
    done = run(MADE[page] | {"cells": blank[:end + 1]}, repository, tmp_path)
    assert "Reread page 1" in "".join(done["cells"][-1]["outputs"][0]["text"])


@pytest.mark.slow
def test_a_cell_that_raises_fails_the_run(repository, tmp_path):
    broken = MADE["references"] | {"cells": [MADE["references"]["cells"][0],
                                             colab.code("1 / 0") | {"id": "broken"}]}
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run(broken, repository, tmp_path)
