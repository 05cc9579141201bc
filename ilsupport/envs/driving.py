"""A car at constant speed on a smooth random road: what ALVINN and NVIDIA's car had to learn (pages 0, 2 and
6).

The car is a kinematic bicycle, followed in the road's own coordinates: how far it is from the middle of its
lane and by how much it points away from the road. Left is positive throughout.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ilsupport.envs.base import UNSTARTED, Env
from ilsupport.envs.camera import AHEAD, FULL_LOCK, HALF_LANE, Camera, picture

SPEED = 10.0  # m/s
STEP = 0.05  # s
WAVES = ((50.0, 0.22), (83.0, 0.20), (131.0, 0.15))  # lengths in m, curvatures in shares of full lock
RAIL = 3.0  # half lanes from the middle, where a crash barrier runs along the road
TURN = 1.0  # rad away from the road, the most that the barrier lets a car turn


class Driving(Env):
    """`n` cars, each on a road of its own, batched on any device.

    Observation `(n, 8)`: offset from the middle of the lane in half lanes (1 is the lane's edge), heading
    away from the road in radians, and the road's curvature 0, 5, 10, 15, 20 and 30 m ahead, in units of the
    steering that follows it. With `cameras`, names of `Camera.mounts` or Cameras, it is their pictures `(n,
    cameras, 30, 32)` instead; the state behind them stays at hand as `features`, for an expert who sees more
    than the learner.

    Action: steering in [-1, 1], `(n, 1)`: the share of full lock, which is a circle of 10 m radius. With
    `bins=k` it is one of k steering units instead, `(n,)` whole numbers, unit i steering by -1 + 2 i / (k -
    1): unit 0 is full right. Reward: minus the cost, 1 for every step that ends with the car's middle outside
    its lane. Nothing ends early: a car may come back. At three half lanes a barrier stops it from going
    further.

    A step is 0.05 s at 10 m/s, by Euler's rule. A road is three sine waves of curvature with random phases;
    cars start within a tenth of a half lane of the middle. Raises ValueError for fewer than two bins, an
    unknown camera or a horizon below 1.
    """

    def __init__(self, *, bins: int | None = None, cameras: Sequence[str | Camera] = (), horizon: int = 400,
                 device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        super().__init__(horizon, device, dtype)
        if bins is not None and bins < 2:
            raise ValueError(f"bins is {bins}, expected at least 2 steering units, or None to steer "
                             "continuously.")
        if isinstance(cameras, str):
            raise ValueError(f"cameras is {cameras!r}, expected a sequence, such as ({cameras!r},).")
        self.bins = bins
        self.cameras = [Camera.mounted(c, device=device, dtype=dtype) if isinstance(c, str) else c
                        for c in cameras]
        box, discrete = gymnasium.spaces.Box, gymnasium.spaces.Discrete
        high = np.array([RAIL, TURN, *[sum(amplitude for _, amplitude in WAVES)] * len(AHEAD)], np.float32)
        pictures = (len(self.cameras), *self.cameras[0].shape) if self.cameras else None
        self.observation_space = box(0, 1, pictures, np.float32) if pictures else box(-high, high)
        self.action_space = discrete(bins) if bins else box(-1, 1, (1,), np.float32)
        lengths, amplitudes = torch.tensor(WAVES, dtype=torch.float64).T
        self._waves = (2 * math.pi / lengths).to(device, dtype)
        angle = 2 * math.pi / lengths[:, None] * torch.tensor(AHEAD, dtype=torch.float64)
        rows = torch.cat([torch.cos(angle), torch.sin(angle)]) * amplitudes.repeat(2)[:, None]
        # (sin, cos) of the phases here -> curvature at the distances AHEAD
        self._look_ahead = rows.to(device, dtype)

    @property
    def features(self) -> Float[Tensor, "n 8"]:
        """The state of every car, whatever is observed. Raises RuntimeError before the first reset."""
        if self._n is None:
            raise RuntimeError(UNSTARTED)
        return self._features

    def place(self, offset: Float[Tensor, "n"], heading: Float[Tensor, "n"],
              phases: Float[Tensor, "n 3"]) -> Shaped[Tensor, "n *obs"]:
        """Put the cars somewhere: offset in half lanes, heading in rad, phases in rad of the road's waves
        there.

        Cars that were placed before any reset look through cameras without noise, which only a generator
        makes. Raises ValueError for other shapes.
        """
        state = [torch.as_tensor(x).to(self.device, self.dtype) for x in (offset, heading, phases)]
        n, shapes = len(state[0]), [tuple(x.shape) for x in state]
        if shapes != [(n,), (n,), (n, len(WAVES))]:
            raise ValueError(f"offset, heading and phases have shapes {shapes}, expected (n,), (n,) and "
                             "(n, 3).")
        self._n, (self._offset, self._heading, self._phases) = n, state
        self._along = torch.zeros_like(self._offset)
        return self._observe()

    def where(self, features: Float[Tensor, "n 8"]) -> tuple[Tensor, Tensor, Tensor]:
        """Offset, heading and phases of cars with these features, as `place` takes them: six curvatures are
        six equations for the sines and cosines of three phases.
        """
        features = features.to(self.device, self.dtype)
        waves = torch.linalg.solve(self._look_ahead.T, features[:, 2:].T)
        return features[:, 0], features[:, 1], torch.atan2(waves[:3], waves[3:]).T

    def _first(self, n: int) -> Tensor:
        start = torch.rand(n, 4, generator=self._generator, dtype=self.dtype, device=self.device)
        return self.place(0.2 * start[:, 0] - 0.1, torch.zeros_like(start[:, 0]), 2 * math.pi * start[:, 1:])

    def _next(self, action: Tensor) -> tuple[Tensor, Tensor]:
        if self.bins:
            steering = self._whole(action).to(self.dtype) * (2 / (self.bins - 1)) - 1
        else:
            steering = self._floats(action, 1).squeeze(1)
        bend = self._features[:, 2]
        # Of the road: in the inside of a bend one gets along faster.
        along = SPEED * torch.cos(self._heading) / (1 - bend * self._offset * (FULL_LOCK * HALF_LANE))
        sideways = torch.sin(self._heading) * (SPEED * STEP / HALF_LANE)
        self._offset = (self._offset + sideways).clamp(-RAIL, RAIL)
        turn = (SPEED * steering - along * bend) * (STEP * FULL_LOCK)
        self._heading = (self._heading + turn).clamp(-TURN, TURN)
        self._phases = self._phases + (along * STEP)[:, None] * self._waves
        self._along = self._along + along * STEP
        return self._observe(), -(self._offset.abs() > 1).to(self.dtype)

    def render(self) -> np.ndarray:
        """What the first car's driver sees, RGB, `(240, 320, 3)` of type uint8."""
        return picture(self.features[0], float(self._along[0]))

    def _observe(self) -> Tensor:
        waves = torch.cat([torch.sin(self._phases), torch.cos(self._phases)], 1)
        here = torch.stack([self._offset, self._heading], 1)
        self._features = torch.cat([here, waves @ self._look_ahead], 1)
        if not self.cameras:
            return self._features.clone()
        views = [camera(self._features, self._generator, self._along) for camera in self.cameras]
        return torch.stack(views, 1)
