"""Make page 10's table: what students of the four locomotion experts earn.

    python experiments/locomotion.py                 # all tasks; each takes five minutes, the ant ten
    python experiments/locomotion.py Hopper-v5       # one of them

Writes `notebooks/_data/locomotion.json` after every cell: stopped at any moment it goes on where it was.
Everything is made anew when the recipe, a row or a version of what it stands on has changed, a task when its
expert has. What changes a number otherwise (`Task.train`, say) has to be said in the recipe. A number is a
mean over ten students, trained as one stack from ten initialisations, of three episodes each;
`Task.demonstrations` says who sees what.
"""
from __future__ import annotations

import argparse
import functools
import hashlib
import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import load_file

import ilsupport as il
from ilsupport.experts import TASKS, WEIGHTS
from ilsupport.files import write_atomically

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "notebooks" / "_data" / "locomotion.json"
POOL = ROOT / "_build" / "locomotion"   # demonstrations, kept between runs, not in the repository
RECIPE = {"students": 10, "episodes": 3, "pool": 50, "hidden": [64, 64], "batch_size": 64,
          "steps_at_lr": [[8000, 3e-3], [2000, 3e-4]],
          "short": [[2000, 3e-3]], "rounds": 5, "episodes_a_round": 2, "chunk": 4, "sparse": 20, "seed": 2026,
          "standardised": "observations and torques", "chunks": "to the last step"}
COLUMNS = {"Ant-v5": 27}                # like their expert, the ant's students do without the contact forces
M = RECIPE["students"]


class Task:
    """One body: its environment, its expert, 50 demonstrations, how its students are built and trained."""

    def __init__(self, name: str) -> None:
        self.name, self.env, self.expert = name, il.Gymnasium(name), il.LocomotionExpert(name)
        self.width = COLUMNS.get(name, self.env.observation_space.shape[0])
        self.actions = self.env.action_space.shape[0]
        file = POOL / f"{name}-{fingerprint(load_file(WEIGHTS / f'{name}.safetensors'))[:12]}.safetensors"
        if not file.exists():
            POOL.mkdir(parents=True, exist_ok=True)
            g = il.generator(RECIPE["seed"])
            il.save(il.rollout(self.env, self.expert, RECIPE["pool"], generator=g), file)
        self.pool = il.load(file)

    def demonstrations(self, n: int) -> list[il.Trajectories]:
        """`n` a student, from a pool of 50.

        2 are its own, of 10 it shares half with each neighbour, 50 are everybody's.
        """
        apart = len(self.pool) // M
        return [self.pool[[(apart * k + i) % len(self.pool) for i in range(n)]] for k in range(M)]

    def student(self, generator: torch.Generator, head: Callable = il.Gaussian, length: int = 1) -> il.View:
        net = head(self.width, self.actions * length, hidden=RECIPE["hidden"], limits=(-1.0, 1.0),
                   generator=il.spawn(generator, M))
        return il.View(net, lambda obs: obs[..., :self.width])

    def train(self, student: il.Policy, data: list, *, generator: torch.Generator,
              plan: str = "steps_at_lr") -> il.History:
        for steps, lr in RECIPE[plan]:
            history = il.fit(student, data, generator=generator, steps=steps, lr=lr, schedule=il.constant,
                             batch_size=RECIPE["batch_size"])
        return history


def clone(task: Task, g: torch.Generator, n: int, head: Callable = il.Gaussian, thin: int = 1,
          **plan: str) -> tuple:
    data = [tuple(x[::thin] for x in part.pairs()) for part in task.demonstrations(n)]
    student = task.student(g, head)
    task.train(student, data, generator=g, **plan)
    return student, sum(len(obs) for obs, _ in data) / M


def online(task: Task, g: torch.Generator, loop: Callable, **plan: str) -> tuple:
    """DAgger or DART."""
    *_, last = loop(task.env, task.expert, task.student, rounds=RECIPE["rounds"],
                    n=RECIPE["episodes_a_round"], generator=g, train=functools.partial(task.train, **plan))
    return last.policy, sum(part.steps for part in last.data) / M


