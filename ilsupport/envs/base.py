"""The one interface of every environment in the book: `n` copies advance together, as tensors."""
from __future__ import annotations

from typing import Protocol

import gymnasium
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor


class Env(Protocol):
    """A batch of copies of one environment. Spaces are those of a single copy, `horizon` is the default `T`.

    Copies do not reset themselves: what a copy does after its episode ended is padding, which `rollout` masks out.
    """

    observation_space: gymnasium.Space
    action_space: gymnasium.Space
    horizon: int
    device: torch.device
    dtype: torch.dtype

    def reset(self, n: int, generator: torch.Generator) -> Shaped[Tensor, "n *obs"]:
        """Start `n` episodes. The generator, on the environment's device, drives them from here on."""

    def step(self, action: Shaped[Tensor, "n *act"]) -> tuple[
            Shaped[Tensor, "n *obs"], Float[Tensor, "n"], Bool[Tensor, "n"], Bool[Tensor, "n"]]:
        """Observation, reward, terminated, truncated."""


def check_reset(n: int, generator: torch.Generator, device: torch.device) -> None:
    """Raise unless `n >= 1` episodes can be driven by `generator` on `device`."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n is {n!r}, expected a whole number of episodes, at least 1.")
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator is {type(generator).__name__}, expected a torch.Generator; "
                        "write ilsupport.generator(seed).")
    if generator.device.type != device.type:
        raise ValueError(f"the generator lives on {generator.device}, the environment on {device}; "
                         f"write ilsupport.generator(seed, '{device}').")


def check_actions(actions: Tensor, space: gymnasium.Space) -> None:
    """Raise ValueError unless every action `(N, *act)` lies in the action space of one copy."""
    if isinstance(space, gymnasium.spaces.Discrete):
        low, high = int(space.start), int(space.start + space.n - 1)
        if actions.ndim != 1 or actions.is_floating_point():
            raise ValueError(f"actions have shape {tuple(actions.shape)} and dtype {actions.dtype}, expected (N,) whole "
                             f"numbers from {low} to {high}.")
        bad = (actions < low) | (actions > high)
    elif isinstance(space, gymnasium.spaces.Box):
        if tuple(actions.shape[1:]) != space.shape or not actions.is_floating_point():
            raise ValueError(f"actions have shape {tuple(actions.shape)} and dtype {actions.dtype}, expected floats "
                             f"{('N', *space.shape)}.")
        low, high = (torch.as_tensor(b, dtype=actions.dtype, device=actions.device) for b in (space.low, space.high))
        bad = ~((actions >= low) & (actions <= high))
    else:
        raise TypeError(f"action space {space}, expected Discrete or Box.")
    if bool(bad.any()):
        raise ValueError(f"action {actions[bad][0].tolist()} lies outside the action space {space}; "
                         "clip it in the policy or widen the space.")
