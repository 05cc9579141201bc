"""Behaviour cloning: fit a policy to pairs of observations and expert actions (page 1)."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ilsupport._checks import check_finite
from ilsupport._threads import one_thread, work_of
from ilsupport.checkpoint import Checkpoint
from ilsupport.estimate import Estimate
from ilsupport.policies.base import Policy
from ilsupport.random import spawn
from ilsupport.trajectories import Trajectories

Pairs = tuple[Shaped[Tensor, "N *obs"], Shaped[Tensor, "N *act"]]
Data = Trajectories | Pairs
Log = Callable[[str, float, int], None]  # a tag, a value, a step

STEPS, ROWS = 200, 2**14  # of `fit`, gathered at once: at most so many steps, and rows (or an epoch, if that is more)


class History(NamedTuple):
    """What training looked like: the loss of every step's batch, one column a student for a stack."""

    losses: Float[Tensor, "steps *M"]


def fit(policy: Policy, data: Data | Sequence[Data], *, generator: torch.Generator | Sequence[torch.Generator],
        steps: int = 2000, batch_size: int = 64, lr: float | Sequence[float] = 1e-3, autocast: bool = False,
        progress: bool = False, log: Log | None = None, checkpoint: str | os.PathLike | None = None) -> History:
    """Minimise the policy's loss on `data` by Adam, in place, over shuffled batches: the whole of behaviour cloning.

    data        Trajectories, or a pair (observations (N, *obs), targets (N, *act)); for a stack of M students one for
                all, or a list of M, which may differ in length
    generator   shuffles the data; for a stack one to spawn from, or a list of M. A student of a stack learns what it
                would learn alone with its own data, generator and learning rate
    lr          Adam's learning rate, or for a stack a list of M
    autocast    bfloat16 in the forward pass: faster where the processor has it, at the same held-out loss
    progress    shows a bar with the loss
    log         called now and then (at least every 200 steps) with "loss", its mean since the last time, and the steps trained
                so far: `SummaryWriter(folder).add_scalar` for TensorBoard, or a function of yours, which may evaluate the
                policy as it then is, and draw. A stack gives the mean over its students. A resumed run may repeat points
    checkpoint  a file that holds the state of training, written every 20 s and at the end; the same call made again goes
                on from it, to the same result (on a CPU bit for bit), or with more steps trains further

    Under `torchrun`, with a process group initialised, each process takes its share of every batch (DistributedDataParallel):
    the same losses as one process with the same `batch_size`, up to rounding. Give every process the same seeds and data.

    Returns the loss of each step. On an interrupt (Ctrl-C) the policy keeps what it has learnt so far.
    Raises ValueError for empty data, wrong shapes, dtypes, devices or actions, NaN or infinity in the data, and a
    checkpoint of another run; FloatingPointError naming the step at which the loss stopped being finite; OSError if the
    checkpoint cannot be written.
    """
    if steps < 1 or batch_size < 1:
        raise ValueError(f"steps = {steps} and batch_size = {batch_size}, expected both at least 1.")
    obs, target, streams = _prepare(policy, data, generator)
    rates = _rates(lr, policy)
    parameters = list(policy.parameters())
    device = parameters[0].device
    optimiser = torch.optim.Adam(parameters, lr=float(rates[0]) if len(set(rates)) == 1 else 1.0, fused=True)
    scale = None if len(set(rates)) == 1 else torch.tensor(rates, device=device)
    rank, world = _processes()
    if batch_size % world:
        raise ValueError(f"batch_size is {batch_size} for {world} processes, expected a multiple: each takes its share.")
    loss_of, share = _spread(policy, world), batch_size // world
    noise = _noise(policy, streams, rank, world)
    losses: list[Tensor] = []
    chunk = max(1, min(STEPS, max(ROWS, min(stream.n for stream in streams)) // batch_size))
    saved, done = None, 0
    if checkpoint is not None:
        if noise and world > 1:
            raise ValueError("a head whose loss draws noise has a generator in each process, and a checkpoint keeps those of one; "
                             "train it in one process, or without a checkpoint.")
        saved = Checkpoint(checkpoint, policy, optimiser, streams, _flat(noise), (obs, target, batch_size, rates, autocast))
        if (before := saved.resume()) is not None:
            losses, done = [before], len(before)
        if done > steps:
            raise ValueError(f"{checkpoint} has trained for {done} steps, more than the {steps} asked for.")
    shown = progress and rank == 0
    with one_thread(work_of(policy, batch_size), device), progress_bar("fit", "step", steps, done, shown) as bar:
        for start in range(done, steps, chunk):
            count = min(chunk, steps - start)
            rows = torch.stack([stream.take(count * batch_size) for stream in streams]).to(device)
            batches = _gather(obs, target, rows, stacked=policy.students is not None)
            part = []
            for k in range(count):
                batch = (x.narrow(-1 - dims, k * batch_size + rank * share, share) for x, dims in batches)
                part.append(_step(loss_of, optimiser, parameters, scale, (*batch, *noise), autocast))
            losses.append(_average(torch.stack(part), world).cpu())  # the one wait for the device
            _check_losses(losses[-1], start)
            if rank == 0:
                tell(bar, log, {"loss": float(losses[-1].mean())}, start + count, count)
            if saved is not None and rank == 0:
                saved.save(losses, finished=start + count == steps)
    return History(torch.cat(losses))


def _processes() -> tuple[int, int]:
    """Which process this is, and of how many."""
    group = torch.distributed
    return (group.get_rank(), group.get_world_size()) if group.is_available() and group.is_initialized() else (0, 1)


class _Loss(nn.Module):
    """A policy's loss as a forward pass, which is where DistributedDataParallel hooks in."""

    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, *batch: Tensor) -> Tensor:
        return self.policy.loss(*batch)


def _spread(policy: Policy, world: int) -> Callable[..., Tensor]:
    """The loss, its gradient averaged over the processes if there are several."""
    return policy.loss if world == 1 else nn.parallel.DistributedDataParallel(_Loss(policy))


def _average(losses: Tensor, world: int) -> Tensor:
    if world > 1:
        torch.distributed.all_reduce(losses)
        losses = losses / world
    return losses


def _step(loss_of, optimiser, parameters, scale, batch, autocast) -> Tensor:
    """One gradient step. Students of a stack share no parameter, so the gradient of their sum is each one's own."""
    if autocast:
        with torch.autocast(parameters[0].device.type, torch.bfloat16):
            loss = loss_of(*batch)
    else:
        loss = loss_of(*batch)
    optimiser.zero_grad()
    (loss if loss.ndim == 0 else loss.sum()).backward()
    if scale is None:
        optimiser.step()
    else:  # Adam takes one learning rate: step with 1, then keep each student's own fraction of the way
        before = [p.detach().clone() for p in parameters]
        optimiser.step()
        with torch.no_grad():
            for p, old in zip(parameters, before):
                p.copy_(old + (p - old) * scale.to(p.dtype).view(-1, *[1] * (p.ndim - 1)))
    return loss.detach()


def error_rate(policy: Policy, data: Data | Sequence[Data]) -> Estimate | list[Estimate]:
    """How often the policy's most likely action is not the expert's, with its exact interval; a list for a stack.

    Measured on held-out expert data this is the average epsilon of assumption A (page 3). The interval takes the pairs
    as independent, which they are on `Tightrope`; elsewhere give one pair an episode, or use `Estimate.of` on episodes.
    """
    parts = _per_student(policy, data)
    rates = []
    with torch.no_grad():
        if policy.students is None:
            obs, target = parts[0]
            wrongs = [policy.act(obs) != target]
        else:
            short = min(len(target) for _, target in parts)
            acted = policy.act(torch.stack([obs[:short] for obs, _ in parts]))
            wrongs = [row != target[:short] for row, (_, target) in zip(acted, parts)]
    for wrong in wrongs:
        rates.append(Estimate.of_rate(int(wrong.sum()), wrong.numel()))
    return rates[0] if policy.students is None else rates


class _Stream:
    """An endless shuffle of 0 .. n-1: one permutation after the other, in any portions, from one generator."""

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


def _noise(policy: Policy, streams: list[_Stream], rank: int, world: int) -> tuple:
    """What a head whose loss draws noise takes after the batch: a generator of its own, or for a stack a list."""
    if not getattr(policy, "draws_noise", False):
        return ()
    generators = [spawn(stream.generator, world)[rank] for stream in streams]  # apart from the shuffle, so that neither moves the other
    return (generators[0] if policy.students is None else generators,)


def _per_student(policy: Policy, data: Data | Sequence[Data]) -> list[Pairs]:
    """The pairs of each student, on the policy's device."""
    device = next(iter(policy.parameters())).device
    single = isinstance(data, Trajectories) or (isinstance(data, tuple) and all(isinstance(x, Tensor) for x in data))
    parts = [data] if single else list(data)
    wanted = policy.students or 1
    if len(parts) not in (1, wanted):
        raise ValueError(f"{len(parts)} data sets for {wanted} students, expected one for all or one each.")
    pairs = [part.pairs() if isinstance(part, Trajectories) else part for part in parts]
    for obs, target in pairs:
        if len(obs) != len(target) or len(obs) == 0:
            raise ValueError(f"{len(obs)} observations and {len(target)} targets, expected as many of each, at least one.")
        check_finite("observations", obs)
        check_finite("targets", target)
        if hasattr(policy, "check_targets"):
            policy.check_targets(target)
    pairs = [(obs.to(device), target.to(device)) for obs, target in pairs]
    return pairs * wanted if len(pairs) == 1 else pairs


def _prepare(policy: Policy, data: Data | Sequence[Data],
             generator: torch.Generator | Sequence[torch.Generator]) -> tuple[Tensor, Tensor, list[_Stream]]:
    """All data in two tensors with a leading student dimension (padded to the longest), and a shuffle for each."""
    pairs = _per_student(policy, data)
    single = isinstance(generator, torch.Generator)
    if policy.students is None:
        generators = [generator] if single else list(generator)
    else:
        generators = spawn(generator, policy.students) if single else list(generator)
    if len(generators) != len(pairs):
        raise ValueError(f"{len(generators)} generators for {len(pairs)} students, expected one to spawn from or one each.")
    pad = torch.nn.utils.rnn.pad_sequence
    streams = [_Stream(len(obs), g) for (obs, _), g in zip(pairs, generators)]
    if len(pairs) == 1:
        return pairs[0][0][None], pairs[0][1][None], streams
    return pad([obs for obs, _ in pairs], True), pad([target for _, target in pairs], True), streams


def _gather(obs: Tensor, target: Tensor, rows: Tensor, stacked: bool) -> list[tuple[Tensor, int]]:
    """The rows of each student, with how many dimensions follow the batch's; no leading dimension for a lone student."""
    if not stacked:
        return [(x[0, rows[0]], x.ndim - 2) for x in (obs, target)]
    student = torch.arange(len(rows), device=rows.device)[:, None]
    return [(x[student, rows], x.ndim - 2) for x in (obs, target)]


def _rates(lr: float | Sequence[float], policy: Policy) -> list[float]:
    rates = [float(lr)] if isinstance(lr, (int, float)) else [float(x) for x in lr]
    if len(rates) not in (1, policy.students or 1) or not all(0 < rate < float("inf") for rate in rates):
        raise ValueError(f"lr is {lr}, expected a positive number, or for a stack one for each of its students.")
    return rates


def _check_losses(losses: Tensor, start: int) -> None:
    finite = losses.isfinite() if losses.ndim == 1 else losses.isfinite().all(1)
    if not bool(finite.all()):
        step = start + int((~finite).nonzero()[0])
        raise FloatingPointError(f"the loss became {losses[step - start].tolist()} at step {step}; lower the learning rate "
                                 "or scale the observations to about [-1, 1].")


def _flat(noise: tuple) -> list[torch.Generator]:
    return [g for part in noise for g in ([part] if isinstance(part, torch.Generator) else part)]


def progress_bar(name: str, unit: str, total: int, done: int, shown: bool):
    """A bar of `total` units, `done` of them made earlier; one that nobody sees unless `shown`."""
    from tqdm.auto import tqdm
    return tqdm(total=total, initial=done, disable=not shown, unit=unit, desc=name)


def tell(bar, log: Log | None, news: dict[str, float], step: int, count: int = 1) -> None:
    """The same news on the bar, which moves by `count`, and in the log."""
    bar.set_postfix(news, refresh=False)
    bar.update(count)
    if log is not None:
        for tag, value in news.items():
            log(tag, value, step)
