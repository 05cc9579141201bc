"""Memory as an observation: the last few frames of any environment of the book (page 8)."""
from __future__ import annotations

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from ilsupport._checks import check_horizon
from ilsupport.envs.base import Env


class Window:
    """`env` with a memory: observation `(n, length, d)`, the last `length` observations of `env`, oldest first.

    While the episode is younger than that, its first observation stands in for what came before. With `actions=True`
    each frame also holds the action that led to it, one-hot where actions are discrete and zeros before the first:
    `(n, length, d + act)`.

    Raises TypeError for observations that are not vectors, ValueError for a length below 1 or beyond the horizon.
    """

    def __init__(self, env: Env, length: int, *, actions: bool = False) -> None:
        self.env, self.length, self.actions = env, check_horizon(length, "window length"), actions
        space = env.observation_space
        if not isinstance(space, Box) or len(space.shape) != 1:
            raise TypeError(f"the observation space is {space}, expected a Box of vectors; flatten the observations first.")
        if self.length > env.horizon:
            raise ValueError(f"a window of {length} observations is longer than the {env.horizon} steps of an episode, "
                             "expected at most as many; shorten the window or raise the horizon.")
        self.action_space, self.horizon, self.device, self.dtype = env.action_space, env.horizon, env.device, env.dtype
        low, high = space.low, space.high
        if actions:
            low, high = (np.append(*bounds).astype(space.dtype) for bounds in zip((low, high), self._action_bounds()))
        self.observation_space = Box(np.tile(low, (length, 1)), np.tile(high, (length, 1)), dtype=space.dtype)
        self._frames: Tensor | None = None

    def reset(self, n: int, generator: torch.Generator) -> Float[Tensor, "n length d"]:
        """Start `n` episodes: windows filled with the first observation."""
        frame = self.env.reset(n, generator)
        if self.actions:
            frame = torch.cat([frame, frame.new_zeros(n, len(self._action_bounds()[0]))], 1)
        self._frames = frame.unsqueeze(1).expand(-1, self.length, -1).contiguous()
        return self._frames

    def step(self, action: Shaped[Tensor, "n *act"]) -> tuple[
            Float[Tensor, "n length d"], Float[Tensor, "n"], Bool[Tensor, "n"], Bool[Tensor, "n"]]:
        """One step of `env`; the oldest frame makes room for the new one."""
        if self._frames is None:
            raise RuntimeError("step before reset; call env.reset(n, generator) first.")
        frame, reward, terminated, truncated = self.env.step(action)
        if self.actions:
            discrete = isinstance(self.action_space, Discrete)
            taken = torch.nn.functional.one_hot(action - int(self.action_space.start), int(self.action_space.n)) \
                if discrete else action.flatten(1)
            frame = torch.cat([frame, taken.to(frame.dtype)], 1)
        self._frames = torch.cat([self._frames[:, 1:], frame.unsqueeze(1)], 1)
        return self._frames, reward, terminated, truncated

    def _action_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the part of a frame that holds an action; a box is widened to hold the zeros before the first one."""
        if isinstance(self.action_space, Discrete):
            return np.zeros(self.action_space.n), np.ones(self.action_space.n)
        return np.minimum(self.action_space.low, 0).ravel(), np.maximum(self.action_space.high, 0).ravel()
