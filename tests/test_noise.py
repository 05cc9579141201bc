"""Pushed demonstrations keep what was meant; DART's noise is the learner's own error."""
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ilsupport import (
    Driving,
    Gaussian,
    Policy,
    Reach,
    Tightrope,
    dart,
    demonstrate,
    driving_expert,
    fit,
    generator,
    rollout,
    spawn,
)
from ilsupport.noise import error_covariance

quick = partial(fit, steps=20)
SIGMA = torch.tensor([[0.09, 0.03], [0.03, 0.02]])


def still(obs):
    return torch.zeros(len(obs), 2, dtype=obs.dtype, device=obs.device)


class Linear(Policy):
    """A student on a linear problem whose error is a fixed matrix times the first two features."""

    def __init__(self, gain):
        super().__init__()
        self.gain = gain

    def act(self, obs, generator=None):
        return obs[..., :2] @ self.gain.T


def test_labels_are_what_was_meant_and_actions_what_was_executed(device):
    env = Driving(horizon=30, device=device)
    data = demonstrate(env, driving_expert, 50, generator=generator(0, device), covariance=0.3**2)
    obs, label = data.pairs()
    assert torch.equal(label, driving_expert(obs))
    push = (data.actions - data.labels)[data.actions.abs() < 1]
    assert abs(float(push.std()) - 0.3) < 0.03 and abs(float(push.mean())) < 0.05
    assert float(data.actions.abs().max()) <= 1


def test_without_noise_it_is_a_rollout():
    env = Driving(horizon=20)
    data = demonstrate(env, driving_expert, 5, generator=generator(0), covariance=0.0)
    plain = rollout(env, driving_expert, 5, generator=generator(0))
    assert torch.equal(data.observations, plain.observations) and torch.equal(data.actions, data.labels)


def test_the_expert_is_asked_once_a_step():
    asked = []

    def expert(obs):
        asked.append(len(obs))
        return driving_expert(obs)
    demonstrate(Driving(horizon=7), expert, 4, generator=generator(0), covariance=0.01)
    assert asked == [4] * 7


def test_pushes_have_the_covariance_asked_for():
    data = demonstrate(Reach(horizon=50), still, 400, generator=generator(0), covariance=SIGMA)
    push = (data.actions - data.labels)[data.mask]
    assert torch.allclose(push.T @ push / len(push), SIGMA, atol=4e-3)


def test_a_stack_has_a_covariance_a_student_in_student_order():
    both = torch.stack([SIGMA, 0 * SIGMA])
    data = demonstrate(Reach(horizon=10), still, 200, generator=generator(0), covariance=both)
    assert len(data) == 400
    assert bool(data[:200].actions.any()) and not bool(data[200:].actions.any())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_error_covariance_is_recovered_on_a_linear_problem(seed):
    g = generator(seed)
    gain, obs = torch.randn(2, 2, generator=g), torch.randn(1, 20_000, 2, generator=g)
    zero = torch.zeros_like(obs)
    data = demonstrate(Reach(horizon=1), still, 1, generator=g)
    data = type(data)(obs, zero, zero[..., 0], torch.ones(1, 20_000, dtype=torch.bool),
                      torch.zeros(1, dtype=torch.bool))
    found = error_covariance(Linear(gain), data)
    assert torch.allclose(found, gain @ gain.T, atol=0.05 * float((gain @ gain.T).abs().max()))


@pytest.mark.parametrize("students, sets, out", [(None, 2, 2), (2, 1, 2), (None, 1, 1), (2, 2, 1)])
def test_errors_are_those_of_one_data_set_a_student_and_actions_of_its_shape(students, sets, out):
    data = demonstrate(Driving(horizon=3), driving_expert, 3, generator=generator(0))

    class Off(Policy):
        def act(self, obs, generator=None):
            return obs[..., :out].flatten(-2) if out == 1 else obs[..., :2]
    Off.students = students
    with pytest.raises(ValueError, match=r"or one each|expected \("):
        error_covariance(Off(), [data] * sets)


