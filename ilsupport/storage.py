"""Demonstrations on disk: safetensors for our own use, Minari data sets for everybody else's (page 1).

A safetensors file holds tensors and text and no code, so opening a stranger's file runs nothing.
"""
from __future__ import annotations

import os
import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ilsupport.trajectories import Trajectories

if TYPE_CHECKING:
    import minari

    from ilsupport.envs.base import Env

FORMAT, VERSION = "ilsupport.Trajectories", 1
LABELS = "ilsupport_labels"  # where the expert's labels live in the infos of a Minari episode


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


def to_minari(trajectories: Trajectories, dataset_id: str, env: Env | gymnasium.Env | EnvSpec | str,
              **details) -> minari.MinariDataset:
    """Write a Minari data set, one episode a row, padding left out.

    env      where the episodes come from: one of our environments, a gymnasium one, its spec or its id
    details  go to `minari.create_dataset_from_buffers`: author, description, algorithm_name, ...

    Labels travel as `infos["ilsupport_labels"]`. Needs the extra `ilsupport[minari]`. Raises ValueError
    without the observations after the last action, which `rollout` keeps, for shapes that are not those of
    `env`, and for an id that exists already or that Minari does not accept.
    """
    minari = _minari()
    from minari.data_collector import EpisodeBuffer
    if trajectories.final_observations is None:
        raise ValueError("these trajectories have no final_observations, expected what was seen after each "
                         "last action: Minari stores T + 1 observations an episode. Trajectories from "
                         "rollout have them.")
    _check_id(dataset_id)
    origin, buffers = _origin(env, trajectories), []
    for i, steps in enumerate(trajectories.lengths().tolist()):
        last = np.arange(steps) == steps - 1
        ended = bool(trajectories.terminated[i])
        seen = torch.cat([trajectories.observations[i, :steps], trajectories.final_observations[i:i + 1]])
        buffers.append(EpisodeBuffer(
            id=i, observations=_array(seen), actions=_array(trajectories.actions[i, :steps]),
            rewards=_array(trajectories.rewards[i, :steps]),
            terminations=last & ended, truncations=last & (not ended),
            infos=None if trajectories.labels is None else {LABELS: _array(trajectories.labels[i, :steps])}))
    with warnings.catch_warnings():  # Minari warns of every detail that was not given
        warnings.filterwarnings("ignore", message=".* is set to None|env_spec is None")
        return minari.create_dataset_from_buffers(
            dataset_id, buffers, jpeg_encoding=False, **{**origin, **details})


def from_minari(dataset: minari.MinariDataset | str, dtype: torch.dtype = torch.float32) -> Trajectories:
    """The episodes of a Minari data set, or of the local data set with that id, padded to one batch.

    Values of Box spaces become `dtype`, of Discrete spaces int64. Needs the extra `ilsupport[minari]`. To
    fetch a published data set write `from_minari(minari.load_dataset(id, download=True))`. Raises
    FileNotFoundError for an id that is not on this machine, TypeError for spaces other than Box and Discrete,
    ValueError for a data set without episodes.
    """
    minari = _minari()
    if isinstance(dataset, str):
        dataset = minari.load_dataset(dataset)
    kinds = []
    for name, space in (("observation", dataset.observation_space), ("action", dataset.action_space)):
        if not isinstance(space, (Box, Discrete)):
            raise TypeError(f"the {name} space of {dataset.id} is {space}, expected Box or Discrete; pick "
                            "the part you want and build Trajectories.from_episodes yourself.")
        kinds.append(dtype if isinstance(space, Box) else torch.int64)
    episodes = list(dataset)
    if not episodes:
        raise ValueError(f"{dataset.id} has no episodes, expected at least one.")
    seen = [torch.as_tensor(episode.observations).to(kinds[0]) for episode in episodes]
    played = [torch.as_tensor(episode.actions).to(kinds[1]) for episode in episodes]
    data = Trajectories.from_episodes(
        [(o[:-1], a, torch.as_tensor(episode.rewards).to(dtype))
         for o, a, episode in zip(seen, played, episodes)], dtype)
    labels = None
    if all(LABELS in (episode.infos or {}) for episode in episodes):
        labels = torch.nn.utils.rnn.pad_sequence(
            [torch.as_tensor(episode.infos[LABELS]).to(kinds[1]) for episode in episodes], batch_first=True)
    return replace(data, labels=labels, final_observations=torch.stack([o[-1] for o in seen]),
                   terminated=torch.tensor([bool(episode.terminations[-1]) for episode in episodes]))


def _origin(env: Env | gymnasium.Env | EnvSpec | str, trajectories: Trajectories) -> dict:
    """Spec (if any) and spaces of where the episodes come from, and proof that they can come from there."""
    if isinstance(env, (str, EnvSpec)):
        env = gymnasium.make(env)
    if not hasattr(env, "observation_space") or isinstance(env, VectorEnv):
        raise TypeError(f"env is {type(env).__name__}, expected a single environment or the id of one.")
    for name, values, space in (("observations", trajectories.observations, env.observation_space),
                                ("actions", trajectories.actions, env.action_space)):
        if tuple(values.shape[2:]) != space.shape:
            raise ValueError(f"{name} have shape {tuple(values.shape)}, expected {('n', 'T', *space.shape)} "
                             f"from {env}.")
    return {"env": getattr(env, "spec", None), "observation_space": env.observation_space,
            "action_space": env.action_space}


def _check_id(dataset_id: str) -> None:
    from minari.dataset.minari_dataset import parse_dataset_id
    try:  # Minari makes the folder first and looks at the name later
        parse_dataset_id(dataset_id)
    except (TypeError, ValueError) as error:
        raise ValueError(f"dataset_id is {dataset_id!r}, expected a name with a version like "
                         "'cartpole/expert-v0', each part of letters, digits, '-' and '_', the first of "
                         "two characters or more.") from error


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()


def _minari():
    try:
        import minari
    except ImportError as error:
        raise ImportError("Minari data sets need Minari, an optional part: pip install "
                          "'ilsupport[minari]'.") from error
    return minari
