"""The driving widget: its world is `Driving`, its networks steer as in Python, a person in it is a policy."""
from __future__ import annotations

import base64
import json
import math
from functools import partial

import numpy as np
import pytest
import torch
from test_widgets import in_javascript

import ilsupport as il
from ilsupport.widgets import Drive
from ilsupport.widgets.drive import SHIPPED, new_clone, train_clone


def wave(n, seed):
    """Steering of n steps, smooth and now and then hard enough to meet the barrier."""
    return [1.4 * math.sin(0.05 * t + seed) + 0.6 * math.sin(0.31 * t) for t in range(n)]


def seeing(g, limits=(-1, 1), activation="relu", **camera):
    head = il.Gaussian(960, 1, hidden=(16,), limits=limits, activation=activation, generator=g)
    return il.Seeing(il.Camera(**camera), head)


# -- JavaScript and torch


def careful(seed):
    """A thousand steps of the expert's steering with a wave on top: the lane is left, the road is not."""
    turns = iter(wave(1000, seed))
    act = lambda obs: (il.driving_expert(obs) + 0.5 * next(turns)).clamp(-1, 1)
    return il.rollout(il.Driving(dtype=torch.float64), act, 1, generator=il.generator(seed),
                      horizon=1000).actions.flatten().tolist()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("wild", [False, True])
def test_a_thousand_steps_agree_with_torch(seed, wild):
    start = torch.rand(4, generator=il.generator(seed), dtype=torch.float64)  # as Driving.reset draws it
    phases, offset = (2 * math.pi * start[1:]).tolist(), float(0.2 * start[0] - 0.1)
    steering = [max(-1.0, min(1.0, s)) for s in wave(1000, seed)] if wild else careful(seed)
    drives = in_javascript(Drive(), f"""(() => {{ const rows = [];
        let car = {{ offset: {offset}, heading: 0, phases: {phases}, along: 0 }};
        for (const steering of {steering}) {{
          car = step(car, steering); rows.push([...features(car), car.along]); }}
        return rows; }})()""")
    env = il.Driving(dtype=torch.float64)
    env.place(*(torch.tensor(x, dtype=torch.float64) for x in ([offset], [0.0], [phases])))
    rows = []
    for s in steering:
        obs, *_ = env.step(torch.tensor([[s]], dtype=torch.float64))
        rows.append(torch.cat([obs[0], (env._phases[:, 0] - phases[0]) / env._waves[0]]))
    expected, found = torch.stack(rows), torch.tensor(drives, dtype=torch.float64)
    assert (expected - found).abs().max() < 1e-6
    assert bool((expected[:, 0].abs() == 3).any()) == wild, "the wild drive, and only it, meets the barrier"
    assert float(expected[:, 0].abs().max()) > 1


@pytest.mark.parametrize("marks", [True, False])
def test_the_retina_and_the_steering_agree_with_torch(marks):
    g = il.generator(3)
    wild = lambda obs: torch.randn(len(obs), 1, generator=g).clamp(-1, 1).double()  # noqa: E731
    seen = il.rollout(il.Driving(dtype=torch.float64), wild, 20, generator=g, horizon=30)
    states = seen.observations.flatten(0, 1)
    camera, policy = il.Camera(marks=marks, dtype=torch.float64), seeing(g, marks=marks)
    il.fit(policy, (states.float(), il.driving_expert(states.float())), generator=g, steps=100)
    drive = Drive({"net": policy})
    pictures, steering = map(torch.tensor, in_javascript(
        drive, f"""(() => {{ const net = unpack({json.dumps(drive.drivers[0])});
        const seen = {states.tolist()}.map((state) => see(state, {json.dumps(marks)}));
        return [seen.map((picture) => [...picture]), seen.map((picture) => act(net, picture))]; }})()"""))
    assert (pictures.double() - camera(states).flatten(1)).abs().max() < 1e-6
    exact = policy.act(states.float()).squeeze(1)
    assert (steering - exact).abs().max() < 5e-3, "weights travel as float16"
    assert exact.std() > 0.05


def test_the_wheel_goes_fifteen_per_cent_of_the_way():
    found = in_javascript(Drive(), "[0, 0, 1, 0.5].map((wheel, i) => turned(wheel, [1, -1, 0, 1][i]))")
    assert found == [0.15, -0.15, 0.85, 0.575]


def test_features_say_where_their_car_is():
    g, env = il.generator(0), il.Driving(dtype=torch.float64)
    obs = il.rollout(env, il.driving_expert, 5, generator=g, horizon=40).observations.flatten(0, 1)
    assert (env.place(*env.where(obs)) - obs).abs().max() < 1e-9
    offset, heading, phases = il.Driving().where(obs)
    assert offset.dtype == torch.float32 and phases.shape == (200, 3)
    assert torch.equal(heading, obs[:, 1].float())


