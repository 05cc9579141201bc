"""Many runs of one experiment: over error rates, horizons, seeds, algorithms; on one core or on a cluster (page 10).

joblib spreads the runs; a Dask or Ray cluster is one line around the call:

    with joblib.parallel_config(backend="dask"):
        results = sweep(experiment, grid(eps=[0.01, 0.03], T=[10, 100], seed=range(5)), folder="results")

Results do not depend on where or in which order the runs were made, because each gets its seed with its settings.
"""
from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


def grid(**choices: Iterable) -> list[dict]:
    """Every combination, the last choice fastest: `grid(T=[1, 2], seed=range(2))` is four settings.

    Raises ValueError for a choice without values.
    """
    values = {name: list(some) for name, some in choices.items()}
    for name, some in values.items():
        if not some:
            raise ValueError(f"{name} has no values, expected at least one.")
    return [dict(zip(values, combination)) for combination in itertools.product(*values.values())]


def sweep(experiment: Callable[..., object], settings: Sequence[dict], *, jobs: int | None = None,
          folder: str | os.PathLike | None = None, progress: bool = False) -> list:
    """`[experiment(**setting) for setting in settings]`, spread by joblib; results in the order of the settings.

    experiment  a function of keywords that returns what JSON can hold: numbers, text, lists, dictionaries (an Estimate
                becomes a list, `Estimate(*result)` is it again). Randomness must come from a seed among the settings
    jobs        processes on this machine; None leaves it to `joblib.parallel_config`, or runs one after the other
    folder      keeps each result in a file of its own as soon as it is there; the same call made again computes only what
                is missing, so that nothing is lost with a killed sweep, and nothing counted twice

    Needs the extra `ilsupport[sweeps]`. Raises ValueError for settings that repeat, or are not JSON, and for results that are
    not; whatever an experiment raises comes through, and what was finished stays in the folder.
    """
    from joblib import Parallel, delayed
    from tqdm.auto import tqdm
    names = [_name(setting) for setting in settings]
    if len(set(names)) < len(names):
        twice = next(setting for k, setting in enumerate(settings) if names[k] in names[:k])
        raise ValueError(f"the settings {twice} come twice, expected each once; give repetitions a seed of their own.")
    files = None if folder is None else [Path(folder) / f"{name}.json" for name in names]
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
    results: dict[int, object] = {} if files is None else {k: r for k, file in enumerate(files) if (r := _kept(file, settings[k]))}
    missing = [k for k in range(len(settings)) if k not in results]
    runs = Parallel(n_jobs=jobs, return_as="generator_unordered")(delayed(_run)(experiment, k, settings[k]) for k in missing)
    with tqdm(total=len(settings), initial=len(results), disable=not progress, unit="run", desc="sweep") as bar:
        for k, text in runs:
            results[k] = (json.loads(text),)
            if files is not None:
                _keep(files[k], settings[k], text)
            bar.update()
    return [results[k][0] for k in range(len(settings))]


def _run(experiment: Callable[..., object], k: int, setting: dict) -> tuple[int, str]:
    """Through JSON even on one core, so that a result is the same whichever way it came."""
    result = experiment(**setting)
    try:
        return k, json.dumps(result, allow_nan=True)
    except TypeError as error:
        raise ValueError(f"the experiment returned {type(result).__name__} ({error}), expected what JSON can hold: "
                         "numbers, text, lists and dictionaries.") from None


def _name(setting: dict) -> str:
    try:
        text = json.dumps(setting, sort_keys=True)
    except TypeError as error:
        raise ValueError(f"the settings {setting} are not JSON ({error}), expected numbers, text, lists and dictionaries: "
                         "name a thing and look it up in the experiment.") from None
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _kept(file: Path, setting: dict) -> tuple | None:
    """A result in a file, as a tuple of one; None if there is no whole one."""
    try:
        found = json.loads(file.read_text())
        return (found["result"],) if found["settings"] == json.loads(json.dumps(setting)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(file: Path, setting: dict, text: str) -> None:
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_text(f'{{"settings": {json.dumps(setting)}, "result": {text}}}\n')
    os.replace(part, file)
