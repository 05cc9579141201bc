"""Other people's environments behind our interface: what ends, when, seen how, paid once."""
import importlib
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from ilsupport import Gymnasium, Window, cartpole_expert, evaluate, generator, rollout

playing = importlib.import_module("ilsupport.rollout")  # the module: `il.rollout` is the function
MODES = list(AutoresetMode)


class Count(gymnasium.Env):
    """Shows [t, episode]; pays 1 a step in its first episode and 1000 later; ends after `length` steps."""

    observation_space = Box(-1, 1000, (2,), np.float32)
    action_space = Discrete(2)

    def __init__(self, length, truncates=False):
        self.length, self.truncates, self.episode = length, truncates, -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.episode = -1
        self.t, self.episode = 0, self.episode + 1
        return self._look(), {}

    def step(self, action):
        self.t += 1
        over = self.t == self.length
        reward = 1.0 if self.episode == 0 else 1000.0
        return self._look(), reward, over and not self.truncates, over and self.truncates, {}

    def _look(self):
        return np.array([self.t, self.episode], np.float32)


class Diary(gymnasium.Wrapper):
    """Writes every episode down, so that a rollout can be held against what really happened."""

    def __init__(self, env, book):
        super().__init__(env)
        self.pages = []
        book.append(self.pages)

    def reset(self, **keywords):
        obs, info = self.env.reset(**keywords)
        self.pages.append([(obs, None, None, None)])
        return obs, info

    def step(self, action):
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.pages[-1].append((obs, action, reward, terminated))
        return obs, reward, terminated, truncated, info


def counters(lengths, mode, truncates=False):
    return SyncVectorEnv([lambda k=k: Count(k, truncates) for k in lengths], autoreset_mode=mode)


def push_right(obs):
    return torch.ones(len(obs), dtype=torch.long, device=obs.device)


@pytest.mark.parametrize("mode", MODES)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), horizon=st.integers(1, 14),
       truncates=st.booleans())
def test_an_episode_ends_once_whatever_the_autoreset_mode(mode, lengths, horizon, truncates):
    env = Gymnasium(counters(lengths, mode, truncates), horizon=horizon)
    data = rollout(env, push_right, len(lengths), generator=generator(0))
    played = [min(k, horizon) for k in lengths]
    assert data.lengths().tolist() == played
    assert data.returns().tolist() == played
    assert data.final_observations.tolist() == [[k, 0] for k in played]
    assert data.terminated.tolist() == [k <= horizon and not truncates for k in lengths]
    assert data.observations[data.mask][:, 1].max() == 0  # no step of a second episode counts as real


@pytest.mark.parametrize("mode", MODES)
def test_after_the_end_a_copy_pays_nothing_and_does_not_end_again(mode, device):
    env = Gymnasium(counters([2, 7], mode), horizon=20, device=device)
    env.reset(2, generator(0, device))
    steps = [env.step(torch.zeros(2, dtype=torch.long, device=device)) for _ in range(12)]
    rewards = torch.stack([reward for _, reward, _, _ in steps])
    ends = torch.stack([terminated for _, _, terminated, _ in steps])
    assert rewards.sum(0).tolist() == [2, 7] and ends.sum(0).tolist() == [1, 1]
    assert steps[1][0][0].tolist() == [2, 0]  # the last observation of the episode, not the first of the next
    assert rewards.device.type == device.type


@pytest.mark.parametrize("mode", MODES)
def test_a_time_limit_is_a_truncation(mode):
    env = Gymnasium(counters([3], mode, truncates=True), horizon=9)
    env.reset(1, generator(0))
    ends = [env.step(torch.zeros(1, dtype=torch.long))[2:] for _ in range(3)]
    assert [(bool(terminated), bool(truncated)) for terminated, truncated in ends] == [(0, 0), (0, 0), (0, 1)]


