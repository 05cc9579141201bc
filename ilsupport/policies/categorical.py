"""Discrete actions: behaviour cloning is cross-entropy (page 1)."""
from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ilsupport.policies.base import MLP, check_observation


class Categorical(nn.Module):
    """A network whose outputs are the logits of `n_actions` actions.

    Page 1: minimising its negative log-likelihood is minimising the cross-entropy with the expert's actions.
    For windows of observations `obs_dim` is (length, d), and `net` may be `GRU` or `Transformer` (page 8).
    Raises ValueError on observations of another shape, dtype or device, and on actions outside 0 .. n_actions - 1.
    """

    def __init__(self, obs_dim: int | tuple[int, int], n_actions: int, *,
                 generator: torch.Generator | Sequence[torch.Generator], hidden: Sequence[int] = (64, 64),
                 net: Callable[..., nn.Module] = MLP, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.net = net((obs_dim, *hidden, n_actions), generator, dtype)
        self.obs_dim, self.n_actions, self.students = obs_dim, n_actions, self.net.students

    def logits(self, obs: Float[Tensor, "*M n obs"]) -> Float[Tensor, "*M n actions"]:
        """Unnormalised log-probabilities."""
        check_observation(obs, self.obs_dim, self.students, self.net.like)
        return self.net(obs)

    def act(self, obs: Float[Tensor, "*M n obs"], generator: torch.Generator | None = None) -> Int[Tensor, "*M n"]:
        """The most likely action, or with a generator a sample."""
        return pick(self.logits(obs), generator)

    def log_prob(self, obs: Float[Tensor, "*M n obs"], action: Int[Tensor, "*M n"]) -> Float[Tensor, "*M n"]:
        """Log-probability of each action."""
        return self.logits(obs).log_softmax(-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def loss(self, obs: Float[Tensor, "*M n obs"], action: Int[Tensor, "*M n"]) -> Float[Tensor, "*M"]:
        """Cross-entropy, averaged over the batch; one value a student for a stack."""
        if self.students is None:
            return nn.functional.cross_entropy(self.logits(obs), action)
        return -self.log_prob(obs, action).mean(-1)

    def check_targets(self, action: Tensor) -> None:
        """Raise ValueError unless every action is an integer in 0 .. n_actions - 1. `fit` calls it once."""
        if action.is_floating_point() or action.dtype == torch.bool:
            raise ValueError(f"actions have dtype {action.dtype}, expected integers 0 .. {self.n_actions - 1}; "
                             "continuous actions want a Gaussian policy.")
        if bool(((action < 0) | (action >= self.n_actions)).any()):
            raise ValueError(f"actions range from {int(action.min())} to {int(action.max())}, "
                             f"expected integers 0 .. {self.n_actions - 1}.")


def pick(logits: Float[Tensor, "*n choices"], generator: torch.Generator | None = None) -> Int[Tensor, "*n"]:
    """The index of the largest, or with a generator one drawn in proportion to exp(logits) (Gumbel's trick: no host sync)."""
    if generator is not None:
        uniform = torch.rand(logits.shape, generator=generator, dtype=logits.dtype, device=logits.device)
        logits = logits - torch.log(-torch.log(uniform.clamp_(torch.finfo(logits.dtype).tiny, 1 - 1e-7)))
    return logits.argmax(-1)
