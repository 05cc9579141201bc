"""What was saved comes back bit for bit, and nothing else is mistaken for it."""
import os
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from ilsupport import (
    Gaussian,
    Tightrope,
    Trajectories,
    files,
    generator,
    load,
    rollout,
    save,
    storage,
    tightrope_expert,
)

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
        actions() if labels else None, torch.randn(n, *obs, generator=g, dtype=dtype) if final else None,
        torch.rand(n, generator=g) < 0.5 if final else None)


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
    save(data, tmp_path / "demos.safetensors")  # over the file of the last example
    assert_same(load(tmp_path / "demos.safetensors"), data)
    assert os.listdir(tmp_path) == ["demos.safetensors"]


def test_any_device_and_plain_string_paths(tmp_path, device):
    data = rollout(Tightrope(horizon=7, device=device), tightrope_expert, 3, generator=generator(0, device))
    save(data, str(tmp_path / "x"))
    assert_same(load(str(tmp_path / "x"), device), data)
    assert load(tmp_path / "x").observations.device.type == "cpu"


def test_views_and_tensors_that_are_one_another(tmp_path):
    data = example()
    shared = replace(data, labels=data.actions, observations=data.observations[:1].expand(3, -1, -1))
    save(shared, tmp_path / "x")
    assert_same(load(tmp_path / "x"), shared)
    part = data[1:]
    save(part, tmp_path / "x")
    assert_same(load(tmp_path / "x"), part)


def test_what_was_loaded_does_not_change_with_the_file(tmp_path):
    first, second = example(seed=0), example(seed=1)
    save(first, tmp_path / "x")
    loaded, again = (load(tmp_path / "x") for _ in range(2))
    save(second, tmp_path / "other")
    (tmp_path / "x").write_bytes((tmp_path / "other").read_bytes())  # into the same file, as cp does
    assert_same(loaded, first)
    (tmp_path / "x").write_bytes(b"")
    assert_same(again, first)


@pytest.mark.parametrize("broken", ["save_file", "replace"])
def test_an_interrupted_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, broken):
    save(example(seed=0), tmp_path / "x")

    def interrupted(tensors, path, *_, **__):
        if broken == "save_file":
            path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(files if broken == "save_file" else os, broken, interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(example(seed=1), tmp_path / "x")
    assert os.listdir(tmp_path) == ["x"]
    assert_same(load(tmp_path / "x"), example(seed=0))


@same_folder
@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, kept):
    save(example(), tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:int(kept * len(whole))])
    with pytest.raises(ValueError, match="truncated.*expected one of kind 'ilsupport.Trajectories'"):
        load(tmp_path / "cut")


@pytest.mark.parametrize("content", [b"reward\n1,2\n", b"\x80\x04\x95" * 99, b"\xff" * 64, b"{}" * 50])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match="no safetensors file"):
        load(tmp_path / "x")


@pytest.mark.parametrize("metadata, message", [
    (None, "of something else.*'weight'"),
    ({"format": "pt"}, "of something else"),
    ({"format": storage.KIND}, "of something else"),
    ({"format": storage.KIND, "version": "two"}, "of something else"),
    ({"format": storage.KIND, "version": "2"}, "version 2, expected at most 1; upgrade"),
    ({"format": storage.KIND, "version": "1"}, "no whole Trajectories.*weight"),
])
def test_safetensors_of_something_else_are_refused(tmp_path, metadata, message):
    save_file({"weight": torch.zeros(2)}, tmp_path / "x", metadata=metadata)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "x")


def test_a_flipped_bit_is_found(tmp_path):
    save(example(), tmp_path / "x")
    content = bytearray((tmp_path / "x").read_bytes())
    content[-5] ^= 1
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        load(tmp_path / "x")


def test_contents_are_checked_like_any_other_trajectories(tmp_path):
    data = example()
    tensors = {f.name: value for f in fields(data) if (value := getattr(data, f.name)) is not None}
    save_file({**tensors, "rewards": torch.zeros(2, 4)}, tmp_path / "x",
              metadata={"format": storage.KIND, "version": "1"})
    with pytest.raises(ValueError, match=r"no whole Trajectories: rewards has shape \(2, 4\)"):
        load(tmp_path / "x")


def test_files_and_folders_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*nothing"):
        load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="no file"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="make it first"):
        save(example(), tmp_path / "nowhere" / "x")


def test_an_altered_note_is_found(tmp_path):
    storage.save_policy(Gaussian(2, 1, activation="relu", generator=generator(0)), tmp_path / "policy")
    whole = (tmp_path / "policy").read_bytes()
    (tmp_path / "policy").write_bytes(whole.replace(b"relu", b"tanh"))
    with pytest.raises(ValueError, match="damaged"):
        storage.load_policy(tmp_path / "policy")


def test_settings_may_be_arrays_and_tensors(tmp_path):
    limits = (torch.zeros(2), np.ones(2, np.float32))
    storage.save_policy(Gaussian(2, np.int64(2), limits=limits, generator=generator(0)), tmp_path / "policy")
    assert storage.load_policy(tmp_path / "policy").high.tolist() == [1, 1]
