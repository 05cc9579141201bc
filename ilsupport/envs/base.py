"""The one interface of every environment in the book: `n` copies advance together, as tensors."""
from __future__ import annotations

import copy

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from ilsupport._checks import check_horizon, check_shape
from ilsupport.identity import Configured

Device = torch.device | str
Step = tuple[Shaped[Tensor, "n *obs"], Float[Tensor, "n"], Bool[Tensor, "n"], Bool[Tensor, "n"]]


class Env(Configured):
    """A batch of copies of one environment. Spaces are those of a single copy, `horizon` is the default `T`.

    Copies do not reset themselves: what a copy does after its episode ended is padding, which `rollout` masks
    out. `success` says which of the last episodes reached their goal, `(n,)`, where the environment tells,
    else None; `left` how many episodes have not ended, where it knows that without a look at the device. What
    `reset` and `step` return is the caller's own: nobody writes on it again.

    A world of our own defines `_first(n)`, which gives the first observations, and `_next(action)`, which
    takes actions by `_whole` or `_floats` and gives the next observations and the rewards; nothing ends early
    in it. An environment need not be one of this class: what has these attributes, `reset` and `step` is one.
    Other public attributes are settings, state begins with an underscore. Raises ValueError for a horizon
    below 1.
    """

    observation_space: gymnasium.Space
    action_space: gymnasium.Space
    success: Bool[Tensor, "n"] | None = None
    left: int | None = None

    def __init__(self, horizon: int, device: Device, dtype: torch.dtype) -> None:
        self.horizon, self.device, self.dtype = check_horizon(horizon), torch.device(device), dtype
        self._n = self._generator = None

    def reset(self, n: int, generator: torch.Generator) -> Shaped[Tensor, "n *obs"]:
        """Start `n` episodes. The generator, on the environment's device, drives them from here on.

        Raises ValueError for `n` below 1 and a generator on another device.
        """
        if not isinstance(generator, torch.Generator):
            raise TypeError(f"generator is {generator!r}, expected a torch.Generator: il.generator(seed).")
        if self.device.type not in (generator.device.type, "meta"):  # meta tensors have no numbers to draw
            raise ValueError(f"generator on {generator.device}, write il.generator(seed, '{self.device}').")
        self._n, self._generator = check_horizon(n, "number of episodes n"), generator
        return self._first(n).clone()

    def step(self, action: Shaped[Tensor, "n *act"]) -> Step:
        """Observation, reward, terminated, truncated. Actions may be an array, and on any device.

        Raises RuntimeError before the first reset, ValueError for actions of the wrong shape or kind.
        """
        obs, reward = self._next(action)
        never = torch.zeros(2, self._n, dtype=torch.bool, device=self.device)
        return obs.clone(), reward.clone(), *never

    def to(self, device: Device | None = None, dtype: torch.dtype | None = None) -> Env:
        """A copy on another device or with another dtype; reset it first."""
        moved, device, dtype = copy.copy(self), torch.device(device or self.device), dtype or self.dtype
        for name, value in vars(self).items():
            if isinstance(value, Env | Tensor):
                whole = isinstance(value, Tensor) and not value.is_floating_point()
                setattr(moved, name, value.to(device, value.dtype if whole else dtype))
        moved.device, moved.dtype, moved._n, moved._generator = device, dtype, None, None
        return moved

    def _checked(self, action: Shaped[Tensor, "n *act"], shape: tuple[int, ...], kind: type) -> Tensor:
        """The actions as a tensor, one of this shape a copy, of this kind: `int` or `float`."""
        if self._n is None:
            raise RuntimeError("step before reset; call env.reset(n, generator) first.")
        return check_shape("action", torch.as_tensor(action), (self._n, *shape), kind, "one action a copy")

    def _whole(self, action: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
        """The actions, checked, as int64 on the environment's device."""
        return self._checked(action, (), int).to(self.device, torch.int64)

    def _floats(self, action: Float[Tensor, "n k"], k: int) -> Float[Tensor, "n k"]:
        """The actions, checked, with the environment's dtype and on its device."""
        return self._checked(action, (k,), float).to(self.device, self.dtype)

    def _first(self, n: int) -> Shaped[Tensor, "n *obs"]:
        raise NotImplementedError(f"{type(self).__name__} says neither how it starts nor how it goes on.")

    _next = _first


def action_range(space: gymnasium.Space, remedy: str = "wrap it") -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest action of a space of numbers or arrays. Raises TypeError, with a remedy, else."""
    check_space("the action space", space, (Box, Discrete, MultiDiscrete), remedy)
    if isinstance(space, Box):
        return space.low, space.high
    first = np.asarray(space.start)
    return first, first + (space.n if isinstance(space, Discrete) else space.nvec) - 1


def counts_from(space: gymnasium.Space) -> np.ndarray | int:
    """What whole numbers of this space begin with; in our tensors they begin with 0."""
    return space.start if isinstance(space, (Discrete, MultiDiscrete)) else 0


def check_space(name: str, space: gymnasium.Space, kinds: tuple[type, ...], remedy: str) -> None:
    """Raise TypeError, with a remedy, unless the space is of one of these kinds."""
    if not isinstance(space, kinds):
        raise TypeError(f"{name} is {space}, expected {' or '.join(k.__name__ for k in kinds)}; {remedy}.")


def check_actions(actions: Shaped[Tensor, "N *act"], space: gymnasium.Space) -> None:
    """Raise ValueError unless every action lies in the action space of one copy."""
    low, high = (torch.as_tensor(bound, device=actions.device) for bound in action_range(space))
    kind = float if space.dtype.kind == "f" else int
    check_shape("action", actions, ("N", *space.shape), kind, f"actions lie in {space}")
    bad = ~((actions >= low.to(actions.dtype)) & (actions <= high.to(actions.dtype)))
    if bool(bad.any()):
        raise ValueError(f"action {actions[bad][0].tolist()} lies outside the action space {space}; give the "
                         "policy limits=(low, high), as Gaussian.of(env, ...) does, or widen the space.")
