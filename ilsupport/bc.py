"""Behaviour cloning: fit a policy to pairs of observations and expert actions (page 1)."""
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ilsupport._checks import check_horizon, check_positive, check_shape
from ilsupport._threads import one_thread, work_of
from ilsupport.estimate import Estimate, Estimates
from ilsupport.policies.base import Policy, in_mode
from ilsupport.random import Generators, spawn
from ilsupport.runs import Checkpoint, Log, Progress
from ilsupport.trajectories import Trajectories

Pairs = tuple[Shaped[Tensor, "N *obs"], Shaped[Tensor, "N *act"]]
Data = Trajectories | Pairs
Optimiser = Callable[..., torch.optim.Optimizer]
Schedule = Callable[[float], float]

STEPS, ROWS = 200, 2**14  # gathered at once: at most so many steps, and rows (or an epoch, if that is more)
adam = partial(torch.optim.Adam, fused=True)


class History(NamedTuple):
    """What training looked like: the loss of every step's batch, one column a student for a stack."""

    losses: Float[Tensor, "steps *M"]


def cool_down(done: float) -> float:
    """The default schedule: the full learning rate for seven tenths of the way, then a line down to none."""
    return min(1.0, (1 - done) / 0.3)


def constant(done: float) -> float:
    """The schedule that never changes the learning rate."""
    return 1.0


