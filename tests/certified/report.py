"""Prints, for every labelled result, what became of the variants of its form (`make certify`).

Exit status 1 if a statement fails, if a variant survives without a reason, or if a reason explains nothing.
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from certified import worlds_curves, worlds_games, worlds_other, worlds_walk  # noqa: F401 (they register)
from certified.forms import Part, read_forms
from certified.judge import Judge, Verdict
from certified.worlds import cases_of


class Judged(NamedTuple):
    part: Part
    cases: int  # in which all of `given` holds
    failures: list[str]
    verdicts: list[Verdict]
    stale: list[str]

    def count(self, *kinds: str) -> int:
        return sum(v.kind in kinds for v in self.verdicts)

    @property
    def complaints(self) -> list[str]:
        where = f"{self.part.label}, part {self.part.number + 1}"
        return ([f"{where}: no case has all of its assumptions"] * (not self.cases)
                + [f"{where} fails: {case}" for case in self.failures[:3]]
                + [f"{where} survives: {v.variant.name}" for v in self.verdicts if v.kind == "survives"]
                + [f"{where}: a reason for nothing: {name}" for name in self.stale])


def judged(part: Part, draws: int = 1) -> Judged:
    judge = Judge(part, cases_of(part.world, draws))
    verdicts = judge.verdicts()
    return Judged(part, len(judge.admitted), judge.failures(), verdicts, judge.stale(verdicts))


def row(label: str, some: list[Judged]) -> str:
    wrong, true = (sum(j.count(kind) for j in some) for kind in ("refuted", "true"))
    left = sum(j.count("survives") for j in some)
    weaker = sum(j.count("weaker", "idle") for j in some)
    return f"{label:28}{wrong + true + left:9}{wrong:9}{true:15}{left:10}{weaker:12}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make certify", description=__doc__.split("\n")[0])
    parser.add_argument("labels", nargs="*", help="only these")
    parser.add_argument("--draws", type=int, default=1, help="how many times as many random cases")
    parser.add_argument("--explain", action="store_true", help="print what refutes each variant")
    options = parser.parse_args(arguments)
    forms = {label: parts for label, parts in read_forms().items() if label in (options.labels or [label])}
    print(f"{'label':28}{'variants':>9}{'refuted':>9}{'strengthenings':>15}{'survives':>10}{'say less':>12}")
    everything, complaints, totals = [], [], Counter()
    for label, parts in forms.items():
        some = [judged(part, options.draws) for part in parts]
        print(row(label, some), flush=True)
        everything += some
        complaints += [text for j in some for text in j.complaints]
        for verdict in (v for j in some for v in j.verdicts if options.explain):
            print(f"    {verdict.kind:9}{verdict.variant.name}\n             {verdict.by}")
    totals.update(v.kind for j in everything for v in j.verdicts)
    print(row(f"{len(forms)} labels", everything))
    share = totals["true"] / max(1, totals["true"] + totals["refuted"] + totals["survives"])
    print(f"{share:.1%} of the variants are true strengthenings, each with its reason in {Path('NN.toml')}")
    print(*complaints, sep="\n")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
