"""Derives the variants of a statement: each differs from it in one place.

A symbol or a constant is halved, doubled or deleted (with what it multiplies, divides, adds to or raises); an
index, a limit of a range and a symbol that counts steps are shifted by one; an assumption, a condition, one
of several alternatives is dropped; `<` becomes `<=` in an assumption; "for all" becomes "for some" or
"for the first" in an assumption, and a mean becomes the largest, the least or the last in a claim.

What logic alone makes weaker (a claim for all steps, claimed for some) is not derived. What turns out weaker
in every case is told apart by `judge`.
"""
from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

from certified.forms import Part

QUANTIFIERS = {"all", "any", "sum", "prod", "mean", "max", "min"}


class Variant(NamedTuple):
    """The statement with `text` in place of its `role` ("given" or "claim") number `place`; None: dropped."""

    role: str
    place: int
    text: str | None
    shift: bool  # an index or a limit was moved

    @property
    def name(self) -> str:
        return f"{self.role} {self.place + 1}: {self.text or 'dropped'}"


class Context(NamedTuple):
    role: str
    steps: frozenset[str]
    unordered: frozenset[str]  # names that run over a set without order
    index: bool = False  # inside [...] or range(...)


def number(value: float) -> ast.expr:
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)


def times(factor: float, node: ast.expr) -> ast.expr:
    return ast.BinOp(number(factor), ast.Mult(), node)


def plus(node: ast.expr, step: int) -> ast.expr:
    return ast.BinOp(node, ast.Add() if step > 0 else ast.Sub(), ast.Constant(abs(step)))


def of_constant(node: ast.Constant, c: Context) -> Iterator[tuple[ast.expr, bool]]:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    scaled = [] if c.index or not value else [value / 2, value * 2]
    shifted = [value - 1, value + 1] if isinstance(value, int) else []
    for new in dict.fromkeys([*scaled, *shifted]):
        yield number(int(new) if new == int(new) else new), c.index


def of_symbol(node: ast.expr, c: Context, name: str) -> Iterator[tuple[ast.expr, bool]]:
    """Halve, double or shift a name, or an entry of a table."""
    if name in c.unordered:
        return
    if not c.index and c.role != "condition":
        yield times(0.5, node), False
        yield times(2, node), False
    if name and (c.index or name in c.steps):
        yield plus(node, 1), c.index
        yield plus(node, -1), c.index


def of_operation(node: ast.BinOp) -> Iterator[ast.expr]:
    """Delete one side."""
    yield node.left
    if isinstance(node.op, ast.Add | ast.Mult):
        yield node.right
    if isinstance(node.op, ast.Div) and not isinstance(node.left, ast.Constant):
        yield ast.BinOp(ast.Constant(1), ast.Div(), node.right)


def of_call(node: ast.Call, c: Context) -> Iterator[ast.expr]:
    """Other quantifiers, an alternative dropped, a function left out."""
    name = node.func.id
    if name in QUANTIFIERS and isinstance(node.args[0], ast.GeneratorExp):
        swaps = {("given", "all"): ["any"], ("claim", "any"): ["all"], ("claim", "mean"): ["max", "min"],
                 ("claim", "sum"): ["max"]}.get((c.role, name), [])
        for other in swaps:
            yield ast.Call(ast.Name(other), node.args, [])
        ordered = [k for k, loop in enumerate(node.args[0].generators) if isinstance(loop.iter, ast.Call)]
        for k in ordered if (c.role, name) == ("given", "all") else []:
            new = copy.deepcopy(node)
            new.args[0].generators[k].iter.args = [ast.Constant(1)]
            yield new
    elif name in ("min", "max"):
        for k in range(len(node.args)):
            rest = node.args[:k] + node.args[k + 1:]
            yield rest[0] if len(rest) == 1 else ast.Call(node.func, rest, [])
    elif name in ("log", "exp", "sqrt", "abs"):
        yield node.args[0]


def of_comparison(node: ast.Compare, c: Context) -> Iterator[ast.expr]:
    """In an assumption: the border let in, one end of a chain dropped."""
    other = {ast.Lt: ast.LtE, ast.Gt: ast.GtE}
    for k, op in enumerate(node.ops if c.role == "given" else []):
        if type(op) in other:
            new = copy.deepcopy(node)
            new.ops[k] = other[type(op)]()
            yield new
    if c.role == "given" and len(node.ops) == 2:
        yield ast.Compare(node.left, node.ops[:1], node.comparators[:1])
        yield ast.Compare(node.comparators[0], node.ops[1:], node.comparators[1:])


