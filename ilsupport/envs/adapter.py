"""Bring your own environment: any gymnasium environment behind the tensor interface of the book (page 1).

Vector environments of gymnasium restart a finished copy by themselves, in one of three ways. Here a copy that
ended stays ended: whatever its vector environment does afterwards is padding, and padding pays nothing. Where
gymnasium would step single environments in turn, we do it ourselves: faster, and without that padding.
"""
from collections.abc import Callable

import gymnasium
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import Bool, Shaped
from torch import Tensor

from ilsupport._checks import check_horizon
from ilsupport.envs.base import Device, Env, Step, action_range, check_actions, check_space, counts_from
from ilsupport.envs.registration import ENTRY_POINT

Source = str | EnvSpec | VectorEnv | Callable[..., gymnasium.Env]
UNFLAT = ("wrap it in a gymnasium.ActionWrapper; where all parts are Boxes, wrappers.TransformAction(env, "
          "lambda a: spaces.unflatten(env.action_space, a), spaces.flatten_space(env.action_space))")
BATCHED = {"vectorization_mode", "vector_kwargs", "wrappers"}  # options that only `make_vec` knows


class Gymnasium(Env):
    """`n` copies of a gymnasium environment as tensors: `Gymnasium("CartPole-v1")`.

    source   an id (of its own vector version where there is one, else copies that are stepped in turn), a
             function that makes one environment, or a ready vector environment (then `n` is its `num_envs`)
    horizon  default `T`; None takes the environment's time limit. With an id, another one moves that limit
    flatten  whether observations of any space become vectors, by `gymnasium.spaces.flatten`
    options  go to `gymnasium.make` or `make_vec` (such as `vectorization_mode="async"`), or to your function

    Observations of a Box space arrive as `dtype`, those of a Discrete space as int64. Whole numbers, seen or
    played, count from 0, whatever the environment's spaces start with. `success` holds what
    `info["is_success"]` said at the last step of each episode.

    Episodes are drawn from the generator given to `reset`, by the seed it makes for the vector environment.
    What gymnasium makes of that seed depends on how the copies are made: copy i of single environments gets
    seed + i, an environment's own vector version draws all copies from one seed. So
    `Gymnasium("CartPole-v1")` and `Gymnasium(lambda: gymnasium.make("CartPole-v1"))` play other episodes from
    the same generator; compare policies on environments that were made in one way.

    Raises TypeError for spaces that are no tensors, ValueError without any time limit or with a vector
    environment that does not say how it restarts.
    """

    _success: Bool[np.ndarray, "n"] | None = None
    _left: int | None = None

    def __init__(self, source: Source, *, horizon: int | None = None, flatten: bool = False,
                 device: Device = "cpu", dtype: torch.dtype = torch.float32, **options) -> None:
        self.source, self.flatten = source, flatten
        self._make = _maker(source, horizon, options, flatten)
        self._vector = self._make(source.num_envs if isinstance(source, VectorEnv) else 1)
        horizon = _time_limit(self._vector.spec) if horizon is None else horizon
        if horizon is None:
            raise ValueError(f"{source!r} has no time limit; write Gymnasium(..., horizon=200), say.")
        super().__init__(horizon, device, dtype)
        seen, played = self._vector.single_observation_space, self._vector.single_action_space
        check_space("the observation space", seen, (Box, Discrete), "try flatten=True or ObservationWrapper")
        self.observation_space, self.action_space = _from_zero(seen), _from_zero(played)
        self._first_seen, self._first_played = counts_from(seen), counts_from(played)
        low, high = action_range(self.action_space, UNFLAT)
        self._played_as, self._kind = played.dtype, float if played.dtype.kind == "f" else int
        self._most = high.astype(np.uint64) if self._kind is int and not low.any() else None

    @property
    def success(self) -> Bool[Tensor, "n"] | None:
        """Which episodes ended in success; None where the environment has not said."""
        return None if self._success is None else torch.tensor(self._success, device=self.device)

    @property
    def left(self) -> int | None:
        """How many episodes have not ended; None where a subclass may end them otherwise."""
        return self._left if type(self).step is Gymnasium.step else None

    def to(self, device: Device | None = None, dtype: torch.dtype | None = None) -> Env:
        """A copy whose tensors live elsewhere, with environments of its own unless a ready one was given."""
        moved = super().to(device, dtype)
        moved._vector, moved._success = self._make(self._vector.num_envs), None
        return moved

    def _first(self, n: int) -> Tensor:
        if n != self._vector.num_envs:
            if isinstance(self.source, VectorEnv):
                raise ValueError(f"{n} episodes asked of {self._vector.num_envs} copies; ask for as many.")
            replaced, self._vector = self._vector, self._make(n)
            replaced.close()
        self._mode = self._vector.metadata.get("autoreset_mode")
        if not isinstance(self._mode, AutoresetMode):
            raise ValueError(f"autoreset_mode is {self._mode!r}, expected AutoresetMode in vector.metadata.")
        seen_as = self.dtype if isinstance(self.observation_space, Box) else torch.int64
        self._dtypes = seen_as, self.dtype, torch.bool, torch.bool  # of what `step` returns
        # Some simulators take 31-bit seeds only, and copy i of single environments gets seed + i.
        seed = torch.randint(2**31 - n, (), generator=self._generator, device=self._generator.device)
        obs, _ = self._vector.reset(seed=int(seed))
        self._going, self._ended, self._left = np.ones(n, bool), np.zeros(n, bool), n
        self._success = None
        return self._up(obs)[0]

    def step(self, action: Shaped[Tensor, "n *act"]) -> Step:
        """One step of every copy; after the end of its episode a copy pays 0 and does not end again.

        The observation that comes with the end is the last one of the episode, never the first of the next.
        Raises RuntimeError before the first reset, ValueError for actions of the wrong shape or kind.
        """
        action = self._checked(action, self.action_space.shape, self._kind)
        # A copy, in any case: an environment may write on what it is given.
        played = np.array(action.numpy(force=True), self._played_as if self._most is None else np.int64)
        if self._most is not None:
            if np.count_nonzero(played.view(np.uint64) > self._most):
                check_actions(action, self.action_space)
            played = (played + self._first_played).astype(self._played_as, copy=False)
        if self._mode is AutoresetMode.DISABLED and self._ended.any():
            self._vector.reset(options={"reset_mask": self._ended.copy()})
        try:
            obs, reward, terminated, truncated, info = self._vector.step(played)
        except Exception:
            check_actions(action, self.action_space)  # a better message, if that is what went wrong
            raise
        self._ended = terminated | truncated
        self._note_success(info)
        if self._left < self._n:
            reward, terminated, truncated = np.where(self._going, (reward, terminated, truncated), 0)
        if np.count_nonzero(self._ended):
            self._going &= ~self._ended
            self._left = np.count_nonzero(self._going)
            if self._mode is AutoresetMode.SAME_STEP:
                obs = _with_final(obs, info, self._ended)
        return self._up(obs, reward, terminated, truncated)

    def _up(self, *given: np.ndarray) -> list[Tensor]:
        """Tensors of our own on the environment's device; the vector environment may reuse its arrays."""
        parts = [torch.from_numpy(np.array(values)).to(dtype) for values, dtype in zip(given, self._dtypes)]
        if self._first_seen:
            parts[0] -= self._first_seen
        if self.device.type == "cpu":
            return parts
        # All in one transfer.
        packed = torch.cat([part.flatten().view(torch.uint8) for part in parts]).to(self.device)
        pieces = packed.split([part.nbytes for part in parts])
        return [piece.view(part.dtype).view(part.shape) for piece, part in zip(pieces, parts)]

    def _note_success(self, info: dict) -> None:
        for facts in (info, info.get("final_info", {})):
            if "is_success" in facts:
                told = self._going & facts.get("_is_success", True)
                before = False if self._success is None else self._success
                self._success = np.where(told, facts["is_success"], before).astype(bool)


