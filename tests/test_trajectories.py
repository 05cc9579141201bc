"""Padding, masks and labels: what goes into `Trajectories` comes out of `pairs`."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ilsupport import Trajectories

lengths = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def episodes_of(lengths, start=0.0):
    """Episodes whose observations and actions count up, so that any mix-up shows."""
    out = []
    for length in lengths:
        steps = torch.arange(start, start + length)
        out.append((torch.stack([steps, -steps], 1), steps.long()))
        start += length
    return out


@given(lengths)
def test_pairs_are_the_real_steps_in_order(lengths):
    obs, actions = Trajectories.from_episodes(episodes_of(lengths)).pairs()
    count = torch.arange(float(sum(lengths)))
    assert torch.equal(obs, torch.stack([count, -count], 1))
    assert torch.equal(actions, count.long())


@given(lengths, lengths)
def test_cat_keeps_every_step_of_both(first, second):
    both = Trajectories.cat([Trajectories.from_episodes(episodes_of(first)),
                             Trajectories.from_episodes(episodes_of(second, sum(first)))])
    assert len(both) == len(first) + len(second)
    assert both.lengths().tolist() == first + second
    assert torch.equal(both.pairs()[1], torch.arange(sum(first) + sum(second)))


@given(lengths)
def test_labels_replace_actions_as_targets_and_are_counted(lengths):
    data = Trajectories.from_episodes(episodes_of(lengths)).label(lambda obs: obs[:, 0].long() + 1)
    assert torch.equal(data.pairs()[1], torch.arange(sum(lengths)) + 1)
    assert data.disagreements().tolist() == [float(length) for length in lengths]
    assert data.steps == sum(lengths)


def test_cat_of_demonstrations_and_labelled_rollouts_uses_each_ones_targets():
    demos = Trajectories.from_episodes(episodes_of([3]))
    labelled = demos.label(lambda obs: torch.full((len(obs),), 9))
    assert Trajectories.cat([demos, labelled]).pairs()[1].tolist() == [0, 1, 2, 9, 9, 9]


def test_returns_ignore_padding(device, dtype):
    mask = torch.tensor([[True, True], [True, False]], device=device)
    data = Trajectories(torch.zeros(2, 2, 1, dtype=dtype, device=device),
                        torch.zeros(2, 2, dtype=torch.long, device=device),
                        torch.ones(2, 2, dtype=dtype, device=device), mask,
                        torch.zeros(2, dtype=torch.bool, device=device))
    assert data.returns().tolist() == [2, 1]
    assert data[1].lengths().tolist() == [1]
    assert data.to("cpu").observations.device.type == "cpu"


def make(obs=None, actions=None, mask=None):
    obs = torch.zeros(2, 3, 1) if obs is None else obs
    actions = torch.zeros(2, 3, dtype=torch.long) if actions is None else actions
    mask = torch.ones(2, 3, dtype=torch.bool) if mask is None else mask
    return Trajectories(obs, actions, torch.zeros(2, 3), mask, torch.zeros(2, dtype=torch.bool))


@pytest.mark.parametrize("bad, message", [
    (dict(obs=torch.full((2, 3, 1), float("nan"))), "NaN"),
    (dict(obs=torch.full((2, 3, 1), float("inf"))), "infinit"),
    (dict(actions=torch.zeros(2, 4, dtype=torch.long)), "ragged"),
    (dict(obs=torch.zeros(2)), "expected"),
    (dict(obs=torch.zeros(0, 3, 1)), "none of them 0"),
    (dict(mask=torch.ones(2, 3)), "bool"),
    (dict(mask=torch.tensor([[True, False, True], [True, True, True]])), "hole"),
    (dict(mask=torch.tensor([[False, False, False], [True, True, True]])), "hole"),
])
def test_bad_data_is_refused_with_a_reason(bad, message):
    with pytest.raises(ValueError, match=message):
        make(**bad)


@pytest.mark.parametrize("episodes", [[], [([], [])], [([[1.0], [2.0]], [0])], [([[1.0]],)],
                                      [([[1.0]], [0], [1.0], [True])], [([[1.0]], [0]), ([[1.0, 2.0]], [0])]],
                         ids=["none", "empty", "ragged", "no actions", "four parts", "unlike"])
def test_bad_episodes_are_refused(episodes):
    with pytest.raises(ValueError, match="expected"):
        Trajectories.from_episodes(episodes)


@pytest.mark.parametrize("other", [([[1.0]], [0.5]), ([[1.0, 2.0]], [0]), ([[1.0]], [[0]])])
def test_parts_that_are_unlike_are_not_put_together(other):
    parts = [Trajectories.from_episodes([episode]) for episode in (([[1.0]], [0]), other)]
    with pytest.raises(ValueError, match=r"expected .*\(n, T.*\): as in the first part"):
        Trajectories.cat(parts)


def test_an_expert_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"has shape \(6, 1\).*expected whole numbers \(6,\)"):
        make().label(lambda obs: torch.zeros(len(obs), 1))


def test_continuous_disagreements_have_a_tolerance():
    steering = torch.tensor([[[0.0, 0.5], [0.1, 0.5], [0.0, 0.9]]])
    data = Trajectories(torch.zeros(1, 3, 1), steering, torch.zeros(1, 3), torch.ones(1, 3, dtype=torch.bool),
                        torch.zeros(1, dtype=torch.bool), labels=torch.tensor([[[0.0, 0.5]] * 3]))
    assert [data.disagreements(x).item() for x in (0.0, 0.2, 0.5)] == [2, 1, 0]
    with pytest.raises(ValueError, match="tolerance is -1"):
        data.disagreements(-1)


def test_disagreements_need_labels():
    with pytest.raises(ValueError, match="label"):
        make().disagreements()


def test_nan_in_padding_is_nobodys_business():
    obs = torch.tensor([[[1.0], [float("nan")]]])
    data = Trajectories(obs, torch.zeros(1, 2, dtype=torch.long), torch.zeros(1, 2),
                        torch.tensor([[True, False]]), torch.zeros(1, dtype=torch.bool))
    assert data.pairs()[0].tolist() == [[1.0]]


def test_float64_arrays_arrive_as_the_policys_dtype():
    data = Trajectories.from_episodes([(np.zeros((2, 3)), np.zeros((2, 1)))])
    assert data.observations.dtype == data.actions.dtype == torch.float32
    data = Trajectories.from_episodes([(np.zeros((2, 3)), np.zeros(2, dtype=np.int32))], dtype=torch.float64)
    assert data.observations.dtype == torch.float64 and data.actions.dtype == torch.int64


# -- kinds of numbers


@pytest.mark.parametrize("column", [0, 1, 2], ids=["observations", "actions", "rewards"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_kind_of_numbers_is_decided_over_all_episodes(column, order):
    """An episode of whole numbers beside one of fractions truncates nothing."""
    whole, fractions = np.arange(3), np.arange(3) + 0.5
    episodes = [tuple(np.stack([x, x], 1) if k < 2 else x for k in range(3))
                for x in ([whole, fractions][i] for i in order)]
    other = [tuple(np.zeros_like(part) if k != column else part for k, part in enumerate(episode))
             for episode in episodes]
    data = Trajectories.from_episodes(other)
    found = [data.observations[..., 0], data.actions[..., 0], data.rewards][column]
    assert found.dtype == torch.float32
    assert found[order.index(0)].tolist() == [0, 1, 2] and found[order.index(1)].tolist() == [0.5, 1.5, 2.5]


def test_lists_of_python_numbers_are_episodes_too():
    data = Trajectories.from_episodes([([[0], [1]], [0, 1], [1, 2]), ([[0.5]], [1], [0.5])])
    assert data.observations[1, 0, 0] == 0.5 and data.rewards[1, 0] == 0.5
    assert data.actions.dtype == torch.int64 and data.observations.dtype == torch.float32


# -- a sequence of episodes


def test_it_is_a_sequence_of_episodes():
    data = Trajectories.from_episodes(episodes_of([3, 1, 2]))
    assert [one.steps for one in data] == [3, 1, 2] == [len(one.pairs()[1]) for one in list(data)]
    for k in (1, np.int64(1), torch.tensor(1), -2):
        assert data[k].steps == 1 and len(data[k]) == 1
    assert data[-1].steps == 2 and data[np.int64(-3)].steps == 3
    for first_two in (slice(2), [0, 1], np.array([0, 1])):
        assert data[first_two].lengths().tolist() == [3, 1]
    assert data[data.lengths() > 1].lengths().tolist() == [3, 2] and data[::2].steps == 5
    assert [a.steps for a, b in zip(data, reversed(data))] == [3, 1, 2]
    for k in (3, -4, np.int64(3)):
        with pytest.raises(IndexError, match="size 3"):
            data[k]


@pytest.mark.parametrize("options, message", [
    (dict(rewards=torch.tensor([[0.0, float("nan")]])), "rewards has 1 NaN"),
    (dict(actions=torch.full((1, 2, 1), float("nan"))), "actions has 2 NaN"),
    (dict(labels=torch.full((1, 2, 1), float("inf"))), "labels has 2 NaN or infinite"),
    (dict(final_observations=torch.full((1, 1), float("nan"))), "final_observations has 1 NaN"),
    (dict(final_observations=torch.zeros(1, 2)), r"final_observations has shape \(1, 2\), expected \(1, 1\)"),
    (dict(labels=torch.zeros(1, 2)), r"labels has shape \(1, 2\), expected \(1, 2, 1\)"),
    (dict(labels=torch.zeros(1, 2, 3)), r"labels has shape \(1, 2, 3\), expected \(1, 2, 1\)"),
    (dict(rewards=torch.zeros(1, 2, 1)), "rewards has shape"),
    (dict(mask=torch.ones(1, 2, 1, dtype=torch.bool)), "mask has shape"),
    (dict(terminated=torch.zeros(2, dtype=torch.bool)), "terminated has shape"),
    (dict(successes=torch.zeros(1, 1, dtype=torch.bool)), "successes has shape"),
])
def test_every_field_is_checked(options, message):
    fields = dict(observations=torch.zeros(1, 2, 1), actions=torch.zeros(1, 2, 1), rewards=torch.zeros(1, 2),
                  mask=torch.ones(1, 2, dtype=torch.bool), terminated=torch.zeros(1, dtype=torch.bool))
    Trajectories(**fields)
    with pytest.raises(ValueError, match=message):
        Trajectories(**(fields | options))


def test_what_an_expert_could_not_have_meant_is_refused():
    data = Trajectories.from_episodes([(torch.zeros(3, 1), torch.zeros(3, 1))])
    for wrong, message in ((torch.zeros(3), "expected"), (torch.zeros(3, 1).long(), "expected"),
                           (torch.full((3, 1), float("nan")), "labels has 3 NaN")):
        with pytest.raises(ValueError, match=message):
            data.label(lambda obs: wrong)


def test_cat_keeps_success_where_all_say_so_and_final_observations_where_all_have_them():
    one = Trajectories.from_episodes(episodes_of([2]))
    said = replace(one, successes=torch.tensor([True]), final_observations=torch.zeros(1, 2))
    assert Trajectories.cat([said, said]).successes.tolist() == [True, True]
    both = Trajectories.cat([said, one])
    assert both.successes is None and both.final_observations is None
    assert said[[0, 0]].successes.tolist() == [True, True] and said.to("cpu").successes.tolist() == [True]
