"""Discrete actions: behaviour cloning is cross-entropy (page 1)."""
from __future__ import annotations

from collections.abc import Callable

import gymnasium
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ilsupport.policies.base import Head
from ilsupport.policies.network import MLP
from ilsupport.random import Generators, rand


class Categorical(Head):
    """A network whose outputs are the logits of `n_actions` actions, the whole numbers from 0 on.

    Page 1: minimising its negative log-likelihood is minimising the cross-entropy with the expert's actions.
    For windows of observations `obs_dim` is (length, d), and `net` may be `GRU` or `Transformer` (page 8). `options` are
    those of `Head`. Raises ValueError on observations of another shape, dtype or device, and on actions that are not among
    its own (`fit` and `log_prob` look).
    """

    standard_actions = False

    def __init__(self, obs_dim: int | tuple[int, int], n_actions: int, *, generator: Generators,
                 net: Callable[..., nn.Module] = MLP, **options) -> None:
        super().__init__(obs_dim, 1, generator, **options)
        self.net = self.network(obs_dim, n_actions, generator, net)
        self.n_actions = n_actions

    @classmethod
    def serves(cls, space: gymnasium.Space) -> dict:
        """The arguments that fit this action space."""
        if not isinstance(space, gymnasium.spaces.Discrete):
            raise TypeError(f"the action space is {space}, expected Discrete for a Categorical.")
        return {"n_actions": int(space.n)}

    def logits(self, obs: Float[Tensor, "*M n obs"]) -> Float[Tensor, "*M n actions"]:
        """Unnormalised log-probabilities."""
        return self.net(self.seen(obs))

    def act(self, obs: Float[Tensor, "*M n obs"], generator: torch.Generator | None = None) -> Int[Tensor, "*M n"]:
        """The most likely action, or with a generator a sample."""
        return pick(self.logits(obs), generator)

    def log_prob(self, obs: Float[Tensor, "*M n obs"], action: Int[Tensor, "*M n"]) -> Float[Tensor, "*M n"]:
        """Log-probability of each action."""
        self.check_action(obs, action)
        self.check_range(action)
        return self._log_prob(obs, action)

    def loss(self, obs: Float[Tensor, "*M n obs"], action: Int[Tensor, "*M n"],
             generator: Generators | None = None) -> Float[Tensor, "*M"]:
        """Cross-entropy, averaged over the batch; one value a student for a stack."""
        self.check_action(obs, action)
        if self.students is None:
            return nn.functional.cross_entropy(self.logits(obs), action)
        return -self._log_prob(obs, action).mean(-1)

    def check(self, obs: Tensor, action: Tensor) -> None:
        """As every head, and raise ValueError unless every action is among its own."""
        super().check(obs, action)
        self.check_range(action)

    def check_action(self, obs: Tensor, action: Tensor) -> None:
        """Raise ValueError unless there is one whole number for each observation; looks at no value."""
        lead = obs.shape[:obs.ndim - (1 if isinstance(self.obs_dim, int) else 2)]
        if action.shape != lead or action.dtype != torch.int64:
            raise ValueError(f"actions have shape {tuple(action.shape)} and dtype {action.dtype}, expected int64 "
                             f"{tuple(lead)}, whole numbers from 0 to {self.n_actions - 1}, one for each of the observations "
                             f"{tuple(obs.shape)}; continuous actions want a Gaussian policy.")

    def check_range(self, action: Int[Tensor, "*n"]) -> None:
        """Raise ValueError for a number that is no action; reads from the device."""
        if action.numel() and not 0 <= int(action.min()) <= int(action.max()) < self.n_actions:
            raise ValueError(f"actions range from {int(action.min())} to {int(action.max())}, expected whole numbers from "
                             f"0 to {self.n_actions - 1}.")

    def _log_prob(self, obs: Tensor, action: Tensor) -> Float[Tensor, "*M n"]:
        return self.logits(obs).log_softmax(-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)


def pick(logits: Float[Tensor, "*n choices"], generator: torch.Generator | None = None) -> Int[Tensor, "*n"]:
    """The index of the largest, or with a generator one drawn in proportion to exp(logits) (Gumbel's trick: no host sync)."""
    if generator is not None:
        uniform = rand(logits.shape, generator, logits)
        logits = logits - torch.log(-torch.log(uniform.clamp_(torch.finfo(logits.dtype).tiny, 1 - 1e-7)))
    return logits.argmax(-1)
