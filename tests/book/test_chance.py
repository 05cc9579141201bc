"""`il.generator(seed)` is the only source of chance on a page, in the homework and in the audit.

Or moving the seeds (`make reseed`) would leave some of what is left to chance where it was, and two runs of
one page could differ.
"""
from __future__ import annotations

import ast
import contextlib
import functools
import io
from pathlib import Path

import execute
import numpy as np
import pytest
import reach
import torch
from built import NOTEBOOKS, toc

from coursework import source

ASSIGNMENTS = source.sources(NOTEBOOKS / "homework")
DRAWS = {"rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli", "binomial", "poisson",
         "sample", "rsample", "normal_", "uniform_", "bernoulli_", "random_", "exponential_", "geometric_",
         "cauchy_", "log_normal_"}
NEVER = {"rand_like": "it takes no generator", "randn_like": "it takes no generator",
         "randint_like": "it takes no generator", "Dropout": "it takes no generator",
         "dropout": "it takes no generator", "manual_seed": "it seeds everybody's generator",
         "seed": "it seeds what is not our generator", "default_rng": "it is NumPy's",
         "RandomState": "it is NumPy's", "rvs": "it is SciPy's", "urandom": "no seed leads to it",
         "Linear": "it draws its weights from everybody's generator",
         "Conv2d": "it draws its weights from everybody's generator",
         "GRU": "it draws its weights from everybody's generator"}
MODULES = {"random", "secrets", "uuid", "numpy.random", "torch.random"}
READS = {"hash", "id", "time", "time_ns", "perf_counter", "process_time", "getpid"}  # no number to seed with


def other_chance(code: str) -> list[str]:
    """What in this code is left to chance, or may be, otherwise than by `il.generator(seed)`."""
    tree = ast.parse(code)
    found = [f"import of {name}" for name in imported(tree) if MODULES & {name, name.rpartition(".")[0]}]
    found += [f"import of {name}: write il.generator" for name in imported(tree)
              if name.endswith(".generator") and name.startswith("ilsupport")]
    for base, attributes in reach.chains(tree):
        path = [base, *attributes]
        if base in ("np", "numpy", "torch") and "random" in attributes:
            found.append(".".join(path))
        if "generator" in attributes and path != ["il", "generator"] and base == "il":
            found.append(".".join(path))
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return found + [f"line {node.lineno}: {ast.unparse(node)}: {why}" for node in ast.walk(tree)
                    if (why := fault(node, functions))]


def imported(tree: ast.AST) -> list[str]:
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return names + [f"{node.module}.{alias.name}" for node in ast.walk(tree)
                    if isinstance(node, ast.ImportFrom) for alias in node.names]


def fault(node: ast.AST, functions: set[int]) -> str:
    """What is wrong with this piece of code, if anything is."""
    if isinstance(node, ast.Attribute) and id(node) not in functions:
        drawn = node.attr in DRAWS and isinstance(node.value, ast.Name) and node.value.id == "torch"
        return "it is handed on without a generator" if drawn else ""
    if not isinstance(node, ast.Call):
        return ""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    options = {option.arg: option.value for option in node.keywords}
    ours = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "il"  # takes a generator
    if isinstance(node.func, ast.Attribute) and name in NEVER and not ours:
        return NEVER[name]
    if isinstance(node.func, ast.Attribute) and name in DRAWS and "generator" not in options:
        return "it has no generator="
    if isinstance(options.get("generator"), ast.Constant):
        return "its generator is none"
    if name == "Generator" or name == "reset" and "seed" in options:
        return "it makes a generator beside ours"
    if name == "generator" and any(READS & {base, *more} for part in [*node.args, *options.values()]
                                   for base, more in reach.chains(part)):
        return "its seed is another at every run"
    return "it differs from run to run" if name == "hash" else ""


@functools.cache
def cells() -> dict[str, list[str]]:
    """The code of every page as it is executed, cell by cell."""
    pages, _ = execute.whole_book([], Path("nowhere"))
    return {page.name: [execute.plain_python([cell]) for cell in page.code] for page in pages}


@pytest.mark.parametrize("page", toc())
def test_a_page_leaves_nothing_else_to_chance(page):
    assert [f"cell {number}: {fault}" for number, code in enumerate(cells()[page], start=1)
            for fault in other_chance(code)] == []


@pytest.mark.parametrize("assignment", ASSIGNMENTS, ids=lambda assignment: assignment.name)
def test_the_homework_leaves_nothing_else_to_chance(assignment):
    """Its questions, its solutions and its checks, hidden ones too. A wrong answer may have this fault."""
    assert [fault for cell in assignment.cells if cell.kind == "code" and cell.role != "mutant"
            for fault in other_chance(cell.text)] == []


@pytest.mark.parametrize("code", [
    "import random", "from numpy.random import default_rng", "from random import choice", "import uuid",
    "np.random.rand(3)", "np.random.default_rng(0).normal()", "torch.random.fork_rng()", "os.urandom(4)",
    "torch.manual_seed(0)", "torch.cuda.manual_seed(0)", "g.manual_seed(3)", "g.seed()", "torch.seed()",
    "torch.Generator()", "torch.Generator('cpu').manual_seed(2)", "env.reset(seed=3)",
    "torch.rand(3)", "torch.randn(3, generator=None)", "torch.randn_like(x)", "torch.randperm(4)",
    "torch.multinomial(p, 1)", "torch.bernoulli(p)", "torch.normal(0., x)", "x.uniform_(0, 1)",
    "torch.distributions.Normal(0, 1).sample()", "draw = torch.rand", "torch.nn.Linear(3, 4)",
    "torch.nn.functional.dropout(x)", "scipy.stats.norm.rvs(3)", "il.generator(hash('a'))",
    "il.generator(int(time.time()))", "il.generator(id(x))", "from ilsupport.random import generator",
    "from ilsupport import generator", "il.random.generator(3)", "seed = hash(name)"])
def test_another_source_of_chance_would_be_seen(code):
    assert other_chance(code)


@pytest.mark.parametrize("code", [
    "g = il.generator(seed + 1)", "torch.rand(3, generator=g)", "il.generator(len(x))", "Drive(seed=3)",
    "x = torch.multinomial(p, 1, True, generator=il.generator(3))", "env.reset(4, il.generator(2))",
    "def draw(n, generator):\n    return torch.randint(n, (3,), generator=generator)",
    "def f(g: torch.Generator): ...", "time.time()",
    "plots.sample", "self.seed", "il.GRU(((W, 4), 32, 2), il.generator(0))"])
def test_our_own_is_let_through(code):
    assert other_chance(code) == []


def test_executing_a_page_leaves_everybodys_generators_as_they_were(monkeypatch):
    monkeypatch.chdir(NOTEBOOKS)
    names = {"__name__": "__main__", "display": lambda *shown: None}
    before, numpys, dtype = torch.get_rng_state(), np.random.get_state(), torch.get_default_dtype()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for code in cells()["audit"]:
                exec(compile(code, "audit.md", "exec"), names)
    finally:
        torch.set_default_dtype(dtype)  # which the page changes, for itself
    assert torch.equal(torch.get_rng_state(), before)
    now = np.random.get_state()
    assert (now[1] == numpys[1]).all() and now[2:] == numpys[2:]
    assert names["il"], "the page was executed"
