"""Action chunking: say the next `length` actions at once, and look again later or average what was said (page
8).
"""
from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ilsupport._checks import check_finite, check_horizon, check_positive, check_shape
from ilsupport.policies.base import Action, Obs, PerRow, PerStudent, Policy
from ilsupport.random import Generators
from ilsupport.trajectories import Trajectories


class Chunked(Policy):
    """A continuous `head` whose action is a plan: the next `length` actions in a row, `length * act_dim`
    numbers.

    It carries its plans out: with `ensemble=None` it looks at every `length`-th observation only and plays
    the plan made there; with `ensemble=m >= 0` it makes a plan at every step and plays the mean of all plans
    for this step, of which the oldest is plan 0, with weights proportional to `exp(-m i)`. `begin` starts
    anew; `rollout` and `evaluate` call it. Fit it to `chunks(demonstrations, length)`. Zhao and others
    (2023), section IV and algorithm 2. Raises ValueError for a length below 1, a negative `ensemble`, a head
    whose actions are discrete or do not divide into plans, and another number of episodes in the middle of a
    plan.
    """

    def __init__(self, head: Policy, length: int, *, ensemble: float | None = None) -> None:
        super().__init__()
        self.head, self.length = head, check_horizon(length, "chunk length")
        self.ensemble = ensemble if ensemble is None else check_positive("ensemble", ensemble, or_zero=True)
        self.students = head.students
        self.begin()

    def begin(self) -> None:
        """An episode starts: no plan is in force."""
        self.head.begin()
        self._plans: list[Tensor] = []  # the latest last
        self._clock = 0

    def plan(self, obs: Obs, generator: torch.Generator | None = None) -> Float[Tensor, "*M n length act"]:
        """The next `length` actions, the head's best guess or a sample."""
        return self._steps(self.head.act(obs, generator))

    def act(self, obs: Obs, generator: torch.Generator | None = None) -> Action:
        """The plan's action for this step of the episode, or the mean of the plans'."""
        lead = 1 if self.students is None else 2
        if self._plans:
            check_shape("observations", obs, (*self._plans[-1].shape[:lead], *obs.shape[lead:]),
                        hint="plans are in force; call begin() when episodes start")
        if self.ensemble is not None or self._clock % self.length == 0:
            self._plans.append(self.plan(obs, generator))
            del self._plans[:-self.length]
        self._clock += 1
        if self.ensemble is None:
            return self._plans[-1][..., (self._clock - 1) % self.length, :]
        said = torch.stack([plan[..., len(self._plans) - i, :] for i, plan in enumerate(self._plans, 1)])
        weights = torch.exp(-self.ensemble * torch.arange(len(said), dtype=said.dtype, device=said.device))
        return torch.tensordot(weights / weights.sum(), said, 1)

    def log_prob(self, obs: Obs, action: Action) -> PerRow:
        """Log-density of plans, each flattened to one row; of a plan that ends early, of its beginning."""
        known = ~action.isnan()
        if bool(known.all()):
            return self.head.log_prob(obs, action)
        return self.head.log_prob(obs, self._filled(action, known), known=known)

    def loss(self, obs: Obs, action: Action, generator: Generators | None = None) -> PerStudent:
        """The head's own loss on plans, what nobody played (NaN) left out."""
        return self.head.loss(obs, action.nan_to_num(), generator, known=~action.isnan())

    def check(self, obs: Tensor, action: Tensor) -> None:
        """As the head does, of plans; a plan may end early, in NaN, but not before its first action."""
        steps, known = ~self._steps(action).isnan(), ~action.isnan()
        whole = steps.all(2)
        if bool((steps.any(2) != whole).any() | ~whole[:, 0].all() | (whole[:, 1:] & ~whole[:, :-1]).any()):
            raise ValueError("a plan has NaN before its end, expected NaN only after an episode's last step.")
        check_finite("plans", action[known])
        self.head.check(obs, self._filled(action, known))

    def _steps(self, plans: Action) -> Float[Tensor, "*M n length act"]:
        if not plans.is_floating_point() or plans.ndim < 2 or plans.shape[-1] % self.length:
            raise ValueError(f"plans are {plans.dtype} of shape {tuple(plans.shape)}, expected floats "
                             f"(N, {self.length} * act): {self.length} continuous actions, as of chunks.")
        return plans.unflatten(-1, (self.length, -1))

    def _filled(self, plans: Action, known: Tensor) -> Action:
        """Plans with their first step where nobody played: in range wherever the plan is."""
        first = plans[..., :plans.shape[-1] // self.length]
        return torch.where(known, plans, first.repeat(*[1] * (plans.ndim - 1), self.length))

    def standardise(self, obs: Sequence[Tensor] | None, action: Sequence[Tensor]) -> None:
        """The head's units, one for each number of a plan."""
        self.head.standardise(obs, action)


def chunks(data: Trajectories, length: int) -> tuple[Shaped[Tensor, "N *obs"], Float[Tensor, "N plan"]]:
    """Every observation with the next `length` actions of its episode, flattened: plans for `Chunked`.

    Where the episode ends first the rest of the plan is NaN: nobody played it, and `Chunked` learns nothing
    from it. Raises ValueError for discrete actions, if no episode is long enough for one whole plan, and for
    labels that differ from the actions: an expert who corrects someone else's drive says single actions, not
    plans.
    """
    check_horizon(length, "chunk length")
    check_shape("actions", data.actions, ("...", "n", "T"), float, "plans are made of continuous actions")
    if data.labels is not None and not torch.equal(data.labels[data.mask], data.actions[data.mask]):
        raise ValueError("the labels differ from the actions, expected demonstrations: labels are no plan.")
    if (longest := int(data.lengths().max())) < length:
        raise ValueError(f"the longest episode has {longest} steps, expected {length}: shorten the chunks.")
    played = data.actions.flatten(2).masked_fill(~data.mask.unsqueeze(-1), torch.nan)
    after = played.new_full((len(played), length - 1, played.shape[2]), torch.nan)
    plans = torch.cat([played, after], 1).unfold(1, length, 1).movedim(-1, 2)  # (n, T, length, act)
    return data.observations[data.mask], plans[data.mask].flatten(1)
