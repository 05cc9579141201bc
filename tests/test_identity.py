"""A run is told from every other one, a checkpoint of another refused in words that say what differs."""
import copy
import functools
import json
from functools import partial

import pytest
import torch

import ilsupport as il
from ilsupport.identity import describe, differences

SEEN = 2
NET = torch.nn.Linear(9, 3)


def pairs(seed=0):
    obs = torch.randn(40, 3, generator=il.generator(seed))
    return obs, obs[:, :1].sin()


def head(cls=il.Gaussian, **options):
    return lambda: cls(3, 1, generator=il.generator(0), **({"hidden": (8,)} | options))


def see_up_to(k):
    return lambda obs: obs[..., :k]


def seeing(**camera):
    return lambda: il.Seeing(il.Camera(**camera), il.Gaussian(960, 1, hidden=(4,), generator=il.generator(0)))


def halved(loss):
    """A policy of the user's own whose loss is one thing or another."""
    class Mine(il.Gaussian):
        pass
    Mine.loss = loss
    return lambda: Mine(3, 1, hidden=(8,), generator=il.generator(0))


ROAD = torch.rand(40, 8, generator=il.generator(3)), torch.rand(40, 1, generator=il.generator(4))
VIEW = lambda see: lambda: il.View(il.Gaussian(2, 1, generator=il.generator(0)), see)  # noqa: E731

# What is fitted first, what then asks for the same file, and what the refusal says.
OTHERS = {
    "std": (dict(make=head(std=1.0)), dict(make=head(std=0.5)), "policy.settings.std: 1.0 there, 0.5 here"),
    "levels": (dict(make=head(il.Diffusion)), dict(make=head(il.Diffusion, levels=60)),
               "policy.settings.levels: 50 there, 60 here"),
    "steps of a flow": (dict(make=head(il.Flow)), dict(make=head(il.Flow, steps=3)), "policy.settings.steps"),
    "head": (dict(make=head(il.Flow)), dict(make=head(il.Diffusion)),
             "policy.type: .*Flow' there, .*Diffusion'"),
    "components": (dict(make=head(il.Mixture)), dict(make=head(il.Mixture, components=2)),
                   "policy.settings.components"),
    "free nats": (dict(make=head(il.Latent)), dict(make=head(il.Latent, free_nats=1.0)),
                  "policy.settings.free_nats"),
    "bins": (dict(make=head(il.Discretised, bins=4)),
             dict(make=head(il.Discretised, bins=4, autoregressive=False)),
             "policy.settings.autoregressive"),
    "activation": (dict(make=head()), dict(make=head(activation="tanh")), "policy.settings.activation"),
    "units": (dict(make=head()), dict(make=head(standardise=False)), "policy.settings.standardise"),
    "limits": (dict(make=head()), dict(make=head(limits=(-2, 2))), "policy.settings.limits"),
    "start": (dict(make=head()), dict(make=lambda: il.Gaussian(3, 1, hidden=(8,), generator=il.generator(9))),
              "policy.weights"),
    "view": (dict(make=VIEW(lambda obs: obs[..., :2])), dict(make=VIEW(lambda obs: obs[..., 1:])),
             "policy.settings.see"),
    "what a view closes over": (dict(make=VIEW(see_up_to(2))), dict(make=VIEW(see_up_to(-1))),
                                "policy.settings.see.closure.k: 2 there, -1 here"),
    "camera": (dict(make=seeing(), data=ROAD), dict(make=seeing(marks=False), data=ROAD),
               "policy.settings.camera.settings.marks: True there, False here"),
    "ensemble": (dict(make=lambda: il.Chunked(head()(), 1)),
                 dict(make=lambda: il.Chunked(head()(), 1, ensemble=0.1)),
                 "policy.settings.ensemble"),
    "a loss of one's own": (dict(make=halved(lambda self, o, a, g=None: (self.act(o) - a).square().mean())),
                            dict(make=halved(lambda self, o, a, g=None: (self.act(o) - a).abs().mean())),
                            "code"),
    "data": (dict(), dict(data=pairs(5)), "data"),
    "learning rate": (dict(), dict(lr=1e-2), "lr: 0.001 there, 0.01 here"),
    "batch": (dict(), dict(batch_size=4), "batch_size: 64 there, 4 here"),
    "length": (dict(), dict(steps=3), "steps: 4 there, 3 here"),
    "optimiser": (dict(), dict(optimiser=torch.optim.SGD), "optimiser"),
    "its options": (dict(optimiser=partial(torch.optim.SGD, momentum=0.9)),
                    dict(optimiser=partial(torch.optim.SGD, momentum=0.5)),
                    r"optimiser.with.*momentum: 0.9 there, 0.5"),
    "schedule": (dict(), dict(schedule=il.constant), "schedule"),
    "schedule of one's own": (dict(schedule=lambda done: 1 - done), dict(schedule=lambda done: 1 - done**2),
                              "schedule.code"),
    "generator": (dict(), dict(seed=2), "generators"),
}


