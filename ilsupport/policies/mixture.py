"""Several right answers: a mixture of Gaussians (page 7; Bishop, 1994)."""
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ilsupport._checks import check_horizon
from ilsupport.policies.base import Action, Head, Known, Obs, PerRow, known_sum
from ilsupport.policies.categorical import pick
from ilsupport.policies.gaussian import log_normal
from ilsupport.random import Generators, randn

SHARE = 1e-3  # of the weight is spread over all components alike
START = 0.2  # the standard deviation of every component before training
FLOOR = 0.01  # and the least it can become
Components = tuple[Float[Tensor, "*M n K"], Float[Tensor, "*M n K act"], Float[Tensor, "*M n K act"]]


class Mixture(Head):
    """`sum_k w_k(s) N(mu_k(s), diag(s_k(s))^2)` over `act_dim` actions, with `components` Gaussians.

    Left alone, maximum likelihood collapses here in two ways. A component that sits on one action and shrinks
    has a density without bound: so no standard deviation falls below 0.01, in units of the actions' own
    spread in the data. And components that start in one place share one gradient and fuse, so that modes go
    short: so their means start spread over one such unit to either side in each dimension (equal steps in
    random order), each 0.2 wide, and 0.001 of the weight is always dealt out evenly, so that none is lost for
    good. On 16 modes that raises the likelihood (tests/test_mixture.py), and twice as many components as
    modes raise it more. `options` are those of `Head`.

    Raises ValueError for no component, and as `Head` does.
    """

    def __init__(self, obs_dim: int, act_dim: int, components: int = 5, *, generator: Generators,
                 **options) -> None:
        super().__init__(obs_dim, act_dim, generator, **options)
        self.components = check_horizon(components, "components")
        self.net = self.network(obs_dim, components * (1 + 2 * act_dim), generator)
        with torch.no_grad():
            _, mean, scale = self._split(self.net.biases[-1])
            for rows, g in [(mean, generator)] if self.students is None else zip(mean, generator):
                rows.add_(_scattered(components, act_dim, g).to(rows))
            scale.add_(math.log(math.expm1(START - FLOOR)))  # softplus of it, and the floor, make START

    def parameters_at(self, obs: Obs) -> Components:
        """Log-weights, means and standard deviations at each observation, in the world's units."""
        log_weight, mean, scale = self._at(obs)
        if not self.plays.on:
            return log_weight, mean, scale
        unit = self.plays.scale.unsqueeze(-2)
        return log_weight, torch.addcmul(self.plays.shift.unsqueeze(-2), mean, unit), scale * unit

    def act(self, obs: Obs, generator: torch.Generator | None = None) -> Action:
        """The component mean of greatest density (the mode, where components lie apart), or with a generator
        a sample.
        """
        log_weight, mean, scale = self._at(obs)
        if generator is None:
            each = log_normal(mean.unsqueeze(-2), mean.unsqueeze(-3), scale.log().unsqueeze(-3)).sum(-1)
            chosen = (log_weight.unsqueeze(-2) + each).logsumexp(-1).argmax(-1)
        else:
            chosen = pick(log_weight, generator)
            mean = mean + scale * randn(scale.shape, generator, scale)
        return self.played(torch.take_along_dim(mean, chosen[..., None, None], -2).squeeze(-2))

    def _density(self, obs: Obs, action: Action, known: Known) -> PerRow:
        log_weight, mean, scale = self._at(obs)
        each = log_normal(self.meant(obs, action).unsqueeze(-2), mean, scale.log())
        each = known_sum(each, None if known is None else known.unsqueeze(-2))
        return (log_weight + each).logsumexp(-1) - self.plays.lost(known)

    def _at(self, obs: Obs) -> Components:
        """As `parameters_at`, in the network's units."""
        logit, mean, scale = self._split(self.net(self.seen(obs)))
        weight = (1 - SHARE) * logit.squeeze(-1).softmax(-1) + SHARE / self.components
        return weight.log(), mean, FLOOR + nn.functional.softplus(scale)

    def _split(self, out: Float[Tensor, "*n out"]) -> tuple[Tensor, ...]:
        return out.unflatten(-1, (self.components, -1)).split([1, self.act_dim, self.act_dim], -1)


def _scattered(components: int, act_dim: int, generator: torch.Generator) -> Float[Tensor, "K act"]:
    """In each dimension equal steps over [-1, 1], in random order (a Latin hypercube)."""
    steps = torch.linspace(-1, 1, components) if components > 1 else torch.zeros(1)
    return torch.stack([steps[torch.randperm(components, generator=generator, device=generator.device).cpu()]
                        for _ in range(act_dim)], -1)
