"""Writes the pages of the book as .ipynb for Colab, which opens no MyST; `python tasks.py notebooks` runs it.

    python -m scripts.colab                  write them into _build/notebooks
    python -m scripts.colab --publish        ... and commit them to the branch `colab`, which holds only them
    python -m scripts.colab --push REMOTE    ... and push that branch

Each notebook begins with a cell that installs the package and, where the page reads committed results,
fetches them. What Colab does not render (directives, roles, labels) is put into plain Markdown. Of an
assignment it is what the student gets, with the public checks as cells: Otter runs on Colab neither the
checks in a notebook's metadata nor its export.
"""
from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import jupytext
import yaml

from coursework import source as homework
from tasks import BUILD, ROOT, address, say, stop

PAGES = ROOT / "notebooks"
TARGET = BUILD / "notebooks"
BRANCH = "colab"  # notebooks/_ext/colab_button.py points the buttons there
DATA = "_data"  # committed results, beside the pages
EXTRAS = {"10-locomotion": "pages,mujoco"}  # what to install of the package; for every other page `pages`
README = ("The pages of the book for Colab, made by `python tasks.py notebooks --publish`. "
          "To change them, change the pages.\n")

DIRECTIVE = re.compile(r"^(`{3,}|:{3,})\{([\w:-]+)\}[ \t]*(.*)\n((?::[\w-]+:.*\n)*)((?s:.*?))^\1[ \t]*$",
                       re.MULTILINE)
EQUATION = re.compile(r"^\$\$((?:(?!\$\$).)*)\$\$(?:[ \t]*\(([\w-]+)\))?[ \t]*$", re.DOTALL | re.MULTILINE)
SECTION = re.compile(r"^\(([\w-]+)\)=\n+(#+) (.*)$", re.MULTILINE)
ROLE = re.compile(r"\{(prf:ref|ref|eq|cite:t|cite:p)\}`([^`]+)`")
LINK = re.compile(r"\]\(([\w-]+)\.md(?:#[\w-]+)?\)")
ADMONITIONS = ("admonition", "note", "tip", "hint", "important", "warning", "dropdown")
COMBINING = {"'": "\u0301", '"': "\u0308", "`": "\u0300", "^": "\u0302", "~": "\u0303"}


