"""DAgger: let the learner drive, ask the expert what it should have done there, aggregate, refit (page 5).

Ross, Gordon and Bagnell (2011), algorithm 3.1.
"""
from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ilsupport import checkpoint as checkpoints
from ilsupport._checks import check_probability
from ilsupport.bc import History, Log, fit, progress_bar, tell
from ilsupport.envs.base import Env
from ilsupport.policies.base import Policy
from ilsupport.rollout import Act, actor, rollout
from ilsupport.trajectories import Trajectories

Schedule = Callable[[int], float]


def first_round_only(i: int) -> float:
    """beta = 1 in round 0, then 0: start from demonstrations, then let the learner drive. Round 0 is plain cloning."""
    return 1.0 if i == 0 else 0.0


def exponential(p: float) -> Schedule:
    """beta_i = p**i, the schedule for which the paper proves its bound. Raises ValueError for p outside [0, 1]."""
    check_probability("p", p)
    return lambda i: float(p) ** i


def linear(k: int) -> Schedule:
    """beta falls from 1 to 0 over `k` rounds, in equal steps. Raises ValueError for k below 1."""
    if k < 1:
        raise ValueError(f"k is {k}, expected at least one round.")
    return lambda i: max(0.0, 1.0 - i / k)


class Round(NamedTuple):
    """What one round of DAgger leaves behind. For a stack of students `data` is a list, one each.

    index, policy, data (the aggregate so far), beta, labels (expert labels asked for so far, a student), history (None
    if training was interrupted)
    """

    index: int
    policy: Policy
    data: Trajectories | list[Trajectories]
    beta: float
    labels: int
    history: History | None


def mixture(expert: Act, learner: Act, beta: float, generator: torch.Generator) -> Act:
    """At each step of each episode the expert acts with probability `beta`, else the learner."""
    if beta in (0, 1):
        return expert if beta else learner

    def act(obs: Tensor) -> Tensor:
        theirs, ours = expert(obs), learner(obs)
        coin = torch.rand(len(obs), generator=generator, device=obs.device) < beta
        return torch.where(coin.view(-1, *[1] * (ours.ndim - 1)), theirs, ours)
    return act


def dagger(env: Env, expert: Policy | Act, new_policy: Callable[[torch.Generator], Policy], *, rounds: int, n: int,
           generator: torch.Generator, horizon: int | None = None, beta: Schedule = first_round_only,
           data: Trajectories | None = None, train: Callable[..., History] = fit, progress: bool = False,
           log: Log | None = None, checkpoint: str | os.PathLike | None = None) -> Iterator[Round]:
    """Yield one `Round` after another: play `n` episodes with the mixture, label them, aggregate, train a fresh student.

    expert      any callable from observations (N, *obs) to actions (N, *act): a script, a network, a person
    new_policy  builds an untrained student, or stack of students, from a generator
    beta        probability that the expert rather than the learner acts, by round: a function of 0, 1, 2, ...
    data        demonstrations to start from: round 0 then plays nothing and asks nobody, it trains on these (a person
                drives first and labels later, page 5)
    train       called as `train(policy, data, generator=generator)`; `functools.partial(fit, steps=500)` sets options
    progress    shows a bar over rounds with what `log` is told
    log         called after each round with a tag, a value and `index`: "return", the mean over the episodes of this round (who
                drove: with `first_round_only` the expert, then always the student of the round before), "labels" so far, a
                student, and "loss", the mean of the last hundred steps; `SummaryWriter(folder).add_scalar` for TensorBoard
    checkpoint  a folder that keeps the labels of each round, and through `train(..., checkpoint=file)` its training: the same
                call made again after a kill goes on there, to the same result, and asks for no label twice

    Which policy of the sequence to return is yours to choose, by validation (page 5). If training is interrupted, the
    round still arrives with all labels collected, and the interrupt follows when the next one is asked for.
    Raises ValueError for rounds below 1, a beta outside [0, 1], an expert that answers with the wrong shape, and a
    checkpoint of another run.
    """
    folder = None if checkpoint is None else Path(checkpoint)
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}, expected at least 1.")
    expert, learner = actor(expert), None
    given, data = data, []
    with progress_bar("dagger", "round", rounds, 0, progress) as bar:
        for i in range(rounds):
            check_probability(f"beta({i})", beta(i))
            policy = new_policy(generator)
            students = policy.students or 1
            if i == 0 and given is not None:
                parts = [given] * students
            else:
                act = mixture(expert, learner or actor(policy), beta(i), generator)
                batch = _kept(folder, i, (n, horizon, beta(i)), generator, lambda: _labelled(
                    rollout(env, act, n * students, generator=generator, horizon=horizon), expert, beta(i)))
                parts = [batch[k * n:(k + 1) * n] for k in range(students)]
            data = [Trajectories.cat([old, new]) for old, new in zip(data, parts)] if data else parts
            mine = data[0] if policy.students is None else data
            history, interrupt = None, None
            try:
                file = {} if folder is None else {"checkpoint": folder / f"round-{i}.fit"}
                history = train(policy, mine, generator=generator, **file)
            except KeyboardInterrupt as stop:
                interrupt = stop
            labels = max(part.steps for part in data)
            tell(bar, log, _news(parts, labels, history), i)
            yield Round(i, policy, mine, beta(i), labels, history)
            if interrupt is not None:
                raise interrupt
            learner = actor(policy)


def _news(parts: list[Trajectories], labels: int, history: History | None) -> dict[str, float]:
    """What the bar and the log of `dagger` say of a round."""
    returns = torch.cat([part.returns() for part in parts])
    loss = {} if history is None else {"loss": float(history.losses[-100:].mean())}
    return {"return": float(returns.mean()), "labels": labels, **loss}


def _labelled(batch: Trajectories, expert: Act, beta: float) -> Trajectories:
    """An expert that drove has said what it would do: people are slow, so nobody is asked twice."""
    return replace(batch, labels=batch.actions) if beta == 1 else batch.label(expert)


def _kept(folder: Path | None, i: int, options: tuple, generator: torch.Generator,
          collect: Callable[[], Trajectories]) -> Trajectories:
    """The labelled episodes of round `i`: from the folder if they are there, else collected and written there."""
    if folder is None:
        return collect()
    folder.mkdir(parents=True, exist_ok=True)
    path, identity = folder / f"round-{i}.labels", checkpoints.fingerprint([options, generator.get_state()])
    try:
        found = checkpoints.read(path)
    except ValueError as error:
        warnings.warn(f"round {i} is collected and labelled again, its labels are damaged ({error}); earlier rounds stand.")
        found = None
    if found is None:
        batch = collect()
        tensors = {f.name: value for f in fields(batch) if (value := getattr(batch, f.name)) is not None}
        checkpoints.write(path, tensors | {"generator": generator.get_state()}, {"identity": identity})
        return batch
    tensors, about = found
    if about["identity"] != identity:
        raise ValueError(f"{folder} holds the rounds of another run: its seed or options differ. Delete it to start anew, or "
                         "choose another folder.")
    generator.set_state(tensors.pop("generator"))
    return Trajectories(**tensors).to(generator.device)
