"""Take the wheel: the reader drives, a clone of the reader drives, the reader labels what the clone does
(pages 0 to 6).

A person is just an expert, a slow one, who answers in keys: `Drive.coach` is a round of DAgger that waits for
them.
"""
import json
from functools import cache, partial
from pathlib import Path

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from ilsupport._checks import check_horizon
from ilsupport.bc import fit
from ilsupport.envs import Camera, Driving
from ilsupport.policies import MLP, Gaussian, Seeing
from ilsupport.random import generator
from ilsupport.rollout import rollout
from ilsupport.trajectories import Trajectories
from ilsupport.widgets.static import StaticWidget, halves

SHIPPED = Path(__file__).with_name("drive.json")  # made by tests/browser/record_drive.py
# What the JavaScript plays; marks may be there or not. It steers within full lock, with limits or without.
PLAYED = {"students": None, "side": 0, "rows": 30, "columns": 32, "obs_dim": 960, "act_dim": 1, "net": MLP,
          "activation": "relu", "limits": [-1, 1]}


def new_clone(g: torch.Generator) -> Seeing:
    """What the widget trains: 30 x 32 pixels, 16 hidden units, one steering (ALVINN's size, more or less)."""
    return Seeing(Camera(), Gaussian(960, 1, hidden=(16,), limits=(-1, 1), generator=g))


train_clone = partial(fit, steps=1000, batch_size=128)  # about a second


class Drive(StaticWidget):
    """A road, a car, and whoever is at its wheel: the reader, or one of `policies`, a dict of names to
    drivers.

    A driver is a `Seeing` with a `Camera` in the middle of the car and a `Gaussian` head, not stacked; its
    weights travel with the page as float16. `seed` makes the road; one drive of the reader lasts `horizon`
    steps of 0.05 s.

    At each step the wheel goes 15 % of the way to where the arrow keys want it (full left, full right, or
    straight when none is held): a key held for half a second turns it by 80 %. The steering so smoothed is
    what is recorded. Python has it as `demonstrations`, trains a clone with `train()` and asks for labels
    with `coach()`; the page's buttons call the same two.

    Raises ValueError for a horizon below 1 and for a policy that the page cannot carry.
    """

    scripts = ("drive_world.js", "drive_view.js", "drive.js")

    phases = traitlets.List().tag(sync=True)
    horizon = traitlets.Int(400).tag(sync=True)
    drivers = traitlets.List().tag(sync=True)
    asked = traitlets.Dict().tag(sync=True)  # a drive that waits for labels: id, by, states, got
    budget = traitlets.Dict({"given": 0, "total": 0}).tag(sync=True)  # labels

    def __init__(self, policies: dict[str, Seeing] | None = None, *, seed: int = 0,
                 horizon: int = 400) -> None:
        phases = 2 * torch.pi * torch.rand(3, generator=generator(seed), dtype=torch.float64)
        super().__init__(phases=[round(x, 4) for x in phases.tolist()], horizon=check_horizon(horizon))
        self.seed = seed
        self._driven: list[tuple[Tensor, Tensor, Tensor]] = []  # the reader's own drives
        self._labelled = [(torch.empty(0, 8), torch.empty(0, 1))]  # observations, labels (NaN: not yet)
        self._newest: tuple[str, Seeing] | None = None  # who drives next to be labelled
        for name, policy in (policies or {}).items():
            self.add(name, policy)
        self.on_msg(self._hear)

    @property
    def demonstrations(self) -> Trajectories:
        """The reader's own drives, features and steering; until there are any, the drive that ships with the
        book.

        That one was driven by a script at the keyboard, through this widget, with a person's delay
        (tests/browser/record_drive.py).
        """
        return Trajectories.from_episodes(self._driven or _shipped())

    @property
    def driven(self) -> int:
        """How many drives are the reader's own; 0: `demonstrations` are the shipped ones."""
        return len(self._driven)

    @property
    def labels(self) -> tuple[Float[Tensor, "N 8"], Float[Tensor, "N 1"]]:
        """Observations and labels given so far by steering along with somebody else's drive, unfinished ones
        too.
        """
        obs, labels = (torch.cat(column) for column in zip(*self._labelled))
        given = ~labels.isnan().squeeze(1)
        return obs[given], labels[given]

    def add(self, name: str, policy: Seeing) -> None:
        """Let `policy` drive in the canvas too, on the same road; it takes the place of one of the same
        name.
        """
        if not isinstance(name, str) or name in ("", "you"):
            raise ValueError(f"a driver is called {name!r}, expected a name, and another than 'you'.")
        there = {driver["name"]: driver for driver in self.drivers}
        self.drivers = list({**there, name: {"name": name, **_packed(name, policy)}}.values())

    def train(self, name: str = "clone", *, labels: bool = False) -> Seeing:
        """Clone `demonstrations`, with `labels` those too, in about a second, and let the clone drive."""
        policy, demos, more = new_clone(generator(self.seed)), self.demonstrations, len(self.labels[0])
        data = demos.pairs()
        if labels:
            data = tuple(torch.cat(pair) for pair in zip(data, self.labels))
        train_clone(policy, data, generator=generator(self.seed))
        self._newest = name, policy
        self.add(name, policy)
        whose = "yours" if self.driven else "the book's, as you have not driven"
        learnt = f"{demos.steps:,} steps of driving ({whose}){f' and {more:,} labels' if labels else ''}"
        self.send({"say": f"{name} learnt from {learnt}. Watch it.", "drive": name})
        return policy

    def road(self) -> Driving:
        """The widget's road as an environment: every episode starts where the reader's drives do."""
        return Driving(phases=self.phases, horizon=self.horizon)

    def coach(self) -> None:
        """Start a round of DAgger whose expert is the reader: show a drive of the newest student to label.

        Labels are kept in `labels` as they arrive. With the last one of the drive a new student learns from
        all of them and `demonstrations`, and can drive. Raises RuntimeError while a drive waits for labels.
        """
        if self.asked:
            raise RuntimeError("this widget is coaching already; label the drive that it shows.")
        if self._newest is None:
            self.train()
        name, policy = self._newest
        obs = rollout(self.road(), policy, 1, generator=generator(self.seed)).observations[0]
        given = self.demonstrations.steps + len(self.labels[0])
        self.budget = {"given": given, "total": given + len(obs)}
        self._labelled.append((obs, torch.full_like(obs[:, :1], torch.nan)))
        where = Driving(dtype=torch.float64).where(obs)  # on which road, as the page draws it
        self.asked = {"id": len(self._labelled) - 1, "by": name, "got": 0,
                      "states": torch.column_stack(where).round(decimals=5).tolist()}

    # -- what the page hears and says

    def _hear(self, _widget: StaticWidget, message: object, _buffers: list) -> None:
        self.send({"heard": True})  # so that the page knows that somebody is there
        try:
            self._obey(message)
        except Exception as error:  # shown where the reader looks; the kernel stays up
            self.send({"say": f"{type(error).__name__}: {error}"})

    def _obey(self, message: object) -> None:
        match message:
            case {"kind": "train" | "coach" as method}:
                getattr(self, method)()
            case {"kind": "drive", "steering": [_, *_] as steering} if _all_turns(steering):
                self._driven.append(_replay(self.phases, steering))
                if not self.asked:
                    self.budget = {"given": self.demonstrations.steps, "total": 0}
            case {"kind": "labels", "id": int(number), "at": int(at), "steering": list(steering)} if (
                    number == self.asked.get("id") and _all_turns(steering)
                    and 0 <= at <= at + len(steering) <= len(self.asked["states"])):
                self._label(at, steering)
            case _:
                asked = f"of drive {self.asked['id']}" if self.asked else "of none"
                raise ValueError(f"the page said {str(message)[:80]}, expected train, coach, a drive (some "
                                 f"steering) or labels {asked} (id, at, steering), each within [-1, 1].")

    def _label(self, at: int, steering: list[float]) -> None:
        labels = self._labelled[-1][1]
        labels[at:at + len(steering), 0] = torch.tensor(steering, dtype=labels.dtype)
        got = int((~labels.isnan()).sum())
        self.budget = self.budget | {"given": self.budget["given"] + got - self.asked["got"]}
        self.asked["got"] = got  # where a page that is opened anew goes on
        if got == len(labels):
            self.asked = {}
            self.train(f"DAgger {len(self._labelled) - 1}", labels=True)