@pytest.mark.parametrize("name, policy", [
    ("CartPole-v1", push_right),
    ("Pendulum-v1", lambda obs: obs[:, :1].clamp(-2, 2)),
])
def test_a_rollout_is_what_the_environments_did(name, policy):
    book = []
    env = Gymnasium(lambda: Diary(gymnasium.make(name), book), horizon=40)
    for n in (3, 5):  # a second reset with another n makes new copies
        book.clear()
        data = rollout(env, policy, n, generator=generator(1))
        assert len(data) == n == len(book)
        for i, pages in enumerate(book):
            steps = min(len(pages[0]) - 1, 40)
            obs, actions, rewards, terminated = zip(*pages[0][:steps + 1])
            assert data.lengths()[i] == steps
            assert np.array_equal(data.observations[i, :steps], np.stack(obs[:-1]))
            assert np.array_equal(data.final_observations[i], obs[-1])
            assert np.array_equal(data.actions[i, :steps], np.stack(actions[1:]))
            np.testing.assert_allclose(data.rewards[i, :steps], rewards[1:], rtol=1e-6)
            assert data.terminated[i] == terminated[-1]


@pytest.mark.parametrize("name, bound", [
    ("Pendulum-v1", 2), ("CartPole-v1", None), ("HalfCheetah-v5", 1), ("Hopper-v5", 1), ("Walker2d-v5", 1),
    ("Ant-v5", 1)])
def test_stepping_the_copies_ourselves_gives_what_syncvectorenv_gives(name, bound):
    if name.split("-")[0] in ("HalfCheetah", "Hopper", "Walker2d", "Ant"):
        pytest.importorskip("mujoco", reason="needs the extra ilsupport[mujoco]")

    def policy(obs):
        return push_right(obs) if bound is None else (3 * obs[:, :width]).clamp(-bound, bound)
    # A function, since CartPole has a vector version of its own.
    ours = Gymnasium(lambda: gymnasium.make(name), horizon=60)
    width = ours.action_space.shape[0] if bound else 0
    theirs = Gymnasium(SyncVectorEnv([lambda: gymnasium.make(name)] * 4), horizon=60)
    for seed in range(2):
        a, b = (rollout(env, policy, 4, generator=generator(seed)) for env in (ours, theirs))
        assert torch.equal(a.mask, b.mask) and torch.equal(a.terminated, b.terminated)
        for field in ("observations", "actions", "rewards"):
            assert torch.equal(getattr(a, field)[a.mask], getattr(b, field)[b.mask]), field
        assert torch.equal(a.final_observations, b.final_observations)


def test_a_copy_whose_episode_is_over_is_not_stepped_again():
    book = []
    data = rollout(Gymnasium(lambda: Diary(Count(2 + 3 * (len(book) % 2)), book), horizon=9), push_right, 2,
                   generator=generator(0))
    assert [len(pages) for pages in book[-2:]] == [1, 1], "and not started again"
    assert sorted(len(pages[0]) - 1 for pages in book[-2:]) == sorted(data.lengths().tolist()) == [2, 5]


def test_one_environment_twice_is_no_two_copies():
    env = Count(3)
    with pytest.raises(ValueError, match="the same environment twice, expected a new one each time"):
        Gymnasium(lambda: env, horizon=5).reset(2, generator(0))


@pytest.mark.parametrize("options", [{"vectorization_mode": "sync"},
                                     {"wrappers": [gymnasium.wrappers.FlattenObservation]}])
def test_options_of_make_vec_still_reach_it(options):
    env = Gymnasium("Pendulum-v1", **options)
    assert isinstance(env._vector, SyncVectorEnv)
    assert len(rollout(env, lambda obs: obs[:, :1].clamp(-2, 2), 3, generator=generator(0), horizon=4)) == 3


