"""Demonstrations and policies on disk (page 1): safetensors files, so that opening a stranger's runs nothing.

Other people's formats are in `ilsupport.interop`.
"""
from __future__ import annotations

import os
from dataclasses import fields

import numpy as np
import torch

from ilsupport import policies
from ilsupport.envs.camera import Camera
from ilsupport.files import read_tensors, write_tensors
from ilsupport.policies import Policy
from ilsupport.random import generator
from ilsupport.trajectories import Trajectories

KIND, POLICY = "ilsupport.Trajectories", "ilsupport.Policy"
NETS = {net.__name__: net for net in (policies.MLP, policies.GRU, policies.Transformer)}
KNOWN = {name: getattr(policies, name) for name in policies.__all__} | {"Camera": Camera}


def save(trajectories: Trajectories, path: str | os.PathLike) -> None:
    """Write `trajectories` to `path` whole or not at all: an old file stays until the new one is complete.

    Raises FileNotFoundError if the folder does not exist.
    """
    write_tensors(path,
                  {f.name: value for f in fields(trajectories)
                   if (value := getattr(trajectories, f.name)) is not None},
                  {}, KIND)


def load(path: str | os.PathLike, device: torch.device | str = "cpu") -> Trajectories:
    """Read what `save` wrote, bit for bit.

    Raises FileNotFoundError without a file; ValueError for a truncated file, a file of something else, or one
    of a newer version of this package.
    """
    tensors, _ = read_tensors(path, KIND)
    try:
        return Trajectories(**tensors).to(device)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no whole Trajectories: {error}") from error


def save_policy(policy: Policy, path: str | os.PathLike) -> None:
    """Write a policy to `path`: weights, units of its inputs and outputs, and what it was made with.

    The policies of this package, alone or stacked; a `View` only through the function it sees by, which no
    file can hold: save its head, and put the view back around what `load_policy` gives. Raises TypeError for
    what cannot be made again from a file, FileNotFoundError if the folder does not exist.
    """
    write_tensors(path, policy.state_dict(), {"policy": _recipe(policy)}, POLICY)


def load_policy(path: str | os.PathLike, device: torch.device | str = "cpu") -> Policy:
    """The policy that `save_policy` wrote, on `device`.

    Raises FileNotFoundError without a file, ValueError for a truncated or altered file and for one of
    something else.
    """
    tensors, about = read_tensors(path, POLICY)
    try:
        dtype = next(t.dtype for t in tensors.values())  # which may not be what it was made with
        policy = _made(about["policy"]).to(dtype)
        policy.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, StopIteration) as error:
        raise ValueError(f"{path} holds no whole policy: {error}") from error
    return policy.to(device)


def _recipe(part: object) -> object:
    """Type and settings of a policy and of what it is made of, in what JSON can hold."""
    if isinstance(part, (Policy, Camera)):
        name = type(part).__name__
        if KNOWN.get(name) is not type(part) or name == "View":
            raise TypeError(f"a {name} cannot be made again from a file, expected one of this package's "
                            "heads, Chunked or Seeing; save its state_dict, or the head in it.")
        recipe = {"type": name, "students": getattr(part, "students", None)}
        return recipe | {"settings": {key: _recipe(value) for key, value in part.settings().items()}}
    if isinstance(part, type) and NETS.get(part.__name__) is part:
        return {"net": part.__name__}
    if isinstance(part, torch.dtype):
        return {"dtype": str(part).removeprefix("torch.")}
    if isinstance(part, torch.device):
        return str(part.type) if part.type == "cpu" else "cpu"
    if isinstance(part, (list, tuple)):
        return {"tuple": [_recipe(x) for x in part]}
    if isinstance(part, (torch.Tensor, np.ndarray, np.generic)):
        return _recipe(part.tolist())
    if part is None or isinstance(part, (bool, int, float, str)):
        return part
    raise TypeError(f"{part!r} cannot be written to a file, expected numbers, text, and the networks of this "
                    "package.")


def _made(recipe: object) -> object:
    if not isinstance(recipe, dict):
        return recipe
    if "tuple" in recipe:
        return tuple(_made(x) for x in recipe["tuple"])
    if "net" in recipe:
        return NETS[recipe["net"]]
    if "dtype" in recipe:
        return getattr(torch, recipe["dtype"])
    made, settings = KNOWN[recipe["type"]], {key: _made(value) for key, value in recipe["settings"].items()}
    if issubclass(made, policies.Head):
        students = recipe["students"]  # whatever the draw: the weights follow
        settings["generator"] = generator(0) if students is None else [generator(0)] * students
    return made(**settings)
