"""A latent variable: toss a die inside, then answer with a Gaussian (pages 7 and 7b)."""
from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ilsupport.policies.base import MLP, check_observation, randn
from ilsupport.policies.gaussian import LOG_STD_RANGE, Gaussian

Generators = torch.Generator | Sequence[torch.Generator]


class Latent(nn.Module):
    """The conditional variational autoencoder (Kingma and Welling, 2014; Sohn and others, 2015).

    A die `z ~ N(0, I)` of `latent_dim` coordinates is tossed, and the decoder answers `a ~ N(mu(s, z), std^2 I)`;
    `std=None` learns a standard deviation for each state, toss and dimension. Training asks an encoder `q(z | s, a)` which
    toss an action came from and minimises the negative evidence lower bound: badness of the answer plus KL(q || N(0, I)).
    *Collapse*: while the decoder ignores `z` the encoder gains nothing by telling it, and both may stay so, with one
    Gaussian for all. `free_nats` cures it: so much KL a latent coordinate (mean over the batch) costs nothing, so the
    encoder may as well speak (free bits; Kingma and others, 2016). 0 is the plain bound.
    The likelihood is an integral over tosses, hence no `log_prob`; `elbo` bounds it from below.
    Actions of about [-1, 1] suit the networks; `limits = (low, high)` clips what `act` plays.
    Raises ValueError for no latent coordinate, negative free_nats, and where `Gaussian` does.
    """

    draws_noise = True

    def __init__(self, obs_dim: int, act_dim: int, *, generator: Generators, latent_dim: int = 4, std: float | None = None,
                 free_nats: float = 0.0, limits: tuple[float, float] | None = None, hidden: Sequence[int] = (64, 64),
                 dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim is {latent_dim}, expected at least 1; without a die it is a Gaussian policy.")
        if std is not None and not 0 < std < math.inf:
            raise ValueError(f"std is {std}, expected a positive number, or None to learn it.")
        if not 0 <= free_nats < math.inf:
            raise ValueError(f"free_nats is {free_nats}, expected a number >= 0.")
        if limits is not None and not limits[0] < limits[1]:
            raise ValueError(f"limits are {limits}, expected (low, high) with low < high.")
        self.limits = limits or (-math.inf, math.inf)
        self.encoder = MLP((obs_dim + act_dim, *hidden, 2 * latent_dim), generator, dtype)
        self.decoder = MLP((obs_dim + latent_dim, *hidden, act_dim if std is not None else 2 * act_dim), generator, dtype)
        self.obs_dim, self.act_dim, self.latent_dim, self.students = obs_dim, act_dim, latent_dim, self.decoder.students
        self.std, self.free_nats = std, free_nats

    def encode(self, obs: Float[Tensor, "*M n obs"], action: Float[Tensor, "*M n act"]) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of `q(z | s, a)`, each (*M, n, latent)."""
        check_observation(obs, self.obs_dim, self.students, self.decoder.like)
        mean, log_std = self.encoder(torch.cat([obs, action], -1)).chunk(2, -1)
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def decode(self, obs: Float[Tensor, "*M n obs"], z: Float[Tensor, "*M n latent"]) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of `p(a | s, z)`, each (*M, n, act)."""
        check_observation(obs, self.obs_dim, self.students, self.decoder.like)
        out = self.decoder(torch.cat([obs, z], -1))
        if self.std is not None:
            return out, torch.full_like(out, math.log(self.std))
        mean, log_std = out.chunk(2, -1)
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def act(self, obs: Float[Tensor, "*M n obs"], generator: torch.Generator | None = None) -> Float[Tensor, "*M n act"]:
        """A sample; without a generator the mean answer to the toss z = 0: one of the answers, not always the likeliest."""
        shape = (*obs.shape[:-1], self.latent_dim)
        if generator is None:
            return self.decode(obs, obs.new_zeros(shape))[0].clamp(*self.limits)
        mean, log_std = self.decode(obs, randn(shape, generator, obs))
        return (mean + log_std.exp() * randn(mean.shape, generator, mean)).clamp(*self.limits)

    def loss(self, obs: Float[Tensor, "*M n obs"], action: Float[Tensor, "*M n act"],
             generator: Generators) -> Float[Tensor, "*M"]:
        """Negative evidence lower bound of the batch, with `free_nats` of KL a latent coordinate free of charge."""
        mean, log_std = self.encode(obs, action)
        z = mean + log_std.exp() * randn(mean.shape, generator, mean)
        kl = 0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std
        return kl.mean(-2).clamp(min=self.free_nats).sum(-1) - self._log_answer(obs, action, z).mean(-1)

    def told(self, obs: Float[Tensor, "*M n obs"], action: Float[Tensor, "*M n act"]) -> Float[Tensor, "*M n"]:
        """KL(q(z | s, a) || N(0, I)) in nats: how much the encoder tells the decoder about each action; 0 is collapse."""
        mean, log_std = self.encode(obs, action)
        return (0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std).sum(-1)

    def elbo(self, obs: Float[Tensor, "*M n obs"], action: Float[Tensor, "*M n act"], generator: Generators,
             samples: int = 1) -> Float[Tensor, "*M n"]:
        """A random number whose mean is a lower bound on each action's log-density.

        One sample is the evidence lower bound; more, the importance-weighted one (Burda and others, 2016), which climbs
        to the log-density itself. Raises ValueError for fewer than one.
        """
        if samples < 1:
            raise ValueError(f"samples = {samples}, expected at least one toss to average over.")
        mean, log_std = self.encode(obs, action)
        weights = []
        for _ in range(samples):
            noise = randn(mean.shape, generator, mean)
            z = mean + log_std.exp() * noise
            weights.append(self._log_answer(obs, action, z) + (0.5 * (noise.square() - z.square()) + log_std).sum(-1))
        return torch.stack(weights).logsumexp(0) - math.log(samples)

    check_targets = Gaussian.check_targets

    def _log_answer(self, obs: Tensor, action: Tensor, z: Tensor) -> Tensor:
        mean, log_std = self.decode(obs, z)
        return (-0.5 * ((action - mean) * (-log_std).exp()).square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
