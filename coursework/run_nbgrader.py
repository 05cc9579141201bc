"""Runs outside the sandbox: nbgrader's autograding of one notebook, whose *kernel* is in it. A script.

run_nbgrader.py COURSE ASSIGNMENT SECONDS RESULT.json: COURSE holds gradebook.db and
submitted/student/ASSIGNMENT/; the kernel is the one that JUPYTER_PATH names python3. Of what the kernel
sends, only text of a limited length is kept.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

sys.modules["rfc3987_syntax"] = None  # a second to import, and not needed: see kernel.py

from nbgrader.api import Gradebook  # noqa: E402
from nbgrader.converters import Autograde  # noqa: E402
from nbgrader.coursedir import CourseDirectory  # noqa: E402
from nbgrader.preprocessors import Execute  # noqa: E402
from traitlets.config import Config  # noqa: E402

MOST_OUTPUT = 2**20


class Limited(Execute):
    """Drops output beyond the limit, and everything from widgets."""

    seen = 0

    def process_message(self, msg, cell, cell_index):
        kind = msg["msg_type"]
        if kind.startswith("comm"):
            return None
        if kind in ("stream", "display_data", "execute_result", "update_display_data"):
            self.seen += len(str(msg["content"]))
            if self.seen > MOST_OUTPUT:
                return None
        return super().process_message(msg, cell, cell_index)


def main(course: Path, assignment: str, seconds: int, result: Path, sockets: str = "") -> None:
    config = Config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    config.CourseDirectory.assignment_id, config.CourseDirectory.student_id = assignment, "student"
    config.OverwriteCells.add_missing_cells = True
    config.IgnorePattern.enabled, config.IgnorePattern.pattern = True, "(?s).*"
    config.ExecutePreprocessor.startup_timeout = 120
    config.Execute.timeout, config.Execute.shutdown_kernel = seconds, "immediate"
    if sockets:  # no network in the sandbox: the kernel is spoken to through files
        config.KernelManager.transport, config.KernelManager.ip = "ipc", sockets
    stages = [Limited if stage is Execute else stage for stage in Autograde.autograde_preprocessors.default()]
    config.Autograde.autograde_preprocessors = stages
    autograde = Autograde(coursedir=CourseDirectory(config=config), config=config)
    autograde.start()
    with Gradebook(config.CourseDirectory.db_url) as gradebook:
        grades = gradebook.find_submission(assignment, "student").notebooks[0].grades
        scores = {grade.name: grade.auto_score or 0 for grade in grades}
    said = {}
    slow, graded = False, course / "autograded" / "student" / assignment / f"{assignment}.ipynb"
    for cell in json.loads(graded.read_text(encoding="utf-8"))["cells"]:
        marks = cell["metadata"].get("nbgrader", {})
        for error in (output for output in cell.get("outputs", []) if output["output_type"] == "error"):
            slow = slow or error["ename"] == "CellTimeoutError"
            if marks.get("grade"):
                said[marks["grade_id"]] = f"{error['ename']}: {error['evalue']}"[:1500]
    result.write_text(json.dumps({"scores": scores, "said": said, "slow": slow}), encoding="utf-8")


if __name__ == "__main__":
    folder, name, limit, target, *sockets = sys.argv[1:]
    main(Path(folder), name, int(limit), Path(target), *sockets)
