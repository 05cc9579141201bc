"""Take the wheel: the reader drives, a clone of the reader drives, the reader labels what the clone does (pages 0 to 6).

A person is just a policy, a slow one: `Drive.expert` answers in keys, and the same `dagger` takes it as its expert.
"""
from __future__ import annotations

import base64
import json
import math
import pathlib
import queue
import threading
from collections.abc import Sequence

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from ilsupport._checks import check_horizon
from ilsupport.bc import History, fit
from ilsupport.dagger import Round, dagger
from ilsupport.envs.camera import Camera
from ilsupport.envs.driving import Driving
from ilsupport.policies import Gaussian, Policy, Seeing
from ilsupport.random import generator
from ilsupport.trajectories import Trajectories
from ilsupport.widgets.static import StaticWidget

SHIPPED = pathlib.Path(__file__).with_name("drive.json")  # made by tests/browser/record_drive.py


def new_clone(g: torch.Generator) -> Seeing:
    """What the widget trains: 30 x 32 pixels, 16 hidden units, one steering (ALVINN's size, more or less)."""
    return Seeing(Camera(), Gaussian(960, 1, hidden=(16,), limits=(-1, 1), generator=g))


def train_clone(policy: Policy, data: Trajectories, *, generator: torch.Generator) -> History:
    """How the widget trains it: `fit`, for about a second."""
    return fit(policy, data, generator=generator, steps=1000, batch_size=128)


