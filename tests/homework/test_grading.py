"""Grading a folder: reading without trust, resuming, reports.

And, slow, both tools on good, wrong and hostile notebooks.
"""
from __future__ import annotations

import builtins
import contextlib
import csv
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import hostile
import psutil
import pytest
from assignments import ALL, BUILT, compiled, run, score, with_answer
from test_roster import ROSTER

from coursework import build, checks, grade, intake, report, roster, sandbox
from coursework import source as sources
from coursework.__main__ import batch, main

HW1 = ALL[0]
slow = pytest.mark.slow
boxed = pytest.mark.skipif(sandbox.usable() is not None, reason=f"{sandbox.usable()}")


def settings(built: Path, **more) -> grade.Settings:
    bundle = json.loads((built / HW1.name / "bundle.json").read_text(encoding="utf-8"))
    return grade.Settings(built / HW1.name, bundle, **more)


def released(built: Path, homework=HW1) -> bytes:
    return (built / homework.name / f"{homework.name}.ipynb").read_bytes()


def solutions(homework=HW1) -> list[str]:
    return [sources.solved(cell.text) for cell in homework.cells if cell.role == "answer"
            or cell.kind == "code" and cell.role is None]


def honest(built: Path) -> str:
    """The first homework, solved."""
    return json.dumps(hostile.notebook(json.loads(released(built)), solutions()))


