"""A student who sees less than its teacher, or something else (page 8)."""
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ilsupport.policies.base import Action, Obs, PerRow, PerStudent, Policy

ROWS = 2**14  # looked at together: what is seen may be larger than what is stored


class View(Policy):
    """`policy` with a filter before its eyes: it acts on, and learns from, `see(obs)`.

    The environment and the expert keep the whole observation. `see` works on the last dimension, whatever
    stands before it, so that it serves a student and a stack: `View(policy, lambda obs: obs[..., :2])` hides
    all but two columns. A `see` that overwrites a column is an intervention on it; `lambda w: w.flatten(-2)`
    lays the frames of a window side by side, for a head that takes vectors. Units are those of what is seen;
    pictures and numbers of a class (observations of more dimensions than a window, or of whole numbers) keep
    theirs.
    """

    def __init__(self, head: Policy, see: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.head, self.see, self.students = head, see, head.students

    def begin(self) -> None:
        self.head.begin()

    def act(self, obs: Obs, generator: torch.Generator | None = None) -> Action:
        """What the policy does about the part it sees."""
        return self.head.act(self.see(obs), generator)

    def log_prob(self, obs: Obs, action: Action, **known: Tensor) -> PerRow:
        """Log-probability of each action given the part it sees."""
        return self.head.log_prob(self.see(obs), action, **known)

    def loss(self, obs, action, generator=None, **known: Tensor) -> PerStudent:
        """The policy's own loss on the part it sees."""
        return self.head.loss(self.see(obs), action, generator, **known)

    def check(self, obs: Tensor, action: Tensor) -> None:
        """As the policy does, of what it sees."""
        super().check(obs, action)
        for some, theirs in zip(obs.split(ROWS), action.split(ROWS)):
            self.head.check(self.see(some), theirs)

    def standardise(self, obs: Sequence[Tensor] | None, action: Sequence[Tensor]) -> None:
        """The policy's units are those of what it sees."""
        vectors = obs is not None and all(x.is_floating_point() and x.ndim <= 3 for x in obs)
        self.head.standardise([self.see(x) for x in obs] if vectors else None, action)
