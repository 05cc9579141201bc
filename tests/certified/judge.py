"""Puts a statement and its variants to the test on the cases of its world."""
from __future__ import annotations

import ast
import math
from collections.abc import Iterable
from types import CodeType
from typing import NamedTuple

from certified.derive import Variant, variants
from certified.forms import Part

ROUNDING, VIOLATION = 1e-9, 1e-6  # what holds may be off by the one, what is refuted is off by the other


class Nowhere(float):
    """An entry outside a table; a relation with it says nothing, a sum leaves it out."""

    def __getitem__(self, index: int) -> Nowhere:
        return self

    def __bool__(self) -> bool:  # as a condition: nobody goes there
        return False


NOWHERE = Nowhere("nan")


class Table(tuple):
    """A table whose entries outside it, also before its beginning, are NOWHERE."""

    def __getitem__(self, index: int):
        return super().__getitem__(index) if 0 <= index < len(self) else NOWHERE


def table(values) -> Table | float | bool:
    """Nested lists (or a tensor) as nested tables."""
    values = values.tolist() if hasattr(values, "tolist") else values
    return Table(map(table, values)) if isinstance(values, list | tuple) else values


class Relations:
    """What `<=`, `<` and `==` mean while a claim is evaluated."""

    def __init__(self) -> None:
        self.tolerance, self.trace = ROUNDING, None

    def compare(self, op: str, a: float, b: float) -> bool:
        if op in (">", ">="):
            a, b = b, a
        slack = -abs(b - a) if op == "==" else b - a
        if self.trace is not None:
            self.trace.append(slack)
            return True
        if slack != slack:
            return True
        if op in ("<", ">"):
            return slack > 1e-12
        return slack >= -self.tolerance * (1 + min(abs(a), abs(b)))


RELATIONS = Relations()


def there(values: Iterable[float]) -> list[float]:
    return [x for x in values if x == x]


def mean(values: Iterable[float]) -> float:
    values = there(values)
    return math.fsum(values) / len(values) if values else NOWHERE


def of_several(choose):
    """`min` or `max` of arguments, NOWHERE if one of them is, or of what there is of one collection."""
    def chosen(*values):
        some = there(values if len(values) > 1 else values[0])
        return NOWHERE if not some or 1 < len(values) > len(some) else choose(some)
    return chosen


FUNCTIONS = {
    "relation": RELATIONS.compare, "range": range, "abs": abs, "all": all, "any": any, "len": len,
    "sum": lambda values: math.fsum(there(values)), "prod": lambda values: math.prod(there(values)),
    "mean": mean, "min": of_several(min), "max": of_several(max),
    "log": math.log, "exp": math.exp, "sqrt": math.sqrt, "floor": math.floor, "pi": math.pi,
    "iff": lambda a, b: a == b, "__builtins__": {},
}


class Measured(ast.NodeTransformer):
    """Rewrites comparisons, but not those of conditions, into calls of `relation`."""

    OPS = {ast.LtE: "<=", ast.Lt: "<", ast.GtE: ">=", ast.Gt: ">", ast.Eq: "=="}

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        sides = [node.left, *node.comparators]
        calls = [ast.Call(ast.Name("relation", ast.Load()), [ast.Constant(self.OPS[type(op)]), a, b], [])
                 for op, a, b in zip(node.ops, sides, sides[1:])]
        return calls[0] if len(calls) == 1 else ast.BoolOp(ast.And(), calls)


def compiled(text: str, measured: bool = True) -> CodeType:
    tree = ast.parse(text, mode="eval")
    tree = Measured().visit(tree) if measured else tree
    return compile(ast.fix_missing_locations(tree), text, "eval")


def can_be_traced(text: str) -> bool:
    """Whether an expression is a conjunction of relations and nothing else."""
    return not any(isinstance(node, ast.Or | ast.Not) or isinstance(node, ast.Name)
                   and node.id in ("any", "iff") for node in ast.walk(ast.parse(text)))


UNDEFINED = (ZeroDivisionError, ValueError, OverflowError, TypeError)


def holds(codes: list[CodeType], case: dict, tolerance: float) -> bool | None:
    """Whether all hold in the case; None where one of them has no value there."""
    RELATIONS.tolerance, RELATIONS.trace = tolerance, None
    try:
        return all(eval(code, case) for code in codes)
    except UNDEFINED:
        return None