# -- demonstrations


def test_until_somebody_drives_the_book_does():
    drive, steps = Drive(), json.loads(SHIPPED.read_text())
    demos = drive.demonstrations
    assert drive.driven == 0 and demos.steps == sum(len(e["steering"]) for e in steps["episodes"]) >= 1200
    assert 0 < -float(demos.returns().sum()) < 0.05 * demos.steps, "decent, not perfect"
    assert demos.observations.dtype == torch.float32 and demos.actions.shape[2:] == (1,)


def test_a_drive_of_the_reader_is_what_happened_on_the_road():
    drive = Drive(seed=5, horizon=50)
    steering = [max(-1.0, min(1.0, s)) for s in wave(50, 0)]
    drive._handle_custom_msg({"kind": "drive", "steering": steering}, [])
    drive._handle_custom_msg({"kind": "drive", "steering": steering[:30]}, [])
    demos = drive.demonstrations
    assert drive.driven == 2 and demos.lengths().tolist() == [50, 30]
    turns = iter(steering)
    again = il.rollout(drive.road(), lambda obs: torch.tensor([[next(turns)]]), 1, generator=il.generator(0))
    assert torch.allclose(demos.observations[0], again.observations[0], atol=1e-4)
    assert torch.equal(demos.rewards[0], again.rewards[0])
    assert torch.allclose(demos.actions[0], again.actions[0])
    assert drive.budget == {"given": 80, "total": 0}


BAD = [None, [], {}, {"kind": "dance"}, {"kind": "drive"}, {"kind": "labels", "id": 1, "steering": [0.0]},
       {"kind": "labels", "id": 1, "at": 0, "steering": [0.0]},
       {"kind": "labels", "id": 1, "at": 0, "steering": "0"},
       *({"kind": "drive", "steering": steering} for steering in [
           [], [1.5], [float("nan")], [float("-inf")], ["x"], [True], "0"])]


@pytest.mark.parametrize("message", BAD)
def test_a_bad_message_is_answered_and_changes_nothing(message):
    drive, said = Drive(), []
    drive.send = said.append
    drive._handle_custom_msg(message, [])
    (words,) = (message["say"] for message in said if "say" in message)
    assert "ValueError" in words and "expected" in words
    assert drive.driven == 0 and len(drive.labels[0]) == 0


# -- drivers


def test_training_clones_the_reader_and_puts_the_clone_at_the_wheel():
    drive, said = Drive(), []
    drive.send = said.append
    drive._handle_custom_msg({"kind": "train"}, [])
    assert [d["name"] for d in drive.drivers] == ["clone"]
    assert said[-1]["drive"] == "clone" and "book's" in said[-1]["say"]
    policy = drive.train()
    obs, target = drive.demonstrations.pairs()
    with torch.no_grad():
        assert float(((policy.act(obs) - target) ** 2).mean()) < 0.5 * float(target.var())
    assert [d["name"] for d in drive.drivers] == ["clone"], "one of the same name is replaced"


@pytest.mark.parametrize(("make", "message"), [
    (lambda g: il.Gaussian(8, 1, generator=g), "it is a Gaussian"),
    (lambda g: seeing(il.spawn(g, 2)), "students is 2, expected None"),
    (lambda g: seeing(g, side=1.0), "side is 1.0, expected 0"),
    (lambda g: seeing(g, rows=20, columns=48), "rows is 20"),
    (lambda g: seeing(g, limits=(-0.5, 1)), r"limits is \[-0.5, 1.0\]"),
    (lambda g: il.Seeing(il.Camera(), il.Categorical(960, 9, generator=g)), "Categorical"),
    (lambda g: il.Seeing(il.Camera(), il.Gaussian(960, 2, generator=g)), "act_dim is 2, expected 1"),
    (lambda g: seeing(g, activation="tanh"), "activation is tanh"),
])
def test_drivers_that_the_page_cannot_carry_are_refused(make, message):
    with pytest.raises(ValueError, match=message) as refused:
        Drive({"it": make(il.generator(0))})
    assert "the page cannot carry 'it'" in str(refused.value) and "Camera()" in str(refused.value)


def carried(driver, pictures):
    """What the page computes from a driver's layers, in float64."""
    x = pictures.double().numpy()
    for k, layer in enumerate(driver["layers"]):
        weight, bias = (np.frombuffer(base64.b64decode(layer[part]), np.float16).astype(float)
                        for part in ("weight", "bias"))
        x = (np.maximum(x, 0) if k else x) @ weight.reshape(len(bias), -1).T + bias
    return torch.from_numpy(x[:, :1]).clamp(-1, 1)


