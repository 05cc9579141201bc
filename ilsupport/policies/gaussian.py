"""Continuous actions: a Gaussian whose unit-variance case is mean squared error (page 1)."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ilsupport.policies.base import MLP, check_observation

LOG_STD_RANGE = (-5.0, 2.0)  # keeps the density finite on data that a mean could fit exactly


class Gaussian(nn.Module):
    """`N(mu(s), std^2 I)` over `act_dim` actions; `std=None` learns a standard deviation for each state and dimension.

    `limits = (low, high)` clips what `act` plays, as an actuator would; likelihood and loss know nothing of it.
    For windows of observations `obs_dim` is (length, d), and `net` may be `GRU` or `Transformer` (page 8).
    Page 1: with `std = 1` the negative log-likelihood is half the squared error plus `act_dim / 2 * log(2 pi)`.
    Raises ValueError for a std that is not positive, limits out of order, and on observations of another shape, dtype or device.
    """

    def __init__(self, obs_dim: int | tuple[int, int], act_dim: int, *,
                 generator: torch.Generator | Sequence[torch.Generator], std: float | None = 1.0,
                 limits: tuple[float, float] | None = None, hidden: Sequence[int] = (64, 64),
                 net: Callable[..., nn.Module] = MLP, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if std is not None and not 0 < std < math.inf:
            raise ValueError(f"std is {std}, expected a positive number, or None to learn it.")
        if limits is not None and not limits[0] < limits[1]:
            raise ValueError(f"limits are {limits}, expected (low, high) with low < high.")
        self.limits = limits or (-math.inf, math.inf)
        self.net = net((obs_dim, *hidden, act_dim if std is not None else 2 * act_dim), generator, dtype)
        self.obs_dim, self.act_dim, self.std, self.students = obs_dim, act_dim, std, self.net.students

    def parameters_at(self, obs: Float[Tensor, "*M n obs"]) -> tuple[Tensor, Tensor | float]:
        """Mean `(*M, n, act)` and log standard deviation (same shape, or a number) at each observation."""
        check_observation(obs, self.obs_dim, self.students, self.net.like)
        if self.std is not None:
            return self.net(obs), math.log(self.std)
        mean, log_std = self.net(obs).chunk(2, -1)
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def act(self, obs: Float[Tensor, "*M n obs"], generator: torch.Generator | None = None) -> Float[Tensor, "*M n act"]:
        """The mean, or with a generator a sample."""
        mean, log_std = self.parameters_at(obs)
        if generator is not None:
            noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
            mean = mean + noise * (log_std.exp() if isinstance(log_std, Tensor) else self.std)
        return mean.clamp(*self.limits)

    def log_prob(self, obs: Float[Tensor, "*M n obs"], action: Float[Tensor, "*M n act"]) -> Float[Tensor, "*M n"]:
        """Log-density of each action, summed over its dimensions."""
        mean, log_std = self.parameters_at(obs)
        scale = (-log_std).exp() if isinstance(log_std, Tensor) else 1 / self.std
        return (-0.5 * ((action - mean) * scale) ** 2 - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def loss(self, obs: Float[Tensor, "*M n obs"], action: Float[Tensor, "*M n act"]) -> Float[Tensor, "*M"]:
        """Mean negative log-density of the batch; one value a student for a stack."""
        if self.std is not None and self.students is None and action.shape == (len(obs), self.act_dim):
            mean, log_std = self.parameters_at(obs)  # the same number through one fused kernel: page 1's identity
            half_mse = nn.functional.mse_loss(mean, action) / (2 * self.std**2)
            return self.act_dim * (half_mse + log_std + 0.5 * math.log(2 * math.pi))
        return -self.log_prob(obs, action).mean(-1)

    def check_targets(self, action: Tensor) -> None:
        """Raise ValueError unless actions are floats of `act_dim` dimensions. `fit` calls it once."""
        if not action.is_floating_point() or action.ndim < 2 or action.shape[-1] != self.act_dim:
            raise ValueError(f"actions have shape {tuple(action.shape)} and dtype {action.dtype}, expected floats "
                             f"(N, {self.act_dim}); integer actions want a Categorical policy.")
