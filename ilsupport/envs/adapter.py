"""Bring your own environment: any gymnasium environment behind the tensor interface of the book (page 1).

Vector environments of gymnasium restart a finished copy by themselves, in one of three ways. Here a copy that
ended stays ended: whatever its vector environment does afterwards is padding, and padding pays nothing. Where
gymnasium would step single environments in turn, we do it ourselves: faster, and without that padding.
"""
from __future__ import annotations

from collections.abc import Callable

import gymnasium
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from ilsupport._checks import check_horizon
from ilsupport.envs.base import check_actions, check_reset

Source = str | EnvSpec | VectorEnv | Callable[..., gymnasium.Env]
BATCHED = {"vectorization_mode", "vector_kwargs", "wrappers"}  # options that only `make_vec` knows


class Gymnasium:
    """`n` copies of a gymnasium environment as tensors: `Gymnasium("CartPole-v1")`.

    source   an id (`gymnasium.make_vec` picks the environment's own vector version where it has one, else
             steps the copies in turn), a function that makes one environment, or a ready vector environment
             (then `n` is its `num_envs`)
    horizon  default `T`; None takes the time limit of the environment. With an id, another horizon moves that
             limit
    options  go to `gymnasium.make` or `make_vec` (`vectorization_mode="async"` and its like), or to your function

    Observations of a Box space arrive as `dtype`, those of a Discrete space as int64. Episodes are drawn from
    the generator given to `reset`, by the seed it makes for the vector environment.

    Raises TypeError for other spaces than Box and Discrete, ValueError without any time limit or with a
    vector environment that does not say how it restarts.
    """

    def __init__(self, source: Source, *, horizon: int | None = None, device: torch.device | str = "cpu",
                 dtype: torch.dtype = torch.float32, **options) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self._numpy_dtype = torch.empty(0, dtype=dtype).numpy().dtype
        self._make, self.spec, limit = _maker(source, horizon, options)
        self._vector = self._make(1) if not isinstance(source, VectorEnv) else source
        self.observation_space = _supported("observation", self._vector.single_observation_space)
        self.action_space = _supported("action", self._vector.single_action_space)
        if horizon is None and limit is None:
            raise ValueError(f"{source!r} has no time limit, expected one; write Gymnasium(..., "
                             "horizon=200).")
        self.horizon = check_horizon(limit if horizon is None else horizon)
        self._over: np.ndarray | None = None

    def reset(self, n: int, generator: torch.Generator) -> Shaped[Tensor, "n *obs"]:
        """Start `n` episodes; the same state of the generator gives the same episodes. Advances it."""
        check_reset(n, generator, self.device)
        if n != self._vector.num_envs:
            vector = self._make(n)
            self._vector.close()
            self._vector = vector
        self._mode = _autoreset_mode(self._vector)
        # Some simulators take 31-bit seeds only, and copy i of a SyncVectorEnv gets seed + i.
        seed = int(torch.randint(2**31 - n, (), generator=generator, device=self.device))
        obs, _ = self._vector.reset(seed=seed)
        self._over, self._ended = np.zeros(n, bool), np.zeros(n, bool)
        return self._tensor(obs)

    def step(self, action: Shaped[Tensor, "n *act"]) -> tuple[
            Shaped[Tensor, "n *obs"], Float[Tensor, "n"], Bool[Tensor, "n"], Bool[Tensor, "n"]]:
        """One step of every copy; after the end of its episode a copy pays 0 and does not end again.

        The observation that comes with the end is the last one of the episode, never the first of the next.
        Raises ValueError for actions of the wrong shape or kind.
        """
        if self._over is None:
            raise RuntimeError("step before reset; call env.reset(n, generator) first.")
        played = self._played(action)
        if self._mode is AutoresetMode.DISABLED and self._ended.any():
            self._vector.reset(options={"reset_mask": self._ended.copy()})
        try:
            obs, reward, terminated, truncated, info = self._vector.step(played)
        except Exception:
            check_actions(action, self.action_space)  # a better message, if that is what went wrong
            raise
        self._ended = terminated | truncated
        if self._mode is AutoresetMode.SAME_STEP and self._ended.any():
            obs = _with_final(obs, info, self._ended)
        going = ~self._over
        self._over = self._over | self._ended
        return (self._tensor(obs), self._send(np.where(going, reward, 0), self._numpy_dtype),
                self._send(terminated & going, bool), self._send(truncated & going, bool))

    def _played(self, action: Tensor) -> np.ndarray:
        discrete = isinstance(self.action_space, Discrete)
        expected = (len(self._over), *self.action_space.shape)
        if tuple(action.shape) != expected or action.is_floating_point() == discrete:
            raise ValueError(f"actions have shape {tuple(action.shape)} and dtype {action.dtype}, expected "
                             f"{'whole numbers' if discrete else 'floats'} {expected}, one action a copy.")
        return action.detach().cpu().numpy().astype(self.action_space.dtype, copy=False)

    def _tensor(self, obs: np.ndarray) -> Tensor:
        return self._send(obs, self._numpy_dtype if isinstance(self.observation_space, Box) else np.int64)

    def _send(self, values: np.ndarray, dtype: np.dtype) -> Tensor:
        # Copied, because a vector environment may write its next step into the same memory.
        copied = torch.from_numpy(np.array(values, dtype, order="C"))
        return copied if self.device.type == "cpu" else copied.to(self.device)


