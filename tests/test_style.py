"""What the project holds its own code to: ruff's rules (pyproject.toml), and what ruff cannot see."""
from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST = {"lines of code in ilsupport": 3300,
        "lines of a file": 350, "lines of a function": 40}
FOLDERS = ["ilsupport", "coursework", "experiments", "scripts", "benchmarks"]
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
PACKAGE = [path for path in FILES if path.is_relative_to(ROOT / "ilsupport")]
# From the ground up. A module imports what lies in layers below its own; within a package (`envs`,
# `policies`, `widgets`) modules import each other, but never in a circle.
LAYERS = [
    ["_checks", "_threads", "identity", "random"],
    ["bounds", "estimate", "tabular", "trajectories", "files"],
    ["envs", "plots", "tables", "relabel", "runs"],
    ["policies", "interop"],
    ["experts", "rollout", "storage"],
    ["bc"],
    ["dagger"],
    ["noise"],
    ["widgets"],
    ["__init__"],
]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def docstring(node: ast.AST) -> range:
    """The lines of a node's docstring; none if it has none."""
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return range(0)
    if ast.get_docstring(node, clean=False) is None:
        return range(0)
    return range(node.body[0].lineno, node.body[0].end_lineno + 1)


def code_lines(text: str) -> int:
    """Lines of Python that hold code: no blank ones, no comments, no docstrings."""
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
             tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {line for token in tokens if token.type not in quiet
             for line in range(token.start[0], token.end[0] + 1)}
    return len(lines.difference(*map(docstring, ast.walk(ast.parse(text)))))


def long_functions(text: str) -> list[str]:
    """Functions of more lines than allowed, their docstrings, comments and blank lines not counted."""
    found, lines = [], text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = [i for i in range(node.lineno, node.end_lineno + 1) if i not in docstring(node)]
            count = sum(bool(lines[i - 1].strip()) for i in body)
            if count > MOST["lines of a function"]:
                found.append(f"{node.name}: {count}")
    return found


# --- what of the package a module imports, wherever in it the import stands ---


def module(path: Path) -> str:
    """ilsupport/envs/fork.py is `envs.fork`, ilsupport/envs/__init__.py `envs`, the package `__init__`."""
    parts = list(path.relative_to(ROOT / "ilsupport").with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module(path): parsed(path) for path in PACKAGE}


def imported(name: str, tree: ast.Module) -> set[str]:
    """The modules of ilsupport that this one names in its imports, those inside functions too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("ilsupport").lstrip(".") for alias in node.names
                      if alias.name.split(".")[0] == "ilsupport"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ilsupport":
            source = node.module.removeprefix("ilsupport").lstrip(".")
            for alias in node.names:  # from ilsupport import bounds; from ilsupport.envs.base import Env
                inner = f"{source}.{alias.name}".lstrip(".")
                found.add(inner if inner in MODULES else source)
    return {each or "__init__" for each in found} - {name}


def top(name: str) -> str:
    return name.split(".")[0]


LAYER = {name: i for i, names in enumerate(LAYERS) for name in names}


def test_ruff_finds_nothing():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--output-format", "concise", "."],
                          cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_file_and_no_function_is_long(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST["lines of a file"]
    assert long_functions(text) == []


def test_the_package_is_small():
    counted = {named(path): code_lines(path.read_text(encoding="utf-8")) for path in PACKAGE}
    assert sum(counted.values()) <= MOST["lines of code in ilsupport"], counted


def test_every_module_has_its_layer():
    assert [name for name in map(top, MODULES) if name not in LAYER] == []


@pytest.mark.parametrize("name", MODULES)
def test_no_module_imports_one_above_it(name):
    others = [other for other in imported(name, MODULES[name]) if top(other) != top(name)]
    assert [f"{name} imports {other}" for other in others if LAYER[top(other)] >= LAYER[top(name)]] == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: imported(name, tree) for name, tree in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def borrowed(tree: ast.Module) -> list[str]:
    """Private names of other modules that this one uses: `from a import _b`, `a._b` of an imported `a`."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    from_ours = [node for node in imports if isinstance(node, ast.ImportFrom)]
    found = [f"from {node.module} import {alias.name}" for node in from_ours for alias in node.names
             if private(alias.name) and f"{node.module}.{alias.name}" not in PRIVATE_MODULES]
    names = {alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names}
    found += [f"{node.value.id}.{node.attr}" for node in ast.walk(tree)
              if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
              and node.value.id in names and private(node.attr)]
    return [name for name in found if name not in PUBLIC]


PUBLIC = {"os._exit"}  # for all its name: the library's manual has it
PRIVATE_MODULES = {f"ilsupport.{name}" for name in MODULES
                   if private(name)}  # of the package: its own may import them


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_private_name_crosses_a_border(path):
    assert borrowed(parsed(path)) == []


def test_nothing_is_found_by_its_attributes():
    """`hasattr` would take a stranger's attribute for a promise; what a thing can do, its class says."""
    asked = [f"{name}:{node.lineno}" for name, tree in MODULES.items() for node in ast.walk(tree)
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hasattr"]
    assert asked == []


# --- and the rules can fail ---


def test_the_rules_see_what_they_forbid():
    assert long_functions("def f():\n" + "    x = 1\n" * 40) == ["f: 41"]
    assert long_functions('def f():\n    """\n' + "    text\n" * 60 + '    """\n') == []
    text = '"""Text.\n\nMore."""\n# why\nx = """a\nb"""\n\ndef f():\n    "Text."\n    return 1\n'
    assert code_lines(text) == 4
    found = borrowed(ast.parse("from a import _b\nimport c, os\nc._d\nc.__name__\nos._exit\n"))
    assert found == ["from a import _b", "c._d"]
    text = "from ilsupport import bounds\ndef f():\n    from ilsupport.envs.base import Env\n"
    assert imported("x", ast.parse(text)) == {"bounds", "envs.base"}
