"""What other libraries wrote comes in whole, and nothing they wrote runs."""
import os
import pickle
import warnings
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from ilsupport import (
    Categorical,
    Gymnasium,
    dagger,
    evaluate,
    fit,
    from_minari,
    from_sb3,
    generator,
    rollout,
)

Odd = SimpleNamespace(observation_space=Box(-9, 9, (2,)), action_space=Discrete(3))


@pytest.fixture
def minari(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    pytest.importorskip("h5py", reason="Minari lacks its file format: pip install 'ilsupport[minari]'")
    return pytest.importorskip("minari", reason="Minari is not installed: pip install 'ilsupport[minari]'")


@pytest.fixture
def store(minari):
    """Writes a data set as Minari's own collector would: episodes of (observations, actions, more)."""
    from minari.data_collector import EpisodeBuffer

    def write(name, spaces, *episodes):
        buffers = []
        for i, (observations, actions, more) in enumerate(episodes):
            n = len(actions)
            buffers.append(EpisodeBuffer(**{
                "id": i, "observations": observations, "actions": actions, "rewards": np.arange(n) + 0.5,
                "terminations": [False] * n, "truncations": [False] * (n - 1) + [True]} | more))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of every detail that was not given
            return minari.create_dataset_from_buffers(
                name, buffers, observation_space=spaces.observation_space, action_space=spaces.action_space)
    return write


def fallen(n):
    return {"terminations": [False] * (n - 1) + [True], "truncations": [False] * n}


@pytest.mark.parametrize("act", [(), (2,)])
def test_episodes_come_in_whole(store, act, dtype):
    g = np.random.default_rng(0)
    spaces = SimpleNamespace(observation_space=Odd.observation_space,
                             action_space=Box(-9, 9, act) if act else Odd.action_space)
    seen = [g.normal(size=(n + 1, 2)).astype(np.float32) for n in (3, 1, 4)]
    played = [g.normal(size=(n, *act)).astype(np.float32) if act else g.integers(3, size=n)
              for n in (3, 1, 4)]
    written = store("here/demos-v0", spaces, *zip(seen, played, ({}, fallen(1), {})))
    for data in (from_minari(written, dtype), from_minari("here/demos-v0", dtype)):
        assert data.lengths().tolist() == [3, 1, 4] and data.terminated.tolist() == [False, True, False]
        assert data.observations.dtype == data.rewards.dtype == data.final_observations.dtype == dtype
        assert data.actions.dtype == (dtype if act else torch.int64)
        assert data.labels is None and data.successes is None
        for i, n in enumerate((3, 1, 4)):
            assert np.array_equal(data.observations[i, :n].float(), seen[i][:-1])
            assert np.array_equal(data.final_observations[i].float(), seen[i][-1])
            assert np.array_equal(data.actions[i, :n].to(torch.float32), played[i].astype(np.float32))
            assert data.rewards[i].tolist() == [0.5, 1.5, 2.5, 3.5][:n] + [0] * (4 - n)


def test_successes_are_those_of_the_last_step(store):
    rows = [(np.zeros((3, 2), np.float32), np.zeros(2, np.int64), {"infos": {"is_success": told}})
            for told in ([False, True], [True, False], [True, True, True])]  # Minari's own infos have T + 1
    assert from_minari(store("here/quests-v0", Odd, *rows)).successes.tolist() == [True, False, True]


def test_an_episode_as_minaris_own_collector_writes_it(store):
    """Lists, and infos of its own with one entry more than steps."""
    env = gymnasium.make("CartPole-v1")
    seen, over = [env.reset(seed=0)[0]], False
    while not over:
        obs, _, over, *_ = env.step(1)
        seen.append(obs)
    n = len(seen) - 1
    data = from_minari(store("cartpole/right-v0", env, (
        seen, [1] * n, {"rewards": [1.0] * n, "infos": {"energy": [0.5] * (n + 1)}} | fallen(n))))
    assert data.terminated.all() and data.labels is None and data.returns().tolist() == [n]
    assert torch.equal(data.observations[0], torch.tensor(np.stack(seen[:-1])))
    assert data.actions.tolist() == [[1] * n]


def test_a_data_set_that_is_not_there(minari):
    with pytest.raises(FileNotFoundError, match="here/demos-v0"):
        from_minari("here/demos-v0")


@pytest.mark.parametrize("space", ["observation_space", "action_space"])
def test_a_data_set_of_other_spaces(store, space):
    said = SimpleNamespace(**vars(Odd) | {space: gymnasium.spaces.Text(2)})
    written = store("here/demos-v0", said, (np.zeros((2, 2), np.float32), [0], {}))
    with pytest.raises(TypeError, match=f"{space[:-6]} space.*Text.*expected Box.*(flatten=True|of a part of "
                                        "here)"):
        from_minari(written)


def test_a_data_set_without_the_last_observation_says_so(store):
    short = store("here/short-v0", Odd, (np.zeros((4, 2), np.float32), np.zeros(4, np.int64), {}))
    with pytest.raises(ValueError, match="episode 0 of here/short-v0 has 4 observations for 4 actions, "
                                         "expected one more, after the last"):
        from_minari(short)


def test_whole_numbers_count_from_zero(store):
    odd = SimpleNamespace(observation_space=Discrete(5, start=3), action_space=Discrete(3, start=-1))
    data = from_minari(store("here/odd-v0", odd, (np.array([3, 7, 5, 4]), np.array([-1, 0, 1]), {})))
    assert data.observations.tolist() == [[0, 4, 2]] and data.final_observations.tolist() == [1]
    assert data.actions.tolist() == [[0, 1, 2]] and data.observations.dtype == torch.int64
    rows = SimpleNamespace(observation_space=Odd.observation_space,
                           action_space=gymnasium.spaces.MultiDiscrete([2, 3], start=[1, 0]))
    data = from_minari(store("here/rows-v0", rows,
                             (np.zeros((3, 2), np.float32), np.array([[1, 0], [2, 2]]), {})))
    assert data.actions.tolist() == [[[0, 0], [1, 2]]] and data.actions.dtype == torch.int64


def test_observations_in_parts_become_vectors_on_request(store):
    parts = SimpleNamespace(observation_space=gymnasium.spaces.Dict(goal=Box(0, 9, (2,)), room=Discrete(2)),
                            action_space=Odd.action_space)
    seen = {"goal": np.float32([[1, 2], [3, 4], [5, 6]]), "room": np.array([0, 1, 1])}
    written = store("here/parts-v0", parts, (seen, np.array([0, 2]), {}))
    with pytest.raises(TypeError, match="flatten=True"):
        from_minari(written)
    data = from_minari(written, flatten=True)
    assert data.observations.tolist() == [[[1, 2, 1, 0], [3, 4, 0, 1]]]
    assert data.final_observations.tolist() == [[5, 6, 0, 1]]


def test_a_data_set_without_episodes(store):
    written = store("here/demos-v0", Odd, (np.zeros((2, 2), np.float32), np.array([0]), {}))
    with pytest.raises(ValueError, match="no episodes"):
        from_minari(written.filter_episodes(lambda episode: False))


def test_without_minari_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "minari", None)
    with pytest.raises(ImportError, match=r"ilsupport\[minari\]"):
        from_minari("a/b-v0")


