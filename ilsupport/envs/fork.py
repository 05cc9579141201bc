"""A tree in the way, and two right answers: pass it on the left or on the right (page 7).

The mean of the two is the tree. And the coordinates of the action belong together: on the left the going is
good and one speeds up, on the right it is rough and one slows down. Whoever draws one coordinate without a
look at the other invents ways that nobody showed.
"""
import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ilsupport.envs.base import Device, Env

DT = 0.1  # s, one step
THRUST = 5.0  # m/s^2, the acceleration of a full action
TREE = 0.33  # m, the radius of the tree, whose middle is the origin
GOAL = 0.4  # m, the line behind the tree that is to be crossed
HIGH = (1.5, 1.0, 2.0, 2.0)  # half the field's length and width in m, top speed each way in m/s
LEAST, SPREAD = (-0.7, -0.02, 0.95, -0.02), (0.06, 0.04, 0.1, 0.04)  # the start, and how far from it
CENTRED = 0.07  # m, so near the middle line both sides are right
ASIDE = 0.55  # m, how far out the expert passes
TEMPO = 0.12  # m/s, how much faster it is on the left and slower on the right
TREMBLE = 0.05  # standard deviation of the expert's hand, in full actions


class Fork(Env):
    """`n` carts that must get past a tree, batched on any device.

    Observation `(n, 4)`: position (x, y) in m, then velocity in m/s. A cart starts at x between -0.7 and
    -0.64, near the middle line, rolling towards the tree at about 1 m/s: a third of a second from it. Action
    `(n, 2)`: acceleration along x and y as a share of 5 m/s^2, clipped to [-1, 1]. A step is 0.1 s, velocity
    first, then position. The edge of the field stops what runs into it; a cart that ends a step inside the
    tree has crashed and stays there.

    Reward: minus the cost, which is 1 at the step of the crash, or else at the last of the `horizon` steps if
    the cart is not past the line x = 0.4 then. So an episode costs 0 or 1, and the mean cost is the share
    that failed.

    Raises ValueError for a horizon below 1 (and `rollout` for actions outside [-1, 1]).
    """

    observation_space = gymnasium.spaces.Box(-np.float32(HIGH), np.float32(HIGH))
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, *, horizon: int = 18, device: Device = "cpu",
                 dtype: torch.dtype = torch.float32) -> None:
        super().__init__(horizon, device, dtype)
        self._high, self._least, self._spread = torch.tensor([HIGH, LEAST, SPREAD], dtype=dtype).to(device)

    def _first(self, n: int) -> Tensor:
        uniform = torch.rand(n, 4, generator=self._generator, device=self.device, dtype=self.dtype)
        self._t, self._obs = 0, self._least + self._spread * uniform
        return self._obs

    def _next(self, action: Tensor) -> tuple[Tensor, Tensor]:
        action = self._floats(action, 2)
        self._t += 1
        before = crashed(self._obs)
        position, velocity = self._obs.chunk(2, 1)
        velocity = (velocity + DT * THRUST * action.clamp(-1, 1)).clamp(-self._high[2:], self._high[2:])
        free = position + DT * velocity
        moved = free.clamp(-self._high[:2], self._high[:2])
        after = torch.cat([moved, torch.where(moved == free, velocity, 0)], 1)
        hit = crashed(after)
        after[:, 2:] = torch.where(hit[:, None], 0, after[:, 2:])
        self._obs = torch.where(before[:, None], self._obs, after)
        cost = hit & ~before
        if self._t == self.horizon:
            cost = cost | ~(before | hit | arrived(after))
        return self._obs, -cost.to(self.dtype)


def crashed(obs: Float[Tensor, "*n 4"]) -> Bool[Tensor, "*n"]:
    """Whether the cart is in the tree."""
    return obs[..., :2].square().sum(-1) < TREE**2


def arrived(obs: Float[Tensor, "*n 4"]) -> Bool[Tensor, "*n"]:
    """Whether the cart is past the line behind the tree."""
    return obs[..., 0] > GOAL


def side(obs: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """1 for a cart that is passing on the left (positive y), -1 on the right, 0 while that is open.

    It is open before the tree, while the cart will in 0.3 s still be within 0.07 m of the middle line.
    """
    x, y, _, speed = obs.unbind(-1)
    heading = y + 0.3 * speed
    return torch.where((heading.abs() < CENTRED) & (x < 0), 0, torch.where(heading > 0, 1, -1)).to(obs.dtype)


def steer(obs: Float[Tensor, "*n 4"], side: Float[Tensor, "*n"]) -> Float[Tensor, "*n 2"]:
    """The action that takes a cart past the tree on `side` (1 left, -1 right) and back to the middle."""
    x, y, vx, vy = obs.unbind(-1)
    out = side * ((0.4 - x) / 0.4).clamp(0, 1)  # swing out until the tree, then come back to the middle
    action = torch.stack([10 * (1 + TEMPO * out - vx), 25 * (ASIDE * out - y) - 9 * vy], -1) / THRUST
    return action.clamp(-0.8, 0.8)  # the hand that trembles needs room
