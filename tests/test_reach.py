"""The maze holds, the expert arrives, and what makes no sense is refused."""
import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ilsupport as il
from ilsupport.envs.reach import RADIUS, SPEED, Reach


@st.composite
def mazes(draw):
    """Any maze of up to 7 x 7 whose free cells are connected: those that a walk has visited."""
    size = draw(st.integers(2, 7))
    row, column = draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))
    free = {(row, column)}
    for turn in draw(st.lists(st.integers(0, 3), max_size=40)):
        step = ((0, 1), (1, 0), (0, -1), (-1, 0))[turn]
        row, column = (min(max(a + b, 0), size - 1) for a, b in zip((row, column), step))
        free.add((row, column))
    return tuple("".join(".#"[(i, j) not in free] for j in range(size)) for i in range(size))


def in_wall(maze, place):
    """By hand and in float64: is the place more than rounding deep inside a wall, or outside the square?"""
    (x, y), slack, size = place, 1e-6, len(maze)
    column, row = ({min(max(int((z + s) * size / 2), 0), size - 1) for s in (-slack, slack)}
                   for z in (x + 1, 1 - y))
    return max(abs(x), abs(y)) > 1 or all(maze[i][j] == "#" for i in row for j in column)


@given(maze=mazes(), seed=st.integers(0, 99), actions=st.lists(
    st.tuples(*[st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-3, 3, width=32))] * 2), min_size=1,
    max_size=60))
@settings(deadline=None, max_examples=60)
def test_no_sequence_of_actions_enters_a_wall(maze, seed, actions):
    """Nor jumps over one: a step is shorter than a wall is thick, and its halfway points count too."""
    env = Reach(maze=maze)
    place = env.reset(4, il.generator(seed))[:, :2]
    for action in actions:
        after = env.step(torch.tensor([action] * 4))[0][:, :2]
        for old, new in zip(place.double().tolist(), after.double().tolist()):
            corner = (new[0], old[1])  # along x first, then along y
            halves = [tuple((a + b) / 2 for a, b in zip(*leg)) for leg in ((old, corner), (corner, new))]
            assert not any(in_wall(maze, p) for p in (corner, new, *halves))
            assert max(abs(a - b) for a, b in zip(old, new)) <= SPEED + 1e-6
        place = after


