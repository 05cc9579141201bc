"""Other people's formats: Minari data sets and Stable-Baselines3 models, each an optional extra (page 1)."""
from __future__ import annotations

import os
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import gymnasium
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space, iterate
from jaxtyping import Shaped
from torch import Tensor

from ilsupport.envs.base import Env, action_range, check_space, counts_from, takes_whole_numbers
from ilsupport.trajectories import Trajectories

if TYPE_CHECKING:
    import minari
    from stable_baselines3.common.vec_env import VecNormalize

LABELS, SUCCESS = "ilsupport_labels", "is_success"  # what the infos of a Minari episode call them


def from_sb3(model, statistics: VecNormalize | str | os.PathLike | None = None) -> Callable[
        [Shaped[Tensor, "n *obs"]], Shaped[Tensor, "n *act"]]:
    """A Stable-Baselines3 model or policy as an expert: `dagger(env, from_sb3(PPO.load("ppo.zip")), ...)`.

    `model` is anything with `predict(observations, deterministic=True) -> (actions, state)`; it plays its
    most likely action.

    A model that was trained under `VecNormalize` has only ever seen normalised observations and plays badly
    on raw ones. A model loaded from a file does not know that it was: hand over `statistics`, the
    `VecNormalize` itself or the file that its `save` wrote (`from_sb3(model, "vecnormalize.pkl")`). They are
    found by themselves where the model still holds the environment it was trained in. That file is a pickle,
    but only numbers are read from it: one that asks for anything else is refused, and no code of it runs.

    Raises TypeError for something without `predict`, ValueError for a policy with memory, which needs more
    than the observation, and for statistics that cannot be read or belong to observations of another kind.
    """
    if not callable(getattr(model, "predict", None)):
        raise TypeError(f"model is {type(model).__name__}, expected a Stable-Baselines3 model or policy, "
                        "with predict; a function of observations is an expert as it is.")
    if statistics is None:
        statistics = getattr(model, "get_vec_normalize_env", lambda: None)()
    normalised = _normaliser(statistics)

    def act(obs: Tensor) -> Tensor:
        actions, state = model.predict(normalised(obs.detach().cpu().numpy()), deterministic=True)
        if state is not None:
            raise ValueError(f"{type(model).__name__} keeps a memory, expected a policy of the current "
                             "observation alone: an expert is asked about single states, in any order.")
        return torch.as_tensor(actions, device=obs.device)
    return act


class _Kept:
    """Stands in for an object of a library in a pickle: keeps its state, does nothing."""

    def __init__(self, *_) -> None:
        pass

    def __setstate__(self, state) -> None:
        vars(self).update(state if isinstance(state, dict) else {"state": state})


class _Numbers(pickle.Unpickler):
    """Builds arrays and plain values; objects of libraries become `_Kept`; the rest is refused."""

    arrays = {("numpy", "ndarray"), ("numpy", "dtype"), ("numpy._core.numeric", "_frombuffer"),
              *((f"numpy.{core}.multiarray", name) for core in ("core", "_core")
                for name in ("_reconstruct", "scalar"))}
    libraries = "stable_baselines3.common.", "gymnasium.spaces.", "gym.spaces.", "numpy.random."

    def find_class(self, module: str, name: str) -> object:
        if (module, name) in self.arrays:
            return super().find_class(module, name)
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module.startswith(self.libraries):
            return _Kept
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no number")


