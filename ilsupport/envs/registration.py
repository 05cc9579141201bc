"""Our tensor environments as gymnasium ones: `gymnasium.make("ilsupport/Tightrope-v0")`.

Observations and actions are numpy here, as gymnasium's users expect; our own loops use tensors.
"""
import inspect

import gymnasium
import numpy as np
import torch
from torch import Tensor

from ilsupport.envs.brakelight import BrakeLight
from ilsupport.envs.driving import Driving
from ilsupport.envs.fork import Fork
from ilsupport.envs.reach import Reach
from ilsupport.envs.tightrope import Tightrope

ENTRY_POINT = "ilsupport.envs.registration:Single"
MAKERS = {f"ilsupport/{world.__name__}-v0": world for world in (BrakeLight, Driving, Fork, Reach, Tightrope)}


class Single(gymnasium.Env):
    """One copy of a tensor environment as a plain gymnasium environment; keywords go to the environment."""

    def __init__(self, maker: str, **options) -> None:
        self.tensor_env = env = MAKERS[maker](**options)
        self.observation_space, self.action_space = env.observation_space, env.action_space

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        generator = torch.Generator(self.tensor_env.device).manual_seed(int(self.np_random.integers(2**62)))
        self._t = 0
        return self._array(self.tensor_env.reset(1, generator)), {}

    def step(self, action):
        if not self.action_space.contains(action):
            raise ValueError(f"action {action!r} lies outside the action space {self.action_space}.")
        self._t += 1
        obs, reward, terminated, truncated = self.tensor_env.step(np.asarray(action)[None])
        over = bool(truncated) or self._t >= self.tensor_env.horizon
        return self._array(obs), float(reward), bool(terminated), over, {}

    def _array(self, obs: Tensor) -> np.ndarray:
        return obs[0].cpu().numpy().astype(self.observation_space.dtype)  # a copy: it may be changed in place


for name, world in MAKERS.items():  # so `import ilsupport` tells gymnasium of them
    horizon = inspect.signature(world.__init__).parameters["horizon"].default
    # A name rather than a class, so that the spec can be written as JSON.
    gymnasium.register(name, entry_point=ENTRY_POINT, kwargs={"maker": name, "horizon": horizon})
