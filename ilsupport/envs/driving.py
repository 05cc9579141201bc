"""A car at constant speed on a smooth random road: what ALVINN and NVIDIA's car had to learn (pages 0, 2, 6).

The car is a kinematic bicycle, followed in the road's own coordinates: how far it is from the middle of its
lane and by how much it points away from the road. Left is positive throughout.
"""
from collections.abc import Sequence

import numpy as np
import torch
from gymnasium.spaces import Box
from jaxtyping import Float
from torch import Tensor

from ilsupport.envs.base import Device, Env
from ilsupport.envs.camera import AHEAD, FULL_LOCK, HALF_LANE

SPEED = 10.0  # m/s
STEP = 0.05  # s
WAVES = ((50.0, 0.22), (83.0, 0.20), (131.0, 0.15))  # lengths in m, curvatures in shares of full lock
Waves = Sequence[tuple[float, float]]
RAIL = 3.0  # half lanes from the middle, where a crash barrier runs along the road
TURN = 1.0  # rad away from the road, the most that the barrier lets a car turn


class Driving(Env):
    """`n` cars, each on a road of its own, batched on any device.

    Observation `(n, 8)`: offset from the middle of the lane in half lanes (1 is the lane's edge), heading
    away from the road in radians, and the road's curvature 0, 5, 10, 15, 20 and 30 m ahead, in units of the
    steering that follows it. A `Camera` makes pictures of that, and `Seeing` policies that look at them.

    Action: steering in [-1, 1], `(n, 1)`: the share of full lock, which is a circle of 10 m radius. Reward:
    minus the cost, 1 for every step that ends with the car's middle outside its lane. Nothing ends early: a
    car may come back. At three half lanes a barrier stops it from going further.

    A step is 0.05 s at 10 m/s, by Euler's rule. A road is three sine waves of curvature with random phases,
    `waves` their lengths in m and their sizes in shares of full lock; cars start within a tenth of a half
    lane of the middle. With `phases`, three numbers in rad, all drive the same road, and start in the middle.
    Raises ValueError for a horizon below 1 and for another number of waves.
    """

    action_space = Box(-1, 1, (1,), np.float32)

    def __init__(self, *, phases: Sequence[float] | None = None, waves: Waves = WAVES, horizon: int = 400,
                 device: Device = "cpu", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(horizon, device, dtype)
        if len(waves) != len(WAVES):
            raise ValueError(f"{len(waves)} waves, expected {len(WAVES)} pairs (length in m, share of lock).")
        high = np.array([RAIL, TURN, *[sum(share for _, share in waves)] * len(AHEAD)], np.float32)
        self.phases, self.waves, self.observation_space = phases, waves, Box(-high, high)
        lengths, amplitudes = torch.tensor(waves, dtype=torch.float64).T
        self._waves = (2 * torch.pi / lengths).to(device, dtype)
        angle = 2 * torch.pi / lengths[:, None] * torch.tensor(AHEAD, dtype=torch.float64)
        # (sin, cos) of the phases here -> curvature at the distances AHEAD
        rows = torch.cat([torch.cos(angle), torch.sin(angle)]) * amplitudes.repeat(2)[:, None]
        self._look_ahead = rows.to(device, dtype)

    def place(self, offset: Tensor, heading: Tensor, phases: Tensor) -> Float[Tensor, "n 8"]:
        """Put cars somewhere: offset in half lanes and heading, `(n,)` each, and the phases of the road's
        waves there in rad, `(n, 3)`.

        Raises ValueError for other shapes.
        """
        state = [torch.as_tensor(x).to(self.device, self.dtype) for x in (offset, heading, phases)]
        n, shapes = len(state[0]), [tuple(x.shape) for x in state]
        if shapes != [(n,), (n,), (n, len(WAVES))]:
            raise ValueError(f"offset, heading and phases have shapes {shapes}, expected (n,), (n,), (n, 3).")
        self._n, (self._offset, self._heading, self._phases) = n, state
        return self._look()

    def where(self, features: Float[Tensor, "n 8"]) -> tuple[Tensor, Tensor, Tensor]:
        """Offset, heading and phases of cars with these features, as `place` takes them: six curvatures are
        six equations for the sines and cosines of three phases.
        """
        features = features.to(self.device, self.dtype)
        waves = torch.linalg.solve(self._look_ahead.T, features[:, 2:].T)
        return features[:, 0], features[:, 1], torch.atan2(waves[:3], waves[3:]).T

    def _first(self, n: int) -> Tensor:
        if self.phases is not None:
            return self.place(*torch.zeros(2, n), torch.tensor([self.phases] * n, dtype=torch.float64))
        start = torch.rand(n, 4, generator=self._generator, dtype=self.dtype, device=self.device)
        return self.place(0.2 * start[:, 0] - 0.1, torch.zeros_like(start[:, 0]), 2 * torch.pi * start[:, 1:])

    def _next(self, action: Tensor) -> tuple[Tensor, Tensor]:
        steering, bend = self._floats(action, 1).squeeze(1), self._bend
        # Of the road: in the inside of a bend one gets along faster.
        along = SPEED * torch.cos(self._heading) / (1 - bend * self._offset * (FULL_LOCK * HALF_LANE))
        sideways = torch.sin(self._heading) * (SPEED * STEP / HALF_LANE)
        self._offset = (self._offset + sideways).clamp(-RAIL, RAIL)
        turn = (SPEED * steering - along * bend) * (STEP * FULL_LOCK)
        self._heading = (self._heading + turn).clamp(-TURN, TURN)
        self._phases = self._phases + (along * STEP)[:, None] * self._waves
        return self._look(), -(self._offset.abs() > 1).to(self.dtype)

    def _look(self) -> Tensor:
        waves = torch.cat([torch.sin(self._phases), torch.cos(self._phases)], 1) @ self._look_ahead
        self._bend = waves[:, 0]
        return torch.cat([torch.stack([self._offset, self._heading], 1), waves], 1)
