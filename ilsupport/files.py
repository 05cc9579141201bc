"""Files that are there whole or not at all, and never hold code."""
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ilsupport.identity import fingerprint

VERSION = 1


def write_atomically(path: str | os.PathLike, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place: an old file stays until the new one is
    complete.

    Raises FileNotFoundError if the folder does not exist, OSError, with what was there before left intact, if
    the disk is full.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is no folder, expected one for {path.name}; make it first.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        words = f"could not write {path} ({error}); free some space and do the same again: nothing is lost."
        raise OSError(getattr(error, "errno", None) or errno.EIO, words) from error
    finally:
        part.unlink(missing_ok=True)


def write_tensors(path: str | os.PathLike, tensors: dict[str, Tensor], about: object, kind: str) -> None:
    """Tensors and a note as a safetensors file that says what `kind` of thing it holds.

    The note is what JSON can hold, with tensors at any place in it. Raises TypeError for anything else.
    """
    tensors = dict(tensors)

    def aside(x: object) -> dict[str, str]:
        if not isinstance(x, Tensor):
            raise TypeError(f"{x!r} cannot be written, expected numbers, text, lists, dicts and tensors.")
        tensors[name := f"about/{len(tensors)}"] = x
        return {"tensor": name}

    note = json.dumps(about, default=aside)
    # Own memory for each: safetensors refuses views, and two names may share one tensor.
    own = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    metadata = {"format": kind, "version": str(VERSION), "about": note, "sum": _sum(own, note)}
    write_atomically(path, lambda part: save_file(own, part, metadata=metadata))


def read_tensors(path: str | os.PathLike, kind: str) -> tuple[dict[str, Tensor], object]:
    """The tensors and the note that `write_tensors` wrote.

    Raises FileNotFoundError without a file; ValueError for a file that is truncated or altered, of another
    kind, or of a newer version of this package.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}, expected one of kind {kind!r}.")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            # Cloned, because safetensors maps the file: the data would change, or crash, when the file does.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} ({path.stat().st_size:,} bytes) is truncated or no safetensors file "
                         f"({error}), expected one of kind {kind!r}; fetch or make it again.") from error
    version, note = metadata.get("version", ""), metadata.get("about", "{}")
    if metadata.get("format") != kind or not version.isdecimal():
        raise ValueError(f"{path} is a safetensors file of something else ({metadata.get('format')}; it "
                         f"holds {sorted(tensors)[:5]}), expected one of kind {kind!r}.")
    if int(version) > VERSION:
        raise ValueError(f"{path} has version {version}, expected at most {VERSION}; upgrade ilsupport.")
    if metadata.get("sum") not in (None, _sum(tensors, note)):
        raise ValueError(f"{path} is damaged: it does not hold what was written; fetch or make it again.")
    about = json.loads(note, object_hook=lambda x: tensors.pop(x["tensor"]) if x.keys() == {"tensor"} else x)
    return tensors, about


def _sum(tensors: dict[str, Tensor], note: str) -> str:
    return fingerprint([note, *(x for item in sorted(tensors.items()) for x in item)])