class StandIn:
    """What Stable-Baselines3 offers: numpy in, (numpy, state) out."""

    def __init__(self, state=None):
        self.state, self.calls = state, []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert isinstance(observation, np.ndarray)
        self.calls.append((len(observation), deterministic))
        return (observation @ np.array([0.1, 0.15, 1, 0.25]) > 0).astype(np.int64), self.state


def test_a_model_of_stable_baselines3_is_an_expert_in_one_line(device):
    model = StandIn()
    env = Gymnasium("CartPole-v1", device=device, horizon=50)
    data = rollout(env, from_sb3(model), 4, generator=generator(0, device))
    assert data.returns().tolist() == [50] * 4 and data.actions.device.type == device.type
    assert model.calls == [(4, True)] * 50  # one call a step for all copies, and no sampling
    first = next(dagger(env, from_sb3(StandIn()), lambda g: Categorical(4, 2, generator=g), rounds=1, n=4,
                        generator=generator(0, device), train=lambda *a, **k: fit(*a, steps=5, **k)))
    assert torch.equal(first.data.labels[first.data.mask], first.data.actions[first.data.mask])


def test_models_that_are_no_experts():
    with pytest.raises(TypeError, match="expected a Stable-Baselines3 model.*predict"):
        from_sb3(lambda obs: obs)
    with pytest.raises(ValueError, match="memory"):
        from_sb3(StandIn(state=("hidden",)))(torch.zeros(2, 4))


@pytest.mark.filterwarnings("ignore")  # theirs, not ours
def test_the_real_stable_baselines3():
    sb3 = pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is no dependency of ours")
    env = Gymnasium("CartPole-v1", dtype=torch.float64)
    model = sb3.PPO("MlpPolicy", "CartPole-v1", seed=0, device="cpu", n_steps=64)
    for expert in (from_sb3(model), from_sb3(model.policy)):
        data = rollout(env, expert, 5, generator=generator(0), horizon=20)
        theirs, _ = model.predict(data.observations[data.mask].numpy(), deterministic=True)
        assert np.array_equal(data.actions[data.mask].numpy(), theirs)
    torque = sb3.SAC("MlpPolicy", "Pendulum-v1", seed=0, device="cpu")
    data = rollout(Gymnasium("Pendulum-v1"), from_sb3(torque), 3, generator=generator(0), horizon=10)
    assert data.actions.shape == (3, 10, 1) and data.actions.is_floating_point()


