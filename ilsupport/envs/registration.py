"""Our tensor environments as gymnasium ones: `gymnasium.make("ilsupport/Tightrope-v0")` and `make_vec`.

Observations and actions are numpy here, because that is what gymnasium's users expect; our own loops use
tensors.
"""
from __future__ import annotations

from collections.abc import Callable

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from ilsupport.envs.base import Env
from ilsupport.envs.brakelight import BrakeLight
from ilsupport.envs.driving import Driving
from ilsupport.envs.fork import Fork
from ilsupport.envs.reach import Reach
from ilsupport.envs.tightrope import Tightrope

ENTRY_POINT = "ilsupport.envs.registration:Single"
MAKERS: dict[str, Callable[..., Env]] = {
    "ilsupport/BrakeLight-v0": BrakeLight, "ilsupport/Driving-v0": Driving, "ilsupport/Fork-v0": Fork,
    "ilsupport/Reach-v0": Reach, "ilsupport/Tightrope-v0": Tightrope}


def register() -> None:
    """Tell gymnasium of every environment in `MAKERS`; called when `ilsupport.envs` is imported."""
    for name in MAKERS:  # a name rather than a class in kwargs, so that the spec can be written as JSON
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=ENTRY_POINT, kwargs={"maker": name},
                               vector_entry_point="ilsupport.envs.registration:Batch")


class Batch(VectorEnv):
    """`num_envs` copies as a gymnasium vector environment. All copies run for `horizon` steps and reset
    together.

    Autoreset follows gymnasium's NEXT_STEP convention: the step after the last one resets, ignores the action
    and pays 0.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(self, maker: str, num_envs: int = 1, render_mode: str | None = None, **options) -> None:
        self.tensor_env, self.num_envs, self.render_mode = MAKERS[maker](**options), num_envs, render_mode
        self.single_observation_space = self.tensor_env.observation_space
        self.single_action_space = self.tensor_env.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._t = 0

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        self._t, device = 0, self.tensor_env.device
        generator = torch.Generator(device=device).manual_seed(int(self.np_random.integers(2**62)))
        return self._array(self.tensor_env.reset(self.num_envs, generator)), {}

    def step(self, actions):
        if self._t >= self.tensor_env.horizon:
            obs, info = self.reset()
            zeros = np.zeros(self.num_envs)
            return obs, zeros, zeros.astype(bool), zeros.astype(bool), info
        if not self.action_space.contains(np.asarray(actions, dtype=self.action_space.dtype)):
            raise ValueError(f"actions {actions!r} lie outside the action space {self.action_space}.")
        self._t += 1
        obs, reward, terminated, truncated = self.tensor_env.step(actions)
        out_of_time = truncated.cpu().numpy() | (self._t >= self.tensor_env.horizon)
        return (self._array(obs), reward.cpu().numpy().astype(np.float64), terminated.cpu().numpy(),
                out_of_time, {})

    def _array(self, obs: Tensor) -> np.ndarray:
        return obs.cpu().numpy().astype(self.single_observation_space.dtype)


class Single(gymnasium.Env):
    """One copy of a tensor environment as a plain gymnasium environment; keywords go to the environment.

    `render()` gives an RGB array where the environment draws one. Raises ValueError for a render mode it has
    not.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, maker: str, render_mode: str | None = None, **options) -> None:
        self._batch, self.render_mode = Batch(maker, 1, **options), render_mode
        self.tensor_env = self._batch.tensor_env
        if getattr(self.tensor_env, "render", None) is None:
            self.metadata = {"render_modes": []}
        modes = (None, *self.metadata["render_modes"])
        if render_mode not in modes:
            raise ValueError(f"render_mode is {render_mode!r}, expected {' or '.join(map(repr, modes))} for "
                             f"{maker}.")
        self.observation_space = self.tensor_env.observation_space
        self.action_space = self.tensor_env.action_space

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        obs, info = self._batch.reset(seed=seed)
        return obs[0], info

    def step(self, action):
        if not self.action_space.contains(action):
            raise ValueError(f"action {action!r} lies outside the action space {self.action_space}.")
        obs, reward, terminated, truncated, info = self._batch.step(np.asarray(action)[None])
        return obs[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> np.ndarray | None:
        return self.tensor_env.render() if self.render_mode else None