def here(node: ast.AST, c: Context) -> Iterator[tuple[ast.AST, bool]]:
    """The changes of this node itself, and whether each moves an index."""
    if isinstance(node, ast.Constant):
        yield from of_constant(node, c)
    elif isinstance(node, ast.Name):
        yield from of_symbol(node, c, node.id)
    elif isinstance(node, ast.Subscript):
        yield from of_symbol(node, c._replace(steps=frozenset()), "")
    elif isinstance(node, ast.BinOp):
        yield from ((new, c.index) for new in of_operation(node))
    elif isinstance(node, ast.UnaryOp):
        yield node.operand, False
    elif isinstance(node, ast.BoolOp):
        for k in range(len(node.values)):
            rest = node.values[:k] + node.values[k + 1:]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest), False
    elif isinstance(node, ast.Compare):
        yield from ((new, False) for new in of_comparison(node, c))
    elif isinstance(node, ast.Call):
        yield from ((new, False) for new in of_call(node, c))
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield ast.comprehension(node.target, node.iter, [], 0), False


def sign_of(node: ast.AST) -> ast.AST | None:
    """The symbol whose sign alone a comparison asks for: twice it has the same."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        sides = node.left, node.comparators[0]
        for one, other in (sides, sides[::-1]):
            zero = isinstance(other, ast.Constant) and other.value == 0
            if zero and isinstance(one, ast.Name | ast.Subscript):
                return one
    return None


def parts_of(node: ast.AST, c: Context) -> Iterator[tuple[str, int | None, ast.AST, Context]]:
    """The children that may change: field, place in it, child and its context."""
    if isinstance(node, ast.Subscript):
        table, k = node.value, c._replace(index=True)
        yield "slice", None, node.slice, k
        if isinstance(table, ast.Subscript):  # e[t][s] is one symbol with two indices
            for field, place, child, inner in parts_of(table, c):
                yield f"value.{field}", place, child, inner
        return
    if isinstance(node, ast.comprehension):
        if isinstance(node.iter, ast.Call):
            for k, limit in enumerate(node.iter.args):
                yield "iter.args", k, limit, c._replace(index=True)
        yield from (("ifs", k, test, c._replace(role="condition")) for k, test in enumerate(node.ifs))
        return
    skip = {ast.Call: {"func"}, ast.Compare: {"ops"}, ast.BinOp: {"op"}, ast.BoolOp: {"op"},
            ast.UnaryOp: {"op"}}.get(type(node), set())
    for field, value in ast.iter_fields(node):
        if field in skip:
            continue
        for k, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.expr | ast.comprehension):
                yield field, k, child, c._replace(role="condition") if sign_of(node) is child else c


def put(node: ast.AST, path: list[tuple[str, int | None]], new: ast.AST) -> ast.AST:
    """Return a copy of the tree with `new` at the path."""
    if not path:
        return new
    root = at = copy.deepcopy(node)
    for depth, (fields, k) in enumerate(path):
        *way, field = fields.split(".")
        for name in way:
            at = getattr(at, name)
        if depth < len(path) - 1:
            at = getattr(at, field) if k is None else getattr(at, field)[k]
        elif k is None:
            setattr(at, field, new)
        else:
            getattr(at, field)[k] = new
    return root


def places(node: ast.AST, c: Context, path: tuple = ()) -> Iterator[tuple[tuple, ast.AST, bool]]:
    """Every change of the tree: where, what stands there then, and whether an index moved."""
    unordered = {loop.target.id for loop in getattr(node, "generators", [])
                 if not isinstance(loop.iter, ast.Call)}
    c = c._replace(unordered=c.unordered | unordered)
    for new, shift in here(node, c):
        yield path, new, shift
    for field, k, child, inner in parts_of(node, c):
        yield from places(child, inner, (*path, (field, k)))


def written(tree: ast.expr) -> str:
    """The expression as text; `ast.unparse` writes f((x for x in y)) for f(x for x in y)."""
    text = ast.unparse(ast.fix_missing_locations(ast.Expression(tree)))
    extra = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.args[0], ast.GeneratorExp):
            first, last = node.args[0].col_offset, node.args[0].end_col_offset
            if text[first - 1] == "(" and text[last] == ")":
                extra |= {first, last - 1}
    return "".join(char for k, char in enumerate(text) if k not in extra)


def changed(text: str, role: str, steps: frozenset[str]) -> dict[str, bool]:
    """The variants of one expression, as text, and whether each only moves an index."""
    tree = ast.parse(text, mode="eval").body
    if isinstance(tree, ast.Name):  # true or false: it can only be dropped
        return {}
    found = {}
    for path, new, shift in places(tree, Context(role, steps | {"T", "t", "i", "k"}, frozenset())):
        found.setdefault(written(put(tree, list(path), new)), shift)
    found.pop(written(tree), None)
    return found


def variants(part: Part) -> list[Variant]:
    """All variants of a part, in the order of its text."""
    found = [Variant("given", k, None, False) for k in range(len(part.given))]
    for role, texts in (("given", part.given), ("claim", part.claim)):
        for k, text in enumerate(texts):
            found += [Variant(role, k, new, shift)
                      for new, shift in changed(text, role, part.steps).items()]
    return found