def run(path, make=head(), data=None, seed=1, **options):
    il.fit(make(), pairs() if data is None else data, generator=il.generator(seed),
           **({"steps": 4} | options), checkpoint=path)


@pytest.mark.parametrize("first, other, said", OTHERS.values(), ids=OTHERS)
def test_the_checkpoint_of_another_fit_is_refused_and_the_difference_named(first, other, said, tmp_path):
    run(tmp_path / "run", **first)
    run(tmp_path / "run", **first)  # its own is not
    with pytest.raises(ValueError, match=f"belongs to another run: .*{said}.*Delete it to start anew"):
        run(tmp_path / "run", **other)


# -- dagger


def leaning(gain):
    return lambda obs: (il.tightrope_expert(obs) * gain) // gain


def by_a_network(weights):
    net = torch.nn.Linear(9, 3)
    torch.nn.init.constant_(net.weight, weights)
    return lambda obs: net(obs).argmax(-1)


def by_a_global(obs):
    return NET(obs).argmax(-1)


def another_global():
    """The same function of a module whose network has learnt something else."""
    twin = type(by_a_global)(by_a_global.__code__, by_a_global.__globals__ | {"NET": copy.deepcopy(NET)})
    twin.__qualname__ = by_a_global.__qualname__
    with torch.no_grad():
        twin.__globals__["NET"].bias.add_(1)
    return twin


class Walker:
    """An expert with settings."""

    def __init__(self, sure):
        self.sure = sure

    def __call__(self, obs):
        return il.tightrope_expert(obs)

    def act(self, obs):
        return self(obs)


class Rope(il.Tightrope):
    """A world of the user's own."""

    def __init__(self, height=1.0, **options):
        super().__init__(**options)
        self.height = height


def network(seed):
    return il.Categorical(9, 3, hidden=(4,), generator=il.generator(seed))


def rounds(folder, env=None, expert=il.tightrope_expert, **options):
    new = lambda g: il.Categorical(9, 3, hidden=(4,), generator=g)  # noqa: E731
    settings = dict(rounds=2, n=2, generator=il.generator(0), train=partial(il.fit, steps=2)) | options
    return list(il.dagger(il.Tightrope(horizon=4) if env is None else env, expert, new, **settings,
                          checkpoint=folder))