def fit(policy: Policy, data: Data | Sequence[Data], *, generator: Generators, steps: int = 2000,
        batch_size: int = 64, lr: float = 1e-3, optimiser: Optimiser = adam, schedule: Schedule = cool_down,
        progress: bool = False, log: Log | None = None, checkpoint: Path | str | None = None) -> History:
    """Minimise the policy's loss on `data`, in place, over shuffled batches: the whole of behaviour cloning.

    data        Trajectories, or a pair (observations (N, *obs), targets (N, *act)), tensors or arrays; for a
                stack of M students one for all, or a list of M, which may differ in length. The policy takes
                its units from it
    generator   shuffles the data; for a stack one to spawn from, or a list of M. A student of a stack learns
                what it would learn alone with its own data and generator
    optimiser   called as `optimiser(parameters, lr=lr)`; by default Adam
    schedule    from the share of training done, in [0, 1), to the share of `lr` then in force: `cool_down`,
                `constant`, yours
    progress    shows a bar with the loss
    log         called now and then (at least every 200 steps) with "loss", its mean since the last time, and
                the steps trained so far: `SummaryWriter(folder).add_scalar` for TensorBoard, or a function of
                yours, which may evaluate the policy as it then is, and draw. A stack gives the mean over its
                students. A resumed run may repeat points
    checkpoint  a file that holds the state of training, written every 20 s and at the end; the same call made
                again goes on from it, to the same result (on a CPU bit for bit)

    Returns the loss of each step. On an interrupt (Ctrl-C) the policy keeps what it has learnt so far. Raises
    ValueError for empty data, wrong shapes, dtypes, devices or actions, NaN or infinity in the data, and a
    checkpoint of another run; FloatingPointError naming the step at which the loss stopped being finite;
    OSError if the checkpoint cannot be written.
    """
    steps, batch_size = check_horizon(steps, "steps"), check_horizon(batch_size, "batch_size")
    check_positive("lr", lr)
    parts, losses, stacked = _pairs(policy, data), [], policy.students is not None
    columns, rows = _table(parts, _generators(generator, policy.students))
    noise = [spawn(mine.generator, 1)[0] for mine in rows]  # apart from the shuffle: neither moves the other
    optimise, saved = optimiser(policy.parameters(), lr=lr), None
    if checkpoint is not None:
        saved = Checkpoint(checkpoint, policy, optimise, rows, noise, losses, {
            "policy": policy, "data": [*columns, [mine.first for mine in rows]], "steps": steps,
            "batch_size": batch_size, "lr": float(lr), "optimiser": optimiser, "schedule": schedule})
    policy.standardise(*zip(*parts))
    chunk = max(1, min(STEPS, max(ROWS, min(mine.n for mine in rows)) // batch_size))
    with (in_mode(policy, training=True), one_thread(work_of(policy, batch_size), columns[0].device),
          Progress("fit", "step", steps, shown=progress, log=log, checkpoint=saved) as hook):
        while hook.done < steps:
            count, recent = min(chunk, steps - hook.done), []
            for k, batch in enumerate(_batches(columns, rows, stacked, count, batch_size)):
                for group in optimise.param_groups:
                    group["lr"] = lr * schedule((hook.done + k) / steps)
                loss = policy.loss(*batch, noise if stacked else noise[0])
                optimise.zero_grad()
                loss.sum().backward()  # students share no parameter: each has the gradient of its own loss
                optimise.step()
                recent.append(loss.detach())
            losses.append(_home(recent, policy.students, hook.done))
            hook(count, {"loss": float(losses[-1].mean())})
    return History(torch.cat(losses))


def error_rate(policy: Policy, data: Data | Sequence[Data]) -> Estimate | list[Estimate]:
    """How often the policy's most likely action is not the expert's, with its exact interval; one a student.

    Measured on held-out expert data this is the average epsilon of assumption A (page 3). The interval takes
    the pairs as independent, which they are on `Tightrope`; elsewhere give one pair an episode, or use
    `Estimate.of` on episodes. Each student is measured on all of its own pairs. Raises TypeError for
    continuous actions, which never agree to the last bit.
    """
    both = answers(policy, data)
    if any(target.is_floating_point() for _, target in both):
        raise TypeError("targets are floats, which never agree exactly; use data.disagreements(tolerance).")
    wrong = [(acted != target).reshape(len(target), -1).any(1) for acted, target in both]
    rates = Estimates(Estimate.of_rate(int(each.sum()), len(each)) for each in wrong)
    return rates if policy.students else rates[0]


@torch.no_grad()
def answers(policy: Policy, data: Data | Sequence[Data]) -> list[tuple[Tensor, Tensor]]:
    """What each student plays at all of its own observations, and the targets there.

    A policy with a memory is asked at every observation as if an episode started there. Raises ValueError as
    `fit` does, and unless there is one answer for each target.
    """
    parts = _pairs(policy, data)
    obs = pad_sequence([obs for obs, _ in parts], batch_first=True)
    policy.begin()
    with in_mode(policy, training=False):
        acted = policy.act(obs) if policy.students else policy.act(obs[0])[None]
    check_shape("the policy's answer", acted, (*obs.shape[:2], *parts[0][1].shape[1:]), hint="as the targets")
    return [(row[:len(target)], target) for row, (_, target) in zip(acted, parts)]


class _Rows:
    """An endless shuffle of one student's rows, `first` .. `first + n - 1`: permutation after permutation."""

    def __init__(self, first: int, n: int, generator: torch.Generator) -> None:
        self.first, self.n, self.generator = first, n, generator
        self.left = torch.empty(0, dtype=torch.int64, device=generator.device)

    def take(self, count: int) -> Int[Tensor, "count"]:
        """The next ones, in portions of any size from one generator."""
        short, g = -((len(self.left) - count) // self.n), self.generator  # so many permutations
        fresh = [torch.randperm(self.n, generator=g, device=g.device) for _ in range(short)]
        rows = torch.cat([self.left, *fresh])
        self.left = rows[count:]
        return rows[:count] + self.first


def _table(parts: Sequence[Pairs], generators: Sequence[torch.Generator]) -> tuple[Pairs, list[_Rows]]:
    """The pairs of all students under each other, a shared data set once, and which rows are each one's."""
    own = {id(pair): pair for pair in parts}
    columns = parts[0] if len(own) == 1 else tuple(torch.cat(column) for column in zip(*own.values()))
    begins = dict(zip(own, accumulate((len(pair[0]) for pair in own.values()), initial=0)))
    return columns, [_Rows(begins[id(pair)], len(pair[0]), g) for pair, g in zip(parts, generators)]


def _batches(columns: Pairs, rows: Sequence[_Rows], stacked: bool, count: int, size: int) -> Iterable:
    """The next `count` batches, gathered at once."""
    at = torch.stack([mine.take(count * size) for mine in rows]).to(columns[0].device)
    at, lead = (at, 1) if stacked else (at[0], 0)
    return zip(*(column[at].unflatten(lead, (count, size)).unbind(lead) for column in columns))


def _pairs(policy: Policy, data: Data | Sequence[Data]) -> list[Pairs]:
    """The checked pairs of each student, on the policy's device; a shared data set is one object."""
    if not isinstance(policy, Policy):
        raise TypeError(f"policy is {type(policy).__name__}, expected an il.Policy: make yours a subclass.")
    single = isinstance(data, Trajectories) or (isinstance(data, tuple) and _is_pair(data))
    parts, wanted = [data] if single else list(data), policy.students or 1
    if len(parts) not in (1, wanted):
        raise ValueError(f"{len(parts)} data sets for {wanted} students, expected one for all or one each: "
                         "Trajectories, or pairs (observations, targets) of tensors or arrays.")
    known = {key: _checked(policy, part) for key, part in {id(part): part for part in parts}.items()}
    return [known[id(part)] for part in parts] * (wanted // len(parts))


def _is_pair(part: object) -> bool:
    return isinstance(part, tuple | list) and [isinstance(x, Tensor | np.ndarray) for x in part] == [True] * 2


def _checked(policy: Policy, part: Data) -> Pairs:
    """The pair's whole numbers become int64; an array's fractions and targets take the policy's dtype."""
    pair, like = part.pairs() if isinstance(part, Trajectories) else part, next(policy.parameters(), None)
    if not _is_pair(pair):
        raise TypeError(f"data is {type(part).__name__}, expected Trajectories or arrays (obs, targets).")
    columns = []
    for cast, x in zip((isinstance(pair[0], np.ndarray), True), pair):  # an expert may answer in float64
        x = torch.as_tensor(x)
        if not x.is_floating_point() and x.dtype not in (torch.bool, torch.uint8):
            x = x.long()  # but pictures and flags stay small
        if like is not None:  # a script has no parameters
            x = x.to(like.device, like.dtype if cast and x.is_floating_point() else x.dtype)
        columns.append(x)
    if 0 in (sizes := [len(x) for x in columns]) or sizes[0] != sizes[1]:
        raise ValueError(f"{sizes[0]} observations and {sizes[1]} targets, expected as many, at least one.")
    policy.check(*columns)
    return tuple(columns)


def _generators(generator: Generators, students: int | None) -> list[torch.Generator]:
    """One a student."""
    if isinstance(generator, torch.Generator):
        return spawn(generator, students) if students else [generator]
    if len(generator) != (students or 1):
        raise ValueError(f"{len(generator)} generators, {students or 1} students, expected one or as many.")
    return list(generator)


def _home(recent: Sequence[Tensor], students: int | None, start: int) -> Float[Tensor, "k *M"]:
    """The losses of the steps from `start` on, brought home: the one wait for the device.

    Raises FloatingPointError for those that are not finite.
    """
    losses, wanted = torch.stack(recent).cpu(), () if students is None else (students,)
    check_shape("the policy's loss", losses[0], wanted, hint="the batch's mean, for a stack one a student")
    if bad := (~losses.isfinite()).nonzero()[:, 0].tolist():
        raise FloatingPointError(f"the loss became {losses[bad[0]].tolist()} at step {start + bad[0]}; "
                                 "lower the learning rate or scale the observations to about [-1, 1].")
    return losses
