"""What pyproject.toml asks for, what constraints.txt pins and what environment.yml installs agree."""
from __future__ import annotations

import re
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import tasks


def read(name: str) -> str:
    return (tasks.ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(read("pyproject.toml"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ENVIRONMENT = yaml.safe_load(read("environment.yml"))
PINS = [Requirement(line) for line in read("constraints.txt").splitlines() if not line.startswith("#")]
NEEDED = [Requirement(line) for line in sum(EXTRAS.values(), start=PROJECT["dependencies"])]


def test_constraints_pin_each_package_once_and_exactly():
    names = [canonicalize_name(pin.name) for pin in PINS]
    assert [name for name in names if names.count(name) > 1] == []
    assert [str(pin) for pin in PINS if not re.fullmatch(r"==[0-9a-z.]+", str(pin.specifier))] == []


@pytest.mark.parametrize("requirement", [r for r in NEEDED if r.name != PROJECT["name"]], ids=str)
def test_each_requirement_is_pinned_to_a_version_that_it_admits(requirement):
    pins = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(requirement.name)]
    assert len(pins) == 1
    assert requirement.specifier.contains(str(pins[0].specifier).removeprefix("=="))


def test_what_is_installed_is_what_is_pinned():
    differing = {}
    for pin in PINS:
        try:
            version = metadata.version(pin.name)
        except metadata.PackageNotFoundError:
            continue  # needed on another platform only
        if not pin.specifier.contains(version, prereleases=True):
            differing[pin.name] = f"{version} here, {pin.specifier} pinned"
    assert differing == {}


def test_environment_takes_its_versions_from_the_constraints():
    conda = [line for line in ENVIRONMENT["dependencies"] if isinstance(line, str)]
    pip = next(line["pip"] for line in ENVIRONMENT["dependencies"] if isinstance(line, dict))
    assert [line for line in conda if re.search(r"[=<>]", line) and not line.startswith("python=")] == []
    assert pip[0] == "-c constraints.txt"
    name, extras = re.fullmatch(r"-e (\.)\[([\w,]+)\]", pip[1]).groups()
    assert set(extras.split(",")) <= set(EXTRAS)
    assert len(pip) == 2 and name == "."


def test_environment_has_the_name_that_tasks_looks_for():
    assert ENVIRONMENT["name"] == tasks.CONDA_ENVIRONMENT


def test_python_versions_agree():
    conda = next(line for line in ENVIRONMENT["dependencies"] if str(line).startswith("python="))
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert Version(conda.removeprefix("python=")) >= Version(oldest)
    assert ".".join(map(str, tasks.PYTHONS[0])) == oldest
    (first, second), (_, last) = tasks.PYTHONS
    assert all(f"{first}.{minor}" in read("README.md") for minor in range(second, last + 1))