def trace(code: CodeType, case: dict) -> list[float] | None:
    """By how much each relation of a claim holds in the case."""
    RELATIONS.trace = slacks = []
    try:
        eval(code, case)
    except UNDEFINED:
        return None
    finally:
        RELATIONS.trace = None
    return there(slacks)


def is_part(some: list[float], others: list[float]) -> bool:
    rest = iter(others)
    return all(x in rest for x in some)


class Verdict(NamedTuple):
    """`kind`: refuted, weaker, idle (no change where it is defined), true (explained) or survives."""

    variant: Variant
    kind: str
    by: str  # the case that refutes it, or the reason why it is true


class Judge:
    """Judges the variants of one part of a statement on the cases of its world."""

    def __init__(self, part: Part, cases: list[dict]) -> None:
        self.part, self.cases = part, [{**FUNCTIONS, **case} for case in cases]
        self.given = [compiled(text) for text in part.given]
        self.claim = [compiled(text) for text in part.claim]
        self.meet = [{k for k, case in enumerate(self.cases) if holds([code], case, 1e-12)}
                     for code in self.given]
        self.admitted = self.admitted_but(None)

    def admitted_but(self, place: int | None) -> set[int]:
        """The cases in which every assumption holds, one left out."""
        return set(range(len(self.cases))).intersection(*(m for k, m in enumerate(self.meet) if k != place))

    def failures(self) -> list[str]:
        """The cases in which the statement itself fails, or has no value."""
        return [self.cases[k]["case"] for k in sorted(self.admitted)
                if not holds(self.claim, self.cases[k], ROUNDING)]

    def judge(self, variant: Variant) -> Verdict:
        kind, by = (self.of_given if variant.role == "given" else self.of_claim)(variant)
        if kind == "survives" and variant.name in self.part.reasons:
            return Verdict(variant, "true", self.part.reasons[variant.name])
        return Verdict(variant, kind, by)

    def of_given(self, variant: Variant) -> tuple[str, str]:
        admitted = self.admitted_but(variant.place)
        if variant.text:
            code = compiled(variant.text)
            admitted = {k for k in admitted if holds([code], self.cases[k], 1e-12)}
        for k in sorted(admitted - self.admitted):
            if not holds(self.claim, self.cases[k], VIOLATION):
                return "refuted", self.cases[k]["case"]
        if admitted < self.admitted:
            return "weaker", ""
        return ("idle" if admitted == self.admitted and variant.shift else "survives"), ""

    def of_claim(self, variant: Variant) -> tuple[str, str]:
        code, undefined = compiled(variant.text), 0
        for k in sorted(self.admitted):
            true = holds([code], self.cases[k], VIOLATION)
            undefined += true is None
            if true is False:
                return "refuted", self.cases[k]["case"]
        if undefined == len(self.admitted):
            return "refuted", "it has no value in any case"
        text = self.part.claim[variant.place]
        if not (can_be_traced(text) and can_be_traced(variant.text)):
            return "survives", ""
        return self.compared(self.claim[variant.place], code, variant.shift), ""

    def compared(self, old: CodeType, new: CodeType, shift: bool) -> str:
        """Whether every relation of the variant has at least the room of the original's."""
        strictly = False
        for k in sorted(self.admitted):
            before, after = trace(old, self.cases[k]), trace(new, self.cases[k])
            if before is None or after is None:
                continue
            if len(before) != len(after):
                if not is_part(after, before):
                    return "survives"
                strictly = True
            elif any(b < a - 1e-12 * (1 + abs(a)) for a, b in zip(before, after)):
                return "survives"
            else:
                strictly |= any(b > a + 1e-9 * (1 + abs(a)) for a, b in zip(before, after))
        return "weaker" if strictly else "idle" if shift else "survives"

    def verdicts(self) -> list[Verdict]:
        return [self.judge(variant) for variant in variants(self.part)]

    def stale(self, verdicts: list[Verdict]) -> list[str]:
        """Reasons for variants that are not derived any more, or that a case refutes."""
        return sorted(set(self.part.reasons) - {v.variant.name for v in verdicts if v.kind == "true"})
