"""Continuous actions: a Gaussian whose unit-variance case is mean squared error (page 1)."""
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ilsupport._checks import check_positive
from ilsupport.policies.base import Action, Head, Known, Obs, PerRow, PerStudent, known_sum
from ilsupport.policies.network import MLP, Net, Size
from ilsupport.random import Generators, randn

Columns = Float[Tensor, "*n d"]
LOG_STD_RANGE = (-5.0, 2.0)  # keeps the density finite on data that a mean could fit exactly


class Gaussian(Head):
    """`N(mu(s), std^2 I)` over `act_dim` actions, in units of the actions' own spread in the data.

    `std=None` learns a standard deviation for each state and dimension. With `standardise=False` units are
    the world's. For windows of observations `obs_dim` is (length, d), and `net` may be `GRU` or `Transformer`
    (page 8). Page 1: with `std = 1` the negative log-likelihood is half the squared error, in these units,
    plus `act_dim / 2 * log(2 pi)` and the logarithms of the units. `options` are those of `Head`. Raises
    ValueError for a std that is not positive, and as `Head` does.
    """

    def __init__(self, obs_dim: Size, act_dim: int, *, generator: Generators,
                 std: float | None = 1.0, net: Net = MLP, **options) -> None:
        super().__init__(obs_dim, act_dim, generator, **options)
        self.std = std if std is None else check_positive("std", std)
        self.net = self.network(obs_dim, act_dim if std is not None else 2 * act_dim, generator, net)

    def parameters_at(self, obs: Obs) -> tuple[Float[Tensor, "*M n act"], Float[Tensor, "*M n act"]]:
        """Mean and log standard deviation at each observation, in the world's units."""
        mean, log_std = split(self.net(self.seen(obs)), self.std)
        return self.plays.outward(mean), self.plays.widened(log_std)

    def act(self, obs: Obs, generator: torch.Generator | None = None) -> Action:
        """The mean, or with a generator a sample."""
        return self.played(drawn(*split(self.net(self.seen(obs)), self.std), generator))

    def loss(self, obs, action, generator=None, known=None) -> PerStudent:
        """Mean negative log-density of the batch; one value a student for a stack."""
        if self.std is None or self.students is not None or known is not None:
            return super().loss(obs, action, generator, known)
        mean, meant = self.net(self.seen(obs)), self.meant(obs, action)
        # page 1's identity, in one fused kernel
        half_mse = nn.functional.mse_loss(mean, meant) / (2 * self.std**2)
        each = half_mse + math.log(self.std) + 0.5 * math.log(2 * math.pi)
        return self.act_dim * each + self.plays.lost()

    def _density(self, obs: Obs, action: Action, known: Known) -> PerRow:
        each = log_normal(self.meant(obs, action), *split(self.net(self.seen(obs)), self.std))
        return known_sum(each, known) - self.plays.lost(known)


def split(out: Float[Tensor, "*n out"], std: float | None) -> tuple[Columns, Columns]:
    """A network's answer as mean and log standard deviation, which is constant where `std` is fixed."""
    if std is not None:
        return out, torch.full_like(out, math.log(std))
    mean, log_std = out.chunk(2, -1)
    return mean, log_std.clamp(*LOG_STD_RANGE)


def drawn(mean: Columns, log_std: Columns, generator: Generators | None) -> Columns:
    """A sample; without a generator the mean."""
    return mean if generator is None else mean + log_std.exp() * randn(mean.shape, generator, mean)


def log_normal(x: Columns, mean: Columns, log_std: Columns) -> Columns:
    """Log-density of each coordinate."""
    return -0.5 * ((x - mean) * (-log_std).exp()).square() - log_std - 0.5 * math.log(2 * math.pi)