ROUNDS = {
    "rho": (dict(), dict(env=il.Tightrope(0.5, horizon=4)), "env.settings.rho: 0.0 there, 0.5 here"),
    "world": (dict(env=il.Tightrope(absorbing=True, horizon=4)), dict(), "env.settings.absorbing"),
    "world of one's own": (dict(env=Rope(1.0, horizon=4)), dict(env=Rope(2.0, horizon=4)),
                           "env.settings.height"),
    "horizon": (dict(), dict(env=il.Tightrope(horizon=5)), "env.settings.horizon: 4 there, 5 here"),
    "horizon asked for": (dict(horizon=2), dict(horizon=3), "horizon: 2 there, 3 here"),
    "episodes": (dict(), dict(n=3), "n: 2 there, 3 here"),
    "beta": (dict(), dict(beta=il.exponential_beta(0.5)), "beta: 0.0 there, 0.5 here"),
    "function": (dict(), dict(expert=lambda obs: obs[:, 0].long()), "expert.function"),
    "constant": (dict(expert=lambda obs: (obs[:, 1] > 0.1).long()),
                 dict(expert=lambda obs: (obs[:, 1] > 0.2).long()), "expert.code"),
    "closure": (dict(expert=leaning(1)), dict(expert=leaning(2)), "expert.closure.gain: 1 there, 2 here"),
    "network": (dict(expert=network(0)), dict(expert=network(1)), "expert.weights"),
    "network in a closure": (dict(expert=by_a_network(0.0)), dict(expert=by_a_network(1.0)),
                             "expert.closure.net.weights"),
    "network of the module": (dict(expert=by_a_global), dict(expert=another_global()),
                              "expert.uses.NET.weights"),
    "settings": (dict(expert=Walker(True)), dict(expert=Walker(False)),
                 "expert.attributes.sure: True there, False here"),
    "method": (dict(expert=Walker(True).act), dict(expert=Walker(False).act), "expert.of.attributes.sure"),
    "name": (dict(expert=il.named("Ann", il.tightrope_expert)),
             dict(expert=il.named("Bob", il.tightrope_expert)),
             "expert.named: 'Ann' there, 'Bob' here"),
    "generator": (dict(), dict(generator=il.generator(7)), "generator"),
}


@pytest.mark.parametrize("first, other, said", ROUNDS.values(), ids=ROUNDS)
def test_the_rounds_of_another_dagger_are_refused_and_the_difference_named(first, other, said, tmp_path):
    rounds(tmp_path, **first)
    rounds(tmp_path, **first)
    with pytest.raises(ValueError, match=f"belongs to another run: .*{said}"):
        rounds(tmp_path, **other)


def test_gymnasium_environments_are_told_apart_by_what_they_were_made_with():
    make = lambda gain: lambda: il.envs.registration.gymnasium.make("Pendulum-v1", g=gain)  # noqa: E731
    worlds = [il.Gymnasium("Pendulum-v1"), il.Gymnasium("CartPole-v1"),
              il.Gymnasium("Pendulum-v1", horizon=9),
              il.Gymnasium("Pendulum-v1", g=3.0), il.Gymnasium(make(3.0)), il.Gymnasium(make(4.0))]
    about = [json.dumps(describe(world), sort_keys=True) for world in worlds]
    windows = [il.Window(il.Tightrope(rho), k) for rho, k in ((0.0, 1), (0.5, 1), (0.0, 2))]
    about += [json.dumps(describe(window), sort_keys=True) for window in windows]
    assert len(set(about)) == len(worlds) + len(windows)
    assert describe(il.Gymnasium("Pendulum-v1")) == describe(worlds[0])


def test_what_cannot_be_told_must_be_given_a_name(tmp_path):
    class Person:
        __slots__ = ()

        def __call__(self, obs):
            return il.tightrope_expert(obs)
    for person in (Person(), lambda obs, who=Person(): who(obs),
                   partial(lambda who, obs: who(obs), Person())):
        said = r"cannot tell this .*Person from another one; give it a name of its own: il.named\("
        with pytest.raises(ValueError, match=said):
            rounds(tmp_path, expert=person)
        assert len(rounds(tmp_path / "named", expert=il.named("the teacher", person))) == 2


def test_without_a_checkpoint_nobody_needs_a_name():
    class Person:
        __slots__ = ()

        def __call__(self, obs):
            return il.tightrope_expert(obs)
    assert len(rounds(None, expert=Person())) == 2


