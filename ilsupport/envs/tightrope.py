"""The tightrope of pages 3 to 5: one wrong step and you are in a place the expert never showed.

On the rope the walker must lean against the wind; the right side is the sign of a fixed linear function of
eight wind features. A wrong action is a fall. Off the rope only `climb` is right, an action no demonstration
contains.
"""
import functools

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ilsupport._checks import check_probability
from ilsupport.envs.base import Device, Env

LEAN_LEFT, LEAN_RIGHT, CLIMB = 0, 1, 2
WINDS = 8
# Fixed, and no wind is special; the leading 0 stands for the on-rope feature, to multiply whole observations.
DIRECTION = torch.cat([torch.zeros(1), torch.cos(torch.arange(1.0, WINDS + 1))])


_direction = functools.cache(DIRECTION.to)  # so that no step carries it to the device again


def right_action(obs: Float[Tensor, "n 9"]) -> Int[Tensor, "n"]:
    """On the rope lean right where the wind along `DIRECTION` is positive, else left; off it, climb."""
    lean = obs @ _direction(obs.device, obs.dtype) > 0
    return torch.where(obs[..., 0] > 0.5, lean, CLIMB)


class Tightrope(Env):
    """`n` walkers on tightropes, batched on any device.

    Observation `(n, 9)`: 1 on the rope or 0 off it, then eight wind features in [-1, 1], redrawn
    independently at every step (uniform over 256 levels). Action: 0 lean left, 1 lean right, 2 climb. Reward:
    minus the cost of the step, which is 1 where the action was not the right one.

    A walker off the rope that does not climb is put back with probability `rho` a step. With `absorbing=True`
    nothing brings it back, and every step off the rope costs 1 whatever it does.

    A policy that errs with probability eps on the rope and never climbs off it has the two-state cost of
    `bounds.recovery(eps, rho, T)`, and for `rho = 0` that of `bounds.sharp(eps, T)` (pages 3 and 4).

    Raises ValueError for `rho` outside [0, 1], a horizon below 1, or `absorbing` with a positive `rho`.
    """

    observation_space = gymnasium.spaces.Box(np.float32([0, *[-1] * WINDS]), np.ones(1 + WINDS, np.float32))
    action_space = gymnasium.spaces.Discrete(3)

    def __init__(self, rho: float = 0.0, *, absorbing: bool = False, horizon: int = 100,
                 device: Device = "cpu", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(horizon, device, dtype)
        self.rho, self.absorbing = check_probability("rho", rho), absorbing
        if absorbing and rho > 0:
            raise ValueError(f"rho is {rho} with absorbing=True, expected 0: an absorbing fall is for good.")
        self._level = torch.tensor(2 / 255, device=device, dtype=dtype)

    def _first(self, n: int) -> Tensor:
        return self._look(torch.ones(n, dtype=torch.bool, device=self.device))

    def _next(self, action: Tensor) -> tuple[Tensor, Tensor]:
        right = self._whole(action) == right_action(self._obs)
        if self.absorbing:
            right = right & (self._obs[:, 0] > 0.5)
        put_back = right
        if self.rho > 0:
            lucky = torch.rand(self._n, generator=self._generator, device=self.device) < self.rho
            put_back = right | lucky & (self._obs[:, 0] < 0.5)
        return self._look(put_back), right.to(self.dtype) - 1

    def _look(self, on: Tensor) -> Tensor:
        # One random 64-bit word holds eight winds of 256 levels: ten times cheaper than eight floats.
        word = torch.empty(len(on), dtype=torch.int64, device=self.device)
        winds = word.random_(-2**63, None, generator=self._generator).view(torch.uint8).view(-1, WINDS)
        obs = torch.empty(len(on), 1 + WINDS, dtype=self.dtype, device=self.device)
        torch.mul(winds, self._level, out=obs[:, 1:])
        torch.add(on, 1, out=obs[:, 0])
        self._obs = obs.sub_(1)
        return obs
