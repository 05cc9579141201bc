"""Memory as an observation: the last few frames of any environment of the book (page 8)."""
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from jaxtyping import Bool, Shaped
from torch import Tensor

from ilsupport._checks import check_horizon
from ilsupport.envs.base import Env, Step, check_space


class Window(Env):
    """`env` with a memory: observation `(n, length, d)`, the last `length` ones of `env`, oldest first.

    While the episode is younger than that, its first observation stands in for what came before. With
    `actions=True`, where actions are discrete, each frame also holds the action that led to it, one-hot and
    zeros before the first: `(n, length, d + act)`.

    Raises TypeError for observations that are not vectors and actions to be held that are not discrete,
    ValueError for a length below 1 or beyond the horizon.
    """

    def __init__(self, env: Env, length: int, *, actions: bool = False) -> None:
        super().__init__(env.horizon, env.device, env.dtype)
        self.env, self.actions = env, actions
        self.length = check_horizon(length, "window length", env.horizon)
        self.action_space, space = env.action_space, env.observation_space
        if not isinstance(space, Box) or len(space.shape) != 1:
            raise TypeError(f"observations lie in {space}, expected a Box of vectors; flatten them first.")
        if actions:
            check_space("the action space", self.action_space, (Discrete,), "leave actions=True out")
        choices = self.action_space.n if actions else 0
        low, high = np.pad(space.low, (0, choices)), np.pad(space.high, (0, choices), constant_values=1)
        self.observation_space = Box(np.tile(low, (length, 1)), np.tile(high, (length, 1)), dtype=space.dtype)
        self._choices = torch.arange(choices, device=self.device)

    @property
    def success(self) -> Bool[Tensor, "n"] | None:
        """What `env` says of its episodes."""
        return getattr(self.env, "success", None)

    def _first(self, n: int) -> Tensor:
        frame = self.env.reset(n, self._generator)
        frame = torch.cat([frame, frame.new_zeros(n, len(self._choices))], 1)
        self._frames = frame.unsqueeze(1).expand(-1, self.length, -1).contiguous()
        return self._frames.clone()

    def step(self, action: Shaped[Tensor, "n *act"]) -> Step:
        """One step of `env`; the oldest frame makes room for the new one."""
        frame, reward, terminated, truncated = self.env.step(action)
        if self.actions:  # torch's own one_hot waits for the device to look at the numbers
            taken = torch.as_tensor(action).to(self.device)[:, None] == self._choices
            frame = torch.cat([frame, taken.to(frame.dtype)], 1)
        self._frames = torch.cat([self._frames[:, 1:], frame.unsqueeze(1)], 1)
        return self._frames.clone(), reward, terminated, truncated
