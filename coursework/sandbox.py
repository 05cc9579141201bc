"""Runs a command in bubblewrap: no network, nothing of the machine but Python to read, limits on everything.

What a submission cannot do in it: reach the network, see any file but Python's own and its own, write outside
one watched folder and two small memory disks, leave a process behind, use more than its memory, processes and
time.
"""
from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import site
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GB = 2**30
PROCESSES = 96  # and threads, that the system lets it start
FAMILY = 16  # processes at work, beyond which it is ended: a fork bomb must not starve its neighbour
FILE_BYTES = 64 * 2**20
FOLDER_BYTES = 256 * 2**20
FIRST_USER = 200_000  # as root each job is a user of its own: its processes are counted and kept apart
ENVIRONMENT = {
    "HOME": "/home", "USER": "student", "LOGNAME": "student", "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8", "MPLBACKEND": "agg", **dict.fromkeys((
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONNOUSERSITE",
        "PYTHONDONTWRITEBYTECODE", "PYDEVD_DISABLE_FILE_VALIDATION"), "1")}
RISK = """Without bubblewrap nothing holds a submission back: its code runs as you, reads and deletes what you
can, sees the other submissions and this course's solutions, reaches the network, and may stay behind when
grading is over. Only time and memory are watched. On Debian or Ubuntu: apt install bubblewrap. To grade
without it all the same, on a machine that holds nothing you would miss, add --no-sandbox."""


@dataclass(frozen=True)
class Outcome:
    """How it ended (ok, timed out, out of memory, too many processes, wrote too much, crashed); its end."""

    status: str
    said: str


def usable() -> str | None:
    """None if a sandbox can be made here, else why not."""
    if not sys.platform.startswith("linux") or not shutil.which("bwrap"):
        return "bubblewrap is not installed here."
    tried = subprocess.run(wrap(["true"], slot=0), capture_output=True, text=True)
    why = tried.stderr.strip() or tried.returncode
    return f"bubblewrap does not work here: {why}" if tried.returncode else None


def wrap(command: Sequence[str | Path], *, slot: int, readable: Sequence[Path] = (),
         writable: Path | None = None, memory: int = 4 * GB, processor_seconds: int = 1800) -> list[str]:
    """The command line that runs `command` in the sandbox, with files to read and a folder to write."""
    root = os.geteuid() == 0
    apart = [f"--unshare-{what}" for what in (("ipc", "pid", "net", "uts") if root else ("all",))]
    words = ["bwrap", *apart, "--die-with-parent", "--new-session", "--clearenv", "--ro-bind", "/usr", "/usr"]
    for name in ("lib", "lib32", "lib64", "bin", "sbin"):
        if Path("/", name).is_symlink():
            words += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
        elif Path("/", name).is_dir():
            words += ["--ro-bind", f"/{name}", f"/{name}"]
    words += ["--perms", "0755", "--dir", "/etc", "--dev", "/dev", "--proc", "/proc"]
    for name in ("ld.so.cache", "hosts", "passwd", "localtime", "fonts", "ssl/openssl.cnf"):
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for folder, size in (("/tmp", 512), ("/home", 64), ("/dev/shm", 64)):
        words += ["--perms", "1777", "--size", str(size * 2**20), "--tmpfs", folder]
    binds = [("--ro-bind", path) for path in (*_python(), *readable)]
    binds += [("--bind", writable)] if writable else []
    made = {Path("/"), Path("/tmp"), Path("/home")}
    for how, path in binds:
        for parent in reversed(Path(path).parents):  # one that bubblewrap makes by itself is root's alone
            if parent not in made and not parent.is_relative_to("/usr"):
                words += ["--perms", "0755", "--dir", str(parent)]
                made.add(parent)
        words += [how, str(path), str(path)]
    for name, value in ENVIRONMENT.items():
        words += ["--setenv", name, value]
    words += ["--chdir", "/tmp", "prlimit", f"--data={memory}", f"--nproc={PROCESSES}",
              f"--fsize={FILE_BYTES}", "--nofile=512", f"--cpu={processor_seconds}", "--core=0"]
    if root:
        user = FIRST_USER + slot
        words += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all",
                  "--bounding-set=-all", "--no-new-privs", "--"]
    return [*words, *map(str, command)]


def _python() -> list[Path]:
    """What Python needs to read: its installation, the environment, the two packages; not their folder."""
    package = importlib.util.find_spec("ilsupport")  # found, not imported: it takes a second
    wanted = [Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parent.parent,
              *map(Path, site.getsitepackages()), Path(__file__).resolve().parent,
              *map(Path, package.submodule_search_locations if package else [])]
    kept: list[Path] = []
    for path in wanted:
        if path.exists() and not any(path.is_relative_to(other) for other in [Path("/usr"), *kept]):
            kept.append(path)
    return kept


def run(command: Sequence[str], *, seconds: float, memory: int = 4 * GB, watched: Path | None = None,
        environment: dict[str, str] | None = None) -> Outcome:
    """Run to the end or to a limit; afterwards none of its processes is left."""
    process = subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, env=os.environ | (environment or {}))
    os.set_blocking(process.stdout.fileno(), False)
    said, status, ends, family = b"", None, time.monotonic() + seconds, {}
    try:
        while process.poll() is None and status is None:
            said = (said + (process.stdout.read(2**20) or b""))[-4000:]
            now = _family(process.pid)
            family |= now
            if time.monotonic() > ends:
                status = "timed out"
            elif len(now) > FAMILY:
                status = "too many processes"
            elif sum(map(_resident, now)) > memory:
                status = "out of memory"
            elif watched is not None and _size(watched) > FOLDER_BYTES:
                status = "wrote too much"
            else:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.5)
    finally:
        _end(process, family)
    said = (said + (process.stdout.read() or b""))[-4000:]
    process.stdout.close()
    return Outcome(status or ("ok" if process.returncode == 0 else "crashed"), said.decode(errors="replace"))


def _family(pid: int) -> dict:
    """A process and all that descend from it."""
    import psutil
    try:
        parent = psutil.Process(pid)
        return {each.pid: each for each in (parent, *parent.children(recursive=True))}
    except psutil.Error:
        return {}


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds, its share of what it shares; 0 once it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        import psutil
        try:
            return psutil.Process(pid).memory_info().rss
        except psutil.Error:
            return 0


def _size(folder: Path) -> int:
    """Bytes in a folder; more than any limit if it has thousands of entries."""
    total, paths = 0, (os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)
    for count, path in enumerate(paths):
        if count == 5000:
            return 2 * FOLDER_BYTES
        with contextlib.suppress(OSError):
            total += os.lstat(path).st_blocks * 512
    return total


def _end(process: subprocess.Popen, family: dict) -> None:
    import psutil
    for each in family.values():
        with contextlib.suppress(psutil.Error):
            each.kill()  # psutil compares start times: a number given to another process is left alone
    if process.poll() is None:
        process.kill()
    process.wait()
