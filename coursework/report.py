"""What grading leaves behind: grades.csv, a feedback page a student, tables for Canvas and Gradescope."""
from __future__ import annotations

import csv
import html
import io
import os
import re
from pathlib import Path
from string import Template

from coursework import roster as rosters
from coursework.grade import Settings
from coursework.source import TEMPLATES

TOOLS = ("otter", "nbgrader")
CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]


def atomically(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="")
    os.replace(part, path)


def counted(result: dict, settings: Settings) -> dict[str, float]:
    """The score that counts: of each question the smaller of the two tools'."""
    return {q: min(result["otter"]["scores"][q], result["nbgrader"]["scores"][q]) for q in settings.points}


def flags(result: dict) -> list[str]:
    """What to look at: the tools differ, one timed out or crashed, something was tampered with."""
    found = [f"{tool} {result[tool]['status']}" for tool in TOOLS if result[tool]["status"] != "ok"]
    if len(found) == 2 and result["otter"]["status"] == result["nbgrader"]["status"]:
        found = [result["otter"]["status"]]
    differ = [q for q, score in result["otter"]["scores"].items()
              if abs(score - result["nbgrader"]["scores"][q]) > 1e-6]
    found += [f"tools differ: {' '.join(differ)}"] if differ else []
    return found + [f"tampered: {what}" for what in result["tampered"]]


def write(results: list[dict], stems: dict[str, str], settings: Settings, out: Path,
          roster: list[dict[str, str]] | None = None) -> list[str]:
    """All reports of a batch; `stems` names feedback files. Returns whom the roster lacks or has already."""
    results = sorted(results, key=lambda result: result["student"])
    questions, most = list(settings.points), sum(settings.points.values())
    heading = ["student", "score", "points", "flag", *questions,
               *(f"{q} {tool}" for tool in TOOLS for q in questions), "seconds", "file", "feedback"]
    canvas, gradescope, rows, unknown, taken = [["    Points Possible", "", "", "", "", most]], [], [], [], []
    for result in results:
        student, scores = result["student"], counted(result, settings)
        points, total = [_number(scores[q]) for q in questions], _number(sum(scores.values()))
        rows.append([student, total, most, "; ".join(flags(result)), *points,
                     *(_number(result[tool]["scores"][q]) for tool in TOOLS for q in questions),
                     result["seconds"], result["file"], f"feedback/{stems[student]}.html"])
        known = rosters.find(student, result["canvas"], roster or [])
        if roster is not None and (known is None or known in taken):
            unknown.append(student)
            known = None
        taken.append(known)
        if known is None:
            login = "" if result["canvas"] else student
            known = {"ID": result["canvas"], "SIS Login ID": login, "SID": student}
        name = rosters.name(known) or student
        canvas.append([name, *(known.get(key, "") for key in CANVAS[1:]), total])
        number = known.get("SID") or known.get("SIS User ID", "")
        gradescope.append([name, number, known.get("Email", ""), total, most, "Graded", *points])
        atomically(out / "feedback" / f"{stems[student]}.html", feedback(result, settings))
    atomically(out / "grades.csv", table(heading, rows))
    atomically(out / "canvas.csv", table([*CANVAS, settings.bundle["title"]], canvas))
    heading = ["Name", "SID", "Email", "Total Score", "Max Points", "Status",
               *(f"{q} ({settings.points[q]}.0 pts)" for q in questions)]
    atomically(out / "gradescope.csv", table(heading, gradescope))
    return unknown


def table(heading: list, rows: list[list]) -> str:
    """CSV in which no cell is a formula: a name like =1+1 would be one in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in [heading, *rows]:
        row = [x.encode("utf-8", "replace").decode() if isinstance(x, str) else x for x in row]
        writer.writerow([f"'{x}" if isinstance(x, str) and re.match(r"\s*[=+@-]", x) else x for x in row])
    return text.getvalue()


def feedback(result: dict, settings: Settings) -> str:
    """A student's page. Of a hidden check it says what to reread, not what it said: its own text, perhaps."""
    scores, safe = counted(result, settings), html.escape
    total, most = sum(scores.values()), sum(settings.points.values())
    parts = [f"<h1>{safe(settings.bundle['title'])}</h1>",
             f"<p>{safe(result['student'])}: <b>{_number(total)} of {most} points</b></p>"]
    parts += [f'<p class="note">{safe(NOTES.get(status, status))}</p>'
              for status in sorted({result[tool]["status"] for tool in TOOLS} - {"ok"})]
    rows = "".join(f"<tr><td>{q}</td><td>{_number(scores[q])}</td><td>{of}</td></tr>"
                   for q, of in settings.points.items())
    parts.append(f"<table><tr><th>question</th><th>points</th><th>of</th></tr>{rows}</table>")
    for check in settings.bundle["checks"]:
        if check["id"] not in result["said"]:
            continue
        kind = "hidden check" if check["hidden"] else "check"
        said = result["said"][check["id"]].removeprefix("AssertionError: ") or "It did not pass."
        if check["hidden"]:
            said = f"It looks at other inputs than you can see. Reread {check['reread']}."
        parts += [f"<h2>Question {check['question'][1:]}, {kind}: 0 of {check['points']}</h2>",
                  f"<pre>{safe(said[:1500])}</pre>"]
    body = "\n".join(parts).encode("utf-8", "replace").decode()
    return Template((TEMPLATES / "feedback.html").read_text(encoding="utf-8")).substitute(body=body)


NOTES = {
    "timed out": "Your notebook did not finish in the time that grading gives it. Does a loop never end?",
    "out of memory": "Your notebook asked for more memory than grading gives it.",
    "too many processes": "Your notebook started more processes than grading allows.",
    "wrote too much": "Your notebook wrote more files than grading allows.",
    "crashed": "Your notebook ended before the checks could run: does it call exit(), or kill its kernel?",
}


def _number(x: float) -> float | int:
    return int(x) if float(x).is_integer() else round(x, 3)
