"""Our tensor environments as gymnasium ones: `gymnasium.make("ilsupport/Tightrope-v0")`.

Observations and actions are numpy here, because that is what gymnasium's users expect; our own loops use
tensors.
"""
from __future__ import annotations

from collections.abc import Callable

import gymnasium
import numpy as np
import torch
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
            gymnasium.register(name, entry_point=ENTRY_POINT, kwargs={"maker": name})


class Single(gymnasium.Env):
    """One copy of a tensor environment as a plain gymnasium environment; keywords go to the environment.

    `render()` gives an RGB array where the environment draws one. Raises ValueError for a render mode it has
    not.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, maker: str, render_mode: str | None = None, **options) -> None:
        self.tensor_env, self.render_mode, self._t = MAKERS[maker](**options), render_mode, 0
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
        self._t, device = 0, self.tensor_env.device
        generator = torch.Generator(device=device).manual_seed(int(self.np_random.integers(2**62)))
        return self._array(self.tensor_env.reset(1, generator)), {}

    def step(self, action):
        if not self.action_space.contains(action):
            raise ValueError(f"action {action!r} lies outside the action space {self.action_space}.")
        self._t += 1
        obs, reward, terminated, truncated = self.tensor_env.step(np.asarray(action)[None])
        over = bool(truncated) or self._t >= self.tensor_env.horizon
        return self._array(obs), float(reward), bool(terminated), over, {}

    def render(self) -> np.ndarray | None:
        return self.tensor_env.render() if self.render_mode else None

    def _array(self, obs: Tensor) -> np.ndarray:
        # A copy: whoever normalises it in place must not change the state of the environment.
        return obs[0].cpu().numpy().astype(self.observation_space.dtype)
