"""A policy behind a camera: the world's state goes in, the head sees a picture (pages 0, 2 and 6)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ilsupport.policies.base import Policy
from ilsupport.policies.view import View

GREY = 0.4  # about the mean brightness of a road; networks learn faster from numbers around 0


class Seeing(View):
    """`head` sees `camera(state)`, flattened and centred at 0, instead of the state.

    So trajectories hold states, a few numbers each, that an expert can label; the pictures are drawn when
    they are looked at, in `act` and in each batch of `fit` alike. `generator` feeds the camera's noise, if it
    has any; noise is then drawn anew whenever a state is looked at. `head` is any policy of `rows * columns`
    inputs, a stack of students included.
    """

    def __init__(self, camera: nn.Module, head: Policy, *, generator: torch.Generator | None = None) -> None:
        super().__init__(head, self.look)
        self.camera, self.generator = camera, generator

    def look(self, state: Float[Tensor, "*M n d"]) -> Float[Tensor, "*M n pixels"]:
        """What the head gets to see."""
        return self.camera(state, self.generator).flatten(-2) - GREY

    def standardise(self, obs: Sequence[Tensor] | None, action: Sequence[Tensor]) -> None:
        """Pictures stay as they are; actions get their units."""
        super().standardise(None, action)
