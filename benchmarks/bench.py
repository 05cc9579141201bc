"""Side by side with what one would use instead: every bar of the book's speed, measured in one run.

    make bench                          all rows
    python benchmarks/bench.py bc32     only the rows named

Where there is a GPU, ours is also measured there, against ours on the processor.

Each peer lives in an environment of its own under `_build/bench` (made on the first run, pinned in
`peers/*.txt`) and in a worker process of its own. Contenders of a row are asked in turn, A B A B ..., and
compared by the ratio of their medians. Writes `results/<name>.json`, `.md` and `.svg`. A row that misses its
bar says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rows import ROWS, Row

HERE = Path(__file__).resolve().parent
SCRATCH = HERE.parent / "_build" / "bench"


def book() -> dict[str, tuple[list[float], float]]:
    """Build the book with nothing executed before; seconds of the whole command and of its slowest page."""
    sys.path.insert(0, str(HERE.parent))
    import tasks

    shutil.rmtree(tasks.BUILD / ".jupyter_cache", ignore_errors=True)
    tasks.BUILT_FROM.unlink(missing_ok=True)
    start = time.perf_counter()
    subprocess.run([sys.executable, HERE.parent / "tasks.py", "book"], check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - start
    pages = tasks.page_times()
    slowest = max(pages, key=pages.get)
    return {
        "the whole book, executed and built, s": ([whole], 600),
        f"its slowest page, {slowest}, s": ([pages[slowest]], 60),
    }


def redraws() -> dict[str, tuple[list[float], float]]:
    """Slider to painted frame, in the built page and in JupyterLab; milliseconds (`redraw.py` says more)."""
    from redraw import measure as measure_redraws

    frames = measure_redraws(lambda *_: None)
    return {"slider to redraw, static page, ms": (frames["static"], 20),
            "slider to redraw, JupyterLab, ms": (frames["live"], 50),
            "frame to frame of the driven car, ms": (frames["drive"], 17)}


def driving(device: str = "cpu") -> dict[str, tuple[list[float], float]]:
    """A step of `Driving`, 4,096 cars wide.

    At least 10^7 steps and 10^5 camera frames a second, no policy.
    """
    worker = Worker(f"ours {device}")
    tasks = {"with features": ("driving features", 100), "with a camera": ("driving camera", 10_000)}
    where = "" if device == "cpu" else f" on {device}"
    found = {f"a step of Driving {kind}, 4,096 cars{where}, ns a car":
             ([worker.ask(task) for _ in range(6)][1:], ceiling)
             for kind, (task, ceiling) in tasks.items()}
    worker.close()
    return found


LIMITS = {"driving": driving, "book": book, "redraw": redraws}  # what has a ceiling rather than a peer


class Worker:
    """A contender's process; `ask` runs one of its tasks and returns the measurement.

    "ours cuda" is ours on that device.
    """

    def __init__(self, name: str) -> None:
        who, *device = name.split()
        command = (
            [sys.executable, HERE / "ours.py", *device] if who == "ours"
            else [environment(name), HERE / "peers" / f"{name}.py"]
        )
        hidden = {} if device and device != ["cpu"] else {"CUDA_VISIBLE_DEVICES": ""}
        self.errors = open(SCRATCH / f"{name}.log", "w")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=os.environ | hidden,
        )
        self._read()

    def _read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker stopped; its last words are in {self.errors.name}")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def ask(self, task: str) -> dict | float:
        self.process.stdin.write(task + "\n")
        self.process.stdin.flush()
        answer = self._read()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]


def environment(name: str) -> Path:
    """The Python of a peer's own environment, made on first use."""
    folder = SCRATCH / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "installed"
    pins = (HERE / "peers" / f"{name}.txt").read_text()
    if not done.exists() or done.read_text() != pins:
        print(f"  making the environment of {name} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "peers" / f"{name}.txt"],
                       check=True)
        done.write_text(pins)
    return python


def measure(row: Row, workers: dict[str, Worker], device: str | None = None) -> dict:
    """Ask ours, each peer and, with a device, ours there in turn, `repeats` times after one warm-up.

    Keep every number.
    """
    contenders = [("ours", "ours", row.ours)] + [a[:3] for a in row.against]
    if device is not None and row.device:
        contenders.append((f"ours on {device}", f"ours {device}", row.ours))
    samples: dict[str, list[float]] = {name: [] for name, _, _ in contenders}
    extra: dict[str, dict] = {}
    for k in range(row.repeats + 1):
        for name, worker, task in contenders:
            if worker not in workers:
                workers[worker] = Worker(worker)
            value = workers[worker].ask(task)
            if isinstance(value, dict):
                extra[name] = value
                value = value["seconds"]
            if k > 0 or row.repeats == 1:
                samples[name].append(value)
    return {"samples": samples, "extra": extra}


