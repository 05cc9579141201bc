"""Make page 7's table: how often each head fails, tuned by one rule, with axes as they are and turned.

    python experiments/heads.py    # about five minutes on a quiet core

Writes `notebooks/_data/heads.json` after every cell: stopped at any moment it goes on where it was, and
everything is made anew when the recipe, a head's settings or torch has changed.

The rule: a head tries each of its settings at each of the learning rates, with students that have
demonstrations and seeds of their own, and keeps what fails least often. Then five new students are trained
with that, for the same number of steps as all other heads and for four times as many; student `k` of every
head, with axes turned or not, sees the same demonstrations, so that differences are paired.
"""
from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from gymnasium.spaces import Box
from torch import Tensor

import ilsupport as il
from ilsupport.envs import fork
from ilsupport.files import write_atomically

TABLE = Path(__file__).parents[1] / "notebooks" / "_data" / "heads.json"
RECIPE = {"students": 5, "seed": 2026,
          "rates": {"fork": [2e-3, 4e-3, 8e-3, 1.6e-2], "hand": [4e-3, 8e-3, 1.6e-2]},
          "tuned on": {"fork": 3, "hand": 2}}
M = RECIPE["students"]
BEND, TREMBLE, JOINTS = 0.5, 0.1, 8


class EachRate(torch.optim.Adam):
    """Adam with a rate for each student of a stack: a step is in proportion to the rate, so it is shortened.
    """

    def __init__(self, parameters, lr: float, shares: Tensor) -> None:
        super().__init__(parameters, lr=lr, fused=True)
        self.shares = shares

    @torch.no_grad()
    def step(self, closure=None) -> None:
        mine = self.param_groups[0]["params"]
        before = [p.clone() for p in mine]
        super().step(closure)
        for p, old in zip(mine, before):
            p.copy_(old.lerp(p, self.shares.view(-1, *[1] * (p.ndim - 1))))


class ForkWorld:
    """Page 7's fork, 300 demonstrations a student; turned so that an axis runs from one answer to the other.
    """

    name, steps, batch, budget, layers = "fork", 1500, 128, 3000, 2
    heads = {
        "squared error": (il.Gaussian, [{}]),
        "Gaussian": (il.Gaussian, [{"std": None}]),
        "mixture": (il.Mixture, [{"components": 5}, {"components": 10}]),
        "bins, side by side": (partial(il.Discretised, autoregressive=False), [{"bins": 24}, {"bins": 12}]),
        "bins, in turn": (il.Discretised, [{"bins": 24}, {"bins": 12}]),
        "CVAE": (partial(il.Latent, latent_dim=2),
                 [{"std": 0.5}, {"std": 0.35}, {"std": 0.2}, {"std": None, "free_nats": 0.2}]),
        "diffusion": (il.Diffusion, [{}, {"standardise": False}]),
        "flow": (il.Flow, [{}, {"standardise": False}])}

    def __init__(self, turned: bool) -> None:
        one, other = modes(torch.tensor([[-0.67, 0.0, 1.0, 0.0]]))[0]
        along = (one - other) / (one - other).norm()
        self.axes = torch.stack([along, along.flip(0) * torch.tensor([-1, 1])]) if turned else torch.eye(2)
        self.shape, self.limits = (4, 2), (-1.5, 1.5) if turned else (-1.0, 1.0)

    def data(self, g: torch.Generator) -> tuple[Tensor, Tensor]:
        obs, action = il.rollout(il.Fork(), il.ForkExpert(g), 300, generator=g).pairs()
        return obs, action @ self.axes.mT

    def exam(self, policy: il.Policy, g: torch.Generator, n: int = 400) -> dict[str, Tensor]:
        students = policy.students
        sample = not (isinstance(policy, il.Gaussian) and policy.std)  # squared error plays its mean
        env = TurnedFork(self.axes)
        walks = il.rollout(env, policy, n, generator=g, sample=sample)
        fails = -walks.returns().view(students, n)
        up = (walks.observations[:, 8, 1] > 0).view(students, n) & (fails == 0)
        left = up.sum(1) / (fails == 0).sum(1).clamp(min=1)
        start = il.Fork().reset(1000, g)
        with torch.no_grad():
            first = policy.act(start.expand(students, -1, -1), g if sample else None) @ self.axes
        far = (first[..., None, :] - modes(start)).norm(dim=-1).amin(-1) > 0.25
        return {"fails": fails.mean(1), "rarer": torch.minimum(left, 1 - left),
                "invented": far.double().mean(1)}


