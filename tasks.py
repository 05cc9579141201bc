"""Sets the book up, builds it, tests it and opens it: `python tasks.py help` lists the commands.

Needs Python 3.11, 3.12 or 3.13, nothing else: what the book needs goes into `.venv`. Every command is safe to
run again and does only what changed. `make book` and its like are the same commands for those who have make.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BUILD = ROOT / "_build"
SITE = BUILD / "html"
EXECUTED = BUILD / "executed"  # every page as it was last executed
BUILT_FROM = BUILD / "built-from.json"  # what the site was last built from
INSTALLED = "ilsupport-installed.json"  # in the environment: what it was installed from, and which extras
CONDA_ENVIRONMENT = "imitation-learning"  # the name in environment.yml
PYTHONS = (3, 11), (3, 13)  # the oldest and the newest for which constraints.txt is tested
START_PAGE = "/lab/tree/notebooks/index.md"
# One thread: the networks are small, and on a busy machine a second one waits longer than it works.
KERNELS = {"OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


def stop(text: str) -> None:
    sys.exit(f"tasks.py: {text}")


def refuse_unless_fit(version, what="this is"):
    """Stop, before anything is installed, for a Python that cannot have the versions of constraints.txt."""
    if not PYTHONS[0] <= tuple(version[:2]) <= PYTHONS[1]:
        stop("%s Python %s, and the book needs one from %d.%d to %d.%d. Name one: python3.12 tasks.py book, "
             "or make book PYTHON=python3.12" % (what, ".".join(map(str, version[:3])), *PYTHONS[0],
                                                 *PYTHONS[1]))


# Here, and in the syntax of long ago: an old Python would stumble over the types below.
refuse_unless_fit(sys.version_info)


def run(*command: str | Path, **variables: str) -> int:
    """Run a command in the repository's root, with more environment variables, and return its exit status."""
    print("$", *command, flush=True)
    return subprocess.run([str(part) for part in command], cwd=ROOT, env=os.environ | variables).returncode


def digest(*paths: Path) -> str:
    """A key that changes when any of these files, or any file in these folders, changes."""
    skip = {"_build", "__pycache__", ".ipynb_checkpoints"}
    key = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not skip & set(file.relative_to(path).parts):
                key.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes() + b"\0")
    return key.hexdigest()


def read_json(path: Path) -> dict:
    """What the file holds; nothing if it is missing or was written by half."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


# --- the environment ---


def interpreter() -> Path:
    """The Python to use: that of environment.yml's conda environment if it is active, else of `.venv`."""
    active = Path(sys.prefix)
    if (active / "conda-meta").is_dir() and active.name == CONDA_ENVIRONMENT:
        return Path(sys.executable)
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    version = version_in(python)
    if version is None:
        say(f"Making a virtual environment in {VENV.name}" + " anew: it was made elsewhere, or by half"
            * VENV.exists())
        maker = getattr(sys, "_base_executable", sys.executable)  # not the Python in what is cleared
        if run(maker, "-m", "venv", "--clear", VENV):
            stop("Python could not make an environment. On Debian and Ubuntu: apt install python3-venv")
    else:
        refuse_unless_fit(version, f"{VENV.name} has")
    return python


def version_in(python: Path) -> tuple[int, ...] | None:
    """The version of Python in `.venv`; None if there is none, if it is broken, or if it was made for another
    folder.

    Asked of its pip, because a script names the Python that it is for by its full path: in a copy of an
    environment it starts the original or nothing, however well Python itself starts.
    """
    try:
        found = subprocess.run([python.with_name("pip"), "--version"], capture_output=True,
                               encoding="utf-8").stdout
    except OSError:
        return None
    place = re.search(r" from (.+) \(python ([\d.]+)\)", found)
    if place is None or not Path(place[1]).resolve().is_relative_to(VENV.resolve()):
        return None
    return tuple(map(int, place[2].split(".")))


def prefix(python: Path) -> Path:
    """The folder of the environment that this interpreter belongs to."""
    return VENV if python.is_relative_to(VENV) else Path(sys.prefix)


def install(*wanted: str) -> Path:
    """Install the package with these of its extras, unless they are there; return the Python to use."""
    python = interpreter()
    stamp = prefix(python) / INSTALLED
    key = digest(ROOT / "pyproject.toml", ROOT / "constraints.txt") + str(ROOT)
    there = read_json(stamp)
    extras = set(there["extras"]) if there.get("key") == key else set()
    if not extras.issuperset(wanted):
        extras |= set(wanted)
        say("Installing what the book needs (the first time this takes some minutes)")
        if run(python, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off",
               "-c", "constraints.txt", "-e", f".[{','.join(sorted(extras))}]"):
            stop("the installation failed; pip says above why. Run the same command again to go on.")
        stamp.write_text(json.dumps({"key": key, "extras": sorted(extras)}))
    return python


# --- the book ---


def write_homework(python: Path) -> None:
    """Write the pages of the homework, which the table of contents names."""
    if run(python, "coursework/source.py", "notebooks"):
        stop("the pages of the homework could not be written")


