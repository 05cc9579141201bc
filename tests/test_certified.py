"""Every labelled result of the book has a check, and the check fails on a wrong variant of the claim."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import certified_01  # noqa: F401 (these fill the registry)
import certified_03  # noqa: F401
import certified_05  # noqa: F401
import certified_06  # noqa: F401
import certified_07  # noqa: F401
import certified_07b  # noqa: F401
import certified_08  # noqa: F401
import certified_09  # noqa: F401
import pytest
from certified_cases import CHECKS, KINDS, Violation, make_case
from hypothesis import given, settings
from hypothesis import strategies as st

PAGES = sorted((Path(__file__).parent.parent / "notebooks").glob("*.md"))
CLAIMS = ("theorem", "lemma", "proposition", "corollary")
cases = st.builds(
    make_case,
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 10_000),
    eps=st.one_of(st.sampled_from([0.0, 1e-9, 1e-3, 1.0]), st.floats(0, 1)),
    rho=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
    T=st.integers(1, 25),
    gamma=st.floats(0, 0.95),
)


def by_name(check):
    return check.run.__name__


@pytest.mark.parametrize("check", CHECKS, ids=by_name)
@settings(deadline=None, max_examples=40)
@given(case=cases)
def test_the_claim_holds(check, case):
    check.run(case)


@pytest.mark.parametrize("check,variant", [(c, v) for c in CHECKS for v in c.wrong],
                         ids=[f"{by_name(c)}: {v}" for c in CHECKS for v in c.wrong])
def test_a_wrong_claim_is_caught(check, variant):
    numbers = [(0.001, 0.1, 20), (0.05, 0.0, 8), (0.4, 0.02, 12)]
    some = [make_case(kind, seed, eps, rho, T, gamma=0.9)
            for kind, seed, (eps, rho, T) in product(KINDS, (2, 3), numbers)]
    worst = 0.0
    for case in some:
        try:
            check.run(case, variant)
        except Violation as violation:
            worst = max(worst, violation.by)
    assert worst > 1e-4, "no case tells this wrong claim from the right one"


def test_every_check_has_a_counter_test():
    assert all(check.wrong and check.labels for check in CHECKS)
    labels = [label for check in CHECKS for label in check.labels]
    assert len(labels) == len(set(labels)), "two checks certify one label"


def labels_of(text):
    """Return the labels of a page's claims: an equation called eq-... claims, one called def-... defines.

    Raises ValueError for a theorem without a label, and for a numbered equation that is called neither.
    """
    found = []
    for fence in re.finditer(r"^[ \t]*([`:]{3,})\{(?:prf:)?(\w+)\}(.*(?:\n[ \t]*:.+)*)", text, re.M):
        kind, label = fence[2], re.search(r"^[ \t]*:label:[ \t]*(\S+)", fence[3], re.M)
        if kind in CLAIMS and label is None:
            raise ValueError(f"a {kind} without a label:{fence[3].splitlines()[0]}")
        if kind in CLAIMS:
            found.append(label[1])
        if kind == "math" and label is not None:
            found.append(label[1])
    found += re.findall(r"\$\$[ \t]*\(([\w:.-]+)\)[ \t]*$", text, re.M)
    odd = [x for x in found if not re.match(r"(thm|lem|prop|cor|eq|def)-", x)]
    if odd:
        raise ValueError(f"labels begin with thm-, lem-, prop-, cor-, eq- (a claim) or def-; got {odd}")
    return [label for label in found if not label.startswith("def-")]


def test_labels_are_read_from_a_page():
    page = (":::{prf:theorem} Sharp\n:label: thm-sharp\n:nonumber:\n$$ a \\le b $$ (eq-sharp)\n:::\n"
            "````{prf:lemma}\n:class: dropdown\n:label: lem-drift\n````\n$$\nx = 1\n$$ (def-x)\n$$ y = 2 $$\n"
            "```{math}\n:label: eq-other\nz\n```\n:::{prf:proof}\nnothing\n:::\n")
    assert labels_of(page) == ["thm-sharp", "lem-drift", "eq-other", "eq-sharp"]
    for bad in (":::{prf:theorem} Nameless\nText\n:::", "$$ x $$ (sum)"):
        with pytest.raises(ValueError, match="label"):
            labels_of(bad)


def test_every_label_in_the_book_has_a_check():
    checked = {label for check in CHECKS for label in check.labels}
    missing = {page.name: set(labels_of(page.read_text())) - checked for page in PAGES}
    unchecked = {name: labels for name, labels in missing.items() if labels}
    assert not unchecked, f"no check certifies {unchecked}; write one in tests/certified_*.py"


def test_every_check_has_a_label_in_the_book():
    on_pages = {label for page in PAGES for label in labels_of(page.read_text())}
    checked = {label for check in CHECKS for label in check.labels}
    assert checked <= on_pages, f"certified, yet on no page: {checked - on_pages}"
