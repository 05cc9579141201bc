"""`fit` learns, takes data as they come, and names trouble; what every policy owes it.

Test_conformance.py.
"""
import numpy as np
import pytest
import torch

from ilsupport import (
    Categorical,
    Discretised,
    Estimate,
    Gaussian,
    Policy,
    Tightrope,
    constant,
    cool_down,
    error_rate,
    fit,
    generator,
    rollout,
    spawn,
    tightrope_expert,
)


def demonstrations(n=20, seed=0, dtype=torch.float32, device="cpu"):
    return rollout(Tightrope(dtype=dtype, device=device), tightrope_expert, n,
                   generator=generator(seed, device))


def test_fit_learns_the_expert(device, dtype):
    student = Categorical(9, 3, generator=generator(0, device), dtype=dtype)
    history = fit(student, demonstrations(dtype=dtype, device=device), generator=generator(1, device),
                  lr=3e-3)
    assert history.losses.shape == (2000,)
    assert history.losses[-100:].mean() < 0.1 * history.losses[:10].mean()
    assert error_rate(student, demonstrations(100, seed=2, dtype=dtype, device=device)).high < 0.05


def test_the_users_thread_setting_comes_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fit(Categorical(9, 3, generator=generator(0)), demonstrations(), generator=generator(1), steps=5)
        with pytest.raises(FloatingPointError):
            fit(Categorical(9, 3, generator=generator(0)), demonstrations(), generator=generator(1), steps=50,
                lr=1e30)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    fit(Categorical(9, 3, generator=generator(0)), demonstrations(), generator=generator(1), steps=5)
    assert torch.equal(torch.rand(3), expected)


def test_a_diverging_loss_names_its_step():
    with pytest.raises(FloatingPointError, match=r"at step \d+; lower the learning rate"):
        fit(Categorical(9, 3, generator=generator(0)), demonstrations(), generator=generator(1), steps=200,
            lr=1e30)


@pytest.mark.parametrize("data, message", [
    ((torch.zeros(0, 9), torch.zeros(0, dtype=torch.long)), "at least one"),
    ((torch.zeros(3, 9), torch.zeros(2, dtype=torch.long)), "as many"),
    ((torch.full((3, 9), float("nan")), torch.zeros(3, dtype=torch.long)), "NaN"),
    ((torch.zeros(3, 9), torch.full((3,), 7)), "action 7 lies outside the limits 0 and 2"),
    ((torch.zeros(3, 9), torch.zeros(3)), "dtype"),
    ((torch.zeros(3, 8), torch.zeros(3, dtype=torch.long)), "expected"),
    ((torch.zeros(3, 9, dtype=torch.float64), torch.zeros(3, dtype=torch.long)), "dtype"),
])
def test_bad_data_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        fit(Categorical(9, 3, generator=generator(0)), data, generator=generator(1))


@pytest.mark.parametrize("options", [dict(steps=0), dict(batch_size=0), dict(lr=0.0), dict(lr=float("nan")),
                                     dict(lr=[1e-3, 1e-3]), dict(lr=True)])
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match="expected a positive number|must be at least 1"):
        fit(Categorical(9, 3, generator=generator(0)), demonstrations(), generator=generator(1), **options)