class Drive(StaticWidget):
    """A road, a car, and whoever is at its wheel: the reader, or one of `policies`, a dict of names to drivers.

    A driver is a `Seeing` with a `Camera` in the middle of the car and a `Gaussian` head, not stacked; its weights travel
    with the page as float16. `seed` makes the road; one drive of the reader lasts `horizon` steps of 0.05 s.

    At each step the wheel goes 15 % of the way to where the arrow keys want it (full left, full right, or straight when
    none is held): a key held for half a second turns it by 80 %. The steering so smoothed is what is recorded. Python has
    it as `demonstrations`, trains a clone with `train()` and asks for labels with `coach()`; the page's buttons call the
    same two.

    Raises ValueError for a horizon below 1 and for a policy that the page cannot carry.
    """

    scripts = ("drive_world.js", "drive_view.js", "drive.js")

    phases = traitlets.List().tag(sync=True)
    horizon = traitlets.Int(400).tag(sync=True)
    drivers = traitlets.List().tag(sync=True)
    asked = traitlets.Dict().tag(sync=True)  # a drive that waits for labels: id, by, states, got
    budget = traitlets.Dict({"given": 0, "total": 0}).tag(sync=True)  # labels

    def __init__(self, policies: dict[str, Seeing] | None = None, *, seed: int = 0, horizon: int = 400) -> None:
        phases = 2 * math.pi * torch.rand(3, generator=generator(seed), dtype=torch.float64)
        super().__init__(phases=[round(phase, 4) for phase in phases.tolist()], horizon=check_horizon(horizon))
        self.seed = seed
        self.rounds: list[Round] = []  # what `coach` has been through, the newest last
        self._episodes: list[tuple[list[float], list[float]]] = []  # phases, steering of the reader's own drives
        self._labelled: list[tuple[Tensor, Tensor]] = []  # observations, labels (NaN: not yet)
        self._answers: queue.Queue[Tensor] = queue.Queue()
        self._learner = "the learner"  # who drives what `expert` is shown
        self._coach: threading.Thread | None = None
        for name, policy in (policies or {}).items():
            self.add(name, policy)
        self.on_msg(self._receive)

    @property
    def demonstrations(self) -> Trajectories:
        """The reader's own drives, features and steering; until there are any, the drive that ships with the book.

        That one was driven by a script at the keyboard, through this widget, with a person's delay
        (tests/browser/record_drive.py).
        """
        return _replay(self._episodes or shipped_episodes())

    @property
    def driven(self) -> int:
        """How many drives are the reader's own; 0: `demonstrations` are the shipped ones."""
        return len(self._episodes)

    @property
    def labels(self) -> tuple[Float[Tensor, "N 8"], Float[Tensor, "N 1"]]:
        """Observations and labels given so far by steering along with somebody else's drive, unfinished ones too."""
        pairs = [(obs[done], label[done]) for obs, label in self._labelled if (done := ~label.isnan().squeeze(1)).any()]
        if not pairs:
            return torch.empty(0, 8), torch.empty(0, 1)
        return tuple(torch.cat(column) for column in zip(*pairs))

    def add(self, name: str, policy: Seeing) -> None:
        """Let `policy` drive in the canvas too, on the same road; it takes the place of one of the same name."""
        if not isinstance(name, str) or name in ("", "you"):
            raise ValueError(f"a driver is called {name!r}, expected a name other than 'you', who are there already.")
        driver = {"name": name, **_packed(name, policy)}
        names = [d["name"] for d in self.drivers]
        self.drivers = ([driver if d["name"] == name else d for d in self.drivers] if name in names
                        else [*self.drivers, driver])

    def train(self, name: str = "clone") -> Seeing:
        """Clone `demonstrations`, in about a second, and let the clone drive."""
        g = generator(self.seed)
        policy = new_clone(g)
        data = self.demonstrations
        train_clone(policy, data, generator=g)
        self.add(name, policy)
        whose = "yours" if self.driven else "the book's, as you have not driven"
        self.send({"say": f"{name} learnt from {data.steps:,} steps of driving ({whose}). Watch it.", "drive": name})
        return policy

    def road(self) -> Driving:
        """The widget's road as an environment: every episode starts where the reader's drives do."""
        return _Road(self.phases, horizon=self.horizon)

    def coach(self, rounds: int = 4) -> threading.Thread:
        """Run `dagger` in the background, with the reader as the expert: `rounds` drives of the learner to label.

        It starts from `demonstrations` and whatever was labelled before; after each round the new student can drive, and
        is kept in `rounds`. Returns the running thread; an exception in it is shown in the widget.
        Raises RuntimeError while an earlier coach still waits for labels, ValueError for rounds below 1.
        """
        if rounds < 1:
            raise ValueError(f"rounds is {rounds}, expected at least one drive to label.")
        if self._coach is not None and self._coach.is_alive():
            raise RuntimeError("this widget is coaching already; label the drive it shows, or make a new widget.")
        data = self.demonstrations
        if self.labels[0].numel():
            data = Trajectories.cat([data, Trajectories.from_episodes([self.labels])])
        self.budget = {"given": data.steps, "total": data.steps + rounds * self.horizon}
        self._coach = threading.Thread(target=self._teach, args=(data, rounds), daemon=True)
        self._coach.start()
        return self._coach

    def _teach(self, data: Trajectories, rounds: int) -> None:
        try:
            for round in dagger(self.road(), self.expert, new_clone, rounds=rounds + 1, n=1, generator=generator(self.seed),
                                data=data, train=train_clone):
                self.rounds.append(round)
                self._learner = f"DAgger {round.index}" if round.index else "clone"
                self.add(self._learner, round.policy)
                if round.index:
                    words = f"{self._learner} learnt from {round.labels:,} labels. Watch it."
                    self.send({"say": words, "drive": self._learner})
        except Exception as error:  # whatever it is: the reader looks at the figure, not at the kernel's log
            self.send({"say": f"{type(error).__name__}: {error}"})

    def expert(self, observations: Float[Tensor, "N 8"]) -> Float[Tensor, "N 1"]:
        """The reader as a policy: shows the drive these observations are from, and waits until it is labelled by keys.

        Give it to `dagger` with `n=1`, with demonstrations to start from (`data=drive.demonstrations`), and in a thread,
        as `coach` does: the kernel must stay free to hear the keys. Labels are kept in `labels` as they arrive.
        Raises RuntimeError in the main thread, ValueError for observations that are no drive.
        """
        if threading.current_thread() is threading.main_thread():
            raise RuntimeError("a cell that waits for keys keeps the kernel from hearing them; call drive.coach(), "
                               "or run dagger in a threading.Thread.")
        if observations.ndim != 2 or observations.shape[1] != 8 or len(observations) < 2:
            raise ValueError(f"observations have shape {tuple(observations.shape)}, expected (N, 8), a whole drive on Driving: "
                             "a person cannot steer step by step for a rollout; start dagger from data=drive.demonstrations.")
        self._labelled.append((observations.cpu(), torch.full((len(observations), 1), math.nan, dtype=observations.dtype)))
        self.asked = {"id": len(self._labelled), "by": self._learner, "states": _states(observations), "got": 0}
        labels = self._answers.get()
        self.asked = {}
        return labels.to(observations)

    # -- what the page says

    def _receive(self, _widget: Drive, message: dict, _buffers: list) -> None:
        try:
            kind = message.get("kind") if isinstance(message, dict) else None
            answer = {"drive": self._drove, "labels": self._label, "train": self._train, "coach": self._start}.get(kind)
            if answer is None:
                raise ValueError(f"kind is {kind!r}, expected drive, labels, train or coach.")
            self.send({"heard": kind})  # so that the page knows that somebody is there
            answer(message)
        except Exception as error:  # shown where the reader looks; the kernel stays up
            self.send({"say": f"{type(error).__name__}: {error}"})

    def _train(self, _message: dict) -> None:
        self.train()

    def _start(self, _message: dict) -> None:
        self.coach()

    def _drove(self, message: dict) -> None:
        steering = _numbers("steering", message.get("steering"), 1)
        phases = _numbers("phases", message.get("phases"), math.inf)
        if len(phases) != 3 or not steering:
            raise ValueError(f"a drive of {len(steering)} steps on {len(phases)} phases, expected at least one step and three.")
        self._episodes.append((phases, steering))
        if self._coach is None or not self._coach.is_alive():
            self.budget = {"given": self.demonstrations.steps, "total": 0}

    def _label(self, message: dict) -> None:
        steering = _numbers("labels", message.get("steering"), 1)
        if message.get("id") != self.asked.get("id") or not self.asked:
            raise ValueError(f"labels for drive {message.get('id')}, expected {self.asked.get('id', 'none, nothing was asked')}.")
        labels, at = self._labelled[-1][1], message.get("at")
        if type(at) is not int or not 0 <= at <= at + len(steering) <= len(labels):
            raise ValueError(f"{len(steering)} labels from step {at} on, in a drive of {len(labels)} steps.")
        before = int(labels.isnan().sum())
        labels[at:at + len(steering), 0] = torch.tensor(steering, dtype=labels.dtype)
        missing = int(labels.isnan().sum())
        self.asked["got"] = len(labels) - missing  # where a page that is opened anew goes on
        self.budget = self.budget | {"given": self.budget["given"] + before - missing}
        if before and not missing:
            self._answers.put(labels.clone())

    def __repr__(self) -> str:
        names = ", ".join(driver["name"] for driver in self.drivers) or "nobody but you"
        return f"Drive(drivers: {names}; {self.driven} drives recorded)"


