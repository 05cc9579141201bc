"""Several right answers: a mixture of Gaussians (page 7; Bishop, 1994)."""
from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ilsupport.policies.base import Head, known_sum
from ilsupport.policies.categorical import pick
from ilsupport.random import Generators, randn

SHARE = 1e-3  # of the weight is spread over all components alike
START = 0.2  # the standard deviation of every component before training


class Mixture(Head):
    """`sum_k w_k(s) N(mu_k(s), L_k(s) L_k(s)^T)` over `act_dim` actions, with `components` Gaussians.

    `full=True` learns whole Cholesky factors `L_k`, the default diagonal ones. Means and scales are in units of the
    actions' own spread in the data (`standardise=False`: in the world's). `options` are those of `Head`.

    Left alone, maximum likelihood collapses here in two ways. A component that sits on one action and shrinks has a
    density without bound: so no diagonal entry of `L_k` falls below `floor`. And components that start in one place
    share one gradient and fuse, so that modes go short: so their means start spread over [-spread, spread] in each
    dimension (equal steps in random order), each 0.2 wide, and 0.001 of the weight is
    always dealt out evenly, so that none is lost for good. On 16 modes that raises the likelihood (tests/test_mixture.py;
    `spread=0` starts all as one), and twice as many components as modes raise it more.

    Raises ValueError for no component, a floor outside (0, 0.2), a negative spread, and observations and actions of another
    shape, dtype or device.
    """

    def __init__(self, obs_dim: int, act_dim: int, components: int = 5, *, generator: Generators, full: bool = False,
                 floor: float = 0.01, spread: float = 1.0, **options) -> None:
        super().__init__(obs_dim, act_dim, generator, **options)
        if components < 1:
            raise ValueError(f"components is {components}, expected at least one.")
        if not 0 < floor < START or not 0 <= spread < math.inf:
            raise ValueError(f"floor is {floor} and spread {spread}, expected 0 < floor < {START} and 0 <= spread.")
        self.floor, self.full, self.components = floor, full, components
        slopes = act_dim * (act_dim - 1) // 2 if full else 0
        self.sizes = [1, act_dim, act_dim, slopes]  # of a component: weight, mean, scale, slopes
        self.net = self.network(obs_dim, components * sum(self.sizes), generator)
        with torch.no_grad():
            _, mean, scale, _ = self._split(self.net.biases[-1])
            for rows, g in [(mean, generator)] if self.students is None else zip(mean, generator):
                rows.add_(spread * _scattered(components, act_dim, g).to(rows))
            scale.add_(math.log(math.expm1(START - floor)))  # softplus of it, and the floor, make START

    def parameters_at(self, obs: Float[Tensor, "*M n obs"]) -> tuple[
            Float[Tensor, "*M n K"], Float[Tensor, "*M n K act"], Float[Tensor, "*M n K act"],
            Float[Tensor, "*M n K act act"] | None]:
        """Log-weights, means, scales `s` and slopes `B` (None if diagonal) at each observation, in the world's units.

        `L = (I + B)^-1 diag(s)` with `B` strictly lower triangular: coordinate i has standard deviation `s_i` once a
        line in the coordinates before it is taken out.
        """
        log_weight, mean, scale, slopes = self._at(obs)
        if self.plays is not None:
            unit = self.plays.scale.unsqueeze(-2)
            mean, scale = torch.addcmul(self.plays.shift.unsqueeze(-2), mean, unit), scale * unit
            slopes = None if slopes is None else slopes * unit.unsqueeze(-2).mT / unit.unsqueeze(-2)
        return log_weight, mean, scale, slopes

    def act(self, obs: Float[Tensor, "*M n obs"], generator: torch.Generator | None = None) -> Float[Tensor, "*M n act"]:
        """The component mean of greatest density (the mode, where components lie apart), or with a generator a sample."""
        log_weight, mean, scale, slopes = self._at(obs)
        if generator is None:
            each = _log_density(mean.unsqueeze(-2), mean.unsqueeze(-3), scale.unsqueeze(-3),
                                None if slopes is None else slopes.unsqueeze(-4))
            chosen = (log_weight.unsqueeze(-2) + each).logsumexp(-1).argmax(-1)
        else:
            chosen = pick(log_weight, generator)
            noise = scale * randn(scale.shape, generator, scale)
            if slopes is not None:
                noise = torch.linalg.solve_triangular(slopes, noise.unsqueeze(-1), upper=False, unitriangular=True).squeeze(-1)
            mean = mean + noise
        return self.played(torch.take_along_dim(mean, chosen[..., None, None], -2).squeeze(-2))

    def log_prob(self, obs: Float[Tensor, "*M n obs"], action: Float[Tensor, "*M n act"],
                 known: Tensor | None = None) -> Float[Tensor, "*M n"]:
        """Log-density of each action: the components' are added without leaving the logarithm.

        Of an action of which only the first dimensions are `known` it is that of these: a later coordinate hangs on
        earlier ones, never the other way round, so leaving it out is integrating over it.
        """
        log_weight, *components = self._at(obs)
        action = self.meant(obs, action).unsqueeze(-2)
        each = _log_density(action, *components, None if known is None else known.unsqueeze(-2))
        return (log_weight + each).logsumexp(-1) + self.density(known)

    def loss(self, obs: Float[Tensor, "*M n obs"], action: Float[Tensor, "*M n act"], generator: Generators | None = None,
             known: Tensor | None = None) -> Float[Tensor, "*M"]:
        """Mean negative log-density of the batch; one value a student for a stack."""
        return -self.log_prob(obs, action, known).mean(-1)

    def _at(self, obs: Float[Tensor, "*M n obs"]) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """As `parameters_at`, in the network's units."""
        logit, mean, scale, slopes = self._split(self.net(self.seen(obs)))
        weight = (1 - SHARE) * logit.squeeze(-1).softmax(-1) + SHARE / self.components
        scale = self.floor + nn.functional.softplus(scale)
        if not self.full:
            return weight.log(), mean, scale, None
        row, column = torch.tril_indices(self.act_dim, self.act_dim, -1, device=obs.device)
        matrix = slopes.new_zeros(*slopes.shape[:-1], self.act_dim**2).index_add(-1, row * self.act_dim + column, slopes)
        return weight.log(), mean, scale, matrix.unflatten(-1, (self.act_dim, self.act_dim))

    def _split(self, out: Float[Tensor, "*n out"]) -> tuple[Tensor, ...]:
        return out.unflatten(-1, (self.components, -1)).split(self.sizes, -1)


def _log_density(action: Float[Tensor, "*n act"], mean: Tensor, scale: Tensor, slopes: Tensor | None,
                 known: Tensor | None = None) -> Float[Tensor, "*n"]:
    """Log-density of a Gaussian with `L = (I + slopes)^-1 diag(scale)`."""
    off = action - mean
    if slopes is not None:
        off = off + (slopes * off.unsqueeze(-2)).sum(-1)
    return known_sum(-0.5 * (off / scale) ** 2 - scale.log() - 0.5 * math.log(2 * math.pi), known)


def _scattered(components: int, act_dim: int, generator: torch.Generator) -> Float[Tensor, "K act"]:
    """In each dimension equal steps over [-1, 1], in random order (a Latin hypercube)."""
    steps = torch.linspace(-1, 1, components) if components > 1 else torch.zeros(1)
    return torch.stack([steps[torch.randperm(components, generator=generator, device=generator.device).cpu()]
                        for _ in range(act_dim)], -1)
