"""Action chunking: say the next `length` actions at once, and look again later or average what was said (page 8)."""
from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ilsupport._checks import check_horizon
from ilsupport.policies.base import Policy
from ilsupport.trajectories import Trajectories


class Chunked(nn.Module):
    """A continuous `head` whose action is a plan: the next `length` actions in a row, `length * act_dim` numbers.

    Played by `rollout` it carries its plans out: with `ensemble=None` it looks at every `length`-th observation only and
    plays the plan made there; with `ensemble=m >= 0` it makes a plan at every step and plays the mean of all plans for
    this step, of which the oldest is plan 0, with weights proportional to `exp(-m i)`.
    Fit it to `chunks(demonstrations, length)`. Zhao and others (2023), section IV and algorithm 2.
    Raises ValueError for a length below 1, a negative `ensemble`, and a head whose actions do not divide into plans; TypeError
    when it acts and the head's actions are discrete.
    """

    def __init__(self, head: Policy, length: int, *, ensemble: float | None = None) -> None:
        super().__init__()
        self.head, self.length, self.ensemble = head, check_horizon(length, "chunk length"), ensemble
        if ensemble is not None and not 0 <= ensemble < math.inf:
            raise ValueError(f"ensemble is {ensemble}, expected None (play each plan to its end) or a number >= 0.")
        if getattr(head, "act_dim", length) % length:
            raise ValueError(f"the head has {head.act_dim} action dimensions, expected a multiple of the chunk length "
                             f"{length}: build it with length * act_dim of them.")
        self.students = head.students
        self.draws_noise = getattr(head, "draws_noise", False)

    def plan(self, obs: Shaped[Tensor, "*M n *obs"],
             generator: torch.Generator | None = None) -> Float[Tensor, "*M n length act"]:
        """The next `length` actions, the head's best guess or a sample."""
        said = self.head.act(obs, generator)
        if not said.is_floating_point():
            raise TypeError(f"the head plays actions of dtype {said.dtype}, expected floats: plans are made of continuous "
                            "actions.")
        return said.unflatten(-1, (self.length, -1))

    def act(self, obs: Shaped[Tensor, "*M n *obs"], generator: torch.Generator | None = None) -> Float[Tensor, "*M n act"]:
        """The first action of the plan: what a memoryless caller gets."""
        return self.plan(obs, generator)[..., 0, :]

    def actor(self, generator: torch.Generator | None = None) -> Callable[[Shaped[Tensor, "n *obs"]], Float[Tensor, "n act"]]:
        """A function that remembers its plans, for one batch of episodes; `rollout` and `evaluate` ask for it."""
        plans: list[Tensor] = []  # the latest last
        clock = 0

        def act(obs: Tensor) -> Tensor:
            nonlocal clock
            if self.ensemble is not None or clock % self.length == 0:
                plans.append(self._rows(obs, generator))
                del plans[:-self.length]
            clock += 1
            if self.ensemble is None:
                return plans[-1][:, (clock - 1) % self.length]
            said = torch.stack([plan[:, age] for age, plan in zip(range(len(plans) - 1, -1, -1), plans)])
            weights = torch.exp(-self.ensemble * torch.arange(len(plans), dtype=said.dtype, device=said.device))
            return torch.tensordot(weights / weights.sum(), said, 1)
        return act

    def _rows(self, obs: Tensor, generator: torch.Generator | None) -> Tensor:
        """Plans for a batch as `rollout` gives it, a stack's students one after the other."""
        if self.students is None:
            return self.plan(obs, generator)
        return self.plan(obs.unflatten(0, (self.students, -1)), generator).flatten(0, 1)

    def log_prob(self, obs: Shaped[Tensor, "*M n *obs"], action: Float[Tensor, "*M n plan"]) -> Float[Tensor, "*M n"]:
        """Log-density of whole plans, each flattened to one row."""
        return self.head.log_prob(obs, action)

    def loss(self, obs: Shaped[Tensor, "*M n *obs"], action: Float[Tensor, "*M n plan"], *generator) -> Float[Tensor, "*M"]:
        """The head's own loss on whole plans."""
        return self.head.loss(obs, action, *generator)

    def check_targets(self, action: Tensor) -> None:
        """What the head has to say about plans, if anything. `fit` calls it once."""
        if hasattr(self.head, "check_targets"):
            self.head.check_targets(action)


def chunks(data: Trajectories, length: int) -> tuple[Shaped[Tensor, "N *obs"], Float[Tensor, "N plan"]]:
    """Every observation that has `length` more actions in its episode, with these actions in a row, flattened.

    The last `length - 1` observations of an episode are left out: what follows them was never played, and a padded plan
    would teach actions that nobody took. Raises ValueError for discrete actions, if no episode is long enough, and for
    labels that differ from the actions: an expert who corrects someone else's drive says single actions, not plans.
    """
    check_horizon(length, "chunk length")
    if not data.actions.is_floating_point():
        raise ValueError(f"actions have dtype {data.actions.dtype}, expected floats: plans are made of continuous actions.")
    if data.labels is not None and not torch.equal(data.labels[data.mask], data.actions[data.mask]):
        raise ValueError("the labels differ from the actions played, expected demonstrations: an expert's labels along "
                         "another driver's way are not a plan that the expert would have carried out.")
    if int(data.lengths().max()) < length:
        raise ValueError(f"the longest episode has {int(data.lengths().max())} steps, expected at least the chunk length "
                         f"{length}; shorten the chunks.")
    plans = data.actions.unfold(1, length, 1).movedim(-1, 2)  # (n, T - length + 1, length, *act)
    whole = data.mask[:, length - 1:]
    return data.observations[:, :whole.shape[1]][whole], plans[whole].flatten(1)