def rows(out: Path) -> dict[str, dict]:
    with open(out / "grades.csv", encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def command(built: Path, folder: Path, out: Path, *more: str, homework=HW1) -> list[str]:
    return [sys.executable, "-m", "coursework", str(built / homework.name), str(folder), "--out", str(out),
            *more]


# --- fast: nothing is executed ---


def test_broken_files_are_refused_and_every_student_is_named(built, tmp_path):
    names = hostile.broken(tmp_path, released(built))
    found = intake.find(tmp_path)
    assert {each.student for each in found} == names
    for each in found:
        with pytest.raises(intake.Unreadable):
            intake.cells(intake.content(each, HW1.name))


@pytest.mark.parametrize("name", ["O'Neil, \"Ann\" $(touch x).ipynb", "=1+1.ipynb", "名前.ipynb", "a b.ipynb",
                                  "-rf.ipynb"])
def test_odd_names_are_kept_apart_and_harmless(built, tmp_path, name):
    (tmp_path / name).write_bytes(released(built))
    (one,) = intake.find(tmp_path)
    assert one.student == name.removesuffix(".ipynb")
    assert intake.cells(intake.content(one, HW1.name))
    assert set(one.stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def test_names_that_look_alike_have_files_of_their_own():
    names = ("a b", "a-b", "a/b", "a.b", "名", "前")
    assert len({intake.Submission(name, Path()).stem for name in names}) == 6


def test_canvas_names_carry_the_number(tmp_path):
    (tmp_path / "millerann_LATE_4711_8812_hw1-1.ipynb").write_text("{}")
    assert [(each.student, each.canvas) for each in intake.find(tmp_path)] == [("millerann_4711", "4711")]


def test_zips_and_folders_are_opened(built, tmp_path):
    import zipfile
    with zipfile.ZipFile(tmp_path / "anna.zip", "w") as archive:
        archive.writestr("hw1.ipynb", released(built))
    (tmp_path / "ben" / "hw1").mkdir(parents=True)
    (tmp_path / "ben" / "hw1" / "hw1.ipynb").write_bytes(b"\xef\xbb\xbf" + released(built))
    contents = {each.student: intake.answers(intake.cells(intake.content(each, HW1.name)),
                                             settings(built).bundle) for each in intake.find(tmp_path)}
    assert set(contents) == {"anna", "ben"}
    assert all(tampered == [] for _, tampered in contents.values())


def test_a_course_folder_of_nbgrader_is_taken_as_it_is(built, tmp_path):
    """submitted/STUDENT/hw1/hw1.ipynb, with other assignments beside it.

    Who did not hand in this one is named all the same.
    """
    for name in ("ann/hw1", "ann/hw2", "ben/hw2"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / f"{name[-3:]}.ipynb").write_bytes(released(built) + b" " * name.count("1"))
    (tmp_path / "ann" / "hw1" / "scratch.ipynb").write_text("{}")
    ann, ben = intake.find(tmp_path)
    assert (ann.student, ben.student) == ("ann", "ben")
    assert intake.content(ann, "hw1") == released(built) + b" "
    with pytest.raises(intake.Unreadable, match="no notebook of hw1"):
        intake.content(ben, "hw1")


def test_only_what_could_change_a_score_makes_it_grade_again(built):
    known = settings(built)
    prose = json.loads(json.dumps(known.bundle))
    prose["released"]["cells"][1]["source"], prose["title"] = "Other words.", "Another title"
    prose["checks"][0]["reread"] = "page 2"
    assert prose["released"]["cells"][1]["cell_type"] == "markdown"
    assert grade.Settings(known.built, prose).version == known.version
    others = [settings(built, **more).version for more in ({"seconds": 9}, {"memory": 9}, {"boxed": False})]
    for change in (lambda bundle: bundle["checks"][0].update(points=7),
                   lambda bundle: bundle["cells"][0].update(source="pass"),
                   lambda bundle: bundle["released"]["cells"][2].update(source="import os")):
        bundle = json.loads(json.dumps(known.bundle))
        change(bundle)
        others.append(grade.Settings(known.built, bundle).version)
    assert known.version not in others and len(set(others)) == 6


def test_exports_carry_the_columns_of_the_class_list_and_drop_nobody(built, tmp_path):
    (tmp_path / "list.csv").write_text(ROSTER, encoding="utf-8")
    results = [result(built, student=student) for student in ("am17", "Ann Miller", "x1", "who")]
    stems = {each["student"]: f"s{i}" for i, each in enumerate(results)}
    unknown = report.write(results, stems, settings(built), tmp_path, roster.read(tmp_path / "list.csv"))
    assert sorted(unknown) == ["am17", "who"]  # Ann handed in twice, under two names
    with open(tmp_path / "canvas.csv", encoding="utf-8", newline="") as file:
        points, *rows_ = csv.DictReader(file)
    assert points["Student"].strip() == "Points Possible"
    assert [(row["Student"], row["ID"], row["SIS Login ID"], row["Section"]) for row in rows_] == [
        ("Miller, Ann", "4711", "am17", "A, B"), ("am17", "", "am17", ""), ("who", "", "who", ""),
        ("'=cmd(), \"X\"\u200b", "4713", "x1", "A")]
    assert {row[settings(built).bundle["title"]] for row in rows_} == {"27"}
    with open(tmp_path / "gradescope.csv", encoding="utf-8", newline="") as file:
        assert [(row["Name"], row["SID"], row["Total Score"])
                for row in csv.DictReader(file)][0] == ("Miller, Ann", "u1", "27")


class Liar:
    """Equal to everything, of any length, a number when asked for one."""

    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = lambda *_: True
    __add__ = __sub__ = __rsub__ = __mul__ = __neg__ = __abs__ = __float__ = lambda *_: 0.0
    __len__, __iter__ = (lambda _: 2), (lambda self: iter([self, self]))
    __getitem__ = __call__ = lambda self, *_, **__: self

    def __getattr__(self, name):
        return self


@pytest.mark.parametrize("homework", ALL, ids=lambda homework: homework.name)
def test_no_check_is_fooled_by_a_liar_with_other_builtins(homework, monkeypatch):
    """In this process: such builtins break the tools long before a check is reached."""
    checks = [check for question in homework.questions for check in compiled(homework.name, question)]
    lies = {"isinstance": lambda *_: True, "bool": lambda *_: True, "len": lambda *_: 2, "zip": lambda *_,
            **__: [], "enumerate": lambda *_: [],
            "abs": lambda *_: 0, "max": lambda *_: 0, "float": lambda x=0: x, "type": lambda *_: real}
    real, passed = float, []
    with monkeypatch.context() as patch:
        for name, lie in lies.items():
            patch.setattr(builtins, name, lie)
        for function, names, _ in checks:
            try:
                function(*[Liar() for _ in names])
                passed.append(function)
            except BaseException:
                pass
    assert passed == []


def test_tampering_is_seen_and_undone(built):
    student = json.loads(released(built))
    bundle = settings(built).bundle
    code, seen = intake.answers(intake.cells(json.dumps(student).encode()), bundle)
    assert seen == [] and not any("grader.check(" in cell for cell in code)
    code, seen = intake.answers(intake.cells(json.dumps(hostile.tampered(student)).encode()), bundle)
    assert len(seen) == 3 and "q1" in seen[0] and "metadata" in seen[1] and "marks" in seen[2]
    _, seen = intake.answers(intake.cells(json.dumps(hostile.notebook(student, [hostile.OTTER])).encode()),
                             bundle)
    assert "otter" in seen[0]


def handed_in(built: Path, changes: dict[str, dict], homework=HW1) -> tuple[list[str], list[str]]:
    """What `answers` makes of a released notebook in which the cell that holds a text is changed so."""
    student = json.loads(released(built, homework))
    for text, change in changes.items():
        (found,) = (cell for cell in student["cells"] if text in "".join(cell["source"]))
        found.update(change)
    bundle = json.loads((built / homework.name / "bundle.json").read_text(encoding="utf-8"))
    return intake.answers(intake.cells(json.dumps(student).encode()), bundle)


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_an_answer_in_a_cell_that_is_not_run_is_flagged_by_its_question(built, kind):
    solved, last = sources.solved(HW1.answer("q1").text), sources.solved(HW1.answer("q9").text)
    code, seen = handed_in(built, {"def bc_loss": {"cell_type": kind, "source": solved, "metadata": {}}})
    assert seen == ["the answer to q1 stands in a cell that is not run"]
    assert not any("def bc_loss" in cell for cell in code)
    student = json.loads(released(built))
    student["cells"].append({"cell_type": kind, "source": last, "metadata": {}})
    _, seen = intake.answers(intake.cells(json.dumps(student).encode()), settings(built).bundle)
    assert seen == ["the answer to q9 stands in a cell that is not run"]


def test_an_answer_that_is_gone_is_flagged_and_one_that_moved_is_not(built):
    gone, other = {"source": "", "metadata": {}}, {"source": "x = 1\nbc_loss: object = len", "metadata": {}}
    assert handed_in(built, {"def bc_loss": gone})[1] == ["the answer to q1 is gone"]
    assert handed_in(built, {"def bc_loss": other})[1] == []


@pytest.mark.parametrize("homework", BUILT, ids=lambda homework: homework.name)
def test_every_answer_is_known_by_a_name_that_its_checks_ask_for(built, homework):
    bundle = json.loads((built / homework.name / "bundle.json").read_text(encoding="utf-8"))
    assert set(bundle["answers"]) == set(homework.questions) and all(bundle["answers"].values())
    texts = [sources.solved(cell.text) for cell in homework.cells if cell.kind == "code"]
    student = hostile.notebook(json.loads(released(built, homework)), texts)
    _, seen = intake.answers(intake.cells(json.dumps(student).encode()), bundle)
    assert not any("answer" in what for what in seen)


def given(homework) -> tuple[dict, dict]:
    """A student notebook, as far as it can be had without Otter, and what grading knows of it."""
    code = [cell for cell in homework.cells if cell.kind == "code"]
    tags = {"experiment": {"tags": ["otter_ignore"]}, "answer": {}, None: {}}
    student = sources.notebook([sources.code_cell(sources.blank(cell.text), tags[cell.role])
                                for cell in code if cell.role in tags])
    known = {"experiments": [cell.text for cell in homework.cells if cell.role == "experiment"],
             "answers": {question: build.asked(homework, question) for question in homework.questions},
             "released": student}
    return student, known


WITH_EXPERIMENTS = [each for each in ALL if any(cell.role == "experiment" for cell in each.cells)]


@pytest.mark.parametrize("homework", WITH_EXPERIMENTS, ids=lambda homework: homework.name)
def test_an_experiment_whose_tag_was_lost_is_flagged_and_never_run(homework):
    student, bundle = given(homework)

    def answers(**changes) -> tuple[list[str], list[str]]:
        cells = [cell | changes.get(cell["id"].replace("-", "_"), {}) for cell in student["cells"]]
        return intake.answers(intake.cells(json.dumps(student | {"cells": cells}).encode()), bundle)

    code, seen = answers()
    assert seen == [] and not any(text in cell for text in bundle["experiments"] for cell in code)
    for text in bundle["experiments"]:
        (place,) = (cell["id"].replace("-", "_") for cell in student["cells"] if cell["source"] == text)
        lines = text.splitlines()
        changed = "\n".join(line for i, line in enumerate(lines) if i % 4 != 1) + "\nmore = [1, 2]  # seeds"
        for left in (text, changed):
            assert answers(**{place: {"source": left, "metadata": {}}}) == (
                code, [f"an experiment has lost its tag, and was not run: {lines[0]}"])
    for cell in homework.cells:  # and nothing else is taken for one
        if cell.kind == "code" and cell.role in (None, "answer", "mutant"):
            text = sources.solved(cell.text)
            assert answers(cell_0={"source": text})[0][1] == text


@pytest.mark.parametrize("worked", [0.5, 3])
def test_the_clock_stops_who_sleeps_and_nobody_who_only_has_to_wait(monkeypatch, worked):
    """After 200 s of the clock in which an answer had a processor for half a second, and for three."""
    signals, now = [], {"busy": 0.0, "clock": 0.0}
    monkeypatch.setattr("time.process_time", lambda: now["busy"])
    monkeypatch.setattr("time.monotonic", lambda: now["clock"])

    def check():
        now.update(busy=worked, clock=200.0)
        signal.raise_signal(signal.SIGALRM)
        signals.append("went on")

    if worked < 2:
        with pytest.raises(AssertionError, match="no answer within 20 seconds"):
            checks.run_this(check)
    else:
        checks.run_this(check)
    assert signals == ["went on"] * (worked > 2)


def result(built: Path, **more) -> dict:
    points = dict.fromkeys(settings(built).points, 3.0)
    tool = {"status": "ok", "scores": points}
    return {"student": "ann", "canvas": "", "file": "ann.ipynb", "tampered": [], "said": {}, "otter": tool,
            "nbgrader": tool, "seconds": 1} | more


def test_the_smaller_score_counts_and_differences_are_flagged(built):
    known = settings(built)
    less = {"status": "ok", "scores": dict.fromkeys(known.points, 3.0) | {"q2": 1.0}}
    one = result(built, nbgrader=less)
    assert report.counted(one, known) == dict.fromkeys(known.points, 3.0) | {"q2": 1.0}
    assert report.flags(one) == ["tools differ: q2"]
    assert report.flags(result(built, otter={"status": "timed out", "scores": less["scores"]},
                               nbgrader=less)) == ["otter timed out"]


def test_feedback_escapes_what_was_said_and_keeps_hidden_checks_to_itself(built):
    said = {"q1-check-1": "AssertionError: <script>alert(1)</script>", "q1-check-2": "the hidden check"}
    page = report.feedback(result(built, student="<b>", said=said), settings(built))
    assert "<script>" not in page and "&lt;script&gt;" in page and "<b>:" not in page
    assert "the hidden check" not in page and "Reread page 1" in page


def test_tables_hold_no_formulas():
    assert report.table(["student"], [["=cmd()"], ["+1"], ["@x"],
                                      [-1]]).splitlines()[1:] == ["'=cmd()", "'+1", "'@x", "-1"]


def test_without_a_sandbox_it_refuses_and_says_what_that_risks(built, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "usable", lambda: "bubblewrap is not installed here.")
    said = "(?s)bubblewrap is not installed.*runs as you.*--no-sandbox"
    with pytest.raises(SystemExit, match=said) as stopped:
        main([str(built / HW1.name), str(tmp_path), "--out", str(tmp_path / "out")])
    assert stopped.value.code != 0
    assert not (tmp_path / "out").exists()


def test_what_is_graded_is_not_graded_again(built, tmp_path, monkeypatch):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir(), out.mkdir()
    for name in ("ann", "ben"):
        (folder / f"{name}.ipynb").write_bytes(released(built))
    graded = []

    def grade_one(submission, *_):
        graded.append(submission.student)
        return result(built, student=submission.student)

    monkeypatch.setattr(grade, "grade", grade_one)
    batch(intake.find(folder), settings(built), out, 2)
    batch(intake.find(folder), settings(built), out, 2)
    assert sorted(graded) == ["ann", "ben"]
    (folder / "ben.ipynb").write_bytes(released(built) + b"\n")
    (out / "results" / "ann.json").write_text('{"key": "cut')
    batch(intake.find(folder), settings(built), out, 2)
    assert sorted(graded) == ["ann", "ann", "ben", "ben"]
    assert set(rows(out)) == {"ann", "ben"}
    assert (out / "feedback" / "ann.html").exists() and "Points Possible" in (out / "canvas.csv").read_text()


# --- slow: both tools ---


@slow
@boxed
@pytest.mark.parametrize("homework", ALL, ids=lambda homework: homework.name)
def test_both_tools_give_every_notebook_what_it_is_worth(built, tmp_path, homework):
    """The k-th wrong answers of all questions stand in one notebook.

    The fast tests say what each question is worth then.
    """
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    student, solved, expected = json.loads(released(built, homework)), run(homework), {}
    for k in range(max(len(homework.mutants(question)) for question in homework.questions)):
        cells, space = [*solutions(homework)], dict(solved)
        for question in homework.questions:
            mutants = list(homework.mutants(question).values())
            if k < len(mutants):
                # it stands on another's wrong answer; the fast tests try it alone
                with contextlib.suppress(ZeroDivisionError):
                    space = with_answer(homework, space, mutants[k].text)
                    cells.append(mutants[k].text)
        (folder / f"wrong {k}.ipynb").write_text(json.dumps(hostile.notebook(student, cells)))
        expected[f"wrong {k}"] = {question: score(homework, question, space)[0]
                                  for question in homework.questions}
    (folder / "right.ipynb").write_text(json.dumps(hostile.notebook(student, solutions(homework))))
    (folder / "blank.ipynb").write_bytes(released(built, homework))
    expected |= {"right": homework.points, "blank": dict.fromkeys(homework.questions, 0)}
    subprocess.run(command(built, folder, out, homework=homework), check=True)
    found = rows(out)
    for name, points in expected.items():
        for tool in ("otter", "nbgrader"):
            assert {q: float(found[name][f"{q} {tool}"]) for q in points} == points, (name, tool)
        assert found[name]["flag"] == ""


@pytest.fixture(scope="module")
def harm(built, tmp_path_factory):
    """A batch of hostile and broken notebooks between two honest ones; what they reached for; the rows."""
    top = tmp_path_factory.mktemp("harm")
    folder, out, reach = top / "in", top / "out", top / "reach"
    for each in (folder, reach):
        each.mkdir()
    reach.chmod(0o777)
    (reach / "solutions.ipynb").write_bytes((built / HW1.name / f"{HW1.name}-solutions.ipynb").read_bytes())
    gradebook = built / "nbgrader" / "gradebook.db"
    with socket.create_server(("0.0.0.0", 0)) as server:
        server.settimeout(0)
        most = hostile.write(folder, solutions(), released(built), {
            "solutions": str(reach / "solutions.ipynb"), "gradebook": str(gradebook),
            "marker": str(reach / "marker"),
            "port": server.getsockname()[1]})
        refused = hostile.broken(folder, released(built))
        for name in ("0 honest", "zz honest"):
            (folder / f"{name}.ipynb").write_text(honest(built))
        before = {path: hashlib.sha256(path.read_bytes()).digest()
                  for path in [gradebook, *folder.glob("*honest.ipynb")]}
        # Two only wait, for minutes, until the limit comes; a third keeps the processors busy.
        done = subprocess.run(command(built, folder, out, "--seconds", "30", "--jobs", "3"),
                              capture_output=True, text=True)
        try:
            reached = server.accept()
        except BlockingIOError:
            reached = None
    changed = [path for path, digest in before.items()
               if hashlib.sha256(path.read_bytes()).digest() != digest]
    assert done.returncode == 0, done.stderr[-3000:]
    return {"rows": rows(out), "most": most, "refused": refused, "reached": reached, "changed": changed,
            "reach": reach, "out": out}


@slow
@boxed
def test_no_submission_stops_the_batch_or_changes_another_score(harm):
    assert set(harm["rows"]) == {"0 honest", "zz honest", *harm["most"], *harm["refused"]}
    assert [float(harm["rows"][name]["score"]) for name in ("0 honest", "zz honest")] == [27, 27]
    assert {name: row["score"] for name, row in harm["rows"].items()
            if name in harm["refused"]} == dict.fromkeys(harm["refused"], "0")


@slow
@boxed
def test_no_submission_scores_more_than_its_honest_worth(harm):
    assert {name: harm["rows"][name]["score"] for name, most in harm["most"].items()
            if float(harm["rows"][name]["score"]) > most} == {}


@slow
@boxed
def test_who_only_loops_or_exits_in_an_answer_loses_that_answer(harm):
    for name in ("loop in an answer", "exit in an answer"):
        assert harm["rows"][name]["score"] == "24" and "differ" not in harm["rows"][name]["flag"]


@slow
@boxed
def test_whoever_attacks_a_tool_is_flagged(harm):
    for name in ("quits at the top", "changes Otter", "hides its errors", "kills its kernel",
                 "kills everything", "fork bomb", "tampered", "does not run",
                 "changes the tools", "fails by exiting", "rewrites the checks", "jumps over the checks",
                 *harm["refused"]):
        assert harm["rows"][name]["flag"] != "", name


@slow
@boxed
def test_nothing_is_reached_and_nothing_stays_behind(harm):
    assert harm["reached"] is None and harm["changed"] == []
    assert sorted(path.name for path in harm["reach"].iterdir()) == ["solutions.ipynb"]
    assert [p for p in psutil.process_iter(["cmdline"]) if "98765" in (p.info["cmdline"] or [])] == []
    assert not any("secret_" in path.read_text(encoding="utf-8").lower()
                   for path in (harm["out"] / "feedback").iterdir())


@slow
@boxed
def test_a_killed_batch_leaves_no_process_and_goes_on(built, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.ipynb").write_bytes(released(built))
    batch_ = subprocess.Popen(command(built, folder, out, "--jobs", "1"), stderr=subprocess.PIPE, text=True)
    while not (out / "results" / "a.json").exists():  # each update of the progress bar wakes us
        assert batch_.stderr.read(1), "the batch ended early"
    first = (out / "results" / "a.json").stat().st_mtime_ns
    children = psutil.Process(batch_.pid).children(recursive=True)
    batch_.send_signal(signal.SIGKILL)
    batch_.wait()
    _, alive = psutil.wait_procs(children, timeout=600)
    assert alive == []
    batch_.stderr.close()
    subprocess.run(command(built, folder, out), check=True)
    assert (out / "results" / "a.json").stat().st_mtime_ns == first
    assert {name: row["score"] for name, row in rows(out).items()} == dict.fromkeys("abc", "0")
    left = Path((out / ".work").read_text())
    assert not left.exists()


@slow
def test_without_a_sandbox_an_honest_notebook_is_graded_too(built, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ann.ipynb").write_text(honest(built))
    subprocess.run(command(built, tmp_path / "in", tmp_path / "out", "--no-sandbox"), check=True)
    assert rows(tmp_path / "out")["ann"]["score"] == "27"


@slow
@boxed
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_normal_user_grades_too(built, tmp_path):
    """As nobody; where Python lives in root's own folder, that folder is opened to it for this run."""
    for name in ("in", "out", "home"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    (tmp_path / "in" / "ann.ipynb").write_text(honest(built))
    opened = [path for path in [built, *built.parents, tmp_path, *tmp_path.parents] if path.stat().st_uid == 0
              and path != Path("/")]
    modes = {path: path.stat().st_mode for path in opened}
    python = Path(os.path.realpath(sys.executable)).parent.parent
    show = []
    if python.is_relative_to("/root"):  # a folder of root's own, of which only Python is shown
        shown = str(Path("/root", python.relative_to("/root").parts[0]))
        show = ["--perms", "0755", "--tmpfs", "/root", "--ro-bind", shown, shown]
    try:
        for path in opened:
            path.chmod(path.stat().st_mode | 0o055)
        subprocess.run(["bwrap", "--dev-bind", "/", "/", *show, "--", "setpriv", "--reuid=65534",
                        "--regid=65534", "--clear-groups",
                        *command(built, tmp_path / "in", tmp_path / "out")], check=True,
                       cwd=tmp_path / "home", env=os.environ | {
                           "HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[2])})
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert rows(tmp_path / "out")["ann"]["score"] == "27"