def _maker(source: Source, horizon: int | None, options: dict, flatten: bool) -> Callable[[int], VectorEnv]:
    """How to make `n` copies."""
    if isinstance(source, VectorEnv):
        return lambda n: gymnasium.wrappers.vector.FlattenObservation(source) if flatten else source
    if isinstance(source, (str, EnvSpec)):
        spec = gymnasium.spec(source) if isinstance(source, str) else source
        if horizon is not None and _time_limit(spec) is not None:
            name = "horizon" if spec.entry_point == ENTRY_POINT else "max_episode_steps"
            options = {name: check_horizon(horizon), **options}
        if spec.vector_entry_point is None and not BATCHED & {*options, *spec.kwargs}:
            return lambda n: _Copies(lambda: gymnasium.make(source, **options), n, flatten)

        def copies(n: int) -> VectorEnv:
            vector = gymnasium.make_vec(source, num_envs=n, **options)
            if isinstance(vector.single_action_space, (Discrete, MultiDiscrete)):
                vector.unwrapped.action_space.contains = lambda actions: True  # we look ourselves, for less
            return vector
        return lambda n: gymnasium.wrappers.vector.FlattenObservation(copies(n)) if flatten else copies(n)
    if not callable(source):
        raise TypeError(f"source is {type(source).__name__}, expected an id, VectorEnv or lambda: YourEnv().")
    return lambda n: _Copies(lambda: source(**options), n, flatten)


