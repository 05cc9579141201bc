"""Long runs: what a run leaves on disk, how it goes on after it was killed, and many of them at once.

A checkpoint is a safetensors file: numbers and text, no code. It is written whole or not at all, and the one
before it is kept beside it. `sweep` makes many runs of one experiment, on one core or on a cluster.
"""
from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ilsupport.files import read_tensors, write_atomically, write_tensors
from ilsupport.identity import describe, differences

KIND = "ilsupport.checkpoint"
SECONDS = 20.0  # between two writes: what a kill can cost
Log = Callable[[str, float, int], None]  # a tag, a value, a step


class Progress:
    """The one hook of a long loop: it moves a bar, tells a log, and hands on to a checkpoint."""

    def __init__(self, name: str, unit: str, total: int, *, shown: bool = False, log: Log | None = None,
                 checkpoint: Checkpoint | None = None) -> None:
        from tqdm.auto import tqdm  # imported here: it costs more than most of the package
        self.log, self.checkpoint, self.total = log, checkpoint, total
        self.done = 0 if checkpoint is None else checkpoint.resume()
        if self.done > total:
            raise ValueError(f"{checkpoint.path} has trained for {self.done} steps, more than the {total} "
                             "asked for.")
        self.bar = tqdm(total=total, initial=self.done, disable=not shown, unit=unit, desc=name)

    def __call__(self, count: int, news: dict[str, float], step: int | None = None) -> None:
        """`count` more units are done, and `news` is what there is to say of them; the log hears it at
        `step`.
        """
        self.done += count
        self.bar.set_postfix(news, refresh=False)
        self.bar.update(count)
        if self.log is not None:
            for tag, value in news.items():
                self.log(tag, value, self.done if step is None else step)
        if self.checkpoint is not None:
            self.checkpoint.save(self.done, finished=self.done == self.total)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()


class Checkpoint:
    """The state of one call of `fit` in a file: weights, optimiser, generators, what is left of the shuffles,
    losses.

    `identity` tells this run from others, as `describe` does; a file of another run is refused, and the error
    names what differs. `streams` have a generator and what is `left` of its shuffle; `losses` is the list to
    which training appends.
    """

    def __init__(self, path: str | os.PathLike, policy: nn.Module, optimiser: torch.optim.Optimizer,
                 streams: Sequence,
                 noise: Sequence[torch.Generator], losses: list[Tensor], identity: dict) -> None:
        self.path, self.policy, self.optimiser = Path(path), policy, optimiser
        self.streams, self.losses = streams, losses
        inner = [g for module in policy.modules() for g in vars(module).values()
                 if isinstance(g, torch.Generator)]
        self.generators = list({id(g): g for g in [*(s.generator for s in streams), *noise, *inner]}.values())
        self.identity = {**identity, "generators": describe([g.get_state() for g in self.generators])}
        self._last = time.monotonic()
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"{self.path.parent} is not a folder, expected one to keep "
                                    f"{self.path.name} in; make it first.")

    def resume(self) -> int:
        """Put everything back as it was and return the steps made so far.

        Raises ValueError if the file belongs to another run.
        """
        found = newest(self.path)
        if found is None:
            return 0
        tensors, about = found
        check_same(self.path, about["identity"], self.identity)
        weights = {name[7:]: t for name, t in tensors.items() if name.startswith("policy/")}
        self.policy.load_state_dict(weights)
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimiser/"):
                _, i, key = name.split("/")
                state.setdefault(int(i), {})[key] = tensor
        groups, numbers = about["optimiser"]
        for i, own in numbers.items():
            state.setdefault(int(i), {}).update(own)
        groups = [old | own for old, own in zip(self.optimiser.state_dict()["param_groups"], groups)]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        for i, generator in enumerate(self.generators):
            generator.set_state(tensors[f"generator/{i}"])
        for i, stream in enumerate(self.streams):
            stream.left = tensors[f"left/{i}"].to(stream.left.device)
        self.losses.append(tensors["losses"])
        return len(tensors["losses"])

    def save(self, done: int, finished: bool) -> None:
        """Write the state if the last write is long enough ago, or if this was the last step."""
        if not finished and time.monotonic() - self._last < SECONDS:
            return
        tensors = {f"policy/{name}": t for name, t in self.policy.state_dict().items()}
        optimiser = self.optimiser.state_dict()
        tensors |= {f"optimiser/{i}/{key}": t for i, state in optimiser["state"].items()
                    for key, t in state.items() if isinstance(t, Tensor)}
        numbers = [_plain(group) for group in optimiser["param_groups"]], {
            i: _plain(state) for i, state in optimiser["state"].items()}
        tensors |= {f"generator/{i}": g.get_state() for i, g in enumerate(self.generators)}
        tensors |= {f"left/{i}": stream.left for i, stream in enumerate(self.streams)}
        tensors["losses"] = torch.cat(self.losses)
        about = {"identity": self.identity, "steps": done, "optimiser": numbers}
        write_tensors(self.path, tensors, about, KIND, keep_previous=True)
        self._last = time.monotonic()


