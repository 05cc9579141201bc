"""Behaviour cloning: fit a policy to pairs of observations and expert actions (page 1)."""
from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ilsupport._checks import check_horizon
from ilsupport._threads import one_thread, work_of
from ilsupport.estimate import Estimate
from ilsupport.identity import describe
from ilsupport.policies.base import Policy, in_mode
from ilsupport.random import Generators, spawn
from ilsupport.runs import Checkpoint, Log, Progress
from ilsupport.trajectories import Trajectories

Pairs = tuple[Shaped[Tensor, "N *obs"], Shaped[Tensor, "N *act"]]
Data = Trajectories | Pairs
Optimiser = Callable[..., torch.optim.Optimizer]

# of `fit`, gathered at once: at most so many steps, and rows (or an epoch, if that is more)
STEPS, ROWS = 200, 2**14
adam = partial(torch.optim.Adam, fused=True)


class History(NamedTuple):
    """What training looked like: the loss of every step's batch, one column a student for a stack."""

    losses: Float[Tensor, "steps *M"]


def cool_down(done: float) -> float:
    """The default schedule: the full learning rate for seven tenths of the way, then in a straight line to
    none.
    """
    return min(1.0, (1 - done) / 0.3)


def constant(done: float) -> float:
    """The schedule that never changes the learning rate."""
    return 1.0


