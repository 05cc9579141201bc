"""Demonstrations and policies on disk (page 1): safetensors files, so that opening a stranger's runs nothing.

Other people's formats are in `ilsupport.interop`.
"""
import json
import os

import torch

from ilsupport import policies
from ilsupport.envs.camera import Camera
from ilsupport.files import read_tensors, write_tensors
from ilsupport.identity import NUMBERS
from ilsupport.policies import Policy
from ilsupport.random import generator
from ilsupport.trajectories import Trajectories

KIND, POLICY = "ilsupport.Trajectories", "ilsupport.Policy"
KNOWN = {name: getattr(policies, name) for name in policies.__all__} | {"Camera": Camera}


def save(trajectories: Trajectories, path: str | os.PathLike) -> None:
    """Write `trajectories` to `path` whole or not at all: an old file stays until the new one is complete.

    Raises FileNotFoundError if the folder does not exist.
    """
    write_tensors(path, trajectories.columns(), {}, KIND)


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
    write_tensors(path, policy.state_dict(), {"policy": json.dumps(policy, default=_recipe)}, POLICY)


def load_policy(path: str | os.PathLike, device: torch.device | str = "cpu") -> Policy:
    """The policy that `save_policy` wrote, on `device`.

    Raises FileNotFoundError without a file, ValueError for a truncated or altered file and for one of
    something else.
    """
    tensors, about = read_tensors(path, POLICY)
    try:
        dtype = next(t.dtype for t in tensors.values())  # which may not be what it was made with
        policy = json.loads(about["policy"], object_hook=_made).to(dtype)
        policy.load_state_dict(tensors)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, StopIteration) as error:
        raise ValueError(f"{path} holds no whole policy: {error}") from error
    return policy.to(device)


def _recipe(part: object) -> object:
    """What JSON cannot hold of a policy: a part by its type and settings, networks and dtypes by their names.
    """
    kind = part if isinstance(part, type) else type(part)
    if KNOWN.get(kind.__name__) is kind and kind is not policies.View:
        return {"class": kind.__name__} if kind is part else {
            "type": kind.__name__, "students": getattr(part, "students", None), **part.settings()}
    if isinstance(part, torch.dtype):
        return {"dtype": str(part).removeprefix("torch.")}
    if isinstance(part, torch.device):
        return "cpu"
    if isinstance(part, NUMBERS):
        return part.tolist()
    raise TypeError(f"a {kind.__name__} cannot be made again from a file, expected this package's heads and "
                    "networks, Chunked or Seeing, and numbers; save its state_dict, or the head in it.")


def _made(recipe: dict) -> object:
    if "type" not in recipe:
        return KNOWN[recipe["class"]] if "class" in recipe else getattr(torch, recipe["dtype"])
    kind, students = KNOWN[recipe.pop("type")], recipe.pop("students")
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in recipe.items()}
    if issubclass(kind, policies.Head):  # whatever the draw: the weights follow
        settings["generator"] = generator(0) if students is None else [generator(0)] * students
    return kind(**settings)