# -- sweeps


def squared(k):
    return k**2


def cubed(k):
    return k**3


def raised(power):
    return lambda k: k**power


@pytest.mark.parametrize("first, other, said", [
    (squared, cubed, "function: .*squared' there, .*cubed'"), (lambda k: k + 1, lambda k: k + 2, "code"),
    (raised(2), raised(3), "closure.power: 2 there, 3 here"),
    (partial(pow, exp=2), partial(pow, exp=3), "exp: 2 there, 3 here"),
    (functools.wraps(squared)(lambda k: k), squared, "")])
def test_the_folder_of_another_sweep_is_refused(first, other, said, tmp_path):
    settings = [{"k" if not isinstance(first, partial) else "base": 2}]
    assert il.runs.sweep(first, settings, folder=tmp_path) == il.runs.sweep(first, settings, folder=tmp_path)
    with pytest.raises(ValueError, match=f"belongs to another run: .*{said}"):
        il.runs.sweep(other, settings, folder=tmp_path)


# -- descriptions


def test_a_description_is_json_and_the_same_for_the_same():
    for make in (*(pair[0].get("make", head()) for pair in OTHERS.values()), lambda: il.Tightrope(0.2),
                 lambda: leaning(3),
                 lambda: {"a": [1, (2.0, None)], "b": {3, 1}}, lambda: torch.arange(3), lambda: range(3)):
        one, same = describe(make()), describe(make())
        assert one == same and differences(one, json.loads(json.dumps(same))) == []


def test_a_thing_that_holds_itself_ends():
    walker = Walker(True)
    walker.friend = walker
    assert describe(walker)["attributes"]["friend"] == "itself"


@pytest.mark.parametrize("one, other", [
    (Walker(1), type("Walker", (Walker,), {"__call__": lambda self, obs: obs[:, 0].long()})(1)),
    (torch.zeros(2, 3), torch.zeros(3, 2)), (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
    (torch.tensor([0.0]), torch.tensor([-0.0])), (1, 1.5), ("1", 1), ([1, 2], [2, 1]),
    (torch.float32, torch.float64), (il.Gaussian, il.Mixture), (squared, cubed)])
def test_descriptions_of_different_things_differ(one, other):
    assert differences(describe(one), describe(other))


class Gain(torch.nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.gain = gain
        self.register_buffer("turn", torch.tensor(gain), persistent=False)


class Held:
    def __init__(self, gain):
        self.gain = gain


def test_what_a_thing_answers_by_is_told_wherever_it_is_kept(monkeypatch):
    """An attribute of a module, an object that a function looks up, a class, what a method is bound to."""
    pairs = [(Gain(1), Gain(2)), (torch.arange(2).take, torch.arange(3).take)]
    pairs += [(type("Walker", (Walker,), {"pace": pace})(1) for pace in (1, 2))]
    pairs += [(type("Walker", (Walker,), {"pace": property(f)})(1) for f in (squared, cubed))]
    for one, other in ((Held(1), Held(2)), (torch.ones(1).numpy()[0], torch.zeros(1).numpy()[0])):
        monkeypatch.setitem(globals(), "THING", one)
        first = describe(uses_the_thing)
        monkeypatch.setitem(globals(), "THING", other)
        assert differences(first, describe(uses_the_thing))
    for one, other in pairs:
        assert differences(describe(one), describe(other))


def uses_the_thing():
    return THING  # noqa: F821


def test_a_part_that_was_replaced_is_the_one_described_and_saved(tmp_path):
    policy = il.Chunked(il.Gaussian(3, 2, generator=il.generator(0)), 2)
    policy.head = il.Gaussian(3, 2, generator=il.generator(0), activation="tanh")
    il.save_policy(policy, tmp_path / "policy")
    assert il.load_policy(tmp_path / "policy").head.activation == "tanh"
