"""Actions as words: bins, one action dimension after the other (pages 7 and 7b)."""
from __future__ import annotations

from collections.abc import Sequence

import gymnasium
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from ilsupport.policies.base import Head, Limits
from ilsupport.policies.categorical import pick
from ilsupport.random import Generators, rand


class Discretised(Head):
    """`bins` equal bins of each action dimension over `limits`, each dimension's bin given those before it.

    The chain rule: `p(a|s) = prod_i p(a_i | s, a_1 .. a_(i-1))`, each factor a softmax over bins and uniform within a bin.
    So `log_prob`, the log of bin probability over bin width, is a log-density like any other head's; detail finer than a
    bin is lost. One network serves all dimensions: it reads the observation, the bins chosen so far (their centres, in
    half ranges from the middle; 0 for those to come) and which dimension is asked for.

    `bins` is a number, or one a dimension. `limits=None`: the actions are whole numbers, bin k is action k, and `log_prob`
    a log-probability (gymnasium's MultiDiscrete). `autoregressive=False` hides the bins chosen so far: the dimensions are
    then drawn independently of each other. `options` are those of `Head`.
    Bins as in RT-1 (Brohan and others, 2022), one dimension after the other as in RT-2 (Brohan and others, 2023).
    Raises ValueError for no bin, infinite limits, actions outside `limits` (in `fit` and `log_prob`), and observations and
    actions of another shape, dtype or device.
    """

    standard_actions = False

    def __init__(self, obs_dim: int, act_dim: int, bins: int | Sequence[int] = 32, *, generator: Generators,
                 limits: Limits | None = (-1.0, 1.0), autoregressive: bool = True, **options) -> None:
        super().__init__(obs_dim, act_dim, generator, limits=limits, **options)
        counts = [bins] * act_dim if isinstance(bins, int) else list(bins)
        if len(counts) != act_dim or min(counts) < 1:
            raise ValueError(f"bins is {bins}, expected a number, or one for each of {act_dim} dimensions, all at least 1.")
        if limits is not None and not bool((self.low.isfinite() & self.high.isfinite()).all()):
            raise ValueError(f"limits are {limits}, expected finite (low, high): bins divide a range.")
        self.net = self.network(obs_dim + 2 * act_dim, max(counts), generator)
        self.bins, self.autoregressive, like = bins, autoregressive, self.net.like
        self.register_buffer("counts", torch.tensor(counts, dtype=like.dtype, device=like.device), persistent=False)
        width = None if limits is None else (self.high - self.low) / self.counts
        self.register_buffer("width", width, persistent=False)
        beyond = torch.arange(max(counts), device=like.device) >= self.counts[:, None]
        self.register_buffer("beyond", beyond if len(set(counts)) > 1 else None, persistent=False)

    @classmethod
    def serves(cls, space: gymnasium.Space) -> dict:
        """The arguments that fit this action space."""
        if isinstance(space, gymnasium.spaces.MultiDiscrete) and space.nvec.ndim == 1 and not space.start.any():
            return {"act_dim": len(space.nvec), "bins": space.nvec.tolist(), "limits": None}
        return super().serves(space)

    def logits(self, obs: Float[Tensor, "*M n obs"], chosen: Int[Tensor, "*M n act"],
               dims: Sequence[int]) -> Float[Tensor, "*M n dims bins"]:
        """Unnormalised log-probabilities of the bins of each of `dims`, given the `chosen` bins of the dimensions before it."""
        return self._logits(self.seen(obs), chosen, dims)

    def act(self, obs: Float[Tensor, "*M n obs"], generator: torch.Generator | None = None) -> Shaped[Tensor, "*M n act"]:
        """The centre of the likeliest bin, one dimension after the other, or with a generator a sample."""
        seen = self.seen(obs)
        chosen = torch.zeros(*obs.shape[:-1], self.act_dim, dtype=torch.int64, device=obs.device)
        if self.autoregressive:
            for i in range(self.act_dim):
                chosen[..., i] = pick(self._logits(seen, chosen, [i]), generator).squeeze(-1)
        else:
            chosen = pick(self._logits(seen, chosen, range(self.act_dim)), generator)
        if self.width is None:
            return chosen
        within = 0.5 if generator is None else rand(chosen.shape, generator, obs)
        return self.played(self.low + self.width * (chosen + within))

    def log_prob(self, obs: Float[Tensor, "*M n obs"], action: Shaped[Tensor, "*M n act"],
                 known: Tensor | None = None) -> Float[Tensor, "*M n"]:
        """Log-density of each action, summed over its dimensions (those that are `known`, the first of each)."""
        self.check_action(obs, action)
        self.check_range(action)
        return self._log_density(obs, action, known)

    def loss(self, obs: Float[Tensor, "*M n obs"], action: Shaped[Tensor, "*M n act"], generator: Generators | None = None,
             known: Tensor | None = None) -> Float[Tensor, "*M"]:
        """Mean negative log-density of the batch: cross-entropy and a constant; one value a student for a stack."""
        self.check_action(obs, action)
        return -self._log_density(obs, action, known).mean(-1)

    def check(self, obs: Tensor, action: Tensor) -> None:
        """As every head, and raise ValueError for actions outside the limits."""
        super().check(obs, action)
        self.check_range(action)

    def check_action(self, obs: Tensor, action: Tensor) -> None:
        """Raise ValueError unless there is one action of this head's kind for each observation; looks at no value."""
        if self.width is not None:
            super().check_action(obs, action)
        elif action.shape != (*obs.shape[:-1], self.act_dim) or action.dtype != torch.int64:
            raise ValueError(f"actions have shape {tuple(action.shape)} and dtype {action.dtype}, expected int64 "
                             f"{(*obs.shape[:-1], self.act_dim)}: without limits they are whole numbers.")

    def check_range(self, action: Shaped[Tensor, "*n act"]) -> None:
        """Raise ValueError for an action in no bin; reads from the device."""
        low, high = (0, self.counts - 1) if self.width is None else (self.low, self.high)
        outside = ((action < low) | (action > high)).any(-1)
        if bool(outside.any()):
            limits = "0 and the number of bins less one" if self.width is None else f"{self.low.tolist()} and {self.high.tolist()}"
            raise ValueError(f"action {action[outside][0].tolist()} lies outside the limits {limits}; scale actions, or "
                             "declare wider limits.")

    def _logits(self, seen: Tensor, chosen: Tensor, dims: Sequence[int]) -> Tensor:
        which = torch.eye(self.act_dim, dtype=seen.dtype, device=seen.device)
        before = torch.ones_like(which).tril(-1) * self.autoregressive
        centre = (2 * chosen.to(seen.dtype) + 1) / self.counts - 1
        rows = [torch.cat([seen, centre * before[i], which[i].expand_as(centre)], -1) for i in dims]
        logits = self.net(torch.cat(rows, -2)).unflatten(-2, (len(rows), -1)).transpose(-3, -2)
        return logits if self.beyond is None else logits.masked_fill(self.beyond[list(dims)], -torch.inf)

    def _log_density(self, obs: Tensor, action: Tensor, known: Tensor | None = None) -> Float[Tensor, "*M n"]:
        seen, chosen, width = self.seen(obs), action, 0.0
        if self.width is not None:
            chosen = ((action - self.low) / self.width).long().clamp(self.counts.new_zeros(()).long(), self.counts.long() - 1)
            width = self.width.log()
        log_probs = self._logits(seen, chosen, range(self.act_dim)).log_softmax(-1)
        each = log_probs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1) - width
        return (each if known is None else each * known).sum(-1)
