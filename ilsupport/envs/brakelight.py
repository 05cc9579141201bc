"""The brake light of page 8: an effect of braking that looks like its cause.

People cross the road now and then; the camera's view of them is poor. A driver with good eyes brakes exactly while
somebody is on the road, and every time it brakes, a light on the dashboard comes on. The story is that of de Haan,
Jayaraman and Levine (2019), "Causal Confusion in Imitation Learning", figure 1.
"""
from __future__ import annotations

import math

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ilsupport._checks import check_horizon, check_probability
from ilsupport.envs.base import check_reset

DRIVE, BRAKE = 0, 1


class BrakeLight:
    """`n` cars on a road that people cross, batched on any device.

    Somebody is on the road, or nobody; this changes with probability `switch` a step, and at the start the road is clear.
    Observation `(n, 2)`, with `truth=True` `(n, 3)`: the camera's evidence, +1 for a taken road and -1 for a clear one
    plus Gaussian noise of standard deviation `noise`, drawn anew at each step; the car's own brake light, 1 if it braked
    at the last step (at the start it is off), or always 0 with `light=False`, taped over; and the truth, 1 while somebody
    is on the road. The truth is for the expert, and students must not see it: `View(policy, lambda obs: obs[..., :2])`.

    Action: 0 drive, 1 brake. Reward: minus the cost of the step, which is 1 for driving on a taken road and for braking
    on a clear one. The light changes nothing in the world.

    Raises ValueError for `switch` outside [0, 1], a negative `noise` or a horizon below 1.
    """

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, *, light: bool = True, truth: bool = False, switch: float = 0.05, noise: float = 2.0,
                 horizon: int = 100, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        check_probability("switch", switch)
        if not 0 <= noise < math.inf:
            raise ValueError(f"noise is {noise}, expected a standard deviation, at least 0.")
        self.light, self.truth, self.switch, self.noise = light, truth, switch, noise
        self.horizon, self.device, self.dtype = check_horizon(horizon), torch.device(device), dtype
        self.observation_space = gymnasium.spaces.Box(np.array([-np.inf, 0, 0][:2 + truth], np.float32),
                                                      np.array([np.inf, 1, 1][:2 + truth], np.float32))
        self._taken: Tensor | None = None

    def reset(self, n: int, generator: torch.Generator) -> Float[Tensor, "n obs"]:
        """Everybody drives on a clear road."""
        check_reset(n, generator, self.device)
        self._generator = generator
        self._taken = torch.zeros(n, dtype=torch.bool, device=self.device)
        return self._look(self._taken)

    def step(self, action: Int[Tensor, "n"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One step of every car. Nothing ends early: terminated and truncated are False throughout."""
        if self._taken is None:
            raise RuntimeError("step before reset; call env.reset(n, generator) first.")
        if action.shape != self._taken.shape or action.is_floating_point():
            raise ValueError(f"actions have shape {tuple(action.shape)} and dtype {action.dtype}, expected whole numbers "
                             f"({len(self._taken)},), one a car.")
        braked = action == BRAKE
        right = braked == self._taken
        change = torch.rand(len(braked), generator=self._generator, device=self.device) < self.switch
        self._taken = self._taken ^ change
        ended = torch.zeros_like(braked)
        return self._look(braked), right.to(self.dtype) - 1, ended, ended

    def _look(self, braked: Tensor) -> Tensor:
        taken = self._taken.to(self.dtype)
        noise = torch.randn(len(taken), generator=self._generator, dtype=self.dtype, device=self.device)
        light = braked.to(self.dtype) if self.light else torch.zeros_like(taken)
        return torch.stack([2 * taken - 1 + self.noise * noise, light] + [taken] * self.truth, 1)
