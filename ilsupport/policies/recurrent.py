"""A memory that is rewritten frame by frame: the recurrent network of page 8, for any head that takes `net=`.
"""
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ilsupport.policies.network import MLP, Size, window_size


class GRU(nn.Module):
    """A gated recurrent unit that reads a window from its oldest frame on and answers after the last one.

    `sizes` is ((length, d), memory, *hidden, out): `memory` numbers are carried from frame to frame, and an
    `MLP` with layers `hidden` answers from what is left in them. With a list of generators a stack, like
    `MLP`. Cho and others (2014), in the form of `torch.nn.GRU`. Raises ValueError for sizes that are not
    those of a window.
    """

    def __init__(self, sizes: Sequence[Size], generator: torch.Generator | Sequence[torch.Generator],
                 dtype: torch.dtype = torch.float32, activation: str = "relu") -> None:
        super().__init__()
        (_, d), memory = window_size(sizes[0]), sizes[1]
        if len(sizes) < 3:
            raise ValueError(f"sizes are {tuple(sizes)}, expected a memory in between: hidden=(memory, ...).")
        self.memory = memory
        self.reads = MLP((d, 3 * memory), generator, dtype)
        self.keeps = MLP((memory, 3 * memory), generator, dtype)
        self.answers = MLP((memory, *sizes[2:]), generator, dtype, activation)
        self.students = self.reads.students

    def forward(self, window: Float[Tensor, "*M n length d"]) -> Float[Tensor, "*M n out"]:
        """The answer after the last frame; the memory starts at zero."""
        # nothing here waits for the memory
        frames = self.reads(window.flatten(-3, -2)).unflatten(-2, window.shape[-3:-1])
        memory = window.new_zeros(*window.shape[:-2], self.memory)
        for frame in frames.unbind(-2):
            kept = self.keeps(memory)
            forget, hold = torch.sigmoid((frame + kept)[..., :2 * self.memory]).chunk(2, -1)
            new = torch.tanh(frame[..., 2 * self.memory:] + forget * kept[..., 2 * self.memory:])
            memory = new + hold * (memory - new)
        return self.answers(memory)
