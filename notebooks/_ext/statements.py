"""Shows under each labelled statement the form in which a computer checks it, folded.

The forms lie in tests/certified, beside their checks. Here they are only read, and their variants counted:
the checks run in `make certify` and in the tests. A PDF and plain text leave them out.
"""
from __future__ import annotations

import sys
from collections import Counter
from html import escape
from pathlib import Path

from docutils import nodes

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from certified.derive import variants  # noqa: E402
from certified.forms import Part, read_forms, read_worlds  # noqa: E402

FORMS, WORLDS = read_forms(), read_worlds()


def lines_of(part: Part, told: bool) -> str:
    """The assumptions, the claims and the cases of one part, these unless the part before has told them."""
    groups = {"given": part.given, "then" if part.given else "always": part.claim}
    shown = [f"<dt>{word}</dt>" + "".join(f"<dd><code>{escape(text)}</code></dd>" for text in texts)
             for word, texts in groups.items() if texts]
    cases = "the same" if told else escape(WORLDS[part.world])
    return f"<dl>{''.join(shown)}<dt>cases</dt><dd>{cases}</dd></dl>"


def verdict(parts: list[Part]) -> str:
    """How many variants a program derives, and which of them are true, with the reasons."""
    count = sum(len(variants(part)) for part in parts)
    true = Counter(why for part in parts for why in part.reasons.values())
    text = (f"A program changes this form in {count:,} ways: one symbol, constant, index, assumption or "
            "quantifier at a time. Each of them is refuted by a case, or says less")
    if not true:
        return f"<p>{text}. <code>make certify</code> counts them.</p>"
    reasons = "".join(f"<li>{escape(why)} ({n})</li>" for why, n in true.items())
    return (f"<p>{text}, but for {true.total()} that are true. <code>make certify</code> counts them.</p>"
            f"<ul>{reasons}</ul>")


def folded(label: str) -> nodes.raw:
    parts = FORMS[label]
    told = [k > 0 and parts[k - 1].world == part.world for k, part in enumerate(parts)]
    body = "".join(map(lines_of, parts, told)) + verdict(parts)
    return nodes.raw("", '<details class="il-form"><summary>as the computer checks it</summary>'
                         f"{body}</details>", format="html")


def show(app, doctree) -> None:
    """Put a form at the end of its statement, that of an equation that stands alone right after it."""
    for node in list(doctree.findall(nodes.Element)):
        label = node.get("label")
        if label not in FORMS:
            continue
        if isinstance(node, nodes.math_block):
            node.parent.insert(node.parent.index(node) + 1, folded(label))
        elif "realtype" in node:  # sphinx_proof's
            node += folded(label)


def setup(app) -> dict:
    app.connect("doctree-read", show)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
