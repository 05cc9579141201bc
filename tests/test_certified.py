"""Every labelled result of the book has a form that holds in every case, and no wrong variant of it does."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path

import numpy as np
import pytest
import statements
import torch
from certified import derive, worlds_walk
from certified.forms import Part, read_forms, read_part, read_worlds
from certified.judge import FUNCTIONS, Judge, compiled
from certified.report import Judged, judged
from certified.worlds import cases_of
from docutils import nodes

from ilsupport import bounds, tabular
from ilsupport.tabular import MDP

PAGES = sorted((Path(__file__).parent.parent / "notebooks").glob("*.md"))
CLAIMS = ("theorem", "lemma", "proposition", "corollary")
FORMS = read_forms()
# Certified before a page says them. Whoever writes one on a page takes it from here.
AHEAD = {"prop-weighted", "eq-weighted", "eq-weighted-best"}


@cache
def of_label(label: str) -> list[Judged]:
    return [judged(part) for part in FORMS[label]]


@pytest.mark.parametrize("label", FORMS)
def test_the_statement_holds_and_no_variant_survives(label):
    assert [text for some in of_label(label) for text in some.complaints] == []


@pytest.mark.slow
@pytest.mark.parametrize("label", FORMS)
def test_it_holds_on_many_more_cases(label):
    for part in FORMS[label]:
        assert Judge(part, cases_of(part.world, 8)).failures() == []


def test_there_are_enough_variants_and_few_are_true():
    everything = [some for label in FORMS for some in of_label(label)]
    true, all_of_them = (sum(some.count(*kinds) for some in everything)
                         for kinds in (("true",), ("true", "refuted")))
    assert all_of_them >= 2000 and true <= 0.05 * all_of_them
    assert all(len(why) > 20 for some in everything for why in some.part.reasons.values())


# -- the machine itself


def textbook(claim: str = "J <= eps * T**2") -> Part:
    given = ["all(e[t][s] <= eps for t in range(T) for s in states if visited[t][s])",
             "all(0 <= c[s][a] <= 1 for s in states for a in actions)",
             "all(c[s][0] == 0 for t in range(T) for s in states if visited[t][s])"]
    return read_part("thm-textbook", 0, "03", {"world": "walk", "given": given, "claim": [claim]})


def test_a_changed_symbol_changes_the_variants():
    before, after = (derive.changed(text, "claim", frozenset())
                     for text in ("J <= eps * T ** 2", "J <= rho * T ** 2"))
    assert "J <= 0.5 * eps * T ** 2" in before and "J <= 0.5 * rho * T ** 2" in after
    assert set(before) & set(after) == {"J <= T ** 2"}
    assert set(before) >= {"J <= eps", "J <= eps * T", "J <= T ** 2", "2 * J <= eps * T ** 2",
                           "J <= eps * (T - 1) ** 2", "J <= eps * T ** 1"}


def test_every_kind_of_change_is_derived():
    text = "all(e[t][s] < eps for t in range(T) for s in states if visited[t][s])"
    found = derive.changed(text, "given", frozenset())
    for new in ("any(e[t][s] < eps for t in range(T) for s in states if visited[t][s])",
                "all(e[t][s] < eps for t in range(1) for s in states if visited[t][s])",
                "all(e[t][s] <= eps for t in range(T) for s in states if visited[t][s])",
                "all(e[t + 1][s] < eps for t in range(T) for s in states if visited[t][s])",
                "all(e[t][s] < eps for t in range(T - 1) for s in states if visited[t][s])",
                "all(e[t][s] < eps for t in range(T) for s in states)"):
        assert new in found
    assert not any("s + 1" in new for new in found)  # states have no order
    assert derive.variants(textbook())[0].name == "given 1: dropped"


def test_wrong_statements_are_caught():
    assert Judge(textbook(), cases_of("walk", 1)).failures() == []
    assert Judge(textbook("J <= eps * T**2 / 2"), cases_of("walk", 1)).failures()
    loose = judged(textbook("J <= 3 * eps * T**2"))
    assert any("2 * J" in text for text in loose.complaints)  # a bound that could be halved is noticed


def test_the_price_of_mixing_needs_the_horizon():
    """Two states, the expert leaves and the learner stays: T = 25, beta = 0.04, one round."""
    [case] = [case for case in cases_of("games", 1)
              if case["case"].startswith("two states, losses 0 and 1, T = 25") and case["l_max"] == 1
              and list(case["beta"]) == [0.04]]
    assert case["own"][0] == pytest.approx(1)
    forgotten = case["eps_N"] + case["gamma_N"] + 2 * case["l_max"] * 0.04
    right = eval(compiled(side("thm-dagger", 0, 0, 1)), {**FUNCTIONS, **case})
    assert forgotten == pytest.approx(0.720, abs=5e-4) and right == pytest.approx(1.120, abs=5e-4)


def test_a_reason_for_nothing_is_noticed():
    reasons = {"claim 1: J <= eps": "a case refutes it", "claim 9: x": "it is never derived"}
    part = textbook()._replace(reasons=reasons)
    assert sum("a reason for nothing" in text for text in judged(part).complaints) == 2


def test_forms_are_read_strictly():
    with pytest.raises(ValueError, match="knows no"):
        read_part("thm-x", 0, "03", {"world": "walk", "claim": ["1 <= 2"], "givens": []})
    assert {part.world for parts in FORMS.values() for part in parts} == set(read_worlds())


def test_the_worlds_agree_with_the_package():
    """Worlds compute with NumPy what `ilsupport.tabular` computes: here on learners that vary with time."""
    for k, kind in enumerate(worlds_walk.KINDS):
        w, rng, e, p_star = worlds_walk.start(kind, "free", 0.2, 5, seed=k)
        policy, star = worlds_walk.erring(e, w.P.shape[1]), torch.zeros(len(w.p0), dtype=torch.long)
        mdp, ours = MDP(*map(torch.as_tensor, (w.P, w.p0, w.c))), torch.as_tensor(policy)
        p_hat = tabular.state_distributions(mdp.transition, ours, mdp.initial, 5).numpy()
        assert np.allclose(p_hat, worlds_walk.laws(w, policy)[:-1])
        assert np.allclose(tabular.error_rates(mdp, star, ours, 5), (p_star[:5] * e).sum(-1))
        for theirs, mine in zip(tabular.values(mdp, ours, 5), worlds_walk.cost_to_go(w, w.c, policy)):
            assert np.allclose(theirs, mine)


def side(label: str, part: int, claim: int, k: int) -> str:
    """The k-th side of a claim's chain of relations."""
    return re.split(r" (?:<=|==|>=|>) ", FORMS[label][part].claim[claim])[k]