class TurnedFork(il.Fork):
    """The fork for whoever speaks of accelerations along other axes."""

    def __init__(self, axes: Tensor) -> None:
        super().__init__()
        self.axes, self.action_space = axes, Box(-2, 2, (2,))

    def step(self, action: Tensor):
        return super().step((action @ self.axes).clamp(-1, 1))


class Hand:
    """Page 7's hand of eight joints, sixteen grips, 8,192 demonstrations a student."""

    name, steps, batch, budget, layers = "hand", 800, 64, 6000, 2
    heads = {
        "mixture": (il.Mixture, [{"components": 32}, {"components": 16}]),
        "bins, in turn": (il.Discretised, [{"bins": 32}, {"bins": 64}]),
        "CVAE": (il.Latent, [{"std": None, "free_nats": 1.0}, {"std": 0.5}, {"std": 0.35}]),
        "diffusion": (partial(il.Diffusion, steps=20), [{}, {"standardise": False}]),
        "flow": (partial(il.Flow, steps=20), [{}, {"standardise": False}])}

    def __init__(self, turned: bool) -> None:
        g = il.generator(70)
        self.lean = 0.1 * torch.randn(3, JOINTS, generator=g)
        square = torch.randn(JOINTS, JOINTS, generator=g)
        self.axes = torch.linalg.qr(square)[0] if turned else torch.eye(JOINTS)
        self.grips, self.shape = rule_book(), (3, JOINTS)
        self.limits = (-2.4, 2.4) if turned else (-1.4, 1.4)

    def data(self, g: torch.Generator) -> tuple[Tensor, Tensor]:
        cup = 2 * torch.rand(8192, 3, generator=g) - 1
        grip = self.grips[torch.randint(len(self.grips), (8192,), generator=g)]
        pose = cup @ self.lean + BEND * grip + TREMBLE * torch.randn(8192, JOINTS, generator=g)
        return cup, pose @ self.axes.mT

    @torch.no_grad()
    def exam(self, policy: il.Policy, g: torch.Generator, n: int = 2000) -> dict[str, Tensor]:
        cup = (2 * torch.rand(policy.students, 1, 3, generator=g) - 1).expand(-1, n, -1)
        pose = policy.act(cup, g) @ self.axes - cup @ self.lean
        place = 2 ** torch.arange(JOINTS)
        known = torch.zeros(2**JOINTS, dtype=torch.bool)
        known[((self.grips < 0) * place).sum(-1)] = True
        held = ((pose.abs() - BEND).abs() < 0.8 * BEND).all(-1) & known[((pose < 0) * place).sum(-1)]
        return {"fails": 1 - held.double().mean(1)}


def modes(obs: Tensor) -> Tensor:
    """What the fork's expert means to do, left and right: (n, 2 sides, 2)."""
    one = torch.ones(obs.shape[:-1])
    return torch.stack([fork.steer(obs, one), fork.steer(obs, -one)], -2)


def rule_book() -> Tensor:
    """The sixteen grips, +-1 a joint: Reed and Muller's code of three bits, degree 1."""
    bits = torch.tensor(list(itertools.product([0, 1], repeat=3))).T
    words = torch.cat([torch.ones(1, JOINTS, dtype=bits.dtype), bits])
    return 1.0 - 2.0 * (torch.tensor(list(itertools.product([0, 1], repeat=4))) @ words % 2)


WORLDS = {"fork": partial(ForkWorld, False), "fork, turned": partial(ForkWorld, True),
          "16 grips": partial(Hand, False), "16 grips, turned": partial(Hand, True)}
