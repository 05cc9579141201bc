"""Demonstrations and rollouts as padded tensors: the one data format of the book (page 1).

`Trajectories` holds `n` episodes of at most `T` steps, padded at the end, with a mask that says which steps
are real. Row `i`, step `t` reads: in `observations[i, t]` the policy played `actions[i, t]` and received
`rewards[i, t]`.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn.functional import pad

from ilsupport._checks import check_finite, check_positive, check_shape


@dataclass(frozen=True, eq=False)
class Trajectories:
    """`n` episodes of at most `T` steps, padded at the end.

    observations        what the policy saw before each action
    actions             what was played
    rewards             what the environment paid for it (on `Tightrope`: minus the cost)
    mask                True where a step is real; a row is real steps, then padding
    terminated          True where the environment itself ended the episode (a fall), False where time ran out
    labels              what the expert says at each observation; None when `actions` are the expert's own
    final_observations  what was seen after each episode's last action, when it was kept
    successes           whether the environment called each episode a success, where it says so

    A sequence of episodes: `t[3]`, `t[-1]`, `t[:10]`, `t[mask]` and the members of `for one in t` are
    Trajectories. Raises ValueError for ragged or empty data, labels of another shape than actions, a mask
    with a hole, NaN or infinity in a real step or a final observation.
    """

    observations: Shaped[Tensor, "n T *obs"]
    actions: Shaped[Tensor, "n T *act"]
    rewards: Float[Tensor, "n T"]
    mask: Bool[Tensor, "n T"]
    terminated: Bool[Tensor, "n"]
    labels: Shaped[Tensor, "n T *act"] | None = None
    final_observations: Shaped[Tensor, "n *obs"] | None = None
    successes: Bool[Tensor, "n"] | None = None

    def __post_init__(self) -> None:
        seen, steps = self.observations.shape, self.observations.shape[:2]
        if len(steps) < 2 or 0 in steps:
            raise ValueError(f"observations have shape {tuple(seen)}, expected (n, T, *obs), none of them 0.")
        wanted = {"actions": (*steps, *self.actions.shape[2:]), "labels": self.actions.shape,
                  "rewards": steps, "mask": steps, "terminated": steps[:1], "successes": steps[:1],
                  "final_observations": (*steps[:1], *seen[2:])}
        for name, shape in wanted.items():
            if (value := getattr(self, name)) is not None:
                check_shape(name, value, shape, torch.bool if name == "mask" else None,
                            "pad ragged episodes with Trajectories.from_episodes; write mask.bool()")
        if bool((self.mask[:, 1:] & ~self.mask[:, :-1]).any()) or not bool(self.mask[:, 0].all()):
            raise ValueError("mask has a hole or an episode without a step, expected steps, then padding.")
        for name, value in self.columns().items():
            if value.is_floating_point() and value.numel():
                check_finite(name, value if name == "final_observations" else value[self.mask])

    @classmethod
    def from_episodes(cls, episodes: Sequence[tuple], dtype: torch.dtype = torch.float32) -> Trajectories:
        """Pad episodes `(observations (T_i, *obs), actions (T_i, *act))`, of tensors, arrays or lists.

        A third element, if present, holds the rewards `(T_i,)`. Floating-point values become `dtype`, whole
        numbers int64. Raises ValueError for no episodes, an empty episode, or observations and actions of
        different length.
        """
        if not episodes:
            raise ValueError("no episodes given, expected at least one (observations, actions) pair.")
        rows = [[torch.as_tensor(part) for part in episode] for episode in episodes]
        for i, parts in enumerate(rows):
            lengths = [len(part) for part in parts]
            if len(parts) not in (2, 3) or len(set(lengths)) != 1 or lengths[0] == 0:
                raise ValueError(f"episode {i} has parts of {lengths} steps, expected (observations, "
                                 "actions) or (observations, actions, rewards) of as many, at least one.")
            parts += [torch.zeros(len(parts[0]), device=parts[0].device)] * (3 - len(parts))
        # One episode with fractions makes the column one of fractions; rewards always are.
        fractions = [any(x.is_floating_point() for x in column) for column in zip(*rows)][:2] + [True]
        kinds = [dtype if each else torch.int64 for each in fractions]
        rows = [[x.unsqueeze(0).to(kind) for x, kind in zip(parts, kinds)] for parts in rows]
        real = [torch.ones_like(rewards, dtype=torch.bool) for _, _, rewards in rows]
        return cls.cat([cls(*parts, mask, ~mask[:, 0]) for parts, mask in zip(rows, real)])

    @staticmethod
    def cat(parts: Sequence[Trajectories]) -> Trajectories:
        """Aggregate: the episodes of all `parts`, padded to the longest horizon. Labels are kept.

        Where one part has labels and another has none, the other's actions are its labels (they are the
        expert's own). What else one part lacks, the whole lacks.
        """
        if not parts:
            raise ValueError("nothing to concatenate, expected at least one Trajectories.")
        seen, played = (("n", "T", *x.shape[2:]) for x in (parts[0].observations, parts[0].actions))
        kind = float if parts[0].actions.is_floating_point() else int
        for part in parts:
            check_shape("observations", part.observations, seen, hint="as in the first part")
            check_shape("actions", part.actions, played, kind, "as in the first part")
        horizon, columns = max(part.horizon for part in parts), {}
        if any(part.labels is not None for part in parts):
            parts = [replace(part, labels=part.targets()) for part in parts]
        for name in (f.name for f in fields(Trajectories)):
            values = [getattr(part, name) for part in parts]
            if name in ("observations", "actions", "rewards", "mask", "labels") and values[0] is not None:
                values = [pad(x, [0, 0] * (x.ndim - 2) + [0, horizon - x.shape[1]]) for x in values]
            columns[name] = None if any(x is None for x in values) else torch.cat(values)
        return Trajectories(**columns)

    def __len__(self) -> int:
        return self.observations.shape[0]

    def __getitem__(self, rows) -> Trajectories:
        """The episodes in `rows`: a whole number, a slice, or a list, array or tensor of indices or booleans.

        Raises IndexError for an episode that is not there.
        """
        rows = torch.arange(len(self), device=self.mask.device)[rows].reshape(-1)
        return self._each(lambda value: value[rows])

    def __iter__(self) -> Iterator[Trajectories]:
        return (self[k] for k in range(len(self)))

    @property
    def horizon(self) -> int:
        """Steps of the longest row, padding included."""
        return self.observations.shape[1]

    @property
    def steps(self) -> int:
        """Real steps in all: the number of expert labels this data set costs."""
        return int(self.mask.sum())

    def targets(self) -> Shaped[Tensor, "n T *act"]:
        """What a student should play: the expert's labels where there are any, else the actions."""
        return self.actions if self.labels is None else self.labels

    def pairs(self) -> tuple[Shaped[Tensor, "N *obs"], Shaped[Tensor, "N *act"]]:
        """The supervised data set: every real observation with what the expert plays there, `N = steps`."""
        return self.observations[self.mask], self.targets()[self.mask]

    def returns(self) -> Float[Tensor, "n"]:
        """Sum of the rewards of each episode."""
        return torch.where(self.mask, self.rewards, 0).sum(1)

    def lengths(self) -> Int[Tensor, "n"]:
        """Real steps of each episode."""
        return self.mask.sum(1)

    @torch.no_grad()
    def label(self, expert: Callable[[Tensor], Tensor]) -> Trajectories:
        """Ask `expert` what it would have played at every real step: one batched call, all steps in a row.

        Raises ValueError if the expert's answer is not one action an observation, of the actions' kind.
        """
        answers, labels = expert(self.observations[self.mask]), torch.zeros_like(self.actions)
        kind, answers = float if labels.is_floating_point() else int, torch.as_tensor(answers)
        check_shape("the expert's answer", answers, self.actions[self.mask].shape, kind, "as those played")
        labels[self.mask] = answers.to(labels)
        return replace(self, labels=labels)

    def disagreements(self, tolerance: float = 0.0) -> Float[Tensor, "n"]:
        """How often each episode played something else than its label: the cost `sum_t 1[a_t != pi*(s_t)]`.

        Continuous actions never agree to the last bit: `tolerance` is how far each coordinate may be off.
        Raises ValueError without labels (call `label(expert)` first) and for a negative tolerance.
        """
        check_positive("tolerance", tolerance, or_zero=True)
        if self.labels is None:
            raise ValueError("no labels to compare with; call trajectories.label(expert) first.")
        wrong = ((self.actions - self.labels).abs() > tolerance).reshape(*self.mask.shape, -1).any(2)
        return (wrong & self.mask).sum(1).to(self.rewards.dtype)

    def columns(self) -> dict[str, Tensor]:
        """What there is of it, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def to(self, device: torch.device | str) -> Trajectories:
        """The same episodes on another device."""
        return self._each(lambda value: value.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Trajectories:
        return Trajectories(**{name: change(value) for name, value in self.columns().items()})