def _time_limit(spec: EnvSpec | None) -> int | None:
    """The time limit that an environment brings; worlds of the book know their horizon themselves."""
    ours = spec is not None and spec.entry_point == ENTRY_POINT
    return spec.kwargs["horizon"] if ours else getattr(spec, "max_episode_steps", None)


class _Copies(VectorEnv):
    """`n` environments stepped in turn, each until its episode ends; nothing restarts.

    Up to the end of an episode it gives what gymnasium's SyncVectorEnv gives, without what that spends on the
    rest.
    """

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # of all modes, this one asks nothing of us

    def __init__(self, make: Callable[[], gymnasium.Env], n: int, flatten: bool) -> None:
        self.envs, self.num_envs = [make() for _ in range(n)], n
        if not isinstance(self.envs[0], gymnasium.Env):
            raise TypeError(f"the function made {type(self.envs[0]).__name__}, expected a gymnasium.Env.")
        if len({*map(id, self.envs)}) < n:
            raise ValueError("the same environment twice, expected a new one each time: lambda: YourEnv().")
        if flatten:
            self.envs = [gymnasium.wrappers.FlattenObservation(env) for env in self.envs]
        one = self.envs[0]
        self.single_observation_space, self.single_action_space = one.observation_space, one.action_space
        self.spec = one.spec

    def reset(self, *, seed: int, options: dict | None = None) -> tuple[np.ndarray, dict]:
        n, space = self.num_envs, self.single_observation_space
        self._going, self._success = range(n), {}
        seen = np.zeros((n, *space.shape), space.dtype)
        self._last = seen, np.zeros(n), np.zeros(n, bool), np.zeros(n, bool)
        for i, env in enumerate(self.envs):
            first, _ = env.reset(seed=seed + i, options=options)
            if np.shape(first) != space.shape:
                raise ValueError(f"an observation has shape {np.shape(first)}, its space says {space.shape}.")
            seen[i] = first
        return seen, {}

    def step(self, actions: np.ndarray) -> tuple:
        obs, reward, terminated, truncated = self._last
        for i in self._going:
            obs[i], reward[i], terminated[i], truncated[i], info = self.envs[i].step(actions[i])
            if info.get("is_success") is not None:
                self._success.setdefault("is_success", np.zeros(self.num_envs, bool))[i] = info["is_success"]
        self._going = [i for i in self._going if not (terminated[i] or truncated[i])]
        return obs, reward, terminated, truncated, self._success

    def close_extras(self, **_) -> None:
        for env in self.envs:
            env.close()


def _from_zero(space: gymnasium.Space) -> gymnasium.Space:
    """The space whose whole numbers count from 0."""
    if not np.any(counts_from(space)):
        return space
    return Discrete(space.n) if isinstance(space, Discrete) else MultiDiscrete(space.nvec)


def _with_final(obs: np.ndarray, info: dict, ended: np.ndarray) -> np.ndarray:
    """`obs` with the last observation of every episode that just ended, which SAME_STEP hides in `info`."""
    if "final_obs" not in info:
        raise ValueError(f"SAME_STEP without final_obs in info ({list(info)}); take AutoresetMode.NEXT_STEP.")
    obs = obs.copy()
    obs[ended] = np.stack(list(info["final_obs"][ended]))
    return obs
