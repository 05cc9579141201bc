"""A policy behind a camera: the world's state goes in, the head sees a picture (pages 0, 2 and 6)."""
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from ilsupport.policies.base import Policy
from ilsupport.policies.view import View

GREY = 0.4  # about the mean brightness of a road; networks learn faster from numbers around 0


class Seeing(View):
    """`head` sees `camera(state)`, flattened and centred at 0, instead of the state.

    So trajectories hold states, a few numbers each, that an expert can label; the pictures are drawn when
    they are looked at, in `act` and in each batch of `fit` alike. `camera` is a `Camera` or another module
    that makes pictures of states; `head` is any policy of `rows * columns` inputs, or a stack of them.
    """

    def __init__(self, camera: nn.Module, head: Policy) -> None:
        super().__init__(head, self.look)
        self.camera = camera

    def look(self, state: Float[Tensor, "*M n d"]) -> Float[Tensor, "*M n pixels"]:
        """What the head gets to see."""
        return self.camera(state).flatten(-2) - GREY

    def standardise(self, obs: Sequence[Tensor] | None, action: Sequence[Tensor]) -> None:
        """Pictures stay as they are; actions get their units."""
        super().standardise(None, action)