def _maker(source: Source, horizon: int | None, options: dict) -> tuple[
        Callable[[int], VectorEnv], EnvSpec | None, int | None]:
    """How to make `n` copies, the spec if there is one, and the time limit that the environment brings."""
    if isinstance(source, VectorEnv):
        def ready(n: int) -> VectorEnv:
            raise ValueError(f"{n} episodes asked of a vector environment with {source.num_envs} copies; "
                             f"ask for {source.num_envs}, or pass the id or a function that makes one "
                             "environment.")
        return ready, source.spec, getattr(source.spec, "max_episode_steps", None)
    if isinstance(source, (str, EnvSpec)):
        spec = gymnasium.spec(source) if isinstance(source, str) else source
        if horizon is not None and spec.max_episode_steps is not None:
            options = {"max_episode_steps": check_horizon(horizon), **options}
        if spec.vector_entry_point is None and not BATCHED & {*options, *spec.kwargs}:
            return lambda n: _Copies(lambda: gymnasium.make(source, **options), n), spec, spec.max_episode_steps
        return lambda n: gymnasium.make_vec(source, num_envs=n, **options), spec, spec.max_episode_steps
    if isinstance(source, gymnasium.Env) or not callable(source):
        raise TypeError(f"source is {type(source).__name__}, expected an id, a vector environment or a "
                        "function that makes one environment: n episodes need n copies. Write "
                        "Gymnasium(lambda: YourEnv()).")
    first = source(**options)
    if not isinstance(first, gymnasium.Env):
        raise TypeError(f"the function made {type(first).__name__}, expected a gymnasium.Env.")
    spec = first.spec
    first.close()
    limit = getattr(spec, "max_episode_steps", None)
    return (lambda n: _Copies(lambda: source(**options), n)), spec, limit


class _Copies(VectorEnv):
    """`n` environments stepped in turn, each until its episode ends; nothing restarts and nobody reads `info`.

    Up to the end of an episode it gives what gymnasium's SyncVectorEnv gives, without what that spends on the rest.
    """

    def __init__(self, make: Callable[[], gymnasium.Env], n: int) -> None:
        self.envs, self.num_envs = [make() for _ in range(n)], n
        if len({id(env) for env in self.envs}) < n:
            raise ValueError("the function returned the same environment twice, expected a new one each time: n "
                             "episodes need n copies. Write Gymnasium(lambda: YourEnv()).")
        one = self.envs[0]
        self.single_observation_space, self.single_action_space = one.observation_space, one.action_space
        self.metadata = {**one.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}  # of all modes, it asks nothing of us

    def reset(self, *, seed: int, options: dict | None = None) -> tuple[np.ndarray, dict]:
        n, space = self.num_envs, self.single_observation_space
        self._going = range(n)
        self._last = np.zeros((n, *space.shape), space.dtype), np.zeros(n), np.zeros(n, bool), np.zeros(n, bool)
        for i, env in enumerate(self.envs):
            self._last[0][i], _ = env.reset(seed=seed + i, options=options)
        return self._last[0], {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
        obs, reward, terminated, truncated = self._last
        for i in self._going:
            obs[i], reward[i], terminated[i], truncated[i], _ = self.envs[i].step(actions[i])
        self._going = [i for i in self._going if not (terminated[i] or truncated[i])]
        return obs, reward, terminated, truncated, {}

    def close_extras(self, **_) -> None:
        for env in self.envs:
            env.close()


def _supported(name: str, space: gymnasium.Space) -> gymnasium.Space:
    if not isinstance(space, (Box, Discrete)):
        raise TypeError(f"the {name} space is {space}, expected Box or Discrete; wrap the environment "
                        "first, for example in gymnasium.wrappers.FlattenObservation.")
    return space


def _autoreset_mode(vector: VectorEnv) -> AutoresetMode:
    mode = vector.metadata.get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise ValueError(f"the vector environment says autoreset_mode = {mode!r}, expected one of "
                         "gymnasium's AutoresetMode; set vector.metadata['autoreset_mode'] to how it "
                         "restarts a finished copy.")
    return mode


def _with_final(obs: np.ndarray, info: dict, ended: np.ndarray) -> np.ndarray:
    """`obs` with the last observation of every episode that just ended, which SAME_STEP hides in `info`."""
    if "final_obs" not in info:
        raise ValueError(f"episodes ended in autoreset mode SAME_STEP without info['final_obs'] (there is "
                         f"{list(info)}); make the vector environment with AutoresetMode.NEXT_STEP.")
    obs = obs.copy()
    obs[ended] = np.stack(list(info["final_obs"][ended]))
    return obs
