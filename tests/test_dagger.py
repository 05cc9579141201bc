"""DAgger labels the learner's own states, aggregates, and mixes with the probability it says."""
from functools import partial

import pytest
import torch

from ilsupport import (
    Categorical,
    Tightrope,
    dagger,
    evaluate,
    exponential_beta,
    first_round_only,
    fit,
    generator,
    linear_beta,
    mixed,
    rollout,
    spawn,
    tightrope_expert,
)

quick = partial(fit, steps=300, batch_size=128, lr=5e-3)


def student(g):
    return Categorical(9, 3, hidden=(32, 32), generator=g)


def run(rounds=3, **options):
    settings = dict(rounds=rounds, n=20, generator=generator(0), train=quick) | options
    return dagger(Tightrope(device=settings["generator"].device), tightrope_expert,
                  settings.pop("new_policy", student), **settings)


def test_dagger_learns_to_climb_where_cloning_does_not(device):
    cloned, *_, last = run(generator=generator(0, device))
    costs = [-evaluate(Tightrope(device=device), r.policy, 300, generator=generator(1, device))
             for r in (cloned, last)]
    assert costs[1].high < costs[0].low / 5


def test_labels_are_the_experts_on_the_learners_states_and_aggregate():
    rounds = list(run())
    assert [r.labels for r in rounds] == [2000, 4000, 6000]
    assert [len(r.data) for r in rounds] == [20, 40, 60]
    assert [r.beta for r in rounds] == [1, 0, 0]
    obs, target = rounds[-1].data.pairs()
    assert torch.equal(target, tightrope_expert(obs))
    assert (rounds[0].data.observations[..., 0] == 1).all(), "round 0 shows the expert's own states"
    assert (rounds[1].data.observations[20:, :, 0] == 0).any(), "round 1 shows where the learner went"
    assert torch.equal(rounds[-1].data.observations[:20], rounds[0].data.observations)


def test_nobody_is_asked_twice():
    asked = []

    def expert(obs):
        asked.append(len(obs))
        return tightrope_expert(obs)
    list(dagger(Tightrope(horizon=10), expert, student, rounds=2, n=4, generator=generator(0), train=quick))
    assert sum(asked) == 2 * 10 * 4


def test_a_stack_goes_round_student_by_student():
    *_, last = run(new_policy=lambda g: Categorical(9, 3, generator=spawn(g, 3)))
    assert len(last.data) == 3 and last.labels == 6000
    costs = evaluate(Tightrope(), last.policy, 200, generator=generator(1))
    assert all((-cost).high < 10 for cost in costs)


def test_one_seed_gives_one_run():
    first, second = ([r.policy.net.weights[0] for r in run(rounds=2)] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))


def test_schedules():
    assert [first_round_only(i) for i in range(3)] == [1, 0, 0]
    assert [exponential_beta(0.5)(i) for i in range(3)] == [1, 0.5, 0.25]
    assert [linear_beta(2)(i) for i in range(4)] == [1, 0.5, 0, 0]


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
def test_the_expert_acts_with_probability_beta(beta, device):
    act = mixed(lambda o: torch.ones(len(o), device=o.device), lambda o: torch.zeros(len(o), device=o.device),
                beta,
                  generator(0, device))
    share = float(act(torch.zeros(100_000, 1, device=device)).mean())
    assert abs(share - beta) <= 4 * (beta * (1 - beta) / 100_000) ** 0.5


def test_an_interrupted_round_keeps_its_labels_and_then_interrupts():
    calls = []

    def impatient(policy, data, *, generator):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return quick(policy, data, generator=generator)

    rounds = run(train=impatient)
    next(rounds)
    interrupted = next(rounds)
    assert interrupted.history is None and interrupted.data.steps == 4000
    with pytest.raises(KeyboardInterrupt):
        next(rounds)


@pytest.mark.parametrize("options, message", [
    (dict(rounds=0), "at least 1"), (dict(beta=lambda i: 1.5), r"beta\(0\)"),
    (dict(beta=lambda i: float("nan")), r"beta\(0\)"),
])
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        next(run(**options))


@pytest.mark.parametrize("make", [lambda: linear_beta(0), lambda: exponential_beta(1.5),
                                  lambda: exponential_beta(-0.1)])
def test_bad_schedules_are_refused(make):
    with pytest.raises(ValueError):
        make()


def test_an_expert_of_the_wrong_shape_is_named():
    def expert(obs):
        return torch.zeros(len(obs), 2, dtype=torch.long)
    with pytest.raises(ValueError, match="expected"):
        next(dagger(Tightrope(), expert, student, rounds=1, n=3, generator=generator(0)))


@pytest.mark.parametrize("new_policy", [student, lambda g: Categorical(9, 3, generator=spawn(g, 2))],
                         ids=["one", "stack"])
def test_the_log_is_told_return_labels_and_loss_of_every_round(new_policy, capsys):
    told = []
    rounds = list(run(new_policy=new_policy, log=lambda tag, value, step: told.append(((step, tag), value)),
                      progress=True))
    news = dict(told)
    assert list(news) == [(i, tag) for i in range(3) for tag in ("return", "labels",
                                                                 "loss")] and len(told) == 9
    for r in rounds:
        parts = r.data if isinstance(r.data, list) else [r.data]
        new = torch.cat([part.returns()[-20:] for part in parts])
        assert news[r.index, "return"] == pytest.approx(float(new.mean()))
        assert news[r.index, "labels"] == r.labels
        assert news[r.index, "loss"] == pytest.approx(float(r.history.losses[-100:].mean()))
    assert news[0, "return"] == 0 > news[1, "return"], "the expert drives round 0, its clone round 1"
    shown = capsys.readouterr().err
    for part in ("3/3", f"labels={rounds[-1].labels}", "return=", "loss="):
        assert part in shown


def test_given_demonstrations_stand_in_for_round_0():
    asked = []

    def expert(obs):
        asked.append(len(obs))
        return tightrope_expert(obs)
    env = Tightrope(horizon=10)
    demos = rollout(env, tightrope_expert, 7, generator=generator(5))
    rounds = list(dagger(env, expert, student, rounds=3, n=4, generator=generator(0), train=quick,
                         data=demos))
    assert [r.labels for r in rounds] == [70, 110, 150] and asked == [40, 40], "round 0 asks nobody"
    alone = generator(0)
    clone = student(alone)
    quick(clone, demos, generator=alone)
    assert torch.equal(rounds[0].policy.net.weights[0],
                       clone.net.weights[0]), "round 0 is plain cloning of them"
    assert torch.equal(rounds[-1].data.observations[:7], demos.observations)
    *_, stack = dagger(env, expert, lambda g: Categorical(9, 3, generator=spawn(g, 2)), rounds=2, n=4,
                       generator=generator(0), train=quick, data=demos)
    assert [part.steps for part in stack.data] == [110, 110]
