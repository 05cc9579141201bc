"""A memory that is looked up: the small causal transformer of page 8, for any head that takes `net=`."""
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm, scaled_dot_product_attention

from ilsupport.policies.network import MLP, Size, window_size

HEADS = 4


class Transformer(nn.Module):
    """A decoder-only transformer that reads a window and answers from its last frame.

    `sizes` is ((length, d), width, ..., width, out), one block for each width; all widths are equal, and a
    multiple of the 4 attention heads. A frame looks at itself and at older frames only. With a list of
    generators a stack, like `MLP`. Vaswani and others (2017), normalised before each layer as GPT-2 is.
    Raises ValueError for other sizes.
    """

    def __init__(self, sizes: Sequence[Size], generator: torch.Generator | Sequence[torch.Generator],
                 dtype: torch.dtype = torch.float32, activation: str = "relu") -> None:
        super().__init__()
        (length, d), widths = window_size(sizes[0]), sizes[1:-1]
        if len(set(widths)) != 1 or widths[0] % HEADS:
            raise ValueError(f"hidden is {tuple(widths)}, expected equal widths, multiples of {HEADS}.")
        width = widths[0]
        # A frame says where in the window it stands, one-hot, and one linear map embeds both. The norms have
        # no scale and
        # shift of their own: a linear map follows each of them.
        self.embed = MLP((d + length, width), generator, dtype)
        self.blocks = nn.ModuleList(nn.ModuleDict({
            "look": MLP((width, 3 * width), generator, dtype), "mix": MLP((width, width), generator, dtype),
            "think": MLP((width, 2 * width, width), generator, dtype, activation)}) for _ in widths)
        self.answers = MLP((width, sizes[-1]), generator, dtype)
        self.students = self.embed.students

    def stream(self, window: Float[Tensor, "*M n length d"]) -> Float[Tensor, "*M n length width"]:
        """What the network holds at each frame after the last block: of that frame and older ones."""
        length = window.shape[-2]
        place = torch.eye(length, dtype=window.dtype, device=window.device).expand(*window.shape[:-1], length)
        x = _each(self.embed, torch.cat([window, place], -1))
        for block in self.blocks:
            look = _each(block["look"], layer_norm(x, x.shape[-1:]))
            # students side by side: attention has no parameters
            look = look.view(-1, length, 3, HEADS, x.shape[-1] // HEADS)
            query, key, value = look.permute(2, 0, 3, 1, 4)
            seen = scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)
            x = x + _each(block["mix"], seen.reshape(x.shape))
            x = x + _each(block["think"], layer_norm(x, x.shape[-1:]))
        return layer_norm(x, x.shape[-1:])

    def forward(self, window: Float[Tensor, "*M n length d"]) -> Float[Tensor, "*M n out"]:
        """The answer at the last frame, which has seen them all."""
        return self.answers(self.stream(window)[..., -1, :])


def _each(net: MLP, x: Float[Tensor, "*M n length d"]) -> Float[Tensor, "*M n length out"]:
    """`net` on every frame."""
    return net(x.flatten(-3, -2)).unflatten(-2, x.shape[-3:-1])