def test_gymnasiums_own_vector_cartpole_is_used_and_agrees_with_the_single_one():
    env = Gymnasium("CartPole-v1")
    data = rollout(env, push_right, 20, generator=generator(0))
    assert isinstance(env._vector, CartPoleVectorEnv)
    assert data.terminated.all() and (data.final_observations[:, 2].abs() > 0.2).all()  # 12 degrees are 0.209
    single = gymnasium.make("CartPole-v1").unwrapped
    for i, steps in enumerate(data.lengths().tolist()):
        single.reset()
        single.state = data.observations[i, 0].double().numpy()
        for t in range(steps):
            obs, reward, terminated, _, _ = single.step(1)
            seen = data.observations[i, t + 1] if t + 1 < steps else data.final_observations[i]
            np.testing.assert_allclose(seen, obs, atol=1e-5)
            assert data.rewards[i, t] == reward == 1
        assert terminated


@pytest.mark.parametrize("options", [{}, {"vectorization_mode": "sync"}])
def test_the_generator_decides_the_episodes(options):
    env = Gymnasium("CartPole-v1", **options)
    one, same, other = (rollout(env, push_right, 4, generator=generator(seed)) for seed in (7, 7, 8))
    assert torch.equal(one.observations, same.observations) and torch.equal(one.rewards, same.rewards)
    assert not torch.equal(one.observations[:, 0], other.observations[:, 0])
    g = generator(7)
    first, second = env.reset(4, g), env.reset(4, g)
    assert torch.equal(first, one.observations[:, 0]) and not torch.equal(first, second)
    assert len(first.unique(dim=0)) == 4
    env.reset(9, g)
    assert torch.equal(env.reset(4, generator(7)), first)  # whatever was played in between


def test_global_random_numbers_are_left_alone():
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    rollout(Gymnasium("CartPole-v1"), push_right, 3, generator=generator(0))
    assert (torch.rand(1), np.random.rand()) == expected


def test_horizon_is_the_time_limit_and_moves_it():
    assert Gymnasium("CartPole-v1").horizon == 500
    assert Gymnasium(lambda: gymnasium.make("Pendulum-v1")).horizon == 200
    for horizon in (30, 600):
        env = Gymnasium("CartPole-v1", horizon=horizon)
        assert rollout(env, cartpole_expert, 3, generator=generator(0)).lengths().tolist() == [horizon] * 3
        assert evaluate(env, cartpole_expert, 3, generator=generator(0)).mean == horizon


@pytest.mark.parametrize("horizon, error", [(0, ValueError), (-3, ValueError), (2.5, TypeError)])
def test_bad_horizons(horizon, error):
    with pytest.raises(error, match="horizon"):
        Gymnasium("CartPole-v1", horizon=horizon)


def test_no_time_limit_at_all():
    with pytest.raises(ValueError, match="no time limit.*horizon=200"):
        Gymnasium(lambda: Count(3))


def test_observations_arrive_in_the_dtype_asked_for(device, dtype):
    env = Gymnasium("CartPole-v1", device=device, dtype=dtype)
    data = rollout(env, cartpole_expert, 2, generator=generator(0, device), horizon=5)
    assert data.observations.dtype == data.rewards.dtype == dtype
    assert data.observations.device.type == device.type


def test_discrete_observations_are_whole_numbers():
    env = Gymnasium("FrozenLake-v1")
    obs = env.reset(3, generator(0))
    assert obs.dtype == torch.int64 and obs.tolist() == [0, 0, 0]
    assert env.step(torch.tensor([1, 2, 1]))[0].dtype == torch.int64


def test_memory_that_the_vector_environment_reuses_is_copied():
    def pendulums(copy):
        return Gymnasium(SyncVectorEnv([lambda: gymnasium.make("Pendulum-v1")] * 2, copy=copy), horizon=6)

    policy = lambda obs: obs[:, :1]  # noqa: E731
    kept, reused = (rollout(pendulums(copy), policy, 2, generator=generator(0)) for copy in (True, False))
    assert torch.equal(kept.observations, reused.observations)


