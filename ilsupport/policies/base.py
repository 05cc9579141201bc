"""What every policy answers, and the network under most of them (page 1)."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn


@runtime_checkable
class Policy(Protocol):
    """A distribution over actions given an observation.

    `students` is None for one student, or `M` for a stack of `M` that train and act in one pass; a stack takes
    observations `(M, n, *obs)` and answers `(M, n, *act)`, its losses and log-probabilities gain the same leading `M`.
    """

    students: int | None

    def act(self, obs: Shaped[Tensor, "*M n obs"], generator: torch.Generator | None = None) -> Shaped[Tensor, "*M n *act"]:
        """The most likely action, or with a generator a sample."""

    def log_prob(self, obs: Shaped[Tensor, "*M n obs"], action: Shaped[Tensor, "*M n *act"]) -> Float[Tensor, "*M n"]:
        """Log-probability (or log-density) of each action."""

    def loss(self, obs: Shaped[Tensor, "*M n obs"], action: Shaped[Tensor, "*M n *act"]) -> Float[Tensor, "*M"]:
        """What `fit` minimises: the mean negative log-likelihood of the batch, or a bound on it.

        A head whose loss draws noise (latent, diffusion, flow) says so by `draws_noise = True`; its loss then takes a
        third argument, the generator to draw from (for a stack one a student).
        """


def randn(shape: Sequence[int], generator: torch.Generator | Sequence[torch.Generator], like: Tensor) -> Float[Tensor, "*shape"]:
    """Standard normal noise with the dtype and device of `like`.

    With a list of generators the leading dimension is the student's, and each student's noise comes from its own, so that
    it sees what it would see alone.
    """
    if isinstance(generator, torch.Generator):
        return torch.randn(shape, generator=generator, dtype=like.dtype, device=generator.device).to(like.device)
    return torch.stack([randn(shape[1:], g, like) for g in generator])


class MLP(nn.Module):
    """A ReLU network; with a list of generators a stack of `M` of them, one batched matrix product a layer.

    Weights start as `nn.Linear`'s do (uniform within 1/sqrt(fan-in)), drawn from the generator of each student, so that
    student `k` of a stack starts exactly where the same student alone would. The first of the `sizes` may be that of a
    window, (length, d): the network then reads its frames side by side (page 8).
    """

    def __init__(self, sizes: Sequence[int | tuple[int, int]], generator: torch.Generator | Sequence[torch.Generator],
                 dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        stacked = not isinstance(generator, torch.Generator)
        generators = list(generator) if stacked else [generator]
        self._window = not isinstance(sizes[0], int)
        if self._window:
            sizes = (math.prod(window_size(sizes[0])), *sizes[1:])
        if min(sizes) < 1 or not generators:
            raise ValueError(f"layer sizes {list(sizes)} and {len(generators)} generators, expected positive sizes and "
                             "at least one generator (one a student).")
        self.students = len(generators) if stacked else None
        drawn = [_draw(sizes, g, dtype) for g in generators]
        layers = [torch.stack(tensors) for tensors in zip(*drawn)] if stacked else drawn[0]
        self.weights = nn.ParameterList(layers[0::2])
        self.biases = nn.ParameterList(layers[1::2])
        # The same parameters once more: looking them up in a ParameterList costs a tenth of a small forward pass.
        self._layers = list(zip(self.weights, self.biases))

    def forward(self, x: Float[Tensor, "*M n d"]) -> Float[Tensor, "*M n out"]:
        if self._window:
            x = x.flatten(-2)
        for i, (weight, bias) in enumerate(self._layers):
            if i:
                x = torch.relu(x)
            if self.students is None:
                x = nn.functional.linear(x, weight, bias)
            else:
                x = torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
        return x

    @property
    def like(self) -> Tensor:
        """A parameter, for its dtype and device."""
        return self._layers[0][0]


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
        raise ValueError(f"an observation has size {size}, expected (length, d), both at least 1: this network reads windows "
                         "of observations, as Window(env, length) gives them.")
    return size


def check_observation(obs: Tensor, obs_dim: int | tuple[int, int], students: int | None, like: Tensor) -> None:
    """Raise ValueError unless `obs` is what a network of this width takes, with the dtype and device of `like`."""
    one = (obs_dim,) if isinstance(obs_dim, int) else obs_dim
    lead = obs.ndim - len(one)
    if lead != (1 if students is None else 2) or obs.shape[lead:] != one or students not in (None, obs.shape[0]):
        wanted = ", ".join(map(str, ("n", *one) if students is None else (students, "n", *one)))
        raise ValueError(f"observations have shape {tuple(obs.shape)}, expected ({wanted}).")
    if obs.dtype != like.dtype:
        raise ValueError(f"observations have dtype {obs.dtype}, expected {like.dtype} like the policy; "
                         f"write obs.to({like.dtype}) or build the policy with dtype={obs.dtype}.")
    if obs.device != like.device:
        raise ValueError(f"observations are on {obs.device}, the policy is on {like.device}; "
                         f"move one: policy.to('{obs.device}').")