class Script(Policy):
    """Right everywhere, in one shape or another, and without a parameter."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def act(self, obs, generator=None):
        return torch.zeros(len(obs), *self.shape, dtype=torch.long)


def test_a_script_has_an_error_rate_and_answers_once_for_each_target():
    data = np.zeros((3, 2)), torch.zeros(3, dtype=torch.long)
    assert error_rate(Script(), data).mean == 0
    with pytest.raises(ValueError, match=r"shape \(1, 3, 1\), expected \(1, 3\)"):
        error_rate(Script(1), data)


def test_a_loss_is_one_number_a_student():
    class Rows(Categorical):
        def loss(self, obs, action, generator=None):
            return -self.log_prob(obs, action)
    with pytest.raises(ValueError, match=r"loss has shape \(64,\), expected \(\)"):
        fit(Rows(9, 3, generator=generator(0)), demonstrations(), generator=generator(1), steps=1)


def test_columns_too_large_for_their_squares_have_units_and_half_precision_is_measured_in_single():
    obs, action = torch.randn(300, 2, generator=generator(0)), torch.zeros(300, 1)
    policy = Gaussian(2, 1, generator=generator(1))
    fit(policy, (obs * 1e25, action), generator=generator(2), steps=1)
    torch.testing.assert_close(policy.sees.scale, 1e25 * obs.std(0, correction=0))
    policy.half().standardise([(obs * 300 + 400).half()], [action.half()])
    assert (policy.sees.shift - 400).abs().max() < 60 and (policy.sees.scale - 300).abs().max() < 40


def test_a_stack_wants_as_many_data_sets_as_students():
    with pytest.raises(ValueError, match="2 data sets for 3 students"):
        fit(Categorical(9, 3, generator=spawn(generator(0), 3)), [demonstrations()] * 2,
            generator=generator(1))


def test_an_interrupted_fit_keeps_what_was_learnt():
    class Impatient(Categorical):
        calls = 0

        def loss(self, obs, action, generator=None):
            self.calls += 1
            if self.calls == 500:
                raise KeyboardInterrupt
            return super().loss(obs, action)

    student = Impatient(9, 3, generator=generator(0))
    before = error_rate(student, demonstrations(seed=2)).mean
    with pytest.raises(KeyboardInterrupt):
        fit(student, demonstrations(), generator=generator(1), lr=3e-3)
    assert error_rate(student, demonstrations(seed=2)).high < before


@pytest.mark.parametrize("students", [None, 3])
def test_the_log_is_told_the_mean_loss_of_every_stretch(students, capsys):
    told = []
    g = generator(0) if students is None else spawn(generator(0), students)
    history = fit(Categorical(9, 3, generator=g), demonstrations(5), generator=generator(1), steps=450,
                  log=lambda *point: told.append(point), progress=True)
    tags, values, steps = zip(*told)
    assert set(tags) == {"loss"} and steps[-1] == 450 and list(steps) == sorted(set(steps))
    assert max(b - a for a, b in zip((0, *steps), steps)) <= 200
    for value, start, end in zip(values, (0, *steps), steps):
        assert value == pytest.approx(float(history.losses[start:end].mean()))
    assert f"loss={values[-1]:.3g}" in capsys.readouterr().err


def test_without_being_asked_it_says_nothing(capsys):
    fit(Categorical(9, 3, generator=generator(0)), demonstrations(5), generator=generator(1), steps=10)
    assert capsys.readouterr() == ("", "")


def test_the_log_may_evaluate_the_policy_as_it_is_without_changing_what_it_learns():
    data, curve = demonstrations(5), []

    def train(steps, watched=False):
        student = Categorical(9, 3, generator=generator(0))

        def look(tag, value, step):
            curve.append((step, float(student.loss(*data.pairs()).detach())))
        fit(student, data, generator=generator(1), steps=steps, log=look if watched else None,
            schedule=constant)
        return student
    assert torch.equal(train(600, watched=True).net.weights[0], train(600).net.weights[0])
    assert curve == [(steps, float(train(steps).loss(*data.pairs()).detach())) for steps in (200, 400, 600)]


def test_tensorboard_reads_it(tmp_path):
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter
    with SummaryWriter(tmp_path) as writer:
        history = fit(Categorical(9, 3, generator=generator(0)), demonstrations(), generator=generator(1),
                      steps=60, log=writer.add_scalar)
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("loss")
    assert [event.step for event in events] == [60]
    assert events[0].value == pytest.approx(float(history.losses.mean()))


def test_error_rate_of_a_stack_is_one_estimate_a_student():
    students = Categorical(9, 3, generator=spawn(generator(0), 2))
    rates = error_rate(students, demonstrations())
    assert len(rates) == 2 and all(isinstance(rate, Estimate) and rate.n == 2000 for rate in rates)


@pytest.mark.parametrize("sizes", [(1, 10), (10, 1)])
def test_each_student_is_measured_on_all_of_its_own_pairs(sizes, monkeypatch):
    data = [demonstrations(n, seed=n) for n in sizes]
    together = Categorical(9, 3, generator=spawn(generator(0), 2))
    for rows in (2**14, 300):  # in one portion, and in several of which the shorter has no part
        monkeypatch.setattr("ilsupport.bc.ROWS", rows)
        rates = error_rate(together, data)
        assert [rate.n for rate in rates] == [100 * n for n in sizes]
        assert rates == [error_rate(Categorical(9, 3, generator=g), d)
                         for g, d in zip(spawn(generator(0), 2), data)]


@pytest.mark.parametrize("policy", [Gaussian(3, 1, generator=generator(0)),
                                    Discretised(3, 1, generator=generator(0))])
def test_continuous_actions_never_agree_to_the_last_bit(policy):
    said = r"floats, which never agree exactly; use data.disagreements\(tolerance\)"
    with pytest.raises(TypeError, match=said):
        error_rate(policy, (torch.zeros(10, 3), torch.zeros(10, 1)))


def test_whole_rows_of_numbers_agree_or_not():
    policy = Discretised(2, 2, [3, 4], limits=None, generator=generator(0))
    obs = torch.randn(50, 2, generator=generator(1))
    right = policy.act(obs)
    wrong = right.clone()
    wrong[:20, 1] = (wrong[:20, 1] + 1) % 4
    assert error_rate(policy, (obs, right)).mean == 0 and error_rate(policy, (obs, wrong)).mean == 0.4


# -- data and options as they come


def weights(policy):
    return torch.cat([p.detach().flatten() for p in policy.parameters()])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_arrays_are_data_too(kind):
    obs, action = torch.randn(60, 3, generator=generator(0)), torch.randn(60, 2, generator=generator(1))
    here, there = Gaussian(3, 2, generator=generator(2)), Gaussian(3, 2, generator=generator(2))
    fit(here, (obs, action), generator=generator(3), steps=5)
    fit(there, (obs.numpy().astype(kind), action.numpy().astype(kind)), generator=generator(3), steps=5)
    assert torch.equal(weights(here), weights(there))
    stack = Gaussian(3, 2, generator=spawn(generator(2), 2))
    fit(stack, [(obs.numpy(), action.numpy())] * 2, generator=generator(3), steps=2)


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint16])
def test_arrays_of_whole_numbers_are_data_too(kind):
    obs, action = np.zeros((6, 3), np.float32), np.arange(6).astype(kind) % 3
    policy = Categorical(3, 3, generator=generator(0))
    fit(policy, (obs, action), generator=generator(1), steps=2)
    assert error_rate(policy, (obs, action)).n == 6


@pytest.mark.parametrize("lr", [np.float32(1e-3), np.float64(1e-3)])
def test_a_learning_rate_may_be_numpys(lr):
    policies = [Categorical(9, 3, generator=generator(0)) for _ in range(2)]
    for policy, rate in zip(policies, (lr, float(lr))):
        fit(policy, demonstrations(2), generator=generator(1), steps=3, lr=rate)
    assert torch.equal(*map(weights, policies))


def test_what_is_no_data_is_named():
    policy = Categorical(9, 3, generator=generator(0))
    for data in (([[0.0] * 9], [0]), [torch.zeros(3, 9)], [None]):
        with pytest.raises((TypeError, ValueError),
                           match="Trajectories,? or (arrays|pairs) .*, targets"):
            fit(policy, data, generator=generator(1))


def test_students_share_one_data_set_and_its_memory():
    """Sixteen of them look at the same rows; what is gathered at once is a few batches."""
    class Heard(torch.utils._python_dispatch.TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, (list, tuple)) else [out]:
                if isinstance(tensor, torch.Tensor):
                    self.largest = max(self.largest, tensor.numel())
            return out
    data = torch.zeros(50_000, 40), torch.zeros(50_000, 1)
    policy = Gaussian(40, 1, hidden=(4,), generator=spawn(generator(0), 16))
    with Heard() as heard:
        fit(policy, data, generator=generator(1), steps=3)
    assert heard.largest <= 50_000 * 40


def test_the_default_schedule_cools_down():
    assert [cool_down(x) for x in (0.0, 0.5, 0.7)] == [1, 1, 1]
    assert [round(cool_down(x), 9) for x in (0.85, 0.97)] == [0.5, 0.1] and constant(0.9) == 1
    rates = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)
    for schedule, expected in ((None, [0.1] * 8 + [0.2 / 3, 0.1 / 3]), (constant, [0.1] * 10),
                               (lambda done: 1 - done, [0.1 * (1 - k / 10) for k in range(10)])):
        rates.clear()
        fit(Categorical(9, 3, generator=generator(0)), demonstrations(2), generator=generator(1), steps=10,
            lr=0.1, optimiser=Watched, **({} if schedule is None else {"schedule": schedule}))
        assert rates == pytest.approx(expected)


def test_the_optimiser_is_a_choice():
    made = []

    def sgd(parameters, lr):
        made.append(lr)
        return torch.optim.SGD(parameters, lr=lr, momentum=0.9)
    policy = Categorical(9, 3, generator=generator(0))
    fit(policy, demonstrations(), generator=generator(1), steps=500, lr=0.05, optimiser=sgd)
    assert made == [0.05] and error_rate(policy, demonstrations(seed=2)).high < 0.2
