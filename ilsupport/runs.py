"""Long runs: what a run leaves on disk, how it goes on after it was killed, and many of them at once.

What is kept is a safetensors file: numbers and text, no code. It is written whole or not at all, and knows
whose it is. `sweep` makes many runs of one experiment, on one core or on a cluster.
"""
from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ilsupport.files import read_tensors, write_tensors
from ilsupport.identity import describe, differences, fingerprint

KIND = "ilsupport.checkpoint"
SECONDS = 20.0  # between two writes: what a kill can cost
Log = Callable[[str, float, int], None]  # a tag, a value, a step


class Progress(contextlib.AbstractContextManager):
    """The one hook of a long loop: it moves a bar, tells a log, and hands on to a checkpoint."""

    def __init__(self, name: str, unit: str, total: int, *, shown: bool = False, log: Log | None = None,
                 checkpoint: Checkpoint | None = None) -> None:
        from tqdm.auto import tqdm  # imported here: it costs more than most of the package
        self.log, self.checkpoint, self.total = log, checkpoint, total
        self.done = 0 if checkpoint is None else checkpoint.resume()
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
            self.checkpoint.save(finished=self.done == self.total)

    def __exit__(self, *_) -> None:
        self.bar.close()


class Checkpoint:
    """The state of one call of `fit` in a file: weights, optimiser, generators, what is left of the shuffles,
    losses.

    `identity` is what tells this run from others, to be described; a file of another run is refused, and the
    error names what differs. `streams` have a generator and what is `left` of its shuffle; `losses` is the
    list to which training appends.
    """

    def __init__(self, path: Path | str, policy: nn.Module, optimiser: torch.optim.Optimizer, streams: list,
                 noise: Sequence[torch.Generator], losses: list[Tensor], identity: dict) -> None:
        self.path, self.policy, self.optimiser = Path(path), policy, optimiser
        self.streams, self.losses, self._last = streams, losses, time.monotonic()
        inner = [g for m in policy.modules() for g in vars(m).values() if isinstance(g, torch.Generator)]
        self.generators = list({id(g): g for g in [*(s.generator for s in streams), *noise, *inner]}.values())
        self.identity = describe({**identity, "generators": [g.get_state() for g in self.generators]})

    def resume(self) -> int:
        """Put everything back as it was and return the steps made so far.

        Raises ValueError if the file is damaged or belongs to another run.
        """
        state = kept(self.path, self.identity)
        if state is None:
            return 0
        own = state["optimiser"]
        own["state"] = {int(i): values for i, values in own["state"].items()}  # JSON's keys are text
        self.policy.load_state_dict(state["policy"])
        self.optimiser.load_state_dict(own)
        for generator, now in zip(self.generators, state["generators"]):
            generator.set_state(now)
        for stream, left in zip(self.streams, state["left"]):
            stream.left = left.to(stream.left.device)
        self.losses.append(state["losses"])
        return len(state["losses"])

    def save(self, finished: bool) -> None:
        """Write the state if the last write is long enough ago, or if this was the last step."""
        if not finished and time.monotonic() - self._last < SECONDS:
            return
        keep(self.path, self.identity, {
            "policy": self.policy.state_dict(), "optimiser": self.optimiser.state_dict(),
            "generators": [g.get_state() for g in self.generators],
            "left": [stream.left for stream in self.streams], "losses": torch.cat(self.losses)})
        self._last = time.monotonic()


def keep(path: Path, identity: object, state: object) -> None:
    """Write what the run of this identity is to find again: what JSON can hold, and tensors."""
    write_tensors(path, {}, {"identity": identity, "state": state}, KIND)


def once(path: Path | None, identity: object, make: Callable[[], object]) -> object:
    """What the run of this identity left in `path`, else what `make` makes, kept there."""
    if path is None:
        return make()
    if not path.exists():
        keep(path, identity, make())
    return kept(path, identity)


def kept(path: Path, identity: object) -> object:
    """What `keep` wrote; None if there is no file.

    Raises ValueError for a damaged file, and for that of another run, naming what differs.
    """
    if not path.exists():
        return None
    try:
        _, about = read_tensors(path, KIND)
    except ValueError as error:
        raise ValueError(f"{error} Delete it, and what it held is computed or asked for anew.") from error
    if lines := differences(about["identity"], json.loads(json.dumps(identity))):
        said = "; ".join(lines[:3]) + f" (and {len(lines) - 3} more)" * (len(lines) > 3)
        raise ValueError(f"{path} belongs to another run: {said}. Delete it to start anew.")
    return about["state"]


def sweep(experiment: Callable[..., object], settings: Sequence[dict], *, jobs: int | None = None,
          folder: str | os.PathLike | None = None) -> list:
    """`[experiment(**setting) for setting in settings]`, spread by joblib; results in the order of the
    settings.

    experiment  a function of keywords that returns what JSON can hold: numbers, text, lists, dictionaries (an
                Estimate becomes a list, `Estimate(*result)` is it again). Randomness must come from a seed
                among the settings
    jobs        processes on this machine; None leaves it to `joblib.parallel_config`, or runs one after the
                other: with `joblib.parallel_config(backend="dask")` or "ray" around the call they run on a
                cluster
    folder      keeps each result in a file of its own as soon as it is there, written by the process that
                computed it: on a cluster a folder that all machines see. The same call made again computes
                only what is missing, so that nothing is lost with a killed sweep, and nothing counted twice

    Needs the extra `ilsupport[sweeps]`. Raises ValueError for settings that repeat, or are not JSON, for
    results that are not, and for results of another experiment; whatever an experiment raises comes through,
    and what was finished stays in the folder.
    """
    from joblib import Parallel, delayed
    names = [fingerprint([_text("the settings", setting)]) for setting in settings]
    if len(set(names)) < len(names):
        twice = next(setting for k, setting in enumerate(settings) if names[k] in names[:k])
        raise ValueError(f"the settings {twice} come twice, expected each once; give repetitions a seed.")
    who, paths = None, [None] * len(names)
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        who, paths = describe(experiment), [Path(folder) / name for name in names]
    runs = (delayed(once)(path, who, partial(_run, experiment, x)) for path, x in zip(paths, settings))
    return [found["result"] for found in Parallel(n_jobs=jobs)(runs)]


def _run(experiment: Callable[..., object], setting: dict) -> dict:
    """Through JSON even on one core, so that a result is the same whichever way it came."""
    result = _text("the experiment's result", experiment(**setting))
    return {"settings": setting, "result": json.loads(result)}


def _text(what: str, thing: object) -> str:
    try:
        return json.dumps(thing, sort_keys=True)
    except TypeError as error:
        raise ValueError(f"{what} {thing} is no JSON: {error}; use numbers, text, lists, dicts.") from None