def test_an_expert_of_another_shape_is_named():
    with pytest.raises(ValueError, match=r"the expert's answer has shape \(3,\)"):
        demonstrate(Driving(horizon=3), lambda obs: obs[:, 0], 3, generator=generator(0))


def test_bias_counts_as_error():
    data = demonstrate(Driving(horizon=10), driving_expert, 3, generator=generator(0))

    class Biased(Policy):
        def act(self, obs, generator=None):
            return driving_expert(obs) + 0.5
    assert torch.allclose(error_covariance(Biased(), data), torch.tensor([[0.25]]))


def test_students_whose_episodes_end_early_are_examined_on_as_many_steps():
    g = generator(0)
    data = demonstrate(Driving(horizon=30), driving_expert, 2, generator=g)
    data.mask[:] = torch.arange(30) < torch.tensor([[30], [12]])

    class Off(Policy):
        students = 2

        def act(self, obs, generator=None):
            return driving_expert(obs.flatten(0, 1)).view(2, -1, 1) + torch.tensor([1.0, 2.0]).view(2, 1, 1)
    assert torch.allclose(error_covariance(Off(), [data[:1], data[1:]]).flatten(), torch.tensor([1.0, 4.0]))


def run(new_policy=None, rounds=4, seed=0):
    new = new_policy or (lambda g: Gaussian(8, 1, hidden=(8,), generator=g))
    return list(dart(Driving(horizon=20), driving_expert, new, rounds=rounds, n=2, generator=generator(seed),
                     train=quick))


def test_each_round_is_pushed_by_the_error_of_the_student_before_the_last():
    rounds = run()
    assert [r.labels for r in rounds] == [40, 80, 120, 160] and [len(r.data) for r in rounds] == [2, 4, 6, 8]
    assert not bool(rounds[0].covariance) and not bool(rounds[1].covariance)
    # the student of round i - 2 was examined on the drives of round i - 1, before anybody learnt from them
    for i in (2, 3):
        exam = error_covariance(rounds[i - 2].policy, rounds[i - 1].data[-2:])
        assert torch.equal(rounds[i].covariance, exam) and float(exam) > 0
    obs, label = rounds[-1].data.pairs()
    assert torch.equal(label, driving_expert(obs))


def test_a_stack_gets_a_noise_a_student_and_one_seed_gives_one_run():
    stack = partial(lambda g: Gaussian(8, 1, hidden=(8,), generator=spawn(g, 3)))
    first, second = run(stack), run(stack)
    assert first[-1].covariance.shape == (3, 1, 1) and len(first[-1].data) == 3
    assert len(first[-1].covariance.unique()) == 3
    for k in range(3):
        exam = error_covariance(first[1].policy, [d[-2:] for d in first[2].data])
        assert torch.equal(first[3].covariance[k], exam[k])
    assert all(torch.equal(a.covariance, b.covariance) for a, b in zip(first, second))


@pytest.mark.parametrize("covariance, message", [
    (torch.eye(3), "covariance has shape"), (torch.tensor([[1.0, 0.5], [0.0, 1.0]]), "symmetric"),
    (-0.1, "eigenvalue"), (torch.tensor([[0.0, 1.0], [1.0, 0.0]]), "eigenvalue"), (float("nan"), "NaN"),
])
def test_bad_covariances_are_refused(covariance, message):
    with pytest.raises(ValueError, match=message):
        demonstrate(Reach(horizon=3), still, 2, generator=generator(0), covariance=covariance)


def test_actions_that_are_no_numbers_and_no_rounds_are_refused():
    with pytest.raises(TypeError, match="Box"):
        demonstrate(Tightrope(), still, 2, generator=generator(0), covariance=0.1)
    with pytest.raises(ValueError, match="rounds"):
        run(rounds=0)