@cache
def _shipped() -> list[tuple[Tensor, Tensor, Tensor]]:
    return [_replay(**episode) for episode in json.loads(SHIPPED.read_text(encoding="utf-8"))["episodes"]]


def _replay(phases: list[float], steering: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    """The same drive again, in float64 as the page drove it, so that only the steering has to travel."""
    turns = iter(torch.tensor(steering, dtype=torch.float64).view(-1, 1, 1))
    road = Driving(phases=phases, horizon=len(steering), dtype=torch.float64)
    again = rollout(road, lambda obs: next(turns), 1, generator=generator(0))
    return again.observations[0], again.actions[0], again.rewards[0]


def _packed(name: str, policy: Seeing) -> dict:
    """What the page needs of a driver: its layers, units folded into them, and whether its road has marks."""
    head, camera = getattr(policy, "head", None), getattr(policy, "camera", None)
    if isinstance(policy, Seeing) and isinstance(head, Gaussian) and isinstance(camera, Camera):
        limits = None if head.low is None else [*head.low.tolist(), *head.high.tolist()]
        has = {**camera.settings(), **head.settings(), "students": policy.students, "limits": limits}
        wrong = [f"{key} is {has[key]}, expected {value}" for key, value in PLAYED.items()
                 if has.get(key) not in (None, value)]
    else:
        wrong = [f"it is a {type(policy).__name__} of {type(camera).__name__} and {type(head).__name__}"]
    if wrong:
        raise ValueError(f"the page cannot carry {name!r}: {', '.join(wrong)}; it carries one Seeing of "
                         "Camera() or Camera(marks=False) and Gaussian(960, 1, ...).")
    weights, biases = ([x.detach().double() for x in part] for part in (head.net.weights, head.net.biases))
    if head.sees.on:
        weights[0] = weights[0] / head.sees.scale
        biases[0] = biases[0] - weights[0] @ head.sees.shift.double()
    if head.plays.on:
        weights[-1] = weights[-1] * head.plays.scale
        biases[-1] = biases[-1] * head.plays.scale + head.plays.shift
    layers = [{"weight": halves(weight), "bias": halves(bias)} for weight, bias in zip(weights, biases)]
    return {"marks": camera.marks, "layers": layers}


def _all_turns(values: list) -> bool:
    return all(type(v) in (int, float) and abs(v) <= 1 for v in values)  # false for NaN too