def fit(policy: Policy, data: Data | Sequence[Data], *, generator: Generators, steps: int = 2000,
        batch_size: int = 64,
        lr: float = 1e-3, optimiser: Optimiser = adam, schedule: Callable[[float], float] = cool_down,
        progress: bool = False, log: Log | None = None,
        checkpoint: str | os.PathLike | None = None) -> History:
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
    check_horizon(steps, "steps"), check_horizon(batch_size, "batch_size"), _check_rate(lr)
    parts, losses = _pairs(policy, data), []
    table, streams = _Table(parts, policy.students), _streams(policy, generator, parts)
    # apart from the shuffle: neither moves the other
    noise = [spawn(stream.generator, 1)[0] for stream in streams]
    optimise, saved = optimiser(policy.parameters(), lr=lr), None
    if checkpoint is not None:
        saved = Checkpoint(checkpoint, policy, optimise, streams, noise, losses, {
            "policy": describe(policy), "data": describe([*table.columns, table.first]), "steps": steps,
            "batch_size": batch_size, "lr": float(lr), "optimiser": describe(optimiser),
            "schedule": describe(schedule)})
    policy.standardise(*zip(*parts))
    chunk = max(1, min(STEPS, max(ROWS, min(stream.n for stream in streams)) // batch_size))
    with (in_mode(policy, training=True), one_thread(work_of(policy, batch_size), table.device),
          Progress("fit", "step", steps, shown=progress, log=log, checkpoint=saved) as hook):
        while hook.done < steps:
            count, recent = min(chunk, steps - hook.done), []
            for k, batch in enumerate(table.batches(streams, count, batch_size)):
                for group in optimise.param_groups:
                    group["lr"] = lr * schedule((hook.done + k) / steps)
                loss = policy.loss(*batch, noise if policy.students else noise[0])
                optimise.zero_grad()
                # students of a stack share no parameter: each has the gradient of its own loss
                loss.sum().backward()
                optimise.step()
                recent.append(loss.detach())
            losses.append(_finite(torch.stack(recent).cpu(), hook.done))  # the one wait for the device
            hook(count, {"loss": float(losses[-1].mean())})
    return History(torch.cat(losses))


def error_rate(policy: Policy, data: Data | Sequence[Data]) -> Estimate | list[Estimate]:
    """How often the policy's most likely action is not the expert's, with its exact interval; a list for a
    stack.

    Measured on held-out expert data this is the average epsilon of assumption A (page 3). The interval takes
    the pairs as independent, which they are on `Tightrope`; elsewhere give one pair an episode, or use
    `Estimate.of` on episodes. Each student is measured on all of its own pairs. Raises TypeError for
    continuous actions, which never agree to the last bit.
    """
    parts = _pairs(policy, data)
    if any(target.is_floating_point() for _, target in parts):
        raise TypeError(f"targets are of dtype {parts[0][1].dtype}, expected whole numbers: continuous "
                        "actions never agree to the last bit. Use Trajectories.disagreements(tolerance), or "
                        "the squared error of policy.act.")
    longest, wrong = max(len(target) for _, target in parts), [0] * len(parts)
    with torch.no_grad(), in_mode(policy, training=False):
        for start in range(0, longest, ROWS):
            rows = torch.arange(start, min(start + ROWS, longest), device=parts[0][0].device)
            # the shorter repeat their last pair, uncounted
            own = [rows.clamp(max=len(target) - 1) for _, target in parts]
            obs = torch.stack([obs[k] for (obs, _), k in zip(parts, own)])
            policy.begin()
            acted = policy.act(obs) if policy.students else policy.act(obs[0])[None]
            for i, ((_, target), k) in enumerate(zip(parts, own)):
                off = (acted[i] != target[k]).reshape(len(k), -1).any(1)
                wrong[i] += int((off & (rows < len(target))).sum())
    rates = [Estimate.of_rate(count, len(target)) for count, (_, target) in zip(wrong, parts)]
    return rates if policy.students else rates[0]


class _Stream:
    """An endless shuffle of 0 .. n-1: one permutation after the other, in any portions, from one generator.
    """

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n, self.generator = n, generator
        self.left = torch.empty(0, dtype=torch.int64, device=generator.device)

    def take(self, count: int) -> Tensor:
        parts, have = [self.left], len(self.left)
        while have < count:
            parts.append(torch.randperm(self.n, generator=self.generator, device=self.generator.device))
            have += self.n
        rows = torch.cat(parts)
        self.left = rows[count:]
        return rows[:count]


class _Table:
    """The rows of all students under each other, those of a shared data set once, and where each student's
    begin.
    """

    def __init__(self, parts: Sequence[Pairs], students: int | None) -> None:
        own = list({id(pair): pair for pair in parts}.values())
        self.columns = own[0] if len(own) == 1 else tuple(torch.cat(column) for column in zip(*own))
        begins, at = {}, 0
        for pair in own:
            begins[id(pair)], at = at, at + len(pair[0])
        self.device, self.students = self.columns[0].device, students
        self.first = torch.tensor([begins[id(pair)] for pair in parts], device=self.device)

    def batches(self, streams: Sequence[_Stream], count: int,
                batch_size: int) -> Iterable[tuple[Tensor, Tensor]]:
        """The next `count` batches, gathered at once."""
        rows = torch.stack([stream.take(count * batch_size)
                            for stream in streams]).to(self.device) + self.first[:, None]
        rows, lead = (rows, 1) if self.students else (rows[0], 0)
        return zip(*(column[rows].unflatten(lead, (count, batch_size)).unbind(lead)
                     for column in self.columns))


def _pairs(policy: Policy, data: Data | Sequence[Data]) -> list[Pairs]:
    """The checked pairs of each student, on the policy's device; a data set that students share is one
    object.
    """
    if not isinstance(policy, Policy):
        raise TypeError(f"policy is {type(policy).__name__}, expected an il.Policy: make yours a subclass of "
                        "it.")
    like = next(policy.parameters())
    single = isinstance(data, Trajectories) or (
        isinstance(data, tuple) and len(data) == 2 and all(isinstance(x, (Tensor, np.ndarray)) for x in data))
    parts, wanted = [data] if single else list(data), policy.students or 1
    if len(parts) not in (1, wanted):
        raise ValueError(f"{len(parts)} data sets for {wanted} students, expected one for all or one each: "
                         "Trajectories, or pairs (observations, targets) of tensors or arrays.")
    known: dict[int, Pairs] = {}
    for part in parts:
        if id(part) not in known:
            known[id(part)] = _checked(policy, part, like)
    return [known[id(part)] for part in parts] * (wanted if len(parts) == 1 else 1)


def _checked(policy: Policy, part: Data, like: Tensor) -> Pairs:
    pair = part.pairs() if isinstance(part, Trajectories) else part
    arrays = isinstance(pair, (tuple, list)) and all(isinstance(x, (Tensor, np.ndarray)) for x in pair)
    if not arrays or len(pair) != 2:
        raise TypeError(f"a data set is {type(part).__name__}, expected Trajectories or a pair "
                        "(observations, targets) of tensors or arrays.")
    obs, target = (_tensor(x, like) for x in pair)
    if len(obs) != len(target) or len(obs) == 0:
        raise ValueError(f"{len(obs)} observations and {len(target)} targets, expected as many of each, at "
                         "least one.")
    policy.check(obs, target)
    return obs, target


def _tensor(x: Tensor | np.ndarray, like: Tensor) -> Tensor:
    """On the device of `like`; whole numbers as int64, an array's fractions with the dtype of `like`."""
    array, x = isinstance(x, np.ndarray), torch.as_tensor(x)
    whole = not x.is_floating_point() and x.dtype not in (torch.bool, torch.uint8)
    dtype = torch.int64 if whole else like.dtype if array and x.is_floating_point() else x.dtype
    return x.to(like.device, dtype)


def _streams(policy: Policy, generator: Generators, parts: Sequence[Pairs]) -> list[_Stream]:
    """A shuffle for each student."""
    single = isinstance(generator, torch.Generator)
    if single:
        generators = [generator] if policy.students is None else spawn(generator, policy.students)
    else:
        generators = list(generator)
    if len(generators) != len(parts):
        raise ValueError(f"{len(generators)} generators for {len(parts)} students, expected one to spawn "
                         "from or one each.")
    return [_Stream(len(obs), g) for (obs, _), g in zip(parts, generators)]


def _check_rate(lr: float) -> None:
    if isinstance(lr, bool) or not isinstance(lr, numbers.Real) or not 0 < lr < math.inf:
        raise ValueError(f"lr is {lr}, expected a positive number.")


def _finite(losses: Float[Tensor, "k *M"], start: int) -> Tensor:
    """The losses, if they are finite; raise FloatingPointError otherwise."""
    finite = losses.isfinite().reshape(len(losses), -1).all(1)
    if not bool(finite.all()):
        k = int((~finite).nonzero()[0])
        raise FloatingPointError(f"the loss became {losses[k].tolist()} at step {start + k}; lower the "
                                 "learning rate or scale the observations to about [-1, 1].")
    return losses
