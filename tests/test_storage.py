"""What was saved comes back bit for bit, and nothing else is mistaken for it."""
import os
from dataclasses import fields, replace
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from ilsupport import (
    Gymnasium,
    Tightrope,
    Trajectories,
    from_minari,
    generator,
    pendulum_expert,
    rollout,
    storage,
    tightrope_expert,
    to_minari,
)

Odd = SimpleNamespace(observation_space=Box(-9, 9, (2,)), action_space=Discrete(3))
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def example(lengths=(3, 1, 4), obs=(2,), act=(), dtype=torch.float32, labels=True, final=True, seed=0):
    g, n, horizon = generator(seed), len(lengths), max(lengths)
    mask = torch.arange(horizon) < torch.tensor(lengths)[:, None]

    def actions():
        return torch.randn(n, horizon, *act, generator=g, dtype=dtype) if act else torch.randint(
            3, (n, horizon), generator=g)
    return Trajectories(
        torch.randn(n, horizon, *obs, generator=g, dtype=dtype), actions(),
        torch.randn(n, horizon, generator=g, dtype=dtype), mask, torch.rand(n, generator=g) < 0.5,
        actions() if labels else None, torch.randn(n, *obs, generator=g, dtype=dtype) if final else None)


def assert_same(one, other):
    for field in fields(Trajectories):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        assert (mine is None) == (theirs is None), field.name
        assert mine is None or mine.dtype == theirs.dtype and torch.equal(mine, theirs), field.name


@same_folder
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4), obs=st.sampled_from([(), (1,), (3, 2)]),
       act=st.sampled_from([(), (2,)]), wide=st.booleans(), labels=st.booleans(), final=st.booleans())
def test_saved_and_loaded_is_the_same(tmp_path, lengths, obs, act, wide, labels, final):
    data = example(lengths, obs, act, torch.float64 if wide else torch.float32, labels, final)
    data.save(tmp_path / "demos.safetensors")  # over the file of the last example
    assert_same(Trajectories.load(tmp_path / "demos.safetensors"), data)
    assert os.listdir(tmp_path) == ["demos.safetensors"]


def test_any_device_and_plain_string_paths(tmp_path, device):
    data = rollout(Tightrope(horizon=7, device=device), tightrope_expert, 3, generator=generator(0, device))
    data.save(str(tmp_path / "x"))
    assert_same(Trajectories.load(str(tmp_path / "x"), device), data)
    assert Trajectories.load(tmp_path / "x").observations.device.type == "cpu"


def test_views_and_tensors_that_are_one_another(tmp_path):
    data = example()
    shared = replace(data, labels=data.actions, observations=data.observations[:1].expand(3, -1, -1))
    shared.save(tmp_path / "x")
    assert_same(Trajectories.load(tmp_path / "x"), shared)
    part = data[1:]
    part.save(tmp_path / "x")
    assert_same(Trajectories.load(tmp_path / "x"), part)


def test_what_was_loaded_does_not_change_with_the_file(tmp_path):
    first, second = example(seed=0), example(seed=1)
    first.save(tmp_path / "x")
    loaded, again = (Trajectories.load(tmp_path / "x") for _ in range(2))
    second.save(tmp_path / "other")
    (tmp_path / "x").write_bytes((tmp_path / "other").read_bytes())  # into the same file, as cp does
    assert_same(loaded, first)
    (tmp_path / "x").write_bytes(b"")
    assert_same(again, first)


@pytest.mark.parametrize("broken", ["save_file", "replace"])
def test_an_interrupted_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, broken):
    example(seed=0).save(tmp_path / "x")

    def interrupted(tensors, path, *_, **__):
        if broken == "save_file":
            path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(storage if broken == "save_file" else os, broken, interrupted)
    with pytest.raises(KeyboardInterrupt):
        example(seed=1).save(tmp_path / "x")
    assert os.listdir(tmp_path) == ["x"]
    assert_same(Trajectories.load(tmp_path / "x"), example(seed=0))


