"""Actions as words: bins, one action dimension after the other (page 7)."""
from collections.abc import Sequence

import gymnasium
import torch
from jaxtyping import Float
from torch import Tensor

from ilsupport.policies.base import Action, Head, Known, Limits, Obs, PerRow, known_sum
from ilsupport.policies.categorical import pick
from ilsupport.random import Generators, rand


class Discretised(Head):
    """`bins` equal bins of each action dimension over `limits`, each dimension's bin given those before it.

    The chain rule: `p(a|s) = prod_i p(a_i | s, a_1 .. a_(i-1))`, each factor a softmax over bins and uniform
    within a bin. So `log_prob`, the log of bin probability over bin width, is a log-density like any other
    head's; detail finer than a bin is lost. One network serves all dimensions: it reads the observation, the
    bins chosen so far (their centres, in half ranges from the middle; 0 for those to come) and which
    dimension is asked for.

    `bins` is a number, or one a dimension. `limits=None`: the actions are whole numbers, bin k is action k,
    and `log_prob` a log-probability (gymnasium's MultiDiscrete). `autoregressive=False` hides the bins chosen
    so far: the dimensions are then drawn independently of each other. `options` are those of `Head`. Bins as
    in RT-1 (Brohan and others, 2022), one dimension after the other as in RT-2 (Brohan and others, 2023).
    Raises ValueError for no bin, infinite limits, actions outside `limits` (in `fit` and `log_prob`), and as
    `Head`.
    """

    whole = True  # what it computes with are the numbers of bins

    def __init__(self, obs_dim: int, act_dim: int, bins: int | Sequence[int] = 32, *, generator: Generators,
                 limits: Limits | None = (-1.0, 1.0), autoregressive: bool = True, **options) -> None:
        super().__init__(obs_dim, act_dim, generator, limits=limits, **options)
        counts = [bins] * act_dim if isinstance(bins, int) else list(bins)
        if len(counts) != act_dim or min(counts) < 1:
            raise ValueError(f"bins is {bins}, expected a number or {act_dim}, one a dimension, all above 0.")
        if limits is not None and not bool((self.low.isfinite() & self.high.isfinite()).all()):
            raise ValueError(f"limits are {limits}, expected finite (low, high): bins divide a range.")
        self.net = self.network(obs_dim + 2 * act_dim, max(counts), generator)
        self.bins, self.autoregressive, self.whole = bins, autoregressive, limits is None
        counts = torch.tensor(counts, device=self.like.device)
        absent = torch.arange(int(counts.max()), device=counts.device) >= counts[:, None]
        self.register_buffer("counts", counts, persistent=False)
        self.register_buffer("absent", absent if bool(absent.any()) else None, persistent=False)
        self.register_buffer("width", None if self.whole else (self.high - self.low) / counts,
                             persistent=False)

    def likely(self) -> tuple[Tensor, Tensor]:
        """The least and the greatest action there is a bin for, in each dimension."""
        return (torch.zeros_like(self.counts), self.counts - 1) if self.whole else (self.low, self.high)

    @classmethod
    def serves(cls, space: gymnasium.Space) -> dict:
        """The arguments that fit this action space."""
        if isinstance(space, gymnasium.spaces.MultiDiscrete) and space.nvec.ndim == 1:
            return {"act_dim": len(space.nvec), "bins": space.nvec.tolist(), "limits": None}
        served = super().serves(space)
        if served["limits"] is None:
            raise TypeError(f"the action space is {space}, expected a bounded one: bins divide a range.")
        return served

    def logits(self, obs: Obs, chosen: Action, dims: Sequence[int]) -> Float[Tensor, "*M n dims bins"]:
        """Unnormalised log-probabilities of the bins of each of `dims`, given those `chosen` before it."""
        seen = self.seen(obs)
        which = torch.eye(self.act_dim, dtype=seen.dtype, device=seen.device)
        before = torch.ones_like(which).tril(-1) * self.autoregressive
        centre = (2 * chosen.to(seen.dtype) + 1) / self.counts - 1
        rows = [torch.cat([seen, centre * before[i], which[i].expand_as(centre)], -1) for i in dims]
        logits = self.net(torch.cat(rows, -2)).unflatten(-2, (len(rows), -1)).transpose(-3, -2)
        return logits if self.absent is None else logits.masked_fill(self.absent[list(dims)], -torch.inf)

    def act(self, obs: Obs, generator: torch.Generator | None = None) -> Action:
        """The centre of the likeliest bin, one dimension after the other, or with a generator a sample."""
        chosen = torch.zeros(*obs.shape[:-1], self.act_dim, dtype=torch.int64, device=obs.device)
        turns = [[i] for i in range(self.act_dim)] if self.autoregressive else [list(range(self.act_dim))]
        for dims in turns:
            chosen[..., dims] = pick(self.logits(obs, chosen, dims), generator)
        if self.whole:
            return chosen
        within = 0.5 if generator is None else rand(chosen.shape, generator, obs)
        return self.played(self.low + self.width * (chosen + within))

    def _density(self, obs: Obs, action: Action, known: Known) -> PerRow:
        chosen = self.meant(obs, action)
        if not self.whole:
            chosen = ((action - self.low) / self.width).long().clamp(min=0).minimum(self.counts - 1)
        log_probs = self.logits(obs, chosen, range(self.act_dim)).log_softmax(-1)
        each = log_probs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
        return known_sum(each if self.whole else each - self.width.log(), known)