def build(python: Path, *pages: str) -> None:
    """Execute the pages that have to be, these in any case, and build the site, with every warning an error.

    Exits when that fails. Each step does nothing where nothing changed (notebooks/_ext/execute.py says what
    counts).
    """
    write_homework(python)
    if run(python, "notebooks/_ext/execute.py", BUILD, *pages, **KERNELS):
        stop("not every page could be executed; above stands which, and why.")
    parts = digest(ROOT / "notebooks", ROOT / "book.yml", ROOT / "ilsupport" / "widgets",
                   ROOT / "tests" / "certified", ROOT / "constraints.txt")
    key = {"parts": parts, "executed": digest(*sorted(EXECUTED.glob("*.ipynb")))}
    if read_json(BUILT_FROM) == key and (SITE / "index.html").exists():
        say("The site is up to date")
        return
    shutil.rmtree(SITE, ignore_errors=True)  # no page of an earlier table of contents stays behind
    BUILT_FROM.unlink(missing_ok=True)
    say("Building the site")
    # --all reads every page again, or a warning would be seen only once. What was executed comes from a
    # cache.
    if run(python, "-c", "from jupyter_book.cli.main import main; main()", "build", "notebooks", "--all",
           "--config", "book.yml", "--path-output", ".", "-W", "-n", "--keep-going", **KERNELS):
        stop("the book did not build: an error above says where, or a warning, which counts as one.")
    BUILT_FROM.write_text(json.dumps(key))


def page_times() -> dict[str, float]:
    """Seconds that each page last took to execute."""
    found = {path.stem: read_json(path).get("metadata", {}).get("executed")
             for path in sorted(EXECUTED.glob("*.ipynb"))}
    return {page: executed["seconds"] for page, executed in found.items() if executed}


# --- the commands; the first line of each is what `help` says of it ---


def book(pages: list[str]) -> None:
    """execute every page that changed, and those named, and build the site"""
    build(install("book"), *pages)
    times = page_times()
    for page, seconds in sorted(times.items()):
        print(f"    {seconds:6.1f} s  {page}")
    print(f"    {sum(times.values()):6.1f} s  to execute the whole book")
    say(f"The book is in {SITE.relative_to(ROOT)}. To read it, open this address in a browser:")
    print(f"    {(SITE / 'index.html').as_uri()}")


def test(arguments: list[str]) -> None:
    """run the tests: the package, the book built without a warning, the built pages in a browser"""
    sys.exit(run(install("test"), "-m", "pytest", *arguments))


def test_all(arguments: list[str]) -> None:
    """run the tests, the slow ones too"""
    test(["-m", "", *arguments])


def address() -> str:
    """Where the repository is published, as book.yml says."""
    return re.search(r"^\s*url:\s*(\S+)", (ROOT / "book.yml").read_text(encoding="utf-8"), re.MULTILINE)[1]


def homework(_: list[str]) -> None:
    """build the assignments: student notebooks, bundles for Otter, Gradescope and nbgrader, solutions"""
    python, target = install("homework"), BUILD / "homework"
    if run(python, "-m", "coursework.build", "notebooks", target, address()):
        stop("the homework could not be built; above stands why")
    say(f"The homework is in {target.relative_to(ROOT)}. To grade a folder of submissions:")
    print(f"    {python} -m coursework hw1 SUBMISSIONS --out RESULTS")


def lab(arguments: list[str]) -> None:
    """open the pages as notebooks in JupyterLab"""
    python = install("lab", "homework")  # a student works on the homework here, with Otter's checks
    settings = prefix(python) / "etc" / "jupyter" / "labconfig" / "default_setting_overrides.json"
    if run(python, "-m", "jupytext_config", "--settings-file", settings,
           "set-default-viewer", "markdown", "myst"):
        stop("JupyterLab could not be told to open pages as notebooks")
    say("Opening JupyterLab; Ctrl-C here closes it")
    sys.exit(run(python, "-m", "jupyterlab", "--ServerApp.root_dir=.", f"--LabApp.default_url={START_PAGE}",
                 *arguments, JUPYTER_PREFER_ENV_PATH="1"))


def shots(arguments: list[str]) -> None:
    """take pictures of the built pages, or of those named, in light and in dark"""
    python = install("test")
    build(python)
    sys.exit(run(python, "tests/browser/shots.py", *arguments))


def notebooks(arguments: list[str]) -> None:
    """write the pages as .ipynb for Colab; with --publish commit them to a branch of their own"""
    sys.exit(run(install("lab"), "-m", "scripts.colab", *arguments))


def certify(arguments: list[str]) -> None:
    """change every labelled result in all ways and say which of the variants a case refutes"""
    sys.exit(run(install("test"), "-m", "certified.report", *arguments, OMP_NUM_THREADS="1",
                 PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "tests")])))


def bench(arguments: list[str]) -> None:
    """measure our speed beside the libraries one would use instead; results in benchmarks/results"""
    sys.exit(run(install("test"), "benchmarks/bench.py", *arguments))


def reseed(arguments: list[str]) -> None:
    """execute pages with all seeds moved, ten times, and count how often each assertion holds (hours)"""
    python = install("book")
    write_homework(python)
    sys.exit(run(python, "notebooks/_ext/reseed.py", BUILD, *arguments, **KERNELS))


def clean(_: list[str]) -> None:
    """remove what was built (the environment in .venv stays)"""
    shutil.rmtree(BUILD, ignore_errors=True)


COMMANDS = {"book": book, "test": test, "test-all": test_all, "lab": lab, "homework": homework,
            "certify": certify, "shots": shots, "bench": bench, "reseed": reseed, "notebooks": notebooks,
            "clean": clean}


def main() -> None:
    width = max(map(len, COMMANDS)) + 2
    listing = "\n".join(f"  {name:{width}}{command.__doc__}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        usage="python tasks.py COMMAND [ARGUMENT ...]", epilog=f"commands (also as make COMMAND):\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False)
    parser.add_argument("command", choices=[*COMMANDS, "help"], nargs="?", default="help",
                        help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    if options.command == "help":
        parser.print_help()
        return
    try:
        COMMANDS[options.command](rest)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