@given(maze=mazes(), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_the_expert_reaches_every_goal_by_about_the_length_it_promises(maze, seed):
    env = Reach(maze=maze)
    env.horizon = int(1.1 * float(env.length.max()) / SPEED) + 20
    walks = il.rollout(env, il.ReachExpert(env), 50, generator=il.generator(seed))
    assert (walks.rewards[:, -1] == 0).all()  # it arrives, and stays
    length = env.distance(*walks.observations[:, 0].split(2, 1))
    slack = env.width * 2**0.5 + RADIUS + SPEED
    # A step of speed 1 may graze a corner, where the skin of the wall holds it up by a hair.
    assert ((-walks.returns() * SPEED - length).abs() <= 0.1 * length + slack).all()


def test_straight_on_and_round_the_corner():
    """In the ring of cells about a wall the opposite corner is two sides away, the next one line."""
    env = Reach(maze=("...", ".#.", "..."), dtype=torch.float64)
    places = torch.tensor([[-2 / 3, -2 / 3], [2 / 3, 2 / 3], [2 / 3, -2 / 3]], dtype=torch.float64)
    far, near = env.distance(places[[0, 0]], places[[1, 2]]).tolist()
    assert near == pytest.approx(4 / 3) and far == pytest.approx(8 / 3)


@pytest.mark.parametrize("bad,said", [([0.0, -0.9], "lies in a wall"),
                                      ([0.0, 1.5], "lies in a wall or outside")])
def test_no_distance_to_or_from_where_nobody_can_be(bad, said):
    env, here, there = Reach(), torch.tensor([[0.5, 0.5]]), torch.tensor([bad])
    with pytest.raises(ValueError, match=f"goal .* {said}"):
        env.distance(here, there)
    with pytest.raises(ValueError, match=f"place .* {said}"):
        env.distance(there, here)


def test_cost_counts_the_steps_away_from_the_goal(device, dtype):
    start, goal = torch.tensor([[-0.9, 0.0]]), torch.tensor([[0.0, 0.0]])
    env = Reach(maze=(".....",) * 5, starts=start, goals=goal, horizon=20, device=device, dtype=dtype)
    right = lambda obs: torch.tensor([1.0, 0.0], dtype=dtype, device=device).expand(len(obs), 2)  # noqa: E731
    walks = il.rollout(env, right, 3, generator=il.generator(0, device))
    # Steps end at -0.8, -0.7, ...: 0 is within 0.1 of the goal at 0; of -0.1 and 0.1 rounding decides.
    assert walks.observations.dtype == dtype
    assert ((18 <= -walks.returns()) & (-walks.returns()
                                        <= 19)).all()  # it walks on: one step is within, or two
    assert walks.rewards[:, 8].eq(0).all()
    assert not walks.terminated.any()


def test_it_slides_along_a_wall_and_stops_in_a_corner():
    env = Reach(maze=("..", ".#"), starts=torch.tensor([[-0.5, -0.5]]))
    env.reset(1, il.generator(0))
    for _ in range(30):
        obs = env.step(torch.tensor([[1.0, 0.5]]))[0]
    assert obs[0, :2].tolist() == pytest.approx([1, 1], abs=1e-3)  # up along the wall, then over the top
    for _ in range(30):
        obs = env.step(torch.tensor([[0.3, -1.0]]))[0]
    assert obs[0, :2].tolist() == pytest.approx([1, 0], abs=1e-3)


def test_starts_and_goals_are_those_given_and_places_fill_the_free_cells():
    goals = torch.tensor([[0.9, 0.9], [-0.9, -0.9]])
    env = Reach(goals=goals)
    obs = env.reset(500, il.generator(1))
    drawn = (obs[:, None, 2:] == goals).all(2)
    assert drawn.any(1).all() and 200 < int(drawn[:, 0].sum()) < 300
    assert len(env.cell(obs[:, :2]).unique()) == len(env.centres)
    assert (env.cell(env.centres) == torch.arange(len(env.centres))).all()


def test_play_ignores_the_goal_and_gets_about():
    start = torch.tensor([[-0.9, -0.9]])
    walks = []
    for goal in ([[0.9, 0.9]], [[-0.9, 0.9]]):
        env = Reach(starts=start, goals=torch.tensor(goal))
        play = il.ReachPlay(env, generator=il.generator(2))
        walks.append(il.rollout(env, play, 50, horizon=300, generator=il.generator(3)).observations[..., :2])
    assert torch.equal(*walks)
    cells = [len(env.cell(walk).unique()) for walk in walks[0]]
    assert min(cells) > 8 and sum(cells) / 50 > 15


@pytest.mark.parametrize("options,said", [
    ({"goals": torch.tensor([[0.0, 1.5]])}, "goal .* lies in a wall or outside"),
    ({"goals": torch.tensor([[0.5, 0.5], [0.0, -0.9]])}, r"goal \[0, -0.9\] lies in a wall"),
    ({"starts": torch.tensor([[0.0, -0.9]])}, "start .* lies in a wall"),
    ({"goals": torch.tensor([0.0, 0.5])}, "shape"),
    ({"goals": torch.tensor([[0.0, torch.nan]])}, "NaN"),
    ({"maze": ("..", "...")}, "a square of "),
    ({"maze": ("x.", "..")}, "of '.' and '#'"),
    ({"maze": ("." * 17,) * 17}, "at most 16"),
    ({"maze": ("##", "##")}, "no free cell"),
    ({"maze": (".#", "#.")}, "falls apart"),
    ({"horizon": 0}, "at least 1"),
])
def test_what_makes_no_sense_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Reach(**options)


def test_bad_actions_and_bad_observations():
    env = Reach()
    with pytest.raises(RuntimeError, match="reset"):
        env.step(torch.zeros(1, 2))
    env.reset(3, il.generator(0))
    for action in (torch.zeros(3), torch.zeros(2, 2), torch.zeros(3, 2, dtype=torch.long)):
        with pytest.raises(ValueError, match=r"expected floats \(3, 2\)"):
            env.step(action)
    for act in (il.ReachExpert(env), il.ReachPlay(env, generator=il.generator(0))):
        with pytest.raises(ValueError, match=r"expected \(n, 4\)"):
            act(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="outside the action space"):
        il.rollout(env, lambda obs: torch.full((len(obs), 2), 1.5), 2, generator=il.generator(0))


def test_through_gymnasium_with_a_maze_and_goals_of_ones_own():
    env = gymnasium.make("ilsupport/Reach-v0", maze=["...", ".#.", "..."], goals=torch.tensor([[0.6, 0.6]]),
                         horizon=50)
    obs, _ = env.reset(seed=0)
    act = il.ReachExpert(env.unwrapped.tensor_env)
    for _ in range(50):
        obs, reward, _, truncated, _ = env.step(act(torch.from_numpy(obs)[None])[0].numpy())
        assert obs in env.observation_space
    assert reward == 0 and truncated and np.allclose(obs[:2], 0.6, atol=1e-3)
