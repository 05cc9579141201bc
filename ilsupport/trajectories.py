"""Demonstrations and rollouts as padded tensors: the one data format of the book (page 1).

`Trajectories` holds `n` episodes of at most `T` steps, padded at the end, with a mask that says which steps
are real. Row `i`, step `t` reads: in `observations[i, t]` the policy played `actions[i, t]` and received
`rewards[i, t]`.
"""
from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from ilsupport._checks import check_finite


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
        n, horizon = _leading(self.observations)
        for field in ("actions", "rewards", "mask", "labels"):
            value = getattr(self, field)
            if value is not None and tuple(value.shape[:2]) != (n, horizon):
                raise ValueError(f"{field} has shape {tuple(value.shape)}, expected it to begin with ({n}, "
                                 f"{horizon}) like observations; pad ragged episodes with "
                                 "Trajectories.from_episodes.")
        for field, one in (("terminated", ()), ("successes", ()),
                           ("final_observations", self.observations.shape[2:])):
            value = getattr(self, field)
            if value is not None and value.shape != (n, *one):
                raise ValueError(f"{field} has shape {tuple(value.shape)}, expected {(n, *one)}, one an "
                                 "episode.")
        for field, value, wanted in (("rewards", self.rewards, (n, horizon)),
                                     ("mask", self.mask, (n, horizon)),
                                     ("labels", self.labels, self.actions.shape)):
            if value is not None and value.shape != wanted:
                raise ValueError(f"{field} has shape {tuple(value.shape)}, expected {tuple(wanted)}.")
        if self.mask.dtype != torch.bool:
            raise ValueError(f"mask has dtype {self.mask.dtype}, expected torch.bool; write mask.bool().")
        if bool((self.mask[:, 1:] & ~self.mask[:, :-1]).any()) or not bool(self.mask[:, 0].all()):
            raise ValueError("mask has a hole or an episode without a step; expected real steps first, then "
                             "padding.")
        for field in ("observations", "actions", "rewards", "labels"):
            if (value := getattr(self, field)) is not None:
                check_finite(field, value[self.mask])
        if self.final_observations is not None and self.final_observations.numel():
            check_finite("final_observations", self.final_observations)

    @classmethod
    def from_episodes(cls, episodes: Sequence[tuple], dtype: torch.dtype = torch.float32) -> Trajectories:
        """Pad episodes `(observations (T_i, *obs), actions (T_i, *act))`, tensors, arrays or lists, to one
        batch.

        A third element, if present, holds the rewards `(T_i,)`. Floating-point values become `dtype`, whole
        numbers int64. Raises ValueError for no episodes, an empty episode, or observations and actions of
        different length.
        """
        if not episodes:
            raise ValueError("no episodes given, expected at least one (observations, actions) pair.")
        columns: list[list[Tensor]] = [[], [], []]
        for i, episode in enumerate(episodes):
            parts = [torch.as_tensor(part) for part in episode]
            if len(parts) == 2:
                parts.append(torch.zeros(len(parts[0]), device=parts[0].device))
            if len({len(part) for part in parts}) != 1 or len(parts[0]) == 0:
                raise ValueError(f"episode {i} has {len(parts[0])} observations and {len(parts[1])} actions, "
                                 "expected one action for each of at least one observation.")
            for column, part in zip(columns, parts):
                column.append(part)
        for k, column in enumerate(columns):  # one episode with fractions makes the column one of fractions
            kind = dtype if any(part.is_floating_point() for part in column) else torch.int64
            columns[k] = [part.to(kind) for part in column]
        lengths = torch.tensor([len(part) for part in columns[0]])
        padded = [torch.nn.utils.rnn.pad_sequence(column, batch_first=True) for column in columns]
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        device = padded[0].device
        return cls(padded[0], padded[1], padded[2].to(dtype), mask.to(device),
                   torch.zeros(len(lengths), dtype=torch.bool, device=device))

    @staticmethod
    def cat(parts: Sequence[Trajectories]) -> Trajectories:
        """Aggregate: the episodes of all `parts`, padded to the longest horizon. Labels are kept.

        Where one part has labels and another has none, the other's actions are its labels (they are the
        expert's own).
        """
        if not parts:
            raise ValueError("nothing to concatenate, expected at least one Trajectories.")
        horizon = max(part.horizon for part in parts)
        labelled = any(part.labels is not None for part in parts)

        def rows(name: str) -> Tensor | None:
            values = [getattr(part, name) for part in parts]
            return None if any(value is None for value in values) else torch.cat(values)

        def column(name: str) -> Tensor:
            values = [part.targets() if name == "labels" else getattr(part, name) for part in parts]
            return torch.cat([_pad(value, horizon) for value in values])

        return Trajectories(
            column("observations"), column("actions"), column("rewards"), column("mask"),
            rows("terminated"), column("labels") if labelled else None, rows("final_observations"),
            rows("successes"))

    def __len__(self) -> int:
        return self.observations.shape[0]

    def __getitem__(self, rows) -> Trajectories:
        """The episodes in `rows`: a whole number, a slice, or a list, array or tensor of indices or booleans.

        Raises IndexError for an episode that is not there.
        """
        try:
            k = operator.index(rows)
        except TypeError:
            return self._each(lambda value: value[rows])
        if not -len(self) <= k < len(self):
            raise IndexError(f"episode {k} of {len(self)}.")
        return self._each(lambda value: value[k:k + 1 or None])

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

    def label(self, expert: Callable[[Tensor], Tensor]) -> Trajectories:
        """Ask `expert` what it would have played at every real step: one batched call `(N, *obs) -> (N,
        *act)`.

        Raises ValueError if the expert's answer has another shape than one action an observation.
        """
        answers = torch.as_tensor(expert(self.observations[self.mask])).to(self.actions.device)
        expected = (self.steps, *self.actions.shape[2:])
        if tuple(answers.shape) != expected:
            raise ValueError(f"the expert returned shape {tuple(answers.shape)} for {self.steps} "
                             f"observations, expected {expected}: one action for each observation of the "
                             "batch.")
        check_finite("expert labels", answers)
        labels = torch.zeros_like(self.actions, dtype=answers.dtype)
        labels[self.mask] = answers
        return replace(self, labels=labels)

    def disagreements(self, tolerance: float = 0.0) -> Float[Tensor, "n"]:
        """How often each episode played something else than its label: the cost `sum_t 1[a_t != pi*(s_t)]`.

        Continuous actions never agree to the last bit: `tolerance` is how far each coordinate may be off.
        Raises ValueError without labels (call `label(expert)` first) and for a negative tolerance.
        """
        if not tolerance >= 0:
            raise ValueError(f"tolerance is {tolerance}, expected at least 0.")
        if self.labels is None:
            raise ValueError("no labels to compare with; call trajectories.label(expert) first.")
        wrong = ((self.actions - self.labels).abs() > tolerance).reshape(*self.mask.shape, -1).any(2)
        return (wrong & self.mask).sum(1).to(self.rewards.dtype)

    def to(self, device: torch.device | str) -> Trajectories:
        """The same episodes on another device."""
        return self._each(lambda value: value.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Trajectories:
        return Trajectories(*(None if (value := getattr(self, f.name)) is None else change(value)
                              for f in fields(self)))


def _leading(observations: Tensor) -> tuple[int, int]:
    if observations.ndim < 2 or 0 in observations.shape[:2]:
        raise ValueError(f"observations have shape {tuple(observations.shape)}, expected (n, T, *obs) with "
                         "at least one episode of one step.")
    return observations.shape[0], observations.shape[1]


def _pad(value: Tensor, horizon: int) -> Tensor:
    missing = horizon - value.shape[1]
    return value if missing == 0 else torch.cat([value,
                                                 value.new_zeros(len(value), missing, *value.shape[2:])], 1)
