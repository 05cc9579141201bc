"""Demonstrations on disk (page 1).

A safetensors file holds tensors and text and no code, so opening a stranger's file runs nothing.
"""
from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ilsupport.trajectories import Trajectories

FORMAT, VERSION = "ilsupport.Trajectories", 1


def save(trajectories: Trajectories, path: str | os.PathLike) -> None:
    """Write `trajectories` to `path` whole or not at all: an old file stays until the new one is complete.

    Raises FileNotFoundError if the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is not a folder, expected one to write {path.name} into; "
                                "make it first.")
    # Own memory for each tensor: safetensors refuses views, and labels may be the actions' own.
    tensors = {f.name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
               for f in fields(trajectories) if (value := getattr(trajectories, f.name)) is not None}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(tensors, unfinished, metadata={"format": FORMAT, "version": str(VERSION)})
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: str | os.PathLike, device: torch.device | str = "cpu") -> Trajectories:
    """Read what `save` wrote, bit for bit.

    Raises FileNotFoundError without a file; ValueError for a truncated file, a file of something else, or one
    of a newer version of this package.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}, expected one that Trajectories.save wrote.")
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            # Cloned, because safetensors maps the file: the data would change, or crash, when the file does.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{path} ({path.stat().st_size:,} bytes) is truncated or no safetensors file "
                         f"({error}), expected one that Trajectories.save wrote; fetch or save "
                         "it again.") from error
    if metadata.get("format") != FORMAT or not metadata.get("version", "").isdecimal():
        raise ValueError(f"{path} is a safetensors file of something else (it holds {sorted(tensors)[:5]}), "
                         "expected one that Trajectories.save wrote; build Trajectories(...) from its "
                         "tensors by hand.")
    if int(metadata["version"]) > VERSION:
        raise ValueError(f"{path} has format version {metadata['version']}, expected at most {VERSION}; "
                         "upgrade ilsupport.")
    try:
        return Trajectories(**tensors)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no whole Trajectories: {error}") from error
