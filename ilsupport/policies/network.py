"""The network under most policies, alone or as a stack of many students (page 1)."""
import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

Size = int | tuple[int, int]  # of an observation, or of a window of them: (length, d)
Net = Callable[..., nn.Module]
# In place where the gradient needs the answer only: what a layer gives is nobody else's.
ACTIVATIONS = {"relu": torch.relu_, "tanh": torch.tanh_, "silu": nn.functional.silu,
               "gelu": nn.functional.gelu, "elu": nn.functional.elu}


class MLP(nn.Module):
    """A fully connected network; with a list of generators a stack of `M` of them, one batched matrix product
    a layer.

    Weights start as `nn.Linear`'s do (uniform within 1/sqrt(fan-in)), drawn from the generator of each
    student, so that student `k` of a stack starts exactly where the same student alone would. The first of
    the `sizes` may be that of a window, (length, d): the network then reads its frames side by side (page 8).
    Raises ValueError for sizes below 1, no generator, and an unknown activation.
    """

    def __init__(self, sizes: Sequence[Size], generator: torch.Generator | Sequence[torch.Generator],
                 dtype: torch.dtype = torch.float32, activation: str = "relu") -> None:
        super().__init__()
        stacked = not isinstance(generator, torch.Generator)
        generators = list(generator) if stacked else [generator]
        self._window = not isinstance(sizes[0], int)
        if self._window:
            sizes = (math.prod(window_size(sizes[0])), *sizes[1:])
        if min(sizes) < 1 or not generators:
            raise ValueError(f"sizes {list(sizes)}, {len(generators)} generators, expected all above 0.")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}, expected one of {', '.join(ACTIVATIONS)}.")
        self.students, self._between = len(generators) if stacked else None, ACTIVATIONS[activation]
        drawn = [_draw(sizes, g, dtype) for g in generators]
        layers = [torch.stack(tensors) for tensors in zip(*drawn)] if stacked else drawn[0]
        self._names = [(f"weight{i}", f"bias{i}") for i in range(len(sizes) - 1)]
        for name, tensor in zip((name for pair in self._names for name in pair), layers):
            self.register_parameter(name, nn.Parameter(tensor))

    def forward(self, x: Float[Tensor, "*M n d"]) -> Float[Tensor, "*M n out"]:
        if self._window:
            x = x.flatten(-2)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            if i:
                x = self._between(x)
            if self.students is None:
                x = nn.functional.linear(x, weight, bias)
            else:
                x = torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
        return x

    @property
    def weights(self) -> list[Float[Tensor, "*M out in"]]:
        """The weights, layer by layer."""
        return [getattr(self, weight) for weight, _ in self._names]

    @property
    def biases(self) -> list[Float[Tensor, "*M out"]]:
        """The biases, layer by layer."""
        return [getattr(self, bias) for _, bias in self._names]


def _draw(sizes: Sequence[int], generator: torch.Generator, dtype: torch.dtype) -> list[Tensor]:
    """Weight and bias of each layer in turn, from one generator."""
    tensors = []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:]):
        for shape in ((fan_out, fan_in), (fan_out,)):
            uniform = torch.rand(shape, generator=generator, dtype=dtype, device=generator.device)
            tensors.append((2 * uniform - 1) / fan_in ** 0.5)
    return tensors


def window_size(size: object) -> tuple[int, int]:
    """`size` if it is that of a window of observations, (length, d); raise ValueError otherwise."""
    if not isinstance(size, tuple) or len(size) != 2 or not all(isinstance(x, int) and x > 0 for x in size):
        raise ValueError(f"an observation has size {size}, expected (length, d), as of Window(env, length).")
    return size