@pytest.mark.parametrize("hidden", [(), (16,), (16, 8)])
@pytest.mark.parametrize("options", [{}, {"standardise": False}, {"limits": (-1, 1)}, {"std": None},
                                     {"dtype": torch.float64}])
def test_a_drivers_units_travel_in_its_layers(hidden, options):
    """Of a head that was trained on pictures itself the inputs have units too."""
    g = il.generator(1)
    demos = Drive().demonstrations
    states, steering = (x[::8] for x in demos.pairs())
    head = il.Gaussian(960, 1, hidden=hidden, generator=g, **options)
    policy = il.Seeing(il.Camera(dtype=options.get("dtype", torch.float32)), head)
    pictures = policy.look(states)
    for data, learner in (((states, steering), policy), ((pictures, 0.4 + 0.1 * steering), head)):
        il.fit(learner, tuple(x.to(pictures.dtype) for x in data), generator=g, steps=30)
        exact = policy.act(states.to(pictures.dtype)).clamp(-1, 1).double()
        assert (carried(Drive({"it": policy}).drivers[0], pictures) - exact).abs().max() < 1e-3
        assert exact.std() > 0.01


def test_a_saved_clone_drives_the_page(tmp_path):
    policy = seeing(il.generator(0), marks=False)
    il.fit(policy, Drive().demonstrations, generator=il.generator(1), steps=5)
    il.save_policy(policy, tmp_path / "clone.safetensors")
    again = il.load_policy(tmp_path / "clone.safetensors")
    assert Drive({"it": again}).drivers == Drive({"it": policy}).drivers


@pytest.mark.parametrize("name", ["", "you", 3])
def test_a_driver_needs_a_name_of_its_own(name):
    with pytest.raises(ValueError, match="name"):
        Drive().add(name, seeing(il.generator(0)))


def test_the_page_carries_it_whole_and_small():
    drive = Drive({"BC": seeing(il.generator(0))})
    html = drive.standalone()
    for word in ("http:", "https:", "import ", "import(", "fetch(", "XMLHttpRequest", "WebSocket", "window.",
                 "globalThis"):
        assert word not in html
    assert len(Drive._esm) < 60_000 and len(html) - len(Drive._esm) < 45_000


# -- a person is a policy


@pytest.fixture
def quick(monkeypatch):
    """Training that is over at once, where a test is about who is asked what."""
    monkeypatch.setattr("ilsupport.widgets.drive.train_clone", partial(il.fit, steps=20))


class Reader:
    """Stands in for page and person: labels as the scripted expert would, `chunk` labels a message."""

    def __init__(self, drive, chunk=20):
        self.drive, self.chunk, self.shown = drive, chunk, []
        drive.send = self.shown.append

    def ask(self):
        self.drive._handle_custom_msg({"kind": "coach"}, [])
        return dict(self.drive.asked)

    def label(self, most=None):
        question, obs = self.drive.asked, self.drive._labelled[-1][0]
        steering = il.driving_expert(obs).squeeze(1).tolist()
        for at in range(0, min(len(steering), most or len(steering)), self.chunk):
            self.drive._handle_custom_msg({"kind": "labels", "id": question["id"], "at": at,
                                           "steering": steering[at:at + self.chunk]}, [])
        return obs


def test_coaching_is_dagger_with_the_reader_as_the_expert(quick):
    """Each drive is what the newest student does on the widget's road; the next learns from all so far."""
    drive, students = Drive(horizon=60), []
    reader, start, add = Reader(drive, chunk=7), drive.demonstrations.steps, drive.add
    drive.add = lambda name, policy: (students.append(policy), add(name, policy))
    for k in range(3):
        question = reader.ask()
        assert question["by"] == (f"DAgger {k}" if k else "clone") and question["id"] == k + 1
        assert drive.budget == {"given": start + 60 * k, "total": start + 60 * (k + 1)}
        seen = reader.label()
        again = il.rollout(drive.road(), students[-2], 1, generator=il.generator(0))
        assert torch.equal(again.observations[0], seen)
        states = torch.tensor(question["states"], dtype=torch.float64)
        placed = il.Driving(dtype=torch.float64).place(states[:, 0], states[:, 1], states[:, 2:])
        assert torch.allclose(placed, seen.double(), atol=1e-3), "the page sees the road of the observations"
        assert drive.asked == {} and drive.budget["given"] == drive.budget["total"]
        assert reader.shown[-1]["drive"] == f"DAgger {k + 1}"
        assert f"{60 * (k + 1)} labels" in reader.shown[-1]["say"]
    assert [d["name"] for d in drive.drivers] == ["clone", "DAgger 1", "DAgger 2", "DAgger 3"]
    obs, labels = drive.labels
    assert torch.equal(obs[-60:], seen) and torch.allclose(labels, il.driving_expert(obs))
    by_hand = new_clone(il.generator(0))
    pairs = tuple(torch.cat(pair) for pair in zip(drive.demonstrations.pairs(), drive.labels))
    il.fit(by_hand, pairs, steps=20, generator=il.generator(0))
    assert torch.equal(by_hand.act(obs), students[-1].act(obs))