class SameStep(VectorEnv):
    """A vector environment of its own making: every copy ends at every second step."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
    single_observation_space, single_action_space = Count.observation_space, Count.action_space
    num_envs = 2

    def __init__(self, final=True):
        self.final = final

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.zeros((2, 2), np.float32), {}

    def step(self, actions):
        self.t += 1
        over = np.full(2, self.t == 2)
        obs = np.full((2, 2), 0 if over[0] else self.t, np.float32)
        info = {"final_obs": np.full((2, 2), 2, np.float32)} if over[0] and self.final else {}
        return obs, np.ones(2), over, np.zeros(2, bool), info


def test_final_observations_may_come_as_one_array():
    data = rollout(Gymnasium(SameStep(), horizon=5), push_right, 2, generator=generator(0))
    assert data.lengths().tolist() == [2, 2] and data.final_observations.tolist() == [[2, 2], [2, 2]]


def test_final_observations_that_do_not_come():
    with pytest.raises(ValueError, match="final_obs.*NEXT_STEP"):
        rollout(Gymnasium(SameStep(final=False), horizon=5), push_right, 2, generator=generator(0))


def test_a_vector_environment_that_does_not_say_how_it_restarts():
    vector = SameStep()
    vector.metadata = {}
    with pytest.raises(ValueError, match="autoreset_mode"):
        Gymnasium(vector, horizon=5).reset(2, generator(0))


def test_a_ready_vector_environment_has_the_copies_it_has():
    env = Gymnasium(gymnasium.make_vec("CartPole-v1", num_envs=3))
    assert env.horizon == 500 and len(rollout(env, push_right, 3, generator=generator(0))) == 3
    with pytest.raises(ValueError, match="4 episodes.*3 copies"):
        env.reset(4, generator(0))


class Odd(gymnasium.Env):
    def __init__(self, observation_space=Discrete(2), action_space=Discrete(2)):
        self.observation_space, self.action_space = observation_space, action_space


@pytest.mark.parametrize("spaces, message", [
    ({"observation_space": gymnasium.spaces.Dict(a=Discrete(2))},
     "observation space.*flatten=True"),
    ({"observation_space": gymnasium.spaces.Tuple([Discrete(2)])}, "observation space.*Tuple.*flatten=True"),
    ({"observation_space": gymnasium.spaces.Text(5)}, "observation space.*ObservationWrapper"),
    ({"action_space": gymnasium.spaces.Dict(a=Discrete(2))},
     "action space.*Dict.*ActionWrapper.*TransformAction"),
])
def test_other_spaces_are_refused_with_what_helps(spaces, message):
    with pytest.raises(TypeError, match=message):
        Gymnasium(Odd, horizon=5, **spaces)


class Echo(gymnasium.Env):
    """Shows and pays what was played; it ends when the sum of all that reaches `end`."""

    def __init__(self, action_space, end=1e9):
        self.action_space, self.observation_space, self.end = action_space, action_space, end
        if not isinstance(action_space, Discrete):
            self.observation_space = Box(-99, 99, action_space.shape, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.total = 0
        first = self.action_space.start if isinstance(self.action_space, Discrete) else 0
        return np.zeros_like(self.observation_space.sample()) + first, {}

    def step(self, action):
        assert action in self.action_space, action
        self.total += np.sum(action)
        seen, over = np.asarray(action, self.observation_space.dtype), bool(self.total >= self.end)
        return seen, float(np.sum(action)), over, False, {}


VECTORS = [lambda make: make, lambda make: SyncVectorEnv([make] * 3)]  # copies of our own, and gymnasium's


@pytest.mark.parametrize("around", VECTORS)
def test_whole_numbers_count_from_zero_whatever_the_space_starts_with(around):
    env = Gymnasium(around(lambda: Echo(Discrete(3, start=-1))), horizon=4)
    assert env.action_space == env.observation_space == Discrete(3)
    assert env.reset(3, generator(0)).tolist() == [0, 0, 0]
    obs, reward, *_ = env.step(torch.tensor([0, 1, 2]))
    assert obs.tolist() == [0, 1, 2] and reward.tolist() == [-1, 0, 1]
    with pytest.raises(ValueError, match="outside the action space"):
        rollout(env, lambda obs: obs - 1, 3, generator=generator(0))
    one_hot = Gymnasium(around(lambda: Echo(Discrete(3, start=-1))), horizon=4, flatten=True)
    assert one_hot.reset(3, generator(0)).tolist() == [[1, 0, 0]] * 3


@pytest.mark.parametrize("around", VECTORS)
@pytest.mark.parametrize("space, played, paid", [
    (gymnasium.spaces.MultiDiscrete([3, 4]), [[0, 0], [2, 3], [1, 2]], [0, 5, 3]),
    (gymnasium.spaces.MultiDiscrete([3, 4], start=[-1, 5]), [[0, 0], [2, 3], [1, 2]], [4, 9, 7]),
    (Box(-2, 2, (2,), np.int32), [[0, 0], [2, -2], [1, 2]], [0, 0, 3]),
])
def test_rows_of_whole_numbers(around, space, played, paid):
    env, actions = Gymnasium(around(lambda: Echo(space)), horizon=3), torch.tensor(played)
    data = rollout(env, lambda obs: actions, 3, generator=generator(0))
    assert data.rewards[:, 0].tolist() == paid and torch.equal(data.actions[:, 0], actions)
    assert data.actions.dtype == torch.int64
    for wrong in (actions.double(), actions[:, 0], actions[:2]):
        env.reset(3, generator(0))
        with pytest.raises(ValueError, match=r"expected whole numbers \(3, 2\): one action a copy"):
            env.step(wrong)
    with pytest.raises(ValueError, match="outside the action space"):
        rollout(env, lambda obs: actions + 9, 3, generator=generator(0))


class Parts(gymnasium.Env):
    """Observations in parts, as goal environments have them."""

    observation_space = gymnasium.spaces.Dict(goal=Box(0, 9, (2,)),
                                              place=gymnasium.spaces.Tuple([Discrete(3), Box(0, 9, ())]))
    action_space = gymnasium.spaces.Dict(gas=Box(0, 1, (1,)), wheel=Box(-1, 1, (2,)))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._look(), {}

    def step(self, action):
        self.t += 1
        return self._look(), float(action["gas"][0] + action["wheel"].sum()), self.t == 2, False, {}

    def _look(self):
        return {"goal": np.float32([1, 2]), "place": (1, np.float32(self.t))}


def flat_actions():
    """What the error message about such actions tells one to write."""
    env = Parts()
    return gymnasium.wrappers.TransformAction(env, lambda a: gymnasium.spaces.unflatten(env.action_space, a),
                                              gymnasium.spaces.flatten_space(env.action_space))


@pytest.mark.parametrize("around", [
    *VECTORS, lambda make: SyncVectorEnv([make] * 3, autoreset_mode=AutoresetMode.DISABLED)])
def test_observations_in_parts_become_vectors_on_request(around):
    env = Gymnasium(around(flat_actions), horizon=6, flatten=True)
    data = rollout(env, lambda obs: torch.tensor([[0.5, 0.25, 0.125]]).expand(len(obs), 3), 3,
                   generator=generator(0))
    assert data.observations.tolist() == [[[1, 2, 0, 1, 0, 0], [1, 2, 0, 1, 0, 1]]] * 3
    assert data.final_observations.tolist() == [[1, 2, 0, 1, 0, 2]] * 3
    assert data.rewards.tolist() == [[0.875] * 2] * 3


def test_vectors_of_parts_that_restart_within_a_step_are_refused():
    with pytest.raises(ValueError, match="NEXT_STEP or DISABLED, got.*SAME_STEP"):
        Gymnasium(SyncVectorEnv([flat_actions], autoreset_mode=AutoresetMode.SAME_STEP), horizon=6,
                  flatten=True)


class Reused(VectorEnv):
    """Writes every step into the same arrays, and the actions that it was given too."""

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
    single_observation_space, single_action_space = Box(-9, 9, (1,), np.float64), Box(-9, 9, (1,), np.float32)
    num_envs = 2

    def reset(self, *, seed=None, options=None):
        self.arrays = np.zeros((2, 1)), np.zeros(2), np.zeros(2, bool), np.zeros(2, bool)
        return self.arrays[0], {}

    def step(self, actions):
        actions[:] = -7
        self.arrays[0][:] += 1
        self.arrays[1][:] += 1
        return *self.arrays, {}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_comes_out_is_our_own_whatever_the_environment_does_to_its_arrays(dtype):
    env, played = Gymnasium(Reused(), horizon=4, dtype=dtype), torch.ones(2, 1, dtype=torch.float32)
    seen = [(env.reset(2, generator(0)),), *(env.step(played) for _ in range(3))]
    assert [float(step[0][0]) for step in seen] == [0, 1, 2, 3]
    assert [float(step[1][0]) for step in seen[1:]] == [1, 2, 3] and (played == 1).all()
    seen[-1][0].zero_(), seen[-1][1].zero_(), seen[-1][2].fill_(True)
    obs, reward, terminated, _ = env.step(played)
    assert obs.tolist() == [[4], [4]] and reward.tolist() == [4, 4] and not terminated.any()
    assert evaluate(env, lambda obs: torch.zeros(2, 1), 2, generator=generator(0)).mean == 1 + 2 + 3 + 4


@pytest.mark.parametrize("mode", MODES)
def test_an_adapter_counts_who_is_left_so_that_no_step_waits_for_the_device(mode, monkeypatch):
    env = Gymnasium(counters([2, 4, 4], mode), horizon=9)
    assert env.left is None
    left = []

    def policy(obs):
        left.append(env.left)
        return push_right(obs)
    monkeypatch.setattr(torch.Tensor, "any", lambda *_: pytest.fail("looked at a tensor"))
    assert sum(1 for _ in playing._steps(env, policy, 3, generator(0), None, False)) == 4, "not one too many"
    assert left == [3, 3, 2, 2] and env.left == 0


def test_a_subclass_may_end_an_episode_by_itself():
    class Short(Gymnasium):
        def step(self, action):
            obs, reward, terminated, truncated = super().step(action)
            return obs, reward, terminated | (obs[:, 0] >= 2), truncated
    env = Short(counters([5, 1], AutoresetMode.NEXT_STEP), horizon=9)
    data = rollout(env, push_right, 2, generator=generator(0))
    assert data.lengths().tolist() == [2, 1] and data.terminated.all()
    assert evaluate(env, push_right, 2, generator=generator(0)).mean == 1.5


class Quest(Count):
    """Succeeds if it is still going in step 3; says so at every step, or at the end only."""

    def __init__(self, length, always):
        super().__init__(length)
        self.always = always

    def step(self, action):
        obs, reward, over, truncated, _ = super().step(action)
        success = self.t >= 3 and self.episode == 0
        return obs, reward, over, truncated, {"is_success": success} if over or self.always else {}


@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("mode", [None, *MODES])
def test_success_is_what_the_last_step_of_each_episode_said(mode, always):
    lengths = [2, 3, 5, 1]
    if mode is None:  # copies of our own: the adapter makes one to look at, then four
        made = iter([1, *lengths])
        env = Gymnasium(lambda: Quest(next(made), always), horizon=7)
    else:
        env = Gymnasium(SyncVectorEnv([lambda k=k: Quest(k, always) for k in lengths], autoreset_mode=mode),
                        horizon=7)
    assert env.success is None
    env.reset(4, generator(0))
    assert env.success is None, "nothing said yet"
    for _ in range(7):
        env.step(torch.zeros(4, dtype=torch.long))
    assert env.success.tolist() == [False, True, True, False] and env.success.dtype == torch.bool
    env.reset(4, generator(0))
    assert env.success is None, "the last episodes are forgotten"


def test_a_roll_out_keeps_success_and_evaluate_counts_it():
    lengths = [2, 3, 5, 1]
    env = Gymnasium(SyncVectorEnv([lambda k=k: Quest(k, True) for k in lengths]), horizon=7)
    data = rollout(env, push_right, 4, generator=generator(0))
    assert data.successes.tolist() == [False, True, True, False]
    assert data[1:3].successes.tolist() == [True, True]
    share = evaluate(env, push_right, 4, generator=generator(0), success=True)
    assert share.mean == 0.5 and share.n == 4 and 0 < share.low < share.high < 1
    window = Window(env, 2)
    assert evaluate(window, lambda w: push_right(w), 4, generator=generator(0), success=True).mean == 0.5


def test_success_is_none_where_the_environment_does_not_say():
    env = Gymnasium("CartPole-v1", horizon=3)
    rollout(env, push_right, 2, generator=generator(0))
    assert env.success is None


ROPE = "ilsupport/Tightrope-v0"


@pytest.mark.parametrize("make", [
    lambda **on: Gymnasium(ROPE, **on), lambda **on: Gymnasium(gymnasium.spec(ROPE), **on),
    lambda **on: Gymnasium(ROPE, vectorization_mode="sync", **on),
    lambda **on: Gymnasium(lambda: gymnasium.make(ROPE, **on)),
    lambda **on: Gymnasium(gymnasium.make_vec(ROPE, num_envs=2, **on))])
def test_the_worlds_of_the_book_by_id_have_a_time_limit_and_another_moves_it(make):
    assert make().horizon == 100
    for horizon in (30, 150):
        env = make(horizon=horizon)
        data = rollout(env, lambda obs: torch.zeros(len(obs), dtype=torch.long), 2, generator=generator(0))
        assert env.horizon == horizon and data.lengths().tolist() == [horizon] * 2


def test_a_fork_by_id_pays_at_the_end_of_its_own_horizon():
    data = rollout(Gymnasium("ilsupport/Fork-v0", horizon=5), lambda obs: 0 * obs[:, :2] - 1, 2,
                   generator=generator(0))
    assert data.rewards.tolist() == [[0, 0, 0, 0, -1]] * 2


def test_a_moved_adapter_has_environments_of_its_own():
    env = Gymnasium("CartPole-v1", horizon=9)
    first = env.reset(2, generator(0))
    wide = env.to(dtype=torch.float64)
    with pytest.raises(RuntimeError, match="reset"):
        wide.step(torch.zeros(2, dtype=torch.long))
    assert wide.reset(2, generator(1)).dtype == torch.float64
    wide.step(torch.zeros(2, dtype=torch.long))
    went_on = env.step(torch.zeros(2, dtype=torch.long))[0][:, 0]
    torch.testing.assert_close(went_on, first[:, 0] + 0.02 * first[:, 1], atol=1e-6, rtol=0)


class Transfers(TorchDispatchMode):
    """Counts what goes from one device to another."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if str(function).startswith(("aten._to_copy", "aten.copy_")) and isinstance(out, torch.Tensor):
            source = args[1] if str(function).startswith("aten.copy_") else args[0]
            self.count += source.device != out.device
        return out


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1"])
def test_a_step_is_one_transfer_up(name):
    """`meta` stands for a device; actions come from the host here, so none goes down."""
    env = Gymnasium(name, device="meta")
    env.reset(3, generator(0))
    kind = torch.float32 if name == "Pendulum-v1" else torch.int64
    action = torch.zeros(3, *env.action_space.shape, dtype=kind)
    with Transfers() as transfers:
        obs, reward, terminated, truncated = env.step(action)
    assert transfers.count == 1
    same = Gymnasium(name)
    same.reset(3, generator(0))
    for there, here in zip((obs, reward, terminated, truncated), same.step(action)):
        assert (there.shape, there.dtype, there.device.type) == (here.shape, here.dtype, "meta")


