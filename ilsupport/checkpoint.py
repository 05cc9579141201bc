"""Long runs: the whole state of training on disk, so that a run that was killed goes on where it was (page 10).

A checkpoint is a safetensors file: numbers and text, no code. It is written whole or not at all, and the one before it
is kept beside it.
"""
from __future__ import annotations

import errno
import hashlib
import json
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

FORMAT = "ilsupport.checkpoint 1"
SECONDS = 20.0  # between two writes: what a kill can cost


class Checkpoint:
    """The state of one call of `fit` in a file: weights, optimiser, generators, what is left of the shuffle, losses.

    `identity` is anything that tells this run from others; a file of another run is refused.
    """

    def __init__(self, path: str | os.PathLike, policy: nn.Module, optimiser: torch.optim.Optimizer,
                 streams: Sequence, noise: Sequence[torch.Generator], identity: Sequence) -> None:
        self.path, self.policy, self.optimiser, self.streams = Path(path), policy, optimiser, streams
        inner = [g for module in policy.modules() for g in vars(module).values() if isinstance(g, torch.Generator)]
        self.generators = list({id(g): g for g in [*(s.generator for s in streams), *noise, *inner]}.values())
        self.identity = fingerprint([*identity, *policy.state_dict().values(), *(g.get_state() for g in self.generators)])
        self._last = time.monotonic()
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"{self.path.parent} is not a folder, expected one to keep {self.path.name} in; make it first.")

    def resume(self) -> Float[Tensor, "steps *M"] | None:
        """Put everything back as it was and return the losses so far; None if there is nothing to go on from.

        Raises ValueError if the file belongs to another run.
        """
        found = read(self.path)
        if found is None:
            return None
        tensors, about = found
        if about["identity"] != self.identity:
            raise ValueError(f"{self.path} is the checkpoint of another run: its data, seeds, policy or options differ. "
                             "Delete it to start anew, or choose another file.")
        self.policy.load_state_dict({name[7:]: t for name, t in tensors.items() if name.startswith("policy/")})
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("adam/"):
                _, i, key = name.split("/")
                state.setdefault(int(i), {})[key] = tensor
        self.optimiser.load_state_dict({"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]})
        for i, generator in enumerate(self.generators):
            generator.set_state(tensors[f"generator/{i}"])
        for i, stream in enumerate(self.streams):
            stream.left = tensors[f"left/{i}"].to(stream.left.device)
        return tensors["losses"]

    def save(self, losses: Sequence[Tensor], finished: bool) -> None:
        """Write the state if the last write is long enough ago, or if this was the last step."""
        if not finished and time.monotonic() - self._last < SECONDS:
            return
        tensors = {f"policy/{name}": t for name, t in self.policy.state_dict().items()}
        tensors |= {f"adam/{i}/{key}": t for i, state in self.optimiser.state_dict()["state"].items() for key, t in state.items()}
        tensors |= {f"generator/{i}": g.get_state() for i, g in enumerate(self.generators)}
        tensors |= {f"left/{i}": stream.left for i, stream in enumerate(self.streams)}
        tensors["losses"] = torch.cat(list(losses))
        write(self.path, tensors, {"identity": self.identity, "steps": len(tensors["losses"])})
        self._last = time.monotonic()


def write(path: Path, tensors: dict[str, Tensor], about: dict) -> None:
    """Write tensors and a JSON note, whole or not at all; the file that was there becomes `<name>.previous`.

    Raises OSError, with what was there before left intact, if the disk is full.
    """
    own = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    part, previous = path.with_name(f".{path.name}.part"), path.with_name(f"{path.name}.previous")
    try:
        save_file(own, part, metadata={"format": FORMAT, "about": json.dumps(about), "sum": _sum(own)})
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        if path.exists():
            os.replace(path, previous)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        raise OSError(getattr(error, "errno", None) or errno.EIO, f"could not write {path} ({error}); free some space and run "
                      "the same again: it goes on from the last whole checkpoint beside it, if there was one.") from error
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Tensor], dict] | None:
    """The newest whole checkpoint: `path`, or the one before it, with a warning, if `path` is damaged; None if there is none.

    Raises ValueError if there are files and none of them is whole.
    """
    candidates = [p for p in (path, path.with_name(f"{path.name}.previous")) if p.exists()]
    damaged = []
    for candidate in candidates:
        try:
            with safe_open(candidate, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
            if metadata.get("format") != FORMAT:
                raise ValueError("it is a safetensors file of something else")
            if metadata.get("sum") != _sum(tensors):
                raise ValueError("its numbers are not those that were written")
        except (OSError, SafetensorError, ValueError) as error:
            damaged.append(f"{candidate}: {error}")
            continue
        if damaged:
            warnings.warn(f"a checkpoint is damaged ({damaged[0]}); going on from {candidate.name}.", stacklevel=3)
            os.replace(candidate, path)  # lest the next write keep the damaged one as the one before
        return tensors, json.loads(metadata["about"])
    if damaged:
        raise ValueError(f"no whole checkpoint ({'; '.join(damaged)}). Delete what is there to start anew.")
    return None


def _sum(tensors: dict[str, Tensor]) -> str:
    return fingerprint([x for item in sorted(tensors.items()) for x in item])


def fingerprint(parts: Sequence) -> str:
    """A hash of tensors (their shapes and bits) and of anything else with a faithful `repr`."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(repr((tuple(part.shape), part.dtype)).encode())
            digest.update(part.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy() if part.numel() else b"")
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
