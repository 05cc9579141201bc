"""python -m coursework hw1 SUBMISSIONS --out RESULTS: grades a folder of submissions by Otter and nbgrader.

Each entry of the folder is one student: NAME.ipynb, NAME.zip (what the notebook's last cell makes), a folder
NAME, or a file as Canvas names it. RESULTS gets grades.csv, feedback/NAME.html, canvas.csv and
gradescope.csv. Killed half way, the same command goes on and grades nothing twice; a submission that changed
is graded again.
"""
from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import hashlib
import importlib.util
import json
import os
import queue
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from coursework import grade, intake, report, roster, sandbox

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    built = _built(options.homework)
    if not options.folder.is_dir():
        sys.exit(f"{options.folder} is not a folder of submissions.")
    missing = [tool for tool in ("otter", "nbgrader") if importlib.util.find_spec(tool) is None]
    if missing:
        sys.exit(f"{' and '.join(missing)} not installed: make homework installs both.")
    why = None if options.no_sandbox else sandbox.usable()
    if why:
        sys.exit(f"{why}\n\n{sandbox.RISK}")
    if options.no_sandbox:
        print(f"--no-sandbox. {sandbox.RISK.split(' On Debian')[0]}\n", file=sys.stderr)
    bundle = json.loads((built / "bundle.json").read_text(encoding="utf-8"))
    memory = int(options.memory * sandbox.GB)
    settings = grade.Settings(built, bundle, not options.no_sandbox, options.seconds, memory)
    try:
        known = roster.read(options.roster) if options.roster else None
    except (OSError, ValueError) as error:
        sys.exit(f"The roster cannot be read: {error}")
    options.out.mkdir(parents=True, exist_ok=True)
    with _alone(options.out):
        batch(intake.find(options.folder), settings, options.out.resolve(), options.jobs, known)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m coursework", description=__doc__.split("\n\n")[1],
                                     epilog="\n".join(__doc__.splitlines()[:1]))
    parser.add_argument("homework", help="hw1, or the folder that `make homework` built for it")
    parser.add_argument("folder", type=Path, help="the submissions")
    parser.add_argument("--out", type=Path, required=True, help="where results go, and are taken up again")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at once (default: one a core)")
    parser.add_argument("--seconds", type=int, default=300,
                        help="most that a tool may take with a submission, beside 20 a check (default: 300)")
    parser.add_argument("--memory", type=float, default=4, help="GB that a submission may use (default: 4)")
    parser.add_argument("--roster", type=Path, help="a class list (CSV) that Canvas or Gradescope exported")
    parser.add_argument("--no-sandbox", action="store_true", help="dangerous: grade without bubblewrap")
    return parser.parse_args(arguments)


def _built(homework: str) -> Path:
    for folder in (Path(homework), ROOT / "_build" / "homework" / homework):
        if (folder / "bundle.json").exists():
            return folder.resolve()
    sys.exit(f"{homework} is not built: run `make homework` first, or give the folder it was built into.")


@contextlib.contextmanager
def _alone(out: Path):
    """One batch at a time in a folder of results; what a killed one left in the temporary folder goes."""
    handle = os.open(out / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        import fcntl
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass  # not on this system
    except OSError:
        sys.exit(f"Another batch is at work in {out}.")
    try:
        yield
    finally:
        os.close(handle)


def batch(submissions: list[intake.Submission], settings: grade.Settings, out: Path, jobs: int,
          known: list[dict[str, str]] | None = None) -> list[dict]:
    """Grade what is not graded yet, `jobs` at a time; write the reports; return the results."""
    from tqdm import tqdm
    submissions, twice = _each_once(submissions)
    if not submissions:
        sys.exit("There is no submission in the folder.")
    keys = {each.student: _key(each, settings) for each in submissions}
    files = {each.student: out / "results" / f"{each.stem}.json" for each in submissions}
    done = {student: kept for student, file in files.items() if (kept := _kept(file, keys[student]))}
    todo, work = [each for each in submissions if each.student not in done], _workplace(out)

    def one(submission: intake.Submission, slot: int) -> dict:
        student = submission.student
        result = grade.grade(submission, settings, work, slot) | {"key": keys[student]}
        if student in twice:
            result["tampered"].append(f"handed in {twice[student]} times: {submission.path.name} was graded")
        report.atomically(files[student], json.dumps(result))
        return result

    try:
        with tqdm(total=len(submissions), initial=len(done), unit="submission", file=sys.stderr) as bar:
            for result in _at_once(one, todo, jobs):
                done[result["student"]] = result
                bar.update()
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        os._exit(130)  # the sandboxes end with this process
    finally:
        shutil.rmtree(work, ignore_errors=True)
    stems = {each.student: each.stem for each in submissions}
    unknown = report.write(list(done.values()), stems, settings, out, known)
    flagged = sum(bool(report.flags(result)) for result in done.values())
    print(f"{len(done)} graded, {flagged} to look at: {out / 'grades.csv'}"
          + (f". Not found on the roster, or found twice: {', '.join(unknown)}" if unknown else ""))
    return list(done.values())


def _at_once(function: Callable, items: list, jobs: int) -> Iterator:
    """`function(item, slot)` of each item as it ends, `jobs` at a time, each in a slot of its own."""
    slots: queue.Queue[int] = queue.Queue()
    for slot in range(jobs):
        slots.put(slot)

    def one(item):
        slot = slots.get()
        try:
            return function(item, slot)
        finally:
            slots.put(slot)

    pool = concurrent.futures.ThreadPoolExecutor(jobs)
    try:
        for future in concurrent.futures.as_completed([pool.submit(one, item) for item in items]):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _each_once(submissions: list[intake.Submission]) -> tuple[list[intake.Submission], dict[str, int]]:
    """The last submission of each student, and who handed in more than one."""
    last = {submission.student: submission for submission in submissions}
    counts = {student: sum(each.student == student for each in submissions) for student in last}
    return list(last.values()), {student: count for student, count in counts.items() if count > 1}


def _key(submission: intake.Submission, settings: grade.Settings) -> str:
    try:
        data = intake.content(submission, settings.name)
    except intake.Unreadable as error:
        data = str(error).encode()
    return hashlib.sha256(data + b"\0" + settings.version.encode()).hexdigest()


def _kept(path: Path, key: str) -> dict | None:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if result.get("key") == key else None


def _workplace(out: Path) -> Path:
    """A folder for what is being graded, with a short name (sockets need one); a killed batch's goes."""
    note = out / ".work"
    with contextlib.suppress(OSError):
        left = Path(note.read_text(encoding="utf-8"))
        ours = left.name.startswith("grading-") and left.parent == Path(tempfile.gettempdir())
        if ours and left.stat().st_uid == os.geteuid():
            shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix="grading-"))
    work.chmod(0o711)
    report.atomically(note, str(work))
    return work


if __name__ == "__main__":
    main()
