"""Continuous actions as words: bins, one action dimension after the other (pages 7 and 7b)."""
from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ilsupport.policies.base import MLP, check_observation
from ilsupport.policies.categorical import pick
from ilsupport.policies.gaussian import Gaussian


class Discretised(nn.Module):
    """`bins` equal bins of each action dimension over `limits`, each dimension's bin given those before it.

    The chain rule: `p(a|s) = prod_i p(a_i | s, a_1 .. a_(i-1))`, each factor a softmax over bins and uniform within a bin.
    So `log_prob`, the log of bin probability over bin width, is a log-density like any other head's; detail finer than a
    bin is lost. One network serves all dimensions: it reads the observation, the bins chosen so far (their centres, in
    half ranges from the middle; 0 for those to come) and which dimension is asked for.

    `autoregressive=False` hides the bins chosen so far: the dimensions are then drawn independently of each other.
    Bins as in RT-1 (Brohan and others, 2022), one dimension after the other as in RT-2 (Brohan and others, 2023).
    Raises ValueError for no bin, limits out of order or infinite, actions outside `limits` (in `fit` and `log_prob`), and
    observations of another shape, dtype or device.
    """

    def __init__(self, obs_dim: int, act_dim: int, bins: int = 32, *, generator: torch.Generator | Sequence[torch.Generator],
                 limits: tuple[float, float] = (-1.0, 1.0), autoregressive: bool = True, hidden: Sequence[int] = (64, 64),
                 dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if bins < 1:
            raise ValueError(f"bins is {bins}, expected at least one.")
        if not -math.inf < limits[0] < limits[1] < math.inf:
            raise ValueError(f"limits are {limits}, expected finite (low, high) with low < high: bins divide a range.")
        self.bins, self.limits, self.autoregressive = bins, limits, autoregressive
        self.width = (limits[1] - limits[0]) / bins
        self.net = MLP((obs_dim + 2 * act_dim, *hidden, bins), generator, dtype)
        self.obs_dim, self.act_dim, self.students = obs_dim, act_dim, self.net.students

    def logits(self, obs: Float[Tensor, "*M n obs"], chosen: Int[Tensor, "*M n act"],
               dims: Sequence[int]) -> Float[Tensor, "*M n dims bins"]:
        """Unnormalised log-probabilities of the bins of each of `dims`, given the `chosen` bins of the dimensions before it."""
        which = torch.eye(self.act_dim, dtype=obs.dtype, device=obs.device)
        before = torch.ones_like(which).tril(-1) * self.autoregressive
        centre = (2 * chosen.to(obs.dtype) + 1) / self.bins - 1
        rows = [torch.cat([obs, centre * before[i], which[i].expand_as(centre)], -1) for i in dims]
        return self.net(torch.cat(rows, -2)).unflatten(-2, (len(rows), -1)).transpose(-3, -2)

    def act(self, obs: Float[Tensor, "*M n obs"], generator: torch.Generator | None = None) -> Float[Tensor, "*M n act"]:
        """The centre of the likeliest bin, one dimension after the other, or with a generator a sample."""
        check_observation(obs, self.obs_dim, self.students, self.net.like)
        chosen = torch.zeros(*obs.shape[:-1], self.act_dim, dtype=torch.int64, device=obs.device)
        if self.autoregressive:
            for i in range(self.act_dim):
                chosen[..., i] = pick(self.logits(obs, chosen, [i]), generator).squeeze(-1)
        else:
            chosen = pick(self.logits(obs, chosen, range(self.act_dim)), generator)
        within = 0.5 if generator is None else torch.rand(chosen.shape, generator=generator, dtype=obs.dtype, device=obs.device)
        return (self.limits[0] + self.width * (chosen + within)).to(obs.dtype).clamp(*self.limits)

    def log_prob(self, obs: Float[Tensor, "*M n obs"], action: Float[Tensor, "*M n act"]) -> Float[Tensor, "*M n"]:
        """Log-density of each action, summed over its dimensions."""
        self.check_targets(action)
        return self._log_density(obs, action)

    def loss(self, obs: Float[Tensor, "*M n obs"], action: Float[Tensor, "*M n act"]) -> Float[Tensor, "*M"]:
        """Mean negative log-density of the batch: cross-entropy and a constant; one value a student for a stack."""
        return -self._log_density(obs, action).mean(-1)

    def check_targets(self, action: Tensor) -> None:
        """Raise ValueError unless actions are floats of `act_dim` dimensions within `limits`. `fit` calls it once."""
        Gaussian.check_targets(self, action)
        low, high = self.limits
        if not bool(((action >= low) & (action <= high)).all()):
            raise ValueError(f"actions range from {float(action.min()):g} to {float(action.max()):g}, outside the limits "
                             f"({low:g}, {high:g}); scale them, or declare wider limits.")

    def _log_density(self, obs: Tensor, action: Tensor) -> Float[Tensor, "*M n"]:
        check_observation(obs, self.obs_dim, self.students, self.net.like)
        chosen = ((action - self.limits[0]) / self.width).long().clamp(0, self.bins - 1)
        log_probs = self.logits(obs, chosen, range(self.act_dim)).log_softmax(-1)
        return log_probs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1).sum(-1) - self.act_dim * math.log(self.width)