def test_labels_outlive_a_reader_who_leaves_half_way(quick):
    drive = Drive(horizon=60)
    reader = Reader(drive)
    question, seen = reader.ask(), reader.label(most=40)
    obs, labels = drive.labels
    assert torch.equal(obs, seen[:40]) and torch.allclose(labels, il.driving_expert(obs))
    assert drive.asked["got"] == 40, "a page opened anew goes on from here"
    with pytest.raises(RuntimeError, match="already"):
        drive.coach()
    assert reader.ask() == drive.asked and "RuntimeError" in reader.shown[-1]["say"]
    for at, size in ((20, 20), (40, 20)):  # some of it twice
        message = {"kind": "labels", "id": question["id"], "at": at, "steering": [0.5] * size}
        drive._handle_custom_msg(message, [])
    assert drive.budget["given"] == drive.budget["total"]
    assert drive.labels[1].squeeze(1).tolist()[20:] == [0.5] * 40
    # Whoever drives meanwhile, and coaches again, starts from all of it.
    drive._handle_custom_msg({"kind": "drive", "steering": [0.0] * 50}, [])
    assert drive.budget == {"given": 50, "total": 0}
    reader.ask()
    assert drive.budget == {"given": 110, "total": 170}


@pytest.mark.parametrize("message", [
    {"id": 99, "at": 0, "steering": [0.0]}, {"id": 1, "at": 55, "steering": [0.0] * 20},
    {"id": 1, "at": -1, "steering": [0.0]}, {"id": 1, "at": 0.5, "steering": [0.0]},
    {"id": 1, "at": 0, "steering": [1.5]}])
def test_labels_that_belong_nowhere_are_refused(message, quick):
    drive = Drive(horizon=60)
    reader = Reader(drive)
    reader.ask()
    drive._handle_custom_msg({"kind": "labels"} | message, [])
    assert "ValueError" in reader.shown[-1]["say"] and "labels of drive 1" in reader.shown[-1]["say"]
    assert len(drive.labels[0]) == 0


def test_an_exception_while_training_is_shown(monkeypatch):
    drive, said = Drive(), []
    drive.send = said.append

    def fails(policy, data, *, generator):
        raise FloatingPointError("the loss became nan")
    monkeypatch.setattr("ilsupport.widgets.drive.train_clone", fails)
    drive._handle_custom_msg({"kind": "coach"}, [])
    assert said == [{"heard": True}, {"say": "FloatingPointError: the loss became nan"}] and not drive.asked


def test_a_clone_of_the_shipped_drive_drives_most_of_the_way():
    g = il.generator(0)
    policy = new_clone(g)
    train_clone(policy, Drive().demonstrations, generator=g)
    driven = il.rollout(il.Driving(), policy, 20, generator=g)
    assert 0.5 < 1 + float(driven.returns().mean()) / 400 < 1


@pytest.mark.parametrize("standardise", [True, False])
def test_a_policy_saved_and_loaded_drives_in_the_page(standardise, tmp_path):
    """With the units that it learnt in: the page's network steers as the policy does."""
    g = il.generator(1)
    head = il.Gaussian(960, 1, hidden=(16,), limits=(-1, 1), standardise=standardise, generator=g)
    policy = il.Seeing(il.Camera(), head)
    il.fit(policy, Drive().demonstrations, generator=g, steps=50)
    il.save_policy(policy, tmp_path / "clone")
    loaded = il.load_policy(tmp_path / "clone")
    states = Drive().demonstrations.observations[0, :40]
    (steering,) = map(torch.tensor, in_javascript(Drive({"clone": loaded}), f"""(() => {{
        const net = unpack({json.dumps(Drive({"clone": loaded}).drivers[0])});
        return [{states.tolist()}.map((state) => act(net, see(state, true)))]; }})()"""))
    assert (steering - policy.act(states).detach().squeeze(1)).abs().max() < 5e-3, "weights travel as float16"


def test_the_page_computes_with_relu_only():
    head = il.Gaussian(960, 1, hidden=(16,), limits=(-1, 1), activation="tanh", generator=il.generator(0))
    with pytest.raises(ValueError, match="activation is tanh, expected relu"):
        Drive({"clone": il.Seeing(il.Camera(), head)})