def verdicts(row: Row, result: dict) -> list[dict]:
    """The ratio of medians against each peer, oriented so that more is better for us, with its bar."""
    medians = {name: statistics.median(values) for name, values in result["samples"].items()}
    better = (lambda a, b: a / b) if row.unit == "steps/s" else (lambda a, b: b / a)
    out = []
    for peer in row.against:
        ratio = better(medians["ours"], medians[peer.name])
        out.append({"peer": peer.name, "ratio": ratio, "bar": peer.bar, "met": ratio >= peer.bar})
    for name in medians.keys() - {"ours",
                                  *(peer.name
                                    for peer in row.against)}:  # a device: how many times faster it is there
        out.append({"peer": name, "ratio": better(medians[name], medians["ours"]), "bar": 0, "met": True})
    labels = [result["extra"].get(name, {}).get("labels_to_475", 0) for name in ("ours", "imitation")]
    if result["extra"]:
        out.append({"peer": "labels to reach 475", "ratio": labels[1] / labels[0], "bar": 1.0,
                    "met": labels[0] <= labels[1]})
    return out


def machine() -> dict:
    import gymnasium
    import torch

    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        cpu = next(
            (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if "model name" in line), cpu
        )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gymnasium": gymnasium.__version__,
        "system": platform.system(),
    } | ({"GPU": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})


def run_row(key: str, workers: dict[str, Worker], device: str | None) -> dict:
    """One row against its peers, or the reason why it could not be measured; says what came out."""
    try:
        result = measure(ROWS[key], workers, device)
        result["verdicts"] = verdicts(ROWS[key], result)
    except (RuntimeError, subprocess.CalledProcessError) as problem:
        print(f"      FAILED: {problem}", flush=True)
        return {"error": str(problem)}
    for v in result["verdicts"]:
        missed = "" if v["met"] else "  MISSED"
        print(f"      {v['ratio']:8.2f}× {v['peer']} (bar {v['bar']:.2f}){missed}", flush=True)
    return result


def run_limit(key: str, device: str | None) -> dict:
    """What must stay below a ceiling; says what came out."""
    out, found = {}, LIMITS[key]()
    if key == "driving" and device is not None:
        found |= driving(device)
    for title, (values, ceiling) in found.items():
        median = statistics.median(values)
        out[title] = {"median": median, "min": min(values), "max": max(values), "bar": ceiling,
                      "met": median < ceiling}
        print(f"      {median:8.1f}  {title} (bar {ceiling}){'' if median < ceiling else '  MISSED'}",
              flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW",
                        help=f"which of {', '.join([*ROWS, *LIMITS])} (default: all)")
    parser.add_argument("--name", default="cpu", help="results are written under this name")
    parser.add_argument("--device", help="where ours is measured a second time (default: cuda, where there "
                                         "is one)")
    arguments = parser.parse_args()
    chosen = arguments.rows or [*ROWS, *LIMITS]
    if unknown := set(chosen) - set(ROWS) - set(LIMITS):
        parser.error(f"no row {sorted(unknown)}; there are {[*ROWS, *LIMITS]}")
    device = arguments.device or ("cuda" if "GPU" in machine() else None)
    SCRATCH.mkdir(parents=True, exist_ok=True)
    path = HERE / "results" / f"{arguments.name}.json"
    path.parent.mkdir(exist_ok=True)
    before = json.loads(path.read_text()) if path.exists() and arguments.rows else {}
    rows, limits, workers = before.get("rows", {}), before.get("limits", {}), {}
    for k, key in enumerate(chosen):
        print(f"[{k + 1}/{len(chosen)}] {ROWS[key].title if key in ROWS else key}", flush=True)
        if key in ROWS:
            rows[key] = run_row(key, workers, device)
        else:
            limits[key] = run_limit(key, device)
        found = {"machine": machine(), "rows": {key: rows[key] for key in ROWS if key in rows},
                 "limits": limits}
        path.write_text(json.dumps(found, indent=1) + "\n")
    from report import write_report

    write_report(path, ROWS)
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