@pytest.mark.parametrize("name", ["CartPole-v1", "FrozenLake-v1"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_was_packed_for_a_transfer_comes_out_whole(name, dtype, monkeypatch):
    elsewhere = SimpleNamespace(type="elsewhere")  # a device whose memory is the host's
    move = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda x, *to, **as_: x if elsewhere in to
                        else move(x, *to, **as_))
    steps = []
    for device in (torch.device("cpu"), elsewhere):
        env = Gymnasium(name, dtype=dtype)
        first = env.reset(3, generator(0))
        env.device = device
        steps.append([first] + [x for _ in range(9) for x in env.step(torch.ones(3, dtype=torch.long))])
    for a, b in zip(*steps):
        assert a.dtype == b.dtype and torch.equal(a, b)


@pytest.mark.parametrize("source", [Count(3), 7, lambda: 7])
def test_things_that_are_no_source_of_copies(source):
    with pytest.raises(TypeError, match="expected"):
        Gymnasium(source, horizon=5)


@pytest.mark.parametrize("action, message", [
    (torch.zeros(2, dtype=torch.long), r"shape \(2,\).*expected whole numbers \(3,\)"),
    (torch.zeros(3), "float32.*expected whole numbers"),
    (torch.tensor([0, 1, 2]), "action 2 lies outside"),
])
def test_bad_discrete_actions(action, message):
    env = Gymnasium("CartPole-v1")
    env.reset(3, generator(0))
    with pytest.raises(ValueError, match=message):
        env.step(action)


@pytest.mark.parametrize("action", [torch.zeros(3), torch.zeros(3, 2), torch.zeros(3, 1, dtype=torch.long)])
def test_bad_continuous_actions(action):
    env = Gymnasium("Pendulum-v1")
    env.reset(3, generator(0))
    with pytest.raises(ValueError, match=r"expected floats \(3, 1\)"):
        env.step(action)


def test_actions_outside_a_box_are_found_by_the_rollout():
    with pytest.raises(ValueError, match="outside the action space"):
        rollout(Gymnasium("Pendulum-v1"), lambda obs: 3 + obs[:, :1].abs(), 2, generator=generator(0))


def test_not_a_number_from_the_environment():
    class Broken(Count):
        def step(self, action):
            return np.array([np.nan, 0], np.float32), *super().step(action)[1:]

    with pytest.raises(ValueError, match="NaN"):
        rollout(Gymnasium(lambda: Broken(5), horizon=5), push_right, 2, generator=generator(0))


def test_step_before_reset_and_no_episodes():
    env = Gymnasium("CartPole-v1")
    with pytest.raises(RuntimeError, match="reset"):
        env.step(torch.zeros(1, dtype=torch.long))
    with pytest.raises(ValueError, match="at least 1"):
        env.reset(0, generator(0))


def test_errors_of_the_environment_itself_come_through():
    class Angry(Count):
        def step(self, action):
            raise ZeroDivisionError("mine")

    env = Gymnasium(lambda: Angry(5), horizon=5)
    env.reset(1, generator(0))
    with pytest.raises(ZeroDivisionError, match="mine"):
        env.step(torch.zeros(1, dtype=torch.long))


class Slim(gymnasium.Env):
    """Shows less than its space says."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}


def test_an_observation_of_another_shape_than_the_space_is_refused():
    env = Gymnasium(Slim, horizon=3)
    with pytest.raises(ValueError, match=r"observation has shape \(1,\), its space says \(2,\)"):
        env.reset(np.int64(2), generator(0))
