"""`fit` learns, takes data as they come, and names trouble; what every policy owes it: test_conformance.py."""
import pytest
import torch

from ilsupport import (
    Categorical,
    Estimate,
    Tightrope,
    constant,
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
    ((torch.zeros(3, 9), torch.full((3,), 7)), "range from 7 to 7, expected whole numbers from 0 to 2"),
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
