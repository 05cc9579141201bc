"""A policy behind a camera: the world's state goes in, the head sees a picture (pages 0, 2 and 6)."""
from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ilsupport.policies.base import Policy

GREY = 0.4  # about the mean brightness of a road; networks learn faster from numbers around 0


class Seeing(nn.Module):
    """`head` sees `camera(state)`, flattened and centred at 0, instead of the state.

    So trajectories hold states, a few numbers each, that an expert can label; the pictures are drawn when they are looked
    at, in `act` and in each batch of `fit` alike. `generator` feeds the camera's noise, if it has any; noise is then drawn
    anew whenever a state is looked at. `head` is any policy of `rows * columns` inputs, a stack of students included.
    """

    def __init__(self, camera: Callable[..., Tensor], head: Policy, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.camera, self.head, self.generator = camera, head, generator
        self.students, self.draws_noise = head.students, getattr(head, "draws_noise", False)

    def look(self, state: Float[Tensor, "*M n d"]) -> Float[Tensor, "*M n pixels"]:
        """What the head gets to see."""
        return self.camera(state, self.generator).flatten(-2) - GREY

    def act(self, state: Float[Tensor, "*M n d"], generator: torch.Generator | None = None) -> Shaped[Tensor, "*M n *act"]:
        """The head's action."""
        return self.head.act(self.look(state), generator)

    def log_prob(self, state: Float[Tensor, "*M n d"], action: Shaped[Tensor, "*M n *act"]) -> Float[Tensor, "*M n"]:
        """The head's log-probability."""
        return self.head.log_prob(self.look(state), action)

    def loss(self, state: Float[Tensor, "*M n d"], action: Shaped[Tensor, "*M n *act"], *noise) -> Float[Tensor, "*M"]:
        """The head's loss."""
        return self.head.loss(self.look(state), action, *noise)

    def check_targets(self, action: Tensor) -> None:
        """What the head has to say about the actions. `fit` calls it once."""
        if hasattr(self.head, "check_targets"):
            self.head.check_targets(action)