def _normaliser(source: VecNormalize | str | os.PathLike | None) -> Callable[[np.ndarray], np.ndarray]:
    """What `VecNormalize` does to observations, as a function."""
    name = type(source).__name__
    if isinstance(source, (str, os.PathLike)):
        name = str(source)
        try:
            with open(source, "rb") as file:
                source = _Numbers(file).load()
        except OSError:
            raise
        except Exception as error:  # a broken pickle may raise anything
            raise ValueError(f"{name} is not read: {error}. Expected the file that VecNormalize.save "
                             "wrote.") from error
    if source is None or not getattr(source, "norm_obs", True):
        return lambda obs: obs
    try:
        mean, variance = (np.asarray(getattr(source.obs_rms, part), np.float64) for part in ("mean", "var"))
        clip, epsilon = float(source.clip_obs), float(source.epsilon)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{name} holds no statistics of one array of observations ({error}), expected a "
                         "VecNormalize or the file that its save wrote.") from error

    def normalised(obs: np.ndarray) -> np.ndarray:
        if obs.shape[1:] != mean.shape:
            raise ValueError(f"observations have shape {obs.shape}, the statistics are of "
                             f"{('n', *mean.shape)}, expected those of this environment.")
        return np.clip((obs - mean) / np.sqrt(variance + epsilon), -clip, clip).astype(np.float32)
    return normalised


def to_minari(trajectories: Trajectories, dataset_id: str, env: Env | gymnasium.Env | EnvSpec | str,
              **details) -> minari.MinariDataset:
    """Write a Minari data set, one episode a row, padding left out.

    env      where the episodes come from: one of our environments, a gymnasium one, its spec or its id
    details  go to `minari.create_dataset_from_buffers`: author, description, algorithm_name, ...

    Labels travel as `infos["ilsupport_labels"]`, successes as `infos["is_success"]`. Needs the extra
    `ilsupport[minari]`. Raises ValueError without the observations after the last action, which `rollout`
    keeps, for shapes that are not those of `env`, and for an id that exists already or that Minari does not
    accept.
    """
    minari = _minari()
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_dataset import parse_dataset_id
    if trajectories.final_observations is None:
        raise ValueError("these trajectories have no final_observations, expected what was seen after each "
                         "last action, as rollout keeps it: Minari stores T + 1 observations an episode.")
    try:  # Minari makes the folder first and looks at the name later
        parse_dataset_id(dataset_id)
    except (TypeError, ValueError) as error:
        raise ValueError(f"dataset_id is {dataset_id!r}, expected a name with a version like "
                         "'cartpole/expert-v0'.") from error
    origin, buffers = _origin(env, trajectories), []
    seen_from, played_from = (counts_from(origin[f"{kind}_space"]) for kind in ("observation", "action"))
    for i, steps in enumerate(trajectories.lengths().tolist()):
        last = np.arange(steps) == steps - 1
        ended = bool(trajectories.terminated[i])
        seen = torch.cat([trajectories.observations[i, :steps], trajectories.final_observations[i:i + 1]])
        played, infos = trajectories.actions[i, :steps], {}
        if trajectories.labels is not None:
            infos[LABELS] = _array(trajectories.labels[i, :steps], played_from)
        if trajectories.successes is not None:
            infos[SUCCESS] = last & bool(trajectories.successes[i])
        buffers.append(EpisodeBuffer(
            id=i, observations=_array(seen, seen_from), actions=_array(played, played_from),
            rewards=_array(trajectories.rewards[i, :steps]),
            terminations=last & ended, truncations=last & (not ended),
            infos=infos or None))
    with warnings.catch_warnings():  # Minari warns of every detail that was not given
        warnings.filterwarnings("ignore", message=".* is set to None|env_spec is None")
        return minari.create_dataset_from_buffers(dataset_id, buffers,
                                                  **{"jpeg_encoding": False} | origin | details)