def _plain(values: dict) -> dict:
    return {key: x for key, x in values.items() if x is None or isinstance(x, (bool, int, float, str))}


def check_same(path: Path, there: object, here: object) -> None:
    """Raise ValueError, naming what differs, unless the run that left `path` is this one."""
    if lines := differences(there, json.loads(json.dumps(here))):
        more = f" (and {len(lines) - 3} more)" if len(lines) > 3 else ""
        raise ValueError(f"{path} belongs to another run: {'; '.join(lines[:3])}{more}. Delete it to start "
                         "anew, or choose another place.")


def newest(path: Path) -> tuple[dict[str, Tensor], dict] | None:
    """The newest whole checkpoint: `path`, or the one before it, with a warning, if `path` is damaged; None
    if there is none.

    Raises ValueError if there are files and none of them is whole.
    """
    damaged = []
    for candidate in (p for p in (path, path.with_name(f"{path.name}.previous")) if p.exists()):
        try:
            found = read_tensors(candidate, KIND)
        except (OSError, ValueError) as error:
            damaged.append(str(error))
            continue
        if damaged:
            warnings.warn(f"a checkpoint is damaged ({damaged[0]}); going on from "
                          f"{candidate.name}.", stacklevel=3)
            os.replace(candidate, path)  # lest the next write keep the damaged one as the one before
        return found
    if damaged:
        raise ValueError(f"no whole checkpoint ({'; '.join(damaged)}). Delete what is there to start anew.")
    return None


# -- many runs


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
    """`[experiment(**setting) for setting in settings]`, spread by joblib; results in the order of the
    settings.

    experiment  a function of keywords that returns what JSON can hold: numbers, text, lists, dictionaries (an
                Estimate becomes a list, `Estimate(*result)` is it again). Randomness must come from a seed
                among the settings
    jobs        processes on this machine; None leaves it to `joblib.parallel_config`, or runs one after the
                other: with `joblib.parallel_config(backend="dask")` or "ray" around the call they run on a
                cluster
    folder      keeps each result in a file of its own as soon as it is there; the same call made again
                computes only what is missing, so that nothing is lost with a killed sweep, and nothing
                counted twice

    Needs the extra `ilsupport[sweeps]`. Raises ValueError for settings that repeat, or are not JSON, for
    results that are not, and for a folder of another experiment; whatever an experiment raises comes through,
    and what was finished stays in the folder.
    """
    from joblib import Parallel, delayed
    names, results = [_name(setting) for setting in settings], {}
    if len(set(names)) < len(names):
        twice = next(setting for k, setting in enumerate(settings) if names[k] in names[:k])
        raise ValueError(f"the settings {twice} come twice, expected each once; give repetitions a seed.")
    files = [None if folder is None else Path(folder) / f"{name}.json" for name in names]
    if folder is not None:
        _own(Path(folder), experiment)
        results = {k: _kept(file) for k, file in enumerate(files) if file.exists()}
    runs = [delayed(_run)(experiment, k, setting) for k, setting in enumerate(settings) if k not in results]
    with Progress("sweep", "run", len(settings), shown=progress) as hook:
        hook(len(results), {})
        for k, result in Parallel(n_jobs=jobs, return_as="generator_unordered")(runs):
            results[k] = result
            if folder is not None:
                text = json.dumps({"settings": settings[k], "result": result})
                write_atomically(files[k], lambda part, text=text: part.write_text(text))
            hook(1, {})
    return [results[k] for k in range(len(settings))]


def _own(folder: Path, experiment: Callable) -> None:
    """Mark the folder as this experiment's; raise ValueError if it is another's."""
    folder.mkdir(parents=True, exist_ok=True)
    file, about = folder / "experiment.json", describe(experiment)
    if file.exists():
        check_same(folder, json.loads(file.read_text()), about)
    else:
        write_atomically(file, lambda part: part.write_text(json.dumps(about, indent=1)))


def _run(experiment: Callable[..., object], k: int, setting: dict) -> tuple[int, object]:
    """Through JSON even on one core, so that a result is the same whichever way it came."""
    result = experiment(**setting)
    try:
        return k, json.loads(json.dumps(result))
    except TypeError as error:
        raise ValueError(f"the experiment returned {type(result).__name__} ({error}), expected what JSON can "
                         "hold: numbers, text, lists and dictionaries.") from None


def _kept(file: Path) -> object:
    try:
        return json.loads(file.read_text())["result"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged ({error}); delete it, and it is computed again.") from error


def _name(setting: dict) -> str:
    try:
        text = json.dumps(setting, sort_keys=True)
    except TypeError as error:
        raise ValueError(f"the settings {setting} are not JSON ({error}), expected numbers, text, lists and "
                         "dictionaries: name a thing and look it up in the experiment.") from None
    return hashlib.sha256(text.encode()).hexdigest()[:20]
