"""What other people have: data sets of Minari and models of Stable-Baselines3, optional extras (page 1)."""
import os
import pickle
from collections.abc import Callable
from dataclasses import replace

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector.utils import batch_space, iterate
from torch import Tensor

from ilsupport.envs.base import action_range, check_space, counts_from
from ilsupport.trajectories import Trajectories


def from_sb3(model: object, statistics: object = None) -> Callable[[Tensor], Tensor]:
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
        raise TypeError(f"model is {type(model).__name__}, expected a Stable-Baselines3 model, with predict; "
                        "a function of observations is an expert as it is.")
    if statistics is None:
        statistics = getattr(model, "get_vec_normalize_env", lambda: None)()
    normalised = _normaliser(statistics)

    def act(obs: Tensor) -> Tensor:
        actions, state = model.predict(normalised(obs.detach().cpu().numpy()), deterministic=True)
        if state is not None:
            raise ValueError(f"{type(model).__name__} keeps a memory; experts are asked about single states.")
        return torch.as_tensor(actions, device=obs.device)
    return act


class _Kept:
    """Stands in for an object of a library in a pickle: keeps its state, does nothing."""

    def __init__(self, *state: object) -> None:
        vars(self).update(next((part for part in state if isinstance(part, dict)), {}))

    __setstate__ = __init__


class _Numbers(pickle.Unpickler):
    """Builds arrays and plain values; objects of libraries become `_Kept`; the rest is refused."""

    plain = {"collections.OrderedDict", "numpy.ndarray", "numpy.dtype", "numpy.core.numeric._frombuffer",
             "numpy.core.multiarray._reconstruct", "numpy.core.multiarray.scalar"}
    libraries = "stable_baselines3.common.", "gymnasium.spaces.", "gym.spaces.", "numpy.random."

    def find_class(self, module: str, name: str) -> object:
        if f"{module}.{name}".replace("numpy._core.", "numpy.core.") in self.plain:  # its name since numpy 2
            return super().find_class(module, name)
        if module.startswith(self.libraries):
            return _Kept
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no number")


def _normaliser(source: object) -> Callable[[np.ndarray], np.ndarray]:
    """What `VecNormalize` does to observations, as a function."""
    name = type(source).__name__
    if isinstance(source, (str, os.PathLike)):
        name = str(source)
        with open(source, "rb") as file:
            try:
                source = _Numbers(file).load()
            except Exception as error:  # a broken pickle may raise anything
                raise ValueError(f"{name} is not read: {error}. VecNormalize.save writes it.") from error
    if source is None or not getattr(source, "norm_obs", True):
        return lambda obs: obs
    try:
        mean, variance = (np.asarray(getattr(source.obs_rms, part), np.float64) for part in ("mean", "var"))
        clip, epsilon = float(source.clip_obs), float(source.epsilon)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{name} holds no statistics ({error}), expected a VecNormalize.") from error

    def normalised(obs: np.ndarray) -> np.ndarray:
        if obs.shape[1:] != mean.shape:
            raise ValueError(f"observations have shape {obs.shape}, these statistics {('n', *mean.shape)}.")
        return np.clip((obs - mean) / np.sqrt(variance + epsilon), -clip, clip).astype(np.float32)
    return normalised


def from_minari(dataset, dtype: torch.dtype = torch.float32, *, flatten: bool = False) -> Trajectories:
    """The episodes of a `MinariDataset`, or of the local one with that id, padded to one batch.

    Floats become `dtype`, whole numbers int64 and counted from 0; observations of a Box become `dtype`
    whatever they hold. `flatten=True` makes vectors of observations of any space, by
    `gymnasium.spaces.flatten`. Successes are read from the infos' "is_success". Needs the extra
    `ilsupport[minari]`. To fetch a published data set write
    `from_minari(minari.load_dataset(id, download=True))`.

    Raises FileNotFoundError for an id that is not on this machine, TypeError for spaces that are no tensors,
    ValueError for a data set without episodes, or without the observations after the last actions.
    """
    if isinstance(dataset, str):
        try:
            import minari
        except ImportError as error:
            raise ImportError("Minari is an optional part: pip install 'ilsupport[minari]'.") from error
        dataset = minari.load_dataset(dataset)
    space, actions = dataset.observation_space, dataset.action_space
    if not flatten:
        check_space(f"observation space of {dataset.id}", space, (Box, Discrete), "write flatten=True")
    action_range(actions, f"build Trajectories.from_episodes of a part of {dataset.id}")
    if not (episodes := list(dataset)):
        raise ValueError(f"{dataset.id} has no episodes, expected at least one.")

    seen = [_seen(dataset, episode, flatten, dtype) for episode in episodes]
    rows = [(o[:-1], np.asarray(episode.actions) - counts_from(actions), episode.rewards)
            for o, episode in zip(seen, episodes)]
    told = [(episode.infos or {}).get("is_success") for episode in episodes]
    successes = None if any(x is None for x in told) else torch.tensor([bool(x[-1]) for x in told])
    return replace(Trajectories.from_episodes(rows, dtype), successes=successes,
                   final_observations=torch.stack([o[-1] for o in seen]),
                   terminated=torch.tensor([bool(episode.terminations[-1]) for episode in episodes]))


def _seen(dataset, episode, flatten: bool, dtype: torch.dtype) -> Tensor:
    """The observations of an episode, one more than its actions."""
    space, seen, steps = dataset.observation_space, episode.observations, len(episode.actions)
    if flatten:
        seen = [gymnasium.spaces.flatten(space, one) for one in iterate(batch_space(space, steps + 1), seen)]
    if len(seen) != steps + 1:
        raise ValueError(f"episode {episode.id} of {dataset.id} has {len(seen)} observations for {steps} "
                         "actions, expected one more, after the last; else Trajectories.from_episodes(...).")
    kind = dtype if flatten or isinstance(space, Box) else torch.int64
    return torch.as_tensor(np.asarray(seen) - (0 if flatten else counts_from(space))).to(kind)