def chunked(task: Task, g: torch.Generator) -> tuple:
    demonstrations, length = task.demonstrations(10), RECIPE["chunk"]
    student = il.Chunked(task.student(g, length=length), length)
    task.train(student, [il.chunks(part, length) for part in demonstrations], generator=g)
    return student, sum(part.steps for part in demonstrations) / M


ROWS = {
    "BC, 2 trajectories, every 20th step": functools.partial(clone, n=2, thin=RECIPE["sparse"]),
    "BC, 2 trajectories, 2,000 steps": functools.partial(clone, n=2, plan="short"),
    "BC, 2 trajectories": functools.partial(clone, n=2),
    "BC, 10 trajectories, 2,000 steps": functools.partial(clone, n=10, plan="short"),
    "BC, 10 trajectories": functools.partial(clone, n=10),
    "BC, 50 trajectories": functools.partial(clone, n=50),
    "DAgger, as many labels as 10, 2,000 steps": functools.partial(online, loop=il.dagger, plan="short"),
    "DAgger, as many labels as 10": functools.partial(online, loop=il.dagger),
    "DART, as many labels as 10": functools.partial(online, loop=il.dart),
    "chunks of 4, 10 trajectories": functools.partial(chunked),
    "diffusion, 10 trajectories": functools.partial(clone, n=10, head=il.Diffusion),
}


def fingerprint(tensors: dict[str, torch.Tensor]) -> str:
    """A hash of names and values."""
    key = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        key.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return key.hexdigest()


def rows() -> dict[str, str]:
    """What each row is made by, in words: its function and the settings that it is called with."""
    def words(row: functools.partial) -> str:
        settings = (f"{key}={getattr(value, '__name__', value)}" for key, value in row.keywords.items())
        return f"{row.func.__name__}({', '.join(settings)})"
    return {name: words(row) for name, row in ROWS.items()}


def cell(task: Task, row: str) -> dict:
    began, seed = time.process_time(), RECIPE["seed"] + 1 + list(ROWS).index(row)
    g = il.generator(seed)
    student, labels = ROWS[row](task, g)
    returns = il.rollout(task.env, student, RECIPE["episodes"], generator=g).returns().view(M, -1).mean(1)
    return {"estimate": [round(x, 1) for x in il.Estimate.of(returns)],
            "returns": [round(x, 1) for x in returns.tolist()],
            "labels": round(labels), "seed": seed, "seconds": round(time.process_time() - began)}


def fill(table: dict, name: str) -> None:
    weights = fingerprint(load_file(WEIGHTS / f"{name}.safetensors"))
    column = table["tasks"].setdefault(name, {})
    if column.get("weights") != weights:
        column.clear()
    task = Task(name)
    data = fingerprint({"observations": task.pool.observations, "actions": task.pool.actions})
    column |= {"weights": weights, "data": data, "expert": list(task.expert.measured),
               "pool": [round(x, 1) for x in il.Estimate.of(task.pool.returns())],
               "cells": column.get("cells", {})}
    for row in ROWS:
        if row in column["cells"]:
            continue
        column["cells"][row] = cell(task, row)
        estimate = il.Estimate(*column["cells"][row]["estimate"])
        print(f"{name:15s} {row:36s} {estimate}  {estimate.mean / task.expert.measured.mean:4.0%} of the "
              "expert", flush=True)
        write_atomically(TABLE, lambda part: part.write_text(json.dumps(table, indent=1) + "\n",
                                                             encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tasks", nargs="*", help=f"of {', '.join(TASKS)}; all without")
    torch.set_num_threads(1)
    made_by = {"recipe": RECIPE, "rows": rows(), "python": platform.python_version(),
               "versions": {name: version(name) for name in ("torch", "gymnasium", "mujoco", "numpy")}}
    table = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    if {key: table.get(key) for key in made_by} != made_by:
        table = made_by | {"tasks": {}}
    tasks = parser.parse_args().tasks or TASKS
    if not {*tasks} <= {*TASKS}:
        parser.error(f"no such task: {', '.join({*tasks} - {*TASKS})}; there are {', '.join(TASKS)}")
    for name in tasks:
        fill(table, name)


if __name__ == "__main__":
    main()