@pytest.mark.parametrize("function, arguments, where", [
    (bounds.textbook, "eps T", ("thm-textbook", 0, 0, 2)), (bounds.sharp, "eps T", ("thm-sharp", 0, 0, 1)),
    (bounds.textbook, "eps T", ("thm-average", 1, 0, 1)),
    (bounds.average, "eps_t", ("thm-average", 0, 0, 2)),
    (bounds.terminal, "eps_t", ("prop-terminal", 0, 0, 1)),
    (bounds.long_run, "eps rho", ("thm-recovery", 2, 0, 1)),
    (bounds.discounted_sharp, "eps gamma", ("thm-discounted", 0, 0, 1)),
    (bounds.discounted_average, "eps gamma", ("thm-discounted", 2, 0, 1)),
])
def test_the_package_computes_what_the_form_says(function, arguments, where):
    text = side(*where).replace("eps_gamma", "eps")
    text = text.removesuffix(" * T") if function is bounds.long_run else text
    for eps, rho, gamma, T in ((0.01, 0.3, 0.9, 7), (0.4, 0.05, 0.2, 3), (1.0, 1.0, 0.5, 1)):
        names = {"eps": eps, "rho": rho, "gamma": gamma, "T": T, "eps_t": [eps / (2 + t) for t in range(T)]}
        theirs = function(*(names[name] for name in arguments.split()))
        assert float(theirs) == pytest.approx(eval(compiled(text), {**FUNCTIONS, **names}))


# -- under the statements of the built book


def test_a_statement_shows_its_form():
    doctree = nodes.section()
    theorem = nodes.Element(label="thm-sharp", realtype="theorem")
    alone, other = (nodes.math_block("", "x", label=label) for label in ("eq-geometric-horizon", "eq-sharp"))
    doctree += [theorem, alone, other]
    statements.show(None, doctree)
    assert [type(node).__name__ for node in doctree] == ["Element", "math_block", "raw", "math_block"]
    html = theorem[0].astext()
    assert "<code>0 &lt; eps &lt;= 1</code>" in html
    assert f"in {sum(len(derive.variants(part)) for part in FORMS['thm-sharp'])} ways" in html
    assert all(escape(why) in html for part in FORMS["thm-sharp"] for why in part.reasons.values())


# -- labels


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


def certified_labels() -> set[str]:
    parts = [part for some in FORMS.values() for part in some]
    return {*FORMS, *(label for part in parts for label in part.equations)}


def test_every_label_in_the_book_has_a_form():
    missing = {page.name: set(labels_of(page.read_text())) - certified_labels() for page in PAGES}
    unchecked = {name: labels for name, labels in missing.items() if labels}
    assert not unchecked, f"no form for {unchecked}; write one in tests/certified/NN.toml"


def test_every_form_is_a_label_in_the_book():
    on_pages = {label for page in PAGES for label in labels_of(page.read_text())}
    unknown = certified_labels() - on_pages - AHEAD
    assert not unknown, f"certified, yet on no page: {unknown}"
