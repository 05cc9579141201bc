"""The whole protocol of a policy: episodes begin, training and playing are different modes, nothing is
guessed."""
from functools import partial

import pytest
import torch

import ilsupport as il
from ilsupport.noise import error_covariance
from ilsupport.policies.base import in_mode


class Moody(il.Policy):
    """Notes in which mode it acts and learns; with dropout, batch norm and a part that its user froze."""

    def __init__(self, act_dim=1, students=None):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5),
                                       torch.nn.Linear(8, act_dim))
        self.frozen = torch.nn.Dropout(0.9).eval()
        self.seen, self.begun = [], 0

    def begin(self):
        self.begun += 1

    def note(self, what):
        self.seen.append((what, {m.training for m in self.modules()}))

    def act(self, obs, generator=None):
        self.note("act")
        return self.net(obs).clamp(-2, 2)

    def loss(self, obs, action, generator=None):
        self.note("loss")
        return (self.net(obs) - action).square().mean()


class Chooser(Moody):
    def act(self, obs, generator=None):
        return super().act(obs).gt(0).long().squeeze(-1)


def pendulum():
    return il.Gymnasium("Pendulum-v1", horizon=5)


def pairs(n=64):
    obs = torch.randn(n, 3, generator=il.generator(0))
    return obs, obs[:, :1].sin()


def demonstrations():
    return il.rollout(pendulum(), il.pendulum_expert, 2, generator=il.generator(0))


def round_after_round(loop):
    def play(policy):
        list(loop(pendulum(), il.pendulum_expert, lambda g: policy, rounds=2, n=2, generator=il.generator(0),
                  train=partial(il.fit, steps=1)))
    return play


PLAYS = {
    "rollout": lambda policy: il.rollout(pendulum(), policy, 2, generator=il.generator(0)),
    "evaluate": lambda policy: il.evaluate(pendulum(), policy, 2, generator=il.generator(0)),
    "error_covariance": lambda policy: error_covariance(policy, demonstrations()),
    "dagger, as learner": round_after_round(il.dagger),
    "dart, as learner": round_after_round(il.dart),
    "dagger, as expert": lambda policy: list(il.dagger(
        pendulum(), policy, lambda g: il.Gaussian(3, 1, generator=g, limits=(-2, 2)), rounds=2, n=2,
        generator=il.generator(0), beta=il.exponential_beta(0.5), train=partial(il.fit, steps=1))),
    "dart, as expert": lambda policy: list(il.dart(
        pendulum(), policy, lambda g: il.Gaussian(3, 1, generator=g, limits=(-2, 2)), rounds=2, n=2,
        generator=il.generator(0), train=partial(il.fit, steps=1))),
    "demonstrate": lambda policy: il.demonstrate(pendulum(), policy, 2, generator=il.generator(0),
                                                 covariance=0.1),
    "a policy in a view": lambda policy: il.rollout(pendulum(), il.View(policy, lambda obs: obs), 2,
                                                    generator=il.generator(0)),
}


@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)
@pytest.mark.parametrize("mode", [True, False])
def test_whoever_plays_plays_in_evaluation_mode_and_the_users_mode_comes_back(play, mode):
    policy = Moody()
    policy.train(mode)
    policy.frozen.eval()
    before = [m.training for m in policy.modules()]
    statistics = policy.net[1].running_mean.clone()
    play(policy)
    assert [m.training for m in policy.modules()] == before
    acted = [modes for what, modes in policy.seen if what == "act"]
    assert acted and all(modes == {False} for modes in acted)
    assert policy.begun > 0
    if not any(what == "loss" for what, _ in policy.seen):
        assert torch.equal(policy.net[1].running_mean, statistics), "nothing was learnt in passing"


def test_error_rate_plays_in_evaluation_mode():
    policy, (obs, _) = Chooser(), pairs()
    il.error_rate(policy, (obs, (obs[:, 0] > 0).long()))
    assert [modes for _, modes in policy.seen] == [{False}] and policy.training and policy.begun == 1


def test_fit_trains_in_training_mode_whatever_the_mode_was_and_brings_it_back():
    policy = Moody().eval()
    il.fit(policy, pairs(), generator=il.generator(1), steps=3)
    assert [modes for what, modes in policy.seen if what == "loss"] == [{True}] * 3
    assert not any(m.training for m in policy.modules())
    with pytest.raises(FloatingPointError):
        il.fit(policy, pairs(), generator=il.generator(1), steps=30, lr=1e30)
    assert not any(m.training for m in policy.modules()), "after an error too"


def test_a_log_that_evaluates_sees_evaluation_mode_and_training_goes_on_in_training_mode():
    policy = Moody()
    il.fit(policy, pairs(), generator=il.generator(1), steps=401,
           log=lambda *_: il.evaluate(pendulum(), policy, 1, generator=il.generator(0)))
    assert all(modes == ({False} if what == "act" else {True}) for what, modes in policy.seen)