class _Road(Driving):
    """`Driving` on one road, from the middle of the lane."""

    def __init__(self, phases: list[float], **options) -> None:
        super().__init__(**options)
        self._start = torch.tensor([phases], dtype=self.dtype, device=self.device)

    def reset(self, n: int, generator: torch.Generator) -> Tensor:
        super().reset(n, generator)
        middle = torch.zeros(n, dtype=self.dtype, device=self.device)
        return self.place(middle, middle.clone(), self._start.expand(n, 3))


def shipped_episodes() -> list[tuple[list[float], list[float]]]:
    """The drives that ship with the book, each the road's phases and the steering of every step."""
    return [(episode["phases"], episode["steering"]) for episode in json.loads(SHIPPED.read_text())["episodes"]]


def _replay(episodes: Sequence[tuple[list[float], list[float]]]) -> Trajectories:
    """The same drives again, in float64 as the page drove them, so that only the steering has to travel."""
    longest = max(len(steering) for _, steering in episodes)
    padded = torch.tensor([steering + [0.0] * (longest - len(steering)) for _, steering in episodes], dtype=torch.float64)
    env, middle = Driving(dtype=torch.float64), torch.zeros(len(episodes), dtype=torch.float64)
    obs = env.place(middle, middle.clone(), torch.tensor([phases for phases, _ in episodes], dtype=torch.float64))
    seen, rewards = [], []
    for steering in padded.unbind(1):
        seen.append(obs)
        obs, reward, _, _ = env.step(steering[:, None])
        rewards.append(reward)
    seen, rewards = torch.stack(seen, 1), torch.stack(rewards, 1)
    return Trajectories.from_episodes([(seen[i, :len(s)], padded[i, :len(s), None], rewards[i, :len(s)])
                                       for i, (_, s) in enumerate(episodes)])