def from_minari(dataset: minari.MinariDataset | str, dtype: torch.dtype = torch.float32, *,
                flatten: bool = False) -> Trajectories:
    """The episodes of a Minari data set, or of the local data set with that id, padded to one batch.

    Floats become `dtype`, whole numbers int64 and counted from 0; observations of a Box become `dtype`
    whatever they hold. `flatten=True` makes vectors of observations of any space, by
    `gymnasium.spaces.flatten`. Needs the extra `ilsupport[minari]`. To fetch a published data set write
    `from_minari(minari.load_dataset(id, download=True))`.

    Raises FileNotFoundError for an id that is not on this machine, TypeError for spaces that are no tensors,
    ValueError for a data set without episodes, or without the observations after the last actions.
    """
    minari = _minari()
    if isinstance(dataset, str):
        dataset = minari.load_dataset(dataset)
    space, actions = dataset.observation_space, dataset.action_space
    if not flatten:
        check_space(f"the observation space of {dataset.id}", space, (Box, Discrete),
                    "write from_minari(..., "
                                                                               "flatten=True)")
    action_range(actions, f"build Trajectories.from_episodes of a part of {dataset.id}")
    episodes = list(dataset)
    if not episodes:
        raise ValueError(f"{dataset.id} has no episodes, expected at least one.")
    kind = torch.int64 if takes_whole_numbers(actions) else dtype

    def played(values) -> Tensor:
        return torch.as_tensor(np.asarray(values) - counts_from(actions)).to(kind)

    seen = [_seen(dataset.id, episode, space, flatten, dtype) for episode in episodes]
    data = Trajectories.from_episodes(
        [(o[:-1], played(episode.actions), torch.as_tensor(episode.rewards).to(dtype))
         for o, episode in zip(seen, episodes)], dtype)
    told, infos = {}, [episode.infos or {} for episode in episodes]
    if all(LABELS in info for info in infos):
        each = [played(info[LABELS]) for info in infos]
        told["labels"] = torch.nn.utils.rnn.pad_sequence(each, batch_first=True)
    if all(SUCCESS in info for info in infos):
        told["successes"] = torch.tensor([bool(info[SUCCESS][-1]) for info in infos])
    return replace(data, final_observations=torch.stack([o[-1] for o in seen]), **told,
                   terminated=torch.tensor([bool(episode.terminations[-1]) for episode in episodes]))


def _seen(name: str, episode: minari.EpisodeData, space: gymnasium.Space, flatten: bool,
          dtype: torch.dtype) -> Tensor:
    """The observations of an episode, one more than its actions."""
    observations, steps = episode.observations, len(episode.actions)
    if flatten:
        each = iterate(batch_space(space, steps + 1), observations)
        observations = np.stack([gymnasium.spaces.flatten(space, one) for one in each])
    if len(observations) != steps + 1:
        raise ValueError(f"episode {episode.id} of {name} has {len(observations)} observations for {steps} "
                         f"actions, expected {steps + 1}: Minari stores what was seen after the last action "
                         "too. Without it build Trajectories.from_episodes of (observations, actions, "
                         "rewards) yourself.")
    if flatten or isinstance(space, Box):
        return torch.as_tensor(observations).to(dtype)
    return torch.as_tensor(np.asarray(observations) - counts_from(space)).to(torch.int64)


def _origin(env: Env | gymnasium.Env | EnvSpec | str, trajectories: Trajectories) -> dict:
    """Spec (if any) and spaces of where the episodes come from, and proof that they can come from there."""
    if isinstance(env, (str, EnvSpec)):
        env = gymnasium.make(env)
    if isinstance(env, VectorEnv) or getattr(env, "observation_space", None) is None:
        raise TypeError(f"env is {type(env).__name__}, expected a single environment or the id of one.")
    for name, values, space in (("observations", trajectories.observations, env.observation_space),
                                ("actions", trajectories.actions, env.action_space)):
        if tuple(values.shape[2:]) != space.shape:
            raise ValueError(f"{name} have shape {tuple(values.shape)}, expected {('n', 'T', *space.shape)} "
                             f"from {env}.")
    return {"env": getattr(env, "spec", None), "observation_space": env.observation_space,
            "action_space": env.action_space}


def _array(values: Tensor, start: np.ndarray | int = 0) -> np.ndarray:
    return values.detach().cpu().numpy() + start


def _minari():
    try:
        import minari
    except ImportError as error:
        raise ImportError("Minari data sets need Minari, an optional part: pip install "
                          "'ilsupport[minari]'.") from error
    return minari
