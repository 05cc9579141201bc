"""Runs in the sandbox: `otter run` with a limit on each cell's time and output. A script, it imports nothing
of ours.

run_otter.py AUTOGRADER.zip NOTEBOOK.ipynb OUT SECONDS writes OUT/results.json.
"""
from __future__ import annotations

import sys

sys.modules["rfc3987_syntax"] = None  # a second to import, and not needed: see kernel.py

from nbconvert import preprocessors  # noqa: E402

MOST_OUTPUT = 2**20  # characters of a whole notebook


class Limited(preprocessors.ExecutePreprocessor):
    """Interrupts a cell that takes too long and goes on with the next; drops output beyond the limit."""

    seen = 0

    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.interrupt_on_timeout, self.shutdown_kernel = True, "immediate"
        # All checks are in the last cell: each has its own limit, and their sum may be more than a cell's.
        self.timeout_func = lambda cell: None if cell is self.nb.cells[-1] else int(sys.argv[4])
        self.error_on_timeout = {"ename": "CellTimeoutError", "evalue": "", "traceback": [""]}

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("stream", "display_data", "execute_result", "update_display_data", "error"):
            self.seen += len(str(msg["content"]))
            if self.seen > MOST_OUTPUT:
                return None
        return super().process_message(msg, cell, cell_index)


if __name__ == "__main__":
    preprocessors.ExecutePreprocessor = Limited
    from otter.run import main
    main(sys.argv[2], autograder=sys.argv[1], output_dir=sys.argv[3], no_logo=True)