def _states(observations: Float[Tensor, "N 8"]) -> list[list[float]]:
    """Offset, heading and the road's phases, as the page needs them, from the features: six curvatures are six equations."""
    obs = observations.detach().double().cpu()
    waves = torch.linalg.solve(Driving(dtype=torch.float64)._look_ahead.T, obs[:, 2:].T).T  # (N, 6): three sines, three cosines
    phases = torch.atan2(waves[:, :3], waves[:, 3:])
    return torch.cat([obs[:, :2], phases], 1).round(decimals=5).tolist()


def _packed(name: str, policy: Seeing) -> dict:
    """What the page needs of a driver: its layers, and whether its road has marks."""
    head, camera = getattr(policy, "head", None), getattr(policy, "camera", None)
    problem = None
    if not isinstance(policy, Seeing) or not isinstance(head, Gaussian) or not isinstance(camera, Camera):
        problem = "is not a Seeing of a Camera and a Gaussian head"
    elif policy.students is not None:
        problem = f"is a stack of {policy.students} students; train one alone, with a generator instead of a list"
    elif camera.side or camera.noise or camera.shadow or camera.shape != (30, 32) or (head.obs_dim, head.act_dim) != (960, 1):
        problem = "looks through a camera the page does not have: Camera() or Camera(marks=False), 960 pixels, one steering"
    elif head.activation != "relu":
        problem = f"computes with {head.activation}, the page with relu"
    if problem:
        raise ValueError(f"the page cannot carry {name!r}: it {problem}.")
    layers = []
    for weight, bias in _in_the_worlds_units(head):
        half = [base64.b64encode(x.detach().cpu().half().numpy().tobytes()).decode() for x in (weight, bias)]
        layers.append({"weight": half[0], "bias": half[1]})
    return {"marks": camera.marks, "layers": layers}


def _in_the_worlds_units(head: Gaussian) -> list[tuple[Tensor, Tensor]]:
    """The network's layers with the units of what it sees and plays taken into the first and the last."""
    weights, biases = ([x.detach() for x in layers] for layers in (head.net.weights, head.net.biases))
    if head.sees is not None:
        weights[0] = weights[0] / head.sees.scale
        biases[0] = biases[0] - weights[0] @ head.sees.shift
    if head.plays is not None:
        weights[-1] = weights[-1] * head.plays.scale[:, None]
        biases[-1] = head.plays.outward(biases[-1])
    return list(zip(weights, biases))


def _numbers(name: str, values: object, most: float) -> list[float]:
    ok = isinstance(values, list) and all(type(v) in (int, float) and math.isfinite(v) and abs(v) <= most for v in values)
    if not ok:
        limits = f" within [-{most}, {most}]" if most < math.inf else ""
        raise ValueError(f"{name} must be a list of finite numbers{limits}.")
    return [float(v) for v in values]