def contents() -> list[str]:
    """The pages in the table of contents, in reading order."""
    toc = yaml.safe_load((PAGES / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def opened(page: str) -> str:
    """Where Colab opens a page. Links have to be absolute: Colab resolves only some of the relative ones."""
    on_colab = address().replace("https://github.com", "https://colab.research.google.com/github")
    return f"{on_colab}/blob/{BRANCH}/{page}.ipynb"


# --- MyST into plain Markdown ---


def named(name: str, title: str) -> str:
    """`{prf:theorem} Sharp bound` is called 'Theorem *Sharp bound*', and `{exercise-start} Slip one`
    'Exercise *Slip one*'."""
    kind = name.removeprefix("prf:").removesuffix("-start").capitalize()
    return f"{kind} *{title.strip()}*" if title.strip() else kind


def labels(texts: dict[str, str]) -> dict[str, tuple[str, str]]:
    """For every label of these pages the page that it stands on and the words that refer to it."""
    found = {}
    for page, text in texts.items():
        for _, kind, title, options, _ in DIRECTIVE.findall(text):
            for label in re.findall(r"^:label:\s*(\S+)", options, re.MULTILINE):
                found[label] = page, named(kind, title)
        found |= {label: (page, f"({label.removeprefix('eq-')})") for _, label in EQUATION.findall(text)
                  if label}
        found |= {label: (page, f"*{title.strip()}*") for label, _, title in SECTION.findall(text)}
    return found


def bibliography() -> dict[str, dict[str, str]]:
    """The entries of references.bib, by key.

    Their fields without LaTeX, and `who`, the authors' names as one cites them.
    """
    entries = {}
    text = re.sub(r"\{\\(['\"`^~])(\w)\}", lambda m: unicodedata.normalize("NFC", m[2] + COMBINING[m[1]]),
                  (PAGES / "references.bib").read_text(encoding="utf-8").replace(r"{\L}", "Ł"))
    for key, body in re.findall(r"^@\w+\{(\S+),\n(.*?)^\}", text, re.DOTALL | re.MULTILINE):
        fields = {name: re.sub(r"[{}]|\s+(?=\s)", "", value.replace("\n", " ")).replace("--", "–")
                  for name, value in re.findall(r"^\s*(\w+)\s*=\s*\{(.*?)\},?$", body,
                                                re.DOTALL | re.MULTILINE)}
        names = [name.split(",")[0] for name in fields["author"].split(" and ")]
        several = len(names) > 2 or names[-1] == "others"
        entries[key] = fields | {"who": f"{names[0]} et al." if several else " and ".join(names)}
    return entries


def reading_list(entries: dict[str, dict[str, str]]) -> str:
    places = ("booktitle", "journal", "institution", "publisher", "note")
    lines = [f"- {entry['author'].replace(' and ', '; ')} ({entry['year']}). *{entry['title']}*. "
             + next((entry[place] for place in places if place in entry), "") + "."
             for entry in entries.values()]
    return "\n".join(sorted(lines, key=str.casefold))


def plain(text: str, page: str, where: dict, entries: dict) -> str:
    """The Markdown of a cell of this page as Colab can show it; `where` is from `labels`, `entries` from
    `bibliography`.

    Raises ValueError for a label that is not there and for a directive that it cannot put into Markdown.
    """
    def block(match) -> str:
        _, kind, title, _, body = (part.strip() for part in match.groups())
        if kind == "bibliography":
            return reading_list(entries)
        if kind.endswith("-end"):
            return ""
        if kind == "solution-start":
            return "#### Solution"
        if kind == "exercise-start":  # its text follows, and cells may stand in between
            return f"#### Exercise: {title}" if title else "#### Exercise"
        if kind.startswith("prf:"):
            title = f"{kind.removeprefix('prf:').capitalize()}{f' ({title})' if title else ''}."
        elif kind not in ADMONITIONS:
            raise ValueError(f"{page}: Colab shows no directive {{{kind}}}, expected one of "
                             f"{', '.join(ADMONITIONS)}, a prf:, an exercise or a solution. Teach "
                             "scripts/colab.py what to make of it.")
        # A formula of several lines would take the quotation marks for its own.
        body = EQUATION.sub(lambda m: " ".join(m[0].splitlines()), body)
        return "\n".join(f"> {line}".rstrip() for line in [f"**{title or kind.capitalize()}**", "",
                                                           *body.splitlines()])

    def role(match) -> str:
        kind, what = match.groups()
        if kind.startswith("cite"):
            cited = [entries[key.strip()] for key in what.split(",")]
            if kind == "cite:t":
                return ", ".join(f"{entry['who']} ({entry['year']})" for entry in cited)
            return f"({'; '.join(', '.join([entry['who'], entry['year']]) for entry in cited)})"
        words, _, label = what.removesuffix(">").rpartition("<")
        if label not in where:
            raise ValueError(f"{page}: no page has the label {label}, which {{{kind}}} asks for.")
        at, called = where[label]
        words = words.strip() or called
        return words if at == page else f"[{words}]({opened(at)})"

    text = EQUATION.sub(lambda m: f"$${m[1].rstrip()} \\tag{{{m[2].removeprefix('eq-')}}}$$" if m[2]
                        else m[0], text)
    text = SECTION.sub(r"\2 \3", text)
    text = DIRECTIVE.sub(block, text)
    text = ROLE.sub(role, text)
    return LINK.sub(lambda m: f"]({opened(m[1])})", text).strip()


# --- notebooks ---


def install_cell(page: str, cells: list[dict]) -> dict:
    """What Colab lacks; it keeps its own torch, as the package asks for no version of it.

    The committed results that some pages read lie beside the pages, not in the package: they come from a
    clone.
    """
    install = f'%pip install --quiet "ilsupport[{EXTRAS.get(page, "pages")}] @ git+{address()}"'
    reads = any(cell["cell_type"] == "code" and DATA in cell["source"] for cell in cells)
    clone = f"git clone --quiet --depth 1 {address()} book && cp -r book/notebooks/{DATA} ."
    fetch = f"\n!test -d {DATA} || ({clone})"
    return code(install + (fetch if reads else ""))


def code(text: str, tags: list[str] = ()) -> dict:
    return {"cell_type": "code", "source": text, "metadata": {"tags": list(tags)} if tags else {},
            "outputs": [],
            "execution_count": None}


def markdown(text: str) -> dict:
    return {"cell_type": "markdown", "source": text, "metadata": {}}


def page_cells(path: Path) -> list[dict]:
    """The cells of a page, as the site executes them."""
    return [code(cell.source, cell.metadata.get("tags", [])) if cell.cell_type == "code"
            else markdown(cell.source)
            for cell in jupytext.read(path).cells]


HAND_IN = """**On Colab.** This is a copy to work on; save it to your Drive first. The cell below an answer
says whether it passes what can be seen of its checks. What you hand in is the notebook that your course gave
you: copy your answers into it."""
MODULE = "%%writefile checks.py\n" + (ROOT / "coursework" / "checks.py").read_text(encoding="utf-8").rstrip()
CHECK = '''from checks import expect, number, numbers, run_this, same, wrong

def check(test, *answers):
    """Say what a check has to say; a wrong answer does not stop the notebook."""
    try:
        run_this(lambda: test(*answers))
        print("What you can see of this question is right. Hidden checks follow when it is graded.")
    except AssertionError as error:
        print(error)'''


def homework_cells(assignment: homework.Source, solved: bool = False) -> list[dict]:
    """The cells of a student: blanks for answers, public checks, nothing hidden.

    (The tests run it solved.)
    """
    cells = []
    for cell in assignment.cells:
        if cell.kind == "markdown":
            cells.append(markdown(cell.text))
        elif cell.role in (None, "experiment"):
            cells.append(code(cell.text))
        elif cell.role == "answer":
            cells.append(code(homework.solved(cell.text) if solved else homework.blank(cell.text)))
        elif cell.role == "check":
            test, answers = re.match(r"def (\w+)\((.*?)\)", cell.text).groups()
            cells.append(code(f"{cell.text}\n\ncheck({', '.join(filter(None, [test, answers]))})"))
    return [cells[0], markdown(HAND_IN), code(MODULE), code(CHECK), *cells[1:]]


def notebooks(solved: bool = False) -> dict[str, dict]:
    """Every page of the table of contents as a notebook, by its name.

    The assignments with blanks, unless `solved`.
    """
    assignments = {assignment.page: assignment for assignment in homework.sources(PAGES / "homework")}
    pages = contents()
    where = labels({page: (PAGES / f"{page}.md").read_text(encoding="utf-8") for page in pages
                    if page not in assignments})
    entries, made = bibliography(), {}
    for page in pages:
        cells = homework_cells(assignments[page],
                               solved) if page in assignments else page_cells(PAGES / f"{page}.md")
        for cell in cells:
            if cell["cell_type"] == "markdown":
                cell["source"] = plain(cell["source"], page, where, entries)
        cells = [cell for cell in cells if cell["source"]]  # of the end of a solution nothing is left
        made[page] = homework.notebook([install_cell(page, cells), *cells])
    return made


# --- the branch ---


def git(*arguments: str, text: str | None = None) -> str:
    """What a git command says. Raises CalledProcessError if it fails."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, input=text, stdout=subprocess.PIPE, check=True,
                          encoding="utf-8")
    return done.stdout.strip()


def resolved(name: str) -> str:
    """What a name stands for in the repository; empty if it stands for nothing."""
    try:
        return git("rev-parse", "--verify", "--quiet", name)
    except subprocess.CalledProcessError:
        return ""


def publish(remote: str | None) -> None:
    """Commit what is in the folder to the branch, if it changed.

    Neither the work tree nor any other branch is touched.
    """
    branch = f"refs/heads/{BRANCH}"
    if f"branch {branch}" in git("worktree", "list", "--porcelain").splitlines():
        stop(f"the branch {BRANCH} is checked out: check out another one first")
    blobs = [f"100644 blob {git('hash-object', '-w', '--no-filters', str(path))}\t{path.name}"
             for path in sorted(TARGET.iterdir())]
    tree = git("mktree", text="\n".join(blobs) + "\n")
    here = resolved(branch)
    parent = here or resolved(f"refs/remotes/{remote or 'origin'}/{BRANCH}")
    if parent and resolved(f"{parent}^{{tree}}") == tree:
        say(f"Nothing changed since the last commit on {BRANCH}")
        commit = parent
    else:
        subject = f"Publish the pages of {git('rev-parse', '--short', 'HEAD')}"
        commit = git("commit-tree", tree, *(["-p", parent] if parent else []), "-m", subject)
        say(f"Committed {len(blobs) - 1} notebooks to the branch {BRANCH}")
    if commit != here:
        git("update-ref", branch, commit, here)
    if remote:
        git("push", remote, f"{branch}:{branch}")
    else:
        say(f"To publish them: git push origin {BRANCH}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tasks.py notebooks",
                                     description="Write the pages as .ipynb for Colab.")
    parser.add_argument("--publish", action="store_true",
                        help=f"commit them to the branch {BRANCH}, which holds nothing else")
    parser.add_argument("--push", metavar="REMOTE", help="publish, and push that branch to REMOTE")
    options = parser.parse_args()
    shutil.rmtree(TARGET, ignore_errors=True)  # no page of an earlier table of contents stays behind
    TARGET.mkdir(parents=True)
    (TARGET / "README.md").write_text(README, encoding="utf-8")
    for page, notebook in notebooks().items():
        (TARGET / f"{page}.ipynb").write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n",
                                              encoding="utf-8")
    say(f"The notebooks are in {TARGET.relative_to(ROOT)}")
    if options.publish or options.push:
        try:
            publish(options.push)
        except subprocess.CalledProcessError as error:
            stop(f"git {error.cmd[1]} failed; it says above why")


if __name__ == "__main__":
    main()
