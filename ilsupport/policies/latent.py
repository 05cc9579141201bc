"""A latent variable: toss a die inside, then answer with a Gaussian (page 7)."""
import math

import torch
from jaxtyping import Float
from torch import Tensor

from ilsupport._checks import check_horizon, check_positive
from ilsupport.policies.base import Action, Head, Obs, PerRow, PerStudent, Policy, known_sum
from ilsupport.policies.gaussian import drawn, log_normal, split
from ilsupport.random import Generators, randn


class Latent(Head):
    """The conditional variational autoencoder (Kingma and Welling, 2014; Sohn and others, 2015).

    A die `z ~ N(0, I)` of `latent_dim` coordinates is tossed, and the decoder answers `a ~ N(mu(s, z), std^2
    I)`; `std=None` learns a standard deviation for each state, toss and dimension, a number is in units of
    the actions' own spread in the data. Training asks an encoder `q(z | s, a)` which toss an action came from
    and minimises the negative evidence lower bound: badness of the answer plus KL(q || N(0, I)). *Collapse*:
    while the decoder ignores `z` the encoder gains nothing by telling it, and both may stay so, with one
    Gaussian for all. `free_nats` cures it: so much KL a latent coordinate (mean over the batch) costs
    nothing, so the encoder may as well speak (free bits; Kingma and others, 2016). 0 is the plain bound. The
    likelihood is an integral over tosses, hence no `log_prob`; `elbo` bounds it from below. `options` are
    those of `Head`. Raises ValueError for no latent coordinate, negative free_nats, and where `Gaussian`
    does.
    """

    log_prob = Policy.log_prob

    def __init__(self, obs_dim: int, act_dim: int, *, generator: Generators, latent_dim: int = 4,
                 std: float | None = None, free_nats: float = 0.0, **options) -> None:
        super().__init__(obs_dim, act_dim, generator, **options)
        self.latent_dim = check_horizon(latent_dim, "latent_dim")
        self.std = std if std is None else check_positive("std", std)
        self.free_nats = check_positive("free_nats", free_nats, or_zero=True)
        self.encoder = self.network(obs_dim + act_dim, 2 * latent_dim, generator)
        self.net = self.network(obs_dim + latent_dim, act_dim if std is not None else 2 * act_dim, generator)

    def decode(self, obs: Obs, z: Float[Tensor, "*M n latent"]) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of `p(a | s, z)`, each (*M, n, act), in the world's units."""
        mean, log_std = self._decode(self.seen(obs), z)
        return self.plays.outward(mean), self.plays.widened(log_std)

    def act(self, obs: Obs, generator: torch.Generator | None = None) -> Action:
        """A sample; without a generator the mean answer to the toss z = 0: one of the answers, not always the
        likeliest.
        """
        zero = obs.new_zeros(*obs.shape[:-1], self.latent_dim)
        return self.played(drawn(*self._decode(self.seen(obs), drawn(zero, zero, generator)), generator))

    def loss(self, obs, action, generator=None, known=None) -> PerStudent:
        """Negative evidence lower bound of the batch, with `free_nats` of KL a latent coordinate free of
        charge.
        """
        seen, action = self.seen(obs), self.meant(obs, action)
        mean, log_std = self._encode(seen, action)
        z = drawn(mean, log_std, generator)
        answer = known_sum(log_normal(action, *self._decode(seen, z)), known) - self.plays.lost(known)
        return _kl(mean, log_std).mean(-2).clamp(min=self.free_nats).sum(-1) - answer.mean(-1)

    def told(self, obs: Obs, action: Action) -> PerRow:
        """KL(q(z | s, a) || N(0, I)) in nats: how much the encoder tells the decoder about each action; 0 is
        collapse.
        """
        return _kl(*self._encode(self.seen(obs), self.meant(obs, action))).sum(-1)

    def elbo(self, obs: Obs, action: Action, generator: Generators, samples: int = 1) -> PerRow:
        """A random number whose mean is a lower bound on each action's log-density.

        One sample is the evidence lower bound; more, the importance-weighted one (Burda and others, 2016),
        which climbs to the log-density itself. Raises ValueError for fewer than one.
        """
        check_horizon(samples, "samples")
        seen, action = self.seen(obs), self.meant(obs, action)
        mean, log_std = self._encode(seen, action)
        weights = []
        for _ in range(samples):
            noise = randn(mean.shape, generator, mean)
            z = mean + log_std.exp() * noise
            answer = log_normal(action, *self._decode(seen, z)).sum(-1)
            weights.append(answer + (0.5 * (noise.square() - z.square()) + log_std).sum(-1))
        return torch.stack(weights).logsumexp(0) - math.log(samples) - self.plays.lost()

    def _encode(self, seen: Tensor, meant: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of `q(z | s, a)`, each (*M, n, latent)."""
        return split(self.encoder(torch.cat([seen, meant], -1)), None)

    def _decode(self, seen: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        return split(self.net(torch.cat([seen, z], -1)), self.std)


def _kl(mean: Float[Tensor, "*n d"], log_std: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """KL(N(mean, std^2) || N(0, 1)) of each coordinate."""
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std
