"""A student who sees less than its teacher, or something else (page 8)."""
from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ilsupport.policies.base import Policy


class View(nn.Module):
    """`policy` with a filter before its eyes: it acts on, and learns from, `see(obs)`.

    The environment and the expert keep the whole observation. `see` works on the last dimension, whatever stands before
    it, so that it serves a student and a stack: `View(policy, lambda obs: obs[..., :2])` hides all but two columns.
    A `see` that overwrites a column is an intervention on it; `lambda w: w.flatten(-2)` lays the frames of a window side by
    side, for a head that takes vectors.
    """

    def __init__(self, head: Policy, see: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.head, self.see, self.students = head, see, head.students
        self.draws_noise = getattr(head, "draws_noise", False)

    def act(self, obs: Shaped[Tensor, "*M n *obs"], generator: torch.Generator | None = None) -> Shaped[Tensor, "*M n *act"]:
        """What the policy does about the part it sees."""
        return self.head.act(self.see(obs), generator)

    def log_prob(self, obs: Shaped[Tensor, "*M n *obs"], action: Shaped[Tensor, "*M n *act"]) -> Float[Tensor, "*M n"]:
        """Log-probability of each action given the part it sees."""
        return self.head.log_prob(self.see(obs), action)

    def loss(self, obs: Shaped[Tensor, "*M n *obs"], action: Shaped[Tensor, "*M n *act"], *generator) -> Float[Tensor, "*M"]:
        """The policy's own loss on the part it sees."""
        return self.head.loss(self.see(obs), action, *generator)

    def check_targets(self, action: Tensor) -> None:
        """As the policy does, if it checks them at all."""
        if hasattr(self.head, "check_targets"):
            self.head.check_targets(action)