@same_folder
@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, kept):
    example().save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:int(kept * len(whole))])
    with pytest.raises(ValueError, match="truncated.*expected one that Trajectories.save wrote"):
        Trajectories.load(tmp_path / "cut")


@pytest.mark.parametrize("content", [b"reward\n1,2\n", b"\x80\x04\x95" * 99, b"\xff" * 64, b"{}" * 50])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match="no safetensors file"):
        Trajectories.load(tmp_path / "x")


@pytest.mark.parametrize("metadata, message", [
    (None, "of something else.*'weight'"),
    ({"format": "pt"}, "of something else"),
    ({"format": storage.FORMAT}, "of something else"),
    ({"format": storage.FORMAT, "version": "two"}, "of something else"),
    ({"format": storage.FORMAT, "version": "2"}, "version 2, expected at most 1; upgrade"),
    ({"format": storage.FORMAT, "version": "1"}, "no whole Trajectories.*weight"),
])
def test_safetensors_of_something_else_are_refused(tmp_path, metadata, message):
    save_file({"weight": torch.zeros(2)}, tmp_path / "x", metadata=metadata)
    with pytest.raises(ValueError, match=message):
        Trajectories.load(tmp_path / "x")


def test_contents_are_checked_like_any_other_trajectories(tmp_path):
    data = example()
    tensors = {f.name: getattr(data, f.name) for f in fields(data)}
    save_file({**tensors, "rewards": torch.zeros(2, 4)}, tmp_path / "x",
              metadata={"format": storage.FORMAT, "version": "1"})
    with pytest.raises(ValueError, match=r"no whole Trajectories: rewards has shape \(2, 4\)"):
        Trajectories.load(tmp_path / "x")


def test_files_and_folders_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*nothing"):
        Trajectories.load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="no file"):
        Trajectories.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="make it first"):
        example().save(tmp_path / "nowhere" / "x")


