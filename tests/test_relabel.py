"""Hindsight relabels with what came later, with nothing else, and as often as it says."""
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ilsupport as il
from ilsupport import Trajectories


def counting(lengths, final=True, device="cpu", dtype=torch.float32):
    """Episodes whose position at step t is (episode, t), whose order is (-1, -1) and whose action is t."""
    n, T = len(lengths), max(lengths)
    t = torch.arange(T + 1, dtype=dtype, device=device).expand(n, -1)
    episode = torch.arange(n, dtype=dtype, device=device)[:, None].expand_as(t)
    obs = torch.stack([episode, t, -torch.ones_like(t), -torch.ones_like(t)], 2)
    mask = torch.arange(T, device=device) < torch.tensor(lengths, device=device)[:, None]
    ends = obs[torch.arange(n), lengths] if final else None
    obs = torch.where(mask[..., None], obs[:, :T], 99.0)  # padding that must not turn up
    actions = torch.where(mask, t[:, :T], 99.0)[..., None]
    return Trajectories(obs, actions, torch.zeros_like(t[:, :T]), mask,
                        torch.zeros(n, dtype=torch.bool, device=device), final_observations=ends)


lengths = st.lists(st.integers(1, 8), min_size=1, max_size=5)


@given(lengths=lengths, final=st.booleans(), ahead=st.none() | st.integers(1, 9), copies=st.integers(1, 3),
       seed=st.integers(0, 99))
@settings(deadline=None)
def test_goals_are_places_reached_later_in_the_same_episode(lengths, final, ahead, copies, seed):
    data = counting(lengths, final)
    if not final and max(lengths) == 1:
        with pytest.raises(ValueError, match="nothing was reached"):
            il.relabel(data, generator=il.generator(seed))
        return
    obs, action = il.relabel(data, ahead=ahead, copies=copies, generator=il.generator(seed))
    episode, t, same, later = obs.unbind(1)
    ends = torch.tensor(lengths)[episode.long()] - (0 if final else 1)
    assert torch.equal(same, episode) and torch.equal(action[:, 0], t)
    assert ((t < later) & (later <= ends)).all()
    assert ahead is None or (later - t <= ahead).all()
    kept = sum(length if final else length - 1 for length in lengths)
    assert obs.shape == (copies * kept, 4)
    first = obs[:kept, :2]  # every real step, once a copy, in order
    assert torch.equal(obs[:, :2], first.repeat(copies, 1)) and len(first.unique(dim=0)) == kept


def test_every_step_ahead_is_as_likely(device, dtype):
    data = counting([6], device=device, dtype=dtype)
    obs, action = il.relabel(data, copies=6000, generator=il.generator(1, device))
    assert obs.dtype == action.dtype == dtype and obs.device.type == device.type
    at_start = obs[obs[:, 1] == 0]
    share = torch.bincount(at_start[:, 3].long(), minlength=7)[1:].double() / len(at_start)
    assert (share - 1 / 6).abs().max() < 0.02  # four standard deviations
    near, _ = il.relabel(data, ahead=2, copies=6000, generator=il.generator(2, device))
    share = torch.bincount((near[:, 3] - near[:, 1]).long(), minlength=3)[1:].double() / len(near)
    assert abs(float(share[0]) - 7 / 12) < 0.02  # five steps choose between 1 and 2, the last has only 1


def test_the_seed_decides_and_labels_are_not_looked_at():
    data = counting([5, 3])
    one, same, other = (il.relabel(data, copies=4, generator=il.generator(seed))[0] for seed in (3, 3, 4))
    assert torch.equal(one, same) and not torch.equal(one, other)
    labelled = data.label(lambda obs: torch.full((len(obs), 1), 7.0))
    assert (il.relabel(labelled, generator=il.generator(3))[1] < 7).all()


def test_what_stands_between_achievement_and_goal_is_kept():
    data = counting([4, 4])
    obs = torch.cat([data.observations[..., 1:2], data.observations[..., :1] + 10,
                     data.observations[..., 3:]], 2)
    data = Trajectories(obs, data.actions, data.rewards, data.mask, data.terminated)
    new, _ = il.relabel(data, goal_dim=1, generator=il.generator(0))  # (achieved t, something else, goal)
    assert (new[:, 2] > new[:, 0]).all() and set(new[:, 1].tolist()) == {10.0, 11.0}


def test_a_student_of_relabelled_play_goes_where_it_is_told():
    env = il.Reach(maze=("...",) * 3)
    play = il.rollout(env, il.ReachPlay(env, generator=il.generator(0)), 20, generator=il.generator(1))
    student = il.Gaussian(4, 2, generator=il.generator(2), limits=(-1, 1))
    pairs = il.relabel(play, ahead=15, copies=4, generator=il.generator(4))
    il.fit(student, pairs, generator=il.generator(5), steps=800, batch_size=128)
    walks = il.rollout(env, student, 200, generator=il.generator(3))
    assert walks.rewards.eq(0).any(1).double().mean() > 0.8


@pytest.mark.parametrize("options,said", [({"ahead": 0}, "ahead must be at least 1"),
                                          ({"copies": 0}, "copies must be at least 1"),
                                          ({"goal_dim": 3}, "goal_dim is 3"),
                                          ({"goal_dim": 0}, "goal_dim is 0")])
def test_bad_options(options, said):
    with pytest.raises(ValueError, match=said):
        il.relabel(counting([3]), generator=il.generator(0), **options)


def test_pictures_have_no_goal_to_relabel():
    data = Trajectories(torch.zeros(1, 2, 3, 30, 32), torch.zeros(1, 2, 1), torch.zeros(1, 2),
                        torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"expected \(n, T, obs\)"):
        il.relabel(data, generator=il.generator(0))