TUNED_AS = {"fork, turned": "fork"}
BINS = ("bins, side by side", "bins, in turn")
PLAN = (  # a world, how many times the steps, which heads (None: all)
    ("fork", 1, None), ("16 grips, turned", 1, None), ("16 grips", 1, None),
    ("fork", 4, ("Gaussian", "mixture", "flow")), ("fork, turned", 1, BINS),
    ("16 grips, turned", 4, (BINS[1], "diffusion", "flow")), ("16 grips", 4, ("diffusion", "flow", BINS[1])))


def build(world, head: str, setting: dict, generators: list[torch.Generator]) -> il.Policy:
    """As wide as the budget of parameters allows."""
    make = partial(world.heads[head][0], *world.shape, limits=world.limits, **setting)
    hidden = lambda h: (h,) * world.layers

    def off(h: int) -> int:
        one = make(hidden=hidden(h), generator=il.generator(0))
        return abs(sum(p.numel() for p in one.parameters()) - world.budget)

    return make(hidden=hidden(min(range(4, 100), key=off)), generator=generators)


def students(world, head: str, setting: dict, seed: int, rates: list[float], n: int, times: int = 1) -> dict:
    """`n` students at each rate, in one stack, trained and examined: name -> (rates, n)."""
    data = [world.data(il.generator(seed + k)) for k in range(n)]
    policy = build(world, head, setting, [il.generator(seed + k) for _ in rates for k in range(n)])
    shares = torch.tensor(rates).repeat_interleave(n) / max(rates)
    il.fit(policy, data * len(rates), generator=il.generator(seed), steps=times * world.steps,
           batch_size=world.batch, lr=max(rates), optimiser=partial(EachRate, shares=shares))
    marks = world.exam(policy, il.generator(seed + 50))
    return {name: x.double().view(len(rates), n) for name, x in marks.items()}


def tune(world, head: str) -> dict:
    """Every setting at every rate, and the one that fails least often."""
    tried = []
    for setting in world.heads[head][1]:
        rates = RECIPE["rates"][world.name]
        marks = students(world, head, setting, RECIPE["seed"] + 1000, rates, RECIPE["tuned on"][world.name])
        tried += [{"setting": setting, "rate": rate, "fails": [round(x, 4) for x in row.tolist()]}
                  for rate, row in zip(rates, marks["fails"])]
    return {"tried": tried, "chosen": min(tried, key=lambda one: sum(one["fails"]))}


def fill(table: dict, name: str, times: int, heads: tuple | None, save: Callable) -> None:
    world, column = WORLDS[name](), table["worlds"].setdefault(name, {})
    for head in heads or world.heads:
        cells = column.setdefault(head, {})
        if name not in TUNED_AS and "chosen" not in cells:
            cells |= tune(world, head)
        if str(times) in cells:
            continue
        chosen = table["worlds"][TUNED_AS.get(name, name)][head]["chosen"]
        began = time.process_time()
        marks = students(world, head, chosen["setting"], RECIPE["seed"], [chosen["rate"]], M, times)
        cells[str(times)] = {key: [round(v, 4) for v in x[0].tolist()] for key, x in marks.items()}
        cells[str(times)]["seconds"] = round(time.process_time() - began)
        print(f"{name:18s} {head:19s} x{times} {il.Estimate.of(marks['fails'][0])} {chosen['setting']} "
              f"{chosen['rate']}", flush=True)
        save()


def recipe() -> dict:
    """All that a number hangs on and that is said in words: numbers stand only while it does."""
    settings = {name: {head: choices for head, (_, choices) in world.func.heads.items()}
                for name, world in WORLDS.items() if name not in TUNED_AS}
    return RECIPE | {"settings": settings, "plan": [[name, times, heads and list(heads)]
                                                    for name, times, heads in PLAN]}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    torch.set_num_threads(1)
    made_by = {"recipe": recipe(), "versions": {"torch": version("torch")}}
    table = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    if {key: table.get(key) for key in made_by} != made_by:
        table = made_by | {"worlds": {}}

    def save() -> None:
        write_atomically(TABLE, lambda part: part.write_text(json.dumps(table, indent=1) + "\n",
                                                             encoding="utf-8"))

    for name, times, heads in PLAN:
        fill(table, name, times, heads, save)


if __name__ == "__main__":
    main()
