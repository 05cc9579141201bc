"""Every assignment: the solution has full marks, a blank one none, and no wrong answer that it ships gets
through."""
from __future__ import annotations

import functools
import random
import re

import pytest
from assignments import ALL, FOLDER, compiled, run, score, with_answer

from coursework import source as sources

QUESTIONS = [pytest.param(source, question, id=f"{source.name}-{question}") for source in ALL
             for question in source.questions]
MUTANTS = [pytest.param(source, question, cell, id=f"{source.name}-{question}-{mistake}")
           for source in ALL for question in source.questions
           for mistake, cell in source.mutants(question).items()]
BOOK = FOLDER.parent


@functools.cache
def solved(name: str) -> dict:
    return run(next(source for source in ALL if source.name == name))


@functools.cache
def blank(name: str) -> dict:
    return run(next(source for source in ALL if source.name == name), blank=True)


@pytest.mark.parametrize(("source", "question"), QUESTIONS)
def test_the_solution_has_full_marks(source, question):
    assert score(source, question, dict(solved(source.name))) == (source.points[question], [])


@pytest.mark.parametrize(("source", "question"), QUESTIONS)
def test_a_blank_answer_has_none(source, question):
    points, said = score(source, question, dict(blank(source.name)))
    assert points == 0
    assert len(said) == len(source.checks(question))


@pytest.mark.parametrize(("source", "question", "mutant"), MUTANTS)
def test_a_wrong_answer_loses_points_and_is_told_why(source, question, mutant):
    points, said = score(source, question, with_answer(source, dict(solved(source.name)), mutant.text))
    assert points < source.points[question]
    for text in said:
        assert re.search(r"expected .*\n.*got .*\n.*Reread page \d",
                         text) or "your code stopped with" in text, text


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
def test_checks_do_not_depend_on_their_order(source):
    order = [(question, check) for question in source.questions for check in compiled(source.name, question)]
    random.Random(0).shuffle(order)
    space = dict(solved(source.name))
    for _, (function, names, _) in order:
        function(*(space.get(name) for name in names))


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
def test_it_has_six_to_ten_questions(source):
    assert 6 <= len(source.questions) <= 10
    assert list(source.questions) == [f"q{i}" for i in range(1, len(source.questions) + 1)]


@pytest.mark.parametrize(("source", "question"), QUESTIONS)
def test_feedback_points_at_a_page_and_a_part_that_exist(source, question):
    for check in source.checks(question):
        hints = re.findall(r'reread = "([^"]*)"', check.text)
        assert hints, "every check says what to reread"
        for hint in hints:
            number = re.search(r"page (\d+b?)", hint)[1]
            file = next(BOOK.glob(f"{int(number.removesuffix('b')):02d}{'b' * number.count('b')}-*.md"))
            page = file.read_text(encoding="utf-8")
            assert not re.search(r"equations? \(", hint), "numbers of equations run on: name the statement"
            for heading in re.findall(r"'([A-Z][^']+)'", hint):
                assert heading in page, f"page {number} has no part named {heading}"


@pytest.mark.parametrize(("wrong", "complaint"), [
    ("", "wrong answers"),
    ("```{code-cell} ipython3\n:tags: [q1, check]\ndef f(x): pass\n```\n", "carry points"),
    ("```{code-cell} ipython3\n:tags: [q1, chekc, 1-point]\ndef f(x): pass\n```\n", "expected a question"),
    ("```{code-cell} ipython3\n:tags: [q2, answer]\nx = 1\n```\n", "at least one check"),
])
def test_a_source_that_breaks_the_format_is_refused(tmp_path, wrong, complaint):
    answer = "```{code-cell} ipython3\n:tags: [q1, answer]\n# BEGIN SOLUTION\nx = 1\n# END SOLUTION\n```\n"
    checks = "".join(f"```{{code-cell}} ipython3\n:tags: [q1, {role}, 1-point]\ndef f(x): pass\n```\n"
                     for role in ("check", "hidden"))
    path = tmp_path / "hw9.md"
    mutants = "".join(f"```{{code-cell}} ipython3\n:tags: [q1, mutant]\n# mutant: {i}\nx = {i}\n```\n"
                      for i in range(4)) if wrong else ""
    path.write_text(f"# A homework\n\n{answer}{checks}{mutants}{wrong}", encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        sources.read(path)
