"""The brake light of page 8: an effect of braking that looks like its cause.

People cross the road now and then; the camera's view of them is poor. A driver with good eyes brakes exactly
while somebody is on the road, and every time it brakes, a light on the dashboard comes on. The story is that
of de Haan, Jayaraman and Levine (2019), "Causal Confusion in Imitation Learning", figure 1.
"""
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from ilsupport._checks import check_between, check_probability
from ilsupport.envs.base import Device, Env

DRIVE, BRAKE = 0, 1


class BrakeLight(Env):
    """`n` cars on a road that people cross, batched on any device.

    Somebody is on the road, or nobody; this changes with probability `switch` a step, and at the start the
    road is clear. Observation `(n, 2)`, with `truth=True` `(n, 3)`: the camera's evidence, +1 for a taken
    road and -1 for a clear one plus Gaussian noise of standard deviation `noise`, drawn anew at each step;
    the car's own brake light, 1 if it braked at the last step (at the start it is off), or always 0 with
    `light=False`, taped over; and the truth, 1 while somebody is on the road. The truth is for the expert,
    and students must not see it: `View(policy, lambda obs: obs[..., :2])`.

    Action: 0 drive, 1 brake. Reward: minus the cost of the step, which is 1 for driving on a taken road and
    for braking on a clear one. The light changes nothing in the world.

    Raises ValueError for `switch` outside [0, 1], a negative `noise` or a horizon below 1.
    """

    action_space = Discrete(2)

    def __init__(self, *, light: bool = True, truth: bool = False, switch: float = 0.05, noise: float = 2.0,
                 horizon: int = 100, device: Device = "cpu", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(horizon, device, dtype)
        self.light, self.truth = light, truth
        self.switch, self.noise = check_probability("switch", switch), check_between("noise", noise, 0, 1e6)
        self.observation_space = Box(*np.float32([[-np.inf, 0, 0], [np.inf, 1, 1]])[:, :2 + truth])

    def _first(self, n: int) -> Tensor:
        self._on_road = torch.zeros(n, dtype=torch.bool, device=self.device)
        return self._look(self._on_road)

    def _next(self, action: Tensor) -> tuple[Tensor, Tensor]:
        braked = self._whole(action) == BRAKE
        right = braked == self._on_road
        self._on_road ^= torch.rand(self._n, generator=self._generator, device=self.device) < self.switch
        return self._look(braked), right.to(self.dtype) - 1

    def _look(self, braked: Tensor) -> Tensor:
        taken = self._on_road.to(self.dtype)
        noise = torch.randn(len(taken), generator=self._generator, dtype=self.dtype, device=self.device)
        light = braked.to(self.dtype) if self.light else torch.zeros_like(taken)
        return torch.stack([2 * taken - 1 + self.noise * noise, light] + [taken] * self.truth, 1)