def test_a_mode_of_each_module_comes_back_even_after_an_error():
    policy = Moody()
    before = [m.training for m in policy.modules()]
    with pytest.raises(KeyError), in_mode(policy, training=False):
        assert not any(m.training for m in policy.modules())
        raise KeyError
    assert [m.training for m in policy.modules()] == before and not policy.frozen.training


# -- episodes begin


class Looks(il.Policy):
    """Counts how often it is asked for a plan, and when an episode begins."""

    def __init__(self, students=None):
        super().__init__()
        self.students, self.looks, self.begun = students, 0, 0
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def begin(self):
        self.begun += 1

    def act(self, obs, generator=None):
        self.looks += 1
        return obs[..., :1].expand(*obs.shape[:-1], 5) * 0 + torch.arange(5.0) / 10


WRAPS = {
    "chunked": lambda p: il.Chunked(p, 5),
    "a view of it": lambda p: il.View(il.Chunked(p, 5), lambda obs: obs),
    "two views": lambda p: il.View(il.View(il.Chunked(p, 5), lambda obs: obs), lambda obs: obs),
    "it of a view": lambda p: il.Chunked(il.View(p, lambda obs: obs), 5),
    "behind a camera": lambda p: il.Seeing(il.Camera(), il.Chunked(p, 5)),
    "plans of plans": lambda p: il.Chunked(il.View(il.Chunked(p, 1), lambda obs: obs), 5),
}


@pytest.mark.parametrize("students", [None, 2])
@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_every_wrapper_passes_on_that_an_episode_begins(wrap, students):
    """Ten steps and plans of five: two looks, and two again in the next roll-out."""
    inner = Looks(students)
    policy, env = wrap(inner), il.Driving(horizon=10)
    for k in (1, 2):
        data = il.rollout(env, policy, 3, generator=il.generator(0))
        assert inner.looks == 2 * k and inner.begun >= k
        torch.testing.assert_close(data.actions[0, :, 0], torch.arange(5.0).repeat(2) / 10)
    il.evaluate(env, policy, 3, generator=il.generator(0), horizon=7)
    il.rollout(env, policy, 3, generator=il.generator(0), horizon=4)
    assert inner.looks == 2 * 2 + 2 + 1, "the unplayed rest of a plan is forgotten"


def test_the_labels_of_a_network_are_numbers_to_learn_from():
    expert = il.Gaussian(3, 1, generator=il.generator(0))
    data = demonstrations().label(expert)
    assert not data.labels.requires_grad
    il.fit(il.Gaussian(3, 1, generator=il.generator(1)), data, generator=il.generator(2), steps=2)


def test_somebody_elses_attributes_are_not_called():
    """A module that happens to have an `actor`, an `act` or a `begin` of its own is a function like any
    other."""
    class Foreign(torch.nn.Module):
        students, begin, act = 7, "morning", "one"

        def __init__(self):
            super().__init__()
            self.actor = torch.nn.Linear(3, 9)
            self.reset = None

        def forward(self, obs):
            return obs[:, :1].clamp(-2, 2)
    data = il.rollout(pendulum(), Foreign(), 2, generator=il.generator(0))
    assert torch.equal(data.actions[..., 0], data.observations[..., 0]) and len(data) == 2


def test_a_policy_of_ones_own_needs_to_act_and_to_learn_only():
    class Constant(il.Policy):
        def __init__(self):
            super().__init__()
            self.value = torch.nn.Parameter(torch.zeros(1))

        def act(self, obs, generator=None):
            return self.value.expand(len(obs), 1)

        def loss(self, obs, action, generator=None):
            return (self.value - action).square().mean()
    policy, (obs, action) = Constant(), pairs()
    il.fit(policy, (obs, action), generator=il.generator(1), steps=800, lr=1e-2)
    assert abs(float(policy(obs).detach()[0]) - float(action.mean())) < 0.05, "and a policy is an expert"
    with pytest.raises(TypeError, match="Constant has no likelihood that can be computed"):
        policy.log_prob(obs, action)


@pytest.mark.parametrize("ask, said", [
    (lambda p: p.act(torch.zeros(1, 3)), "has no act.obs, generator=None.; add one"),
    (lambda p: p.loss(torch.zeros(1, 3), torch.zeros(1, 1)),
     "has no loss.obs, action, generator=None.; add one")])
def test_what_a_policy_lacks_is_named(ask, said):
    with pytest.raises(NotImplementedError, match=f"Policy {said}"):
        ask(il.Policy())


def test_what_is_no_policy_cannot_be_fitted():
    said = "policy is Linear, expected an il.Policy: make yours a subclass"
    with pytest.raises(TypeError, match=said):
        il.fit(torch.nn.Linear(3, 1), pairs(), generator=il.generator(1))