def normalised_pendulum():
    """A model that has only ever seen normalised observations: it remembers what it was shown."""
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
    vector = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")]), clip_obs=1.5)
    vector.reset()
    for k in range(50):
        vector.step(np.full((1, 1), (-1) ** k, np.float32))
    return vector


class Listener:
    def predict(self, observation, deterministic):
        self.heard = observation
        return np.zeros((len(observation), 1), np.float32), None


@pytest.mark.filterwarnings("ignore")  # theirs, not ours
def test_statistics_of_vecnormalize_are_applied_as_it_does(tmp_path):
    pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is no dependency of ours")
    vector, obs = normalised_pendulum(), 3 * torch.randn(20, 3, generator=generator(0))
    expected = vector.normalize_obs(obs.numpy())
    vector.save(str(tmp_path / "statistics.pkl"))
    written = {"object": vector, "path": tmp_path / "statistics.pkl",
               "text": str(tmp_path / "statistics.pkl")}
    for protocol in (4, 5):
        written[protocol] = tmp_path / f"{protocol}.pkl"
        written[protocol].write_bytes(pickle.dumps(vector, protocol))
    for name, statistics in written.items():
        model = Listener()
        from_sb3(model, statistics)(obs)
        assert model.heard.dtype == np.float32 and np.array_equal(model.heard, expected), name
    raw = Listener()
    from_sb3(raw)(obs)
    assert np.array_equal(raw.heard, obs.numpy())
    # As a model has that still holds the environment it was trained in.
    raw.get_vec_normalize_env = lambda: vector
    from_sb3(raw)(obs)
    assert np.array_equal(raw.heard, expected)
    vector.norm_obs = False
    from_sb3(raw)(obs)
    assert np.array_equal(raw.heard, obs.numpy())
    vector.norm_obs = True
    with pytest.raises(ValueError, match=r"shape \(4, 2\), these statistics \('n', 3\)"):
        from_sb3(raw, vector)(obs[:4, :2])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # theirs, not ours
def test_a_model_trained_under_vecnormalize_is_worth_more_with_its_statistics(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is no dependency of ours")
    vector = normalised_pendulum()
    model = sb3.PPO("MlpPolicy", vector, seed=0, device="cpu", gamma=0.9, learning_rate=1e-3, n_steps=1024,
                    use_sde=True, sde_sample_freq=4, policy_kwargs={"log_std_init": -1})
    model.learn(40_000)
    vector.save(str(tmp_path / "statistics.pkl"))
    model.save(tmp_path / "model")
    loaded = sb3.PPO.load(tmp_path / "model", device="cpu")
    env = Gymnasium("Pendulum-v1")
    raw, normal, found = (evaluate(env, expert, 20, generator=generator(0)).mean for expert in (
        from_sb3(loaded), from_sb3(loaded, tmp_path / "statistics.pkl"), from_sb3(model)))
    assert normal == found > raw + 100


class Attack:
    """A pickle that runs code of its author's choice in whoever loads it."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("build", [
    lambda target: Attack(os.system, f"touch {target}"),
    lambda target: Attack(eval, f"open({str(target)!r}, 'w')"),
    lambda target: {"obs_rms": Attack(open, str(target), "w")},
    lambda target: Attack(getattr, Attack(__import__, "os"), "system"),
    lambda target: Attack(os.makedirs, str(target)),
])
def test_a_strangers_pickle_runs_nothing(tmp_path, build):
    target = tmp_path / "ran"
    hostile = build(target)
    (tmp_path / "hostile.pkl").write_bytes(pickle.dumps(hostile))
    with pytest.raises(ValueError, match="hostile.pkl is not read: it asks for .*, which is no number"):
        from_sb3(Listener(), tmp_path / "hostile.pkl")
    assert not target.exists()


@pytest.mark.parametrize("name", ["multiarray._reconstruct.__globals__", "multiarray.os.system",
                                  "_reconstruct.__class__"])
def test_no_way_leads_through_what_is_allowed(tmp_path, name):
    code = b"\x80\x04\x8c" + bytes([len("numpy._core.multiarray")]) + b"numpy._core.multiarray"
    code += b"\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
    (tmp_path / "hostile.pkl").write_bytes(code)
    with pytest.raises(ValueError, match="which is no number"):
        from_sb3(Listener(), tmp_path / "hostile.pkl")


@pytest.mark.parametrize("content, message", [
    (b"", "not read"), (b"no pickle at all", "not read"), (pickle.dumps([1, 2]), "holds no statistics"),
    (pickle.dumps({"obs_rms": 3}), "holds no statistics")])
def test_a_file_of_something_else(tmp_path, content, message):
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(ValueError, match=f"x.pkl.*{message}.*VecNormalize"):
        from_sb3(Listener(), tmp_path / "x.pkl")
    with pytest.raises(FileNotFoundError):
        from_sb3(Listener(), tmp_path / "nothing.pkl")
    with pytest.raises(ValueError, match="int holds no statistics"):
        from_sb3(Listener(), 7)
