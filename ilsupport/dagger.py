"""DAgger: let the learner drive, ask the expert what it should have done there, aggregate, refit (page 5).

Ross, Gordon and Bagnell (2011), algorithm 3.1. The loop of collecting, aggregating and refitting is
`rounds_of`, which DART (`ilsupport.noise`) goes round too.
"""
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ilsupport._checks import check_horizon, check_probability, check_shape
from ilsupport.bc import History, fit
from ilsupport.envs.base import Env
from ilsupport.identity import describe
from ilsupport.policies.base import Policy, in_mode
from ilsupport.random import rand
from ilsupport.rollout import Act, actor, rollout
from ilsupport.runs import Log, Progress, once
from ilsupport.trajectories import Trajectories

Schedule = Callable[[int], float]
NewPolicy = Callable[[torch.Generator], Policy]
Collect = Callable[[int, Policy, Policy | None], tuple[list[Trajectories], dict]]


def first_round_only(i: int) -> float:
    """beta = 1 in round 0, then 0: demonstrations first, then the learner drives. Round 0 is cloning."""
    return 1.0 if i == 0 else 0.0


def exponential_beta(p: float) -> Schedule:
    """beta_i = p**i, for which the paper proves its bound. Raises ValueError for p outside [0, 1]."""
    check_probability("p", p)
    return lambda i: float(p) ** i


def linear_beta(k: int) -> Schedule:
    """beta falls from 1 to 0 over `k` rounds, in equal steps. Raises ValueError for k below 1."""
    check_horizon(k, "k")
    return lambda i: max(0.0, 1.0 - i / k)


class Round(NamedTuple):
    """What one round leaves behind. For a stack of students `data` is a list, one each.

    index, policy, data (the aggregate so far), labels (expert labels asked for so far, a student), history
    (None if training was interrupted), and how the round was collected: beta (DAgger), or the covariance of
    the noise (DART)
    """

    index: int
    policy: Policy
    data: Trajectories | list[Trajectories]
    labels: int
    history: History | None
    beta: float | None = None
    covariance: Tensor | None = None


def mixed(expert: Act, learner: Act, beta: float, generator: torch.Generator) -> Act:
    """At each step of each episode the expert acts with probability `beta`, else the learner."""
    if beta in (0, 1):
        return expert if beta else learner

    def act(obs: Tensor) -> Tensor:
        theirs, ours = expert(obs), learner(obs)
        check_shape("the expert's answer", theirs, ours.shape, hint="as the learner's")
        coin = rand((len(obs), *[1] * (ours.ndim - 1)), generator, obs) < beta
        return torch.where(coin, theirs, ours)
    return act


def dagger(env: Env, expert: Policy | Act, new_policy: NewPolicy, *, rounds: int, n: int,
           generator: torch.Generator, horizon: int | None = None, beta: Schedule = first_round_only,
           data: Trajectories | None = None, train: Callable[..., History] = fit, progress: bool = False,
           log: Log | None = None, checkpoint: str | os.PathLike | None = None) -> Iterator[Round]:
    """Yield one `Round` after another: play `n` episodes with the mixture, label, aggregate, train anew.

    expert      any callable from observations (N, *obs) to actions (N, *act): a script, a network, a person
    new_policy  builds an untrained student, or stack of students, from a generator
    beta        probability that the expert rather than the learner acts, by round: a function of 0, 1, 2, ...
    data        demonstrations to start from: round 0 then plays nothing and asks nobody, it trains on these
                (a person drives first and labels later, page 5)
    train       called as `train(policy, data, generator=generator)`; `functools.partial(fit, steps=500)` sets
                options
    progress    shows a bar over rounds with what `log` is told
    log         called after each round with a tag, a value and `index`: "return", the mean over the episodes
                of this round (who drove: with `first_round_only` the expert, then always the student of the
                round before), "labels" so far, a student, and "loss", the mean of the last hundred steps;
                `SummaryWriter(folder).add_scalar` for TensorBoard
    checkpoint  a folder that keeps the labels of each round, and through `train(..., checkpoint=file)` its
                training: the same call made again after a kill goes on there, to the same result, and asks
                for no label twice. Who the expert is must show: give a closure or a person a name with
                `named`

    Which policy of the sequence to return is yours to choose, by validation (page 5). If training is
    interrupted, the round still arrives with all labels collected, and the interrupt follows when the next
    one is asked for. Raises ValueError for rounds below 1, a beta outside [0, 1], an expert that answers with
    the wrong shape, and a checkpoint of another run.
    """
    def collect(i: int, policy: Policy, last: Policy | None) -> tuple[list[Trajectories], dict]:
        share, students = check_probability(f"beta({i})", beta(i)), policy.students or 1
        if i == 0 and data is not None:
            return [data] * students, {"beta": share}

        def ask() -> dict:
            learner = last or policy
            with in_mode(learner, training=False), in_mode(expert, training=False):
                act = mixed(actor(expert), actor(learner), share, generator)
                played = rollout(env, act, n * students, generator=generator, horizon=horizon)
                # An expert that drove has said what it would do: people are slow, so nobody is asked twice.
                played = replace(played, labels=played.actions) if share == 1 else played.label(actor(expert))
            return {"episodes": played.columns(), "generator": generator.get_state()}

        about = describe({"n": n, "horizon": horizon, "beta": share, "generator": generator.get_state()})
        found = once(None if folder is None else folder / f"round-{i}.labels", about | who, ask)
        generator.set_state(found["generator"])
        batch = Trajectories(**found["episodes"]).to(env.device)
        return [batch[k * n:(k + 1) * n] for k in range(students)], {"beta": share}

    folder, who = None if checkpoint is None else Path(checkpoint), {}
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        who = {"env": describe(env), "expert": describe(expert)}
    return rounds_of(collect, new_policy, rounds=rounds, generator=generator, train=train, folder=folder,
                     hook=lambda: Progress("dagger", "round", rounds, shown=progress, log=log))


def rounds_of(collect: Collect, new_policy: NewPolicy, *, rounds: int, generator: torch.Generator,
              train: Callable[..., History], hook: Callable[[], Progress],
              folder: Path | None = None) -> Iterator[Round]:
    """The loop of every interactive method here: collect, aggregate, train a fresh student on all there is.

    `collect(i, policy, last)` gives the new episodes of round `i`, one part a student, and what `Round` is to
    say of how they were made; `policy` is the untrained student and `last` the one of the round before, None
    in round 0.
    """
    check_horizon(rounds, "rounds")
    last, data = None, []
    with hook() as tell:
        for i in range(rounds):
            policy = new_policy(generator)
            parts, how = collect(i, policy, last)
            data = [Trajectories.cat(pair) for pair in zip(data, parts)] if data else parts
            mine = data[0] if policy.students is None else data
            history, interrupt = None, None
            try:
                file = {} if folder is None else {"checkpoint": folder / f"round-{i}.fit"}
                history = train(policy, mine, generator=generator, **file)
            except KeyboardInterrupt as stop:
                interrupt = stop
            labels, returns = max(part.steps for part in data), torch.cat([part.returns() for part in parts])
            loss = {} if history is None else {"loss": float(history.losses[-100:].mean())}
            tell(1, {"return": float(returns.mean()), "labels": labels, **loss}, step=i)
            yield Round(i, policy, mine, labels, history, **how)
            if interrupt is not None:
                raise interrupt
            last = policy