@pytest.fixture
def minari(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    pytest.importorskip("h5py", reason="Minari lacks its file format: pip install 'ilsupport[minari]'")
    return pytest.importorskip("minari", reason="Minari is not installed: pip install 'ilsupport[minari]'")


def padding_zeroed(data):
    """`data` with zeros where no step is real: what comes back of the padding."""
    def clean(value):
        return value * data.mask.view(*data.mask.shape, *[1] * (value.ndim - 2))
    return replace(data, observations=clean(data.observations), actions=clean(data.actions),
                   rewards=clean(data.rewards), labels=None if data.labels is None else clean(data.labels))


@pytest.mark.parametrize("act", [(), (2,)])
@pytest.mark.parametrize("labels", [False, True])
def test_to_minari_and_back(minari, act, labels, dtype):
    data = example(act=act, labels=labels, dtype=dtype)
    there = SimpleNamespace(observation_space=Odd.observation_space,
                            action_space=Box(-9, 9, act) if act else Odd.action_space)
    written = to_minari(data, "here/demos-v0", there, author="somebody")
    assert written.total_steps == data.steps and "somebody" in written.storage.metadata["author"]
    for back in (from_minari(written, dtype), from_minari("here/demos-v0", dtype)):
        assert_same(back, padding_zeroed(data))


def test_minaris_own_reader_sees_whole_episodes(minari):
    data = rollout(Gymnasium("Pendulum-v1"), pendulum_expert, 3, generator=generator(0), horizon=12)
    to_minari(data, "pendulum/scripted-v0", Gymnasium("Pendulum-v1"))
    dataset = minari.load_dataset("pendulum/scripted-v0")
    assert dataset.recover_environment().spec.id == "Pendulum-v1"
    for i, episode in enumerate(dataset):
        assert episode.observations.shape == (13, 3) and episode.actions.shape == (12, 1)
        assert episode.observations[0] in dataset.observation_space
        assert episode.actions[0] in dataset.action_space
        assert episode.truncations.tolist() == [False] * 11 + [True] and not episode.terminations.any()
        assert torch.equal(torch.as_tensor(episode.observations[-1]), data.final_observations[i])


@pytest.mark.parametrize("env", ["ilsupport/Tightrope-v0", Tightrope()])
def test_episodes_of_our_own_environments(minari, env):
    data = rollout(Tightrope(horizon=5), tightrope_expert, 2, generator=generator(0))
    assert_same(from_minari(to_minari(data, "tightrope/demos-v0", env)), data)


def test_terminated_episodes_stay_terminated(minari):
    data = rollout(Gymnasium("CartPole-v1"), lambda obs: (obs[:, 0] > 0).long(), 4, generator=generator(0))
    assert data.terminated.all()
    dataset = to_minari(data, "cartpole/falls-v0", "CartPole-v1")
    assert from_minari(dataset).terminated.all()
    assert not any(episode.truncations.any() for episode in dataset)


@pytest.mark.filterwarnings("ignore:.* is set to None:UserWarning")
def test_a_data_set_that_somebody_else_wrote(minari):
    """Written as Minari's own collector writes: lists, infos of its own with one entry more than steps."""
    from minari.data_collector import EpisodeBuffer
    env = gymnasium.make("CartPole-v1")
    seen, over = [env.reset(seed=0)[0]], False
    while not over:
        obs, _, over, *_ = env.step(1)
        seen.append(obs)
    steps = len(seen) - 1
    buffer = EpisodeBuffer(id=0, seed=0, observations=seen, actions=[1] * steps, rewards=[1.0] * steps,
                           terminations=[False] * (steps - 1) + [True], truncations=[False] * steps,
                           infos={"energy": [0.5] * (steps + 1)})
    data = from_minari(minari.create_dataset_from_buffers("cartpole/right-v0", [buffer], env=env))
    assert data.terminated.all() and data.labels is None and data.returns().tolist() == [steps]
    assert torch.equal(data.observations[0], torch.tensor(np.stack(seen[:-1])))
    assert data.actions.tolist() == [[1] * steps]


def test_minari_refusals(minari):
    data = rollout(Tightrope(horizon=5), tightrope_expert, 2, generator=generator(0))
    with pytest.raises(ValueError, match="final_observations.*T \\+ 1"):
        to_minari(replace(data, final_observations=None), "here/demos-v0", Tightrope())
    with pytest.raises(TypeError, match="expected a single environment"):
        to_minari(data, "here/demos-v0", 3)
    with pytest.raises(ValueError, match=r"observations have shape \(2, 5, 9\), expected \('n', 'T', 4\)"):
        to_minari(data, "here/demos-v0", "CartPole-v1")
    with pytest.raises(FileNotFoundError, match="here/demos-v0"):
        from_minari("here/demos-v0")
    to_minari(data, "here/demos-v0", Tightrope())
    with pytest.raises(ValueError, match="already exists"):
        to_minari(data, "here/demos-v0", Tightrope())


@pytest.mark.parametrize("dataset_id", ["no-version", "h/demos-v0", "a space-v0", ""])
def test_bad_names_leave_nothing_behind(minari, tmp_path, dataset_id):
    with pytest.raises(ValueError, match="expected a name with a version"):
        to_minari(example(), dataset_id, Tightrope())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("space", ["observation_space", "action_space"])
def test_a_data_set_of_other_spaces(minari, space):
    written = to_minari(example(), "here/demos-v0", Odd, **{space: gymnasium.spaces.MultiBinary(2)})
    with pytest.raises(TypeError, match=f"{space[:-6]} space.*MultiBinary.*expected Box or Discrete"):
        from_minari(written)


def test_a_data_set_without_episodes(minari):
    written = to_minari(example(), "here/demos-v0", Odd)
    with pytest.raises(ValueError, match="no episodes"):
        from_minari(written.filter_episodes(lambda episode: False))


def test_without_minari_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "minari", None)
    with pytest.raises(ImportError, match=r"ilsupport\[minari\]"):
        from_minari("a/b-v0")
