"""The sources of the pages keep the book's rules, and the book builds from them without a warning."""
from __future__ import annotations

import re
import shutil
import subprocess
import sys
from urllib.parse import urlsplit

import jupytext
import pytest
import yaml
from built import NOTEBOOKS, toc
from jupytext.config import load_jupytext_configuration_file

import tasks

HEADER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
CELL = re.compile(r"^```(?:\{code-cell\}|python$).*?^```$", re.DOTALL | re.MULTILINE)
REGISTRY = {"anaconda", "conda", "npmjs", "pypi", "registry"}


def text(page: str) -> str:
    return (NOTEBOOKS / f"{page}.md").read_text(encoding="utf-8")


def test_book_builds_without_a_warning(site):
    assert [page for page in toc() if not (site / f"{page}.html").exists()] == []


def test_every_page_that_has_code_was_executed(site):
    with_code = {page for page in toc() if "{code-cell}" in text(page)}
    assert with_code <= set(tasks.page_times())


def test_page_and_its_statements_are_numbered_as_its_file_is(site):
    contents = (site / "index.html").read_text(encoding="utf-8")
    for page in toc():
        if not (name := re.match(r"\d\d(?=-)", page)):
            continue
        number, html = str(int(name[0])), (site / f"{page}.html").read_text(encoding="utf-8")
        assert re.search(rf'href="{page}\.html">{number}\. ', contents), page
        assert not re.search(r'<h[2-6]>\s*<span class="section-number"', html), f"{page}: of a section"
        labels = re.findall(r'caption-number">[A-Z]\w+ ([\d.]+) |class="eqno">\(([\d.]+)\)', html)
        counted = {label for pair in labels for label in pair if label}
        assert {label.split(".")[0] for label in counted} <= {number}, page
        assert counted or "prf:" not in text(page)


def test_table_of_contents_names_every_page_and_no_other():
    files = {str(path.relative_to(NOTEBOOKS).with_suffix("")) for path in NOTEBOOKS.rglob("*.md")
             if not {"_build", ".ipynb_checkpoints", "homework"} & set(path.parts)}
    assert sorted(toc()) == sorted(files)


@pytest.mark.parametrize("page", toc())
def test_page_opens_as_a_notebook(page):
    header = yaml.safe_load(HEADER.match(text(page))[1])
    assert header["jupytext"]["text_representation"]["format_name"] == "myst"
    assert header["kernelspec"]["name"] == "python3"


def test_saving_a_page_in_jupyterlab_changes_nothing(tmp_path):
    """As its extension does: text read as a notebook, the notebook written as text, by the same settings."""
    settings = load_jupytext_configuration_file(str(NOTEBOOKS / "jupytext.toml"))
    sources = [NOTEBOOKS / f"{page}.md" for page in toc()] + sorted((NOTEBOOKS / "homework").glob("*.md"))
    assert [source.name for source in sources if saved(source.read_text(encoding="utf-8"), settings)
            != source.read_text(encoding="utf-8")] == []
    header = HEADER.match(text("references"))[1]
    more = f"---\n{header}\nmystnb:\n  execution_timeout: 60\nnumbering: false\n---\n\n# A page\n"
    assert saved(more, settings) == more, "no key of a header is lost"


def saved(page: str, settings) -> str:
    notebook = jupytext.reads(page, "md:myst", config=settings)
    notebook.metadata["language_info"] = {"name": "python", "version": "3.11.2"}  # which a kernel adds
    notebook.metadata["widgets"] = {}
    return jupytext.writes(notebook, "md:myst", config=settings)


def test_jupytext_itself_leaves_every_page_as_it_is(tmp_path):
    folder = shutil.copytree(NOTEBOOKS, tmp_path / "notebooks", ignore=shutil.ignore_patterns("_build"))
    pages = [*folder.glob("*.md"), *folder.glob("homework/*.md")]
    before = {page: page.read_bytes() for page in pages}
    subprocess.run([sys.executable, "-m", "jupytext", "--quiet", "--to", "md:myst", *pages], check=True)
    assert [page.name for page in pages if page.read_bytes() != before[page]] == []


@pytest.mark.parametrize("page", toc())
def test_page_has_a_title_and_says_what_it_presumes_and_how_long_it_takes(page):
    prose = CELL.sub("", HEADER.sub("", text(page)))
    assert re.match(r"\s*# \S", prose), "the page starts with its title"
    assert len(re.findall(r"^# ", prose, re.MULTILINE)) == 1, "one title a page"
    if page != "references":
        top = "\n".join(prose.strip().splitlines()[:20]).lower()
        assert "presumes" in top
        assert re.search(r"\btakes\b.*\b(minutes?|hours?)\b", top, re.DOTALL)


@pytest.mark.parametrize("page", toc())
def test_page_is_written_in_what_every_front_end_reads(page):
    prose = CELL.sub("", text(page))
    macros = r"\\(?:re)?newcommand|\\providecommand|\\def\s*\\|\\DeclareMathOperator|\\newenvironment"
    assert re.findall(macros, prose) == [], "LaTeX macros of one's own break in one front end or another"
    assert re.findall(r"\{(?:glue|doc)\b[^}]*\}", prose) == []


@pytest.mark.parametrize("page", toc())
def test_page_links_to_no_package_registry(page):
    hosts = [urlsplit(link).hostname or "" for link in re.findall(r"https?://[^\s)>\"'`]+", text(page))]
    assert [host for host in hosts if REGISTRY & set(host.split("."))] == []


def config() -> dict:
    return yaml.safe_load((tasks.ROOT / "book.yml").read_text(encoding="utf-8"))


def test_old_address_of_a_page_leads_to_a_page_that_is_there():
    moved = config()["sphinx"]["config"]["redirects"]
    assert {"07b-many-dimensions", "11-beyond"} <= set(moved) and not set(moved) & set(toc())
    assert {target.removesuffix(".html") for target in moved.values()} <= set(toc())


def test_repository_address_stands_in_one_place():
    address = config()["repository"]["url"].removeprefix("https://")
    files = [path for path in tasks.ROOT.iterdir() if path.is_file()]
    files += [path for path in NOTEBOOKS.rglob("*") if path.is_file() and "_build" not in path.parts]
    assert [path.name for path in files if address.encode() in path.read_bytes()] == ["book.yml"]


@pytest.mark.parametrize(("service", "file"), [
    ("binderhub_url", "notebooks/05-dagger.md"),
    ("jupyterhub_url", "notebooks/05-dagger.md"),
    ("colab_url", "/blob/colab/05-dagger.ipynb"),  # Colab opens no MyST
])
def test_launch_buttons_open_the_page_they_stand_on(site, service, file):
    links = re.findall(r'href="([^"]+)"', (site / "05-dagger.html").read_text(encoding="utf-8"))
    link = next(link for link in links if link.startswith(config()["launch_buttons"][service]))
    assert file in link
