"""A run that is killed goes on where it was, to the same bits; a damaged or foreign file is named."""
import os
import signal
import subprocess
import sys
import textwrap
from functools import partial

import numpy as np
import pytest
import torch

import ilsupport as il
from ilsupport import files, runs


@pytest.fixture(autouse=True)
def write_at_every_look(monkeypatch):
    monkeypatch.setattr(runs, "SECONDS", 0.0)
    monkeypatch.setattr("ilsupport.bc.STEPS", 7)


def pairs(seed=0):
    obs = torch.randn(100, 3, generator=il.generator(seed))
    return obs, obs[:, :1].sin()


class Grainy(il.Camera):
    """A camera whose pictures are noisy, by a generator of its own."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def forward(self, state):
        picture = super().forward(state)
        return picture + 0.1 * torch.randn(picture.shape, generator=self.generator)


class Killed(BaseException):
    """Stands for `kill -9`: nothing of the process is left but its files."""


KINDS = {
    "one": lambda: il.Gaussian(3, 1, generator=il.generator(0), hidden=(8,)),
    "stack": lambda: il.Gaussian(3, 1, generator=il.spawn(il.generator(0), 3), hidden=(8,)),
}


def run(path, make, kill_at=None, steps=60, **options):
    """A run from its very start, which dies at the call number `kill_at` of the loss."""
    policy, g = make(), il.generator(1)
    calls, loss = 0, policy.loss

    def dying(*batch):
        nonlocal calls
        calls += 1
        if calls == kill_at:
            raise Killed
        return loss(*batch)
    policy.loss = dying
    history = il.fit(policy, pairs(), generator=g, steps=steps, batch_size=8, checkpoint=path, **options)
    return torch.cat([p.flatten() for p in policy.parameters()] + [history.losses.flatten(),
                                                                   g.get_state().float()]).detach()


@pytest.mark.parametrize("options", [{}, {"lr": 1e-2, "optimiser": partial(torch.optim.SGD, momentum=0.9)}],
                         ids=["adam", "sgd"])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_anywhere_it_ends_in_the_same_bits(kind, options, tmp_path):
    whole = run(None, KINDS[kind], **options)
    assert torch.equal(run(tmp_path / "whole", KINDS[kind], **options), whole)
    for kill_at in (1, 8, 9, 23, 60):
        path = tmp_path / f"{kill_at}"
        with pytest.raises(Killed):
            run(path, KINDS[kind], kill_at, **options)
        assert torch.equal(run(path, KINDS[kind], **options), whole), kill_at
        assert torch.equal(run(path, KINDS[kind], kill_at=1, **options),
                           whole)  # finished: nothing is trained again


class Counting(torch.optim.Optimizer):
    """Keeps a number a parameter, and one a group, outside tensors."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr, "size": 1.0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["size"] *= 0.99
            for p in group["params"]:
                self.state[p]["steps"] = self.state[p].get("steps", 0) + 1
                p -= group["lr"] * group["size"] / self.state[p]["steps"] * p.grad


def test_what_an_optimiser_keeps_in_numbers_goes_on_too(tmp_path):
    whole = run(None, KINDS["one"], optimiser=Counting)
    with pytest.raises(Killed):
        run(tmp_path / "run", KINDS["one"], kill_at=40, optimiser=Counting)
    assert torch.equal(whole, run(tmp_path / "run", KINDS["one"], optimiser=Counting))


def test_steps_may_be_numpys(tmp_path):
    il.fit(KINDS["one"](), pairs(), generator=il.generator(1), steps=np.int64(3), batch_size=np.int64(5),
           checkpoint=tmp_path / "run")


def test_a_noisy_camera_goes_on_with_its_own_noise(tmp_path):
    data = il.rollout(il.Driving(), il.driving_expert, 2, generator=il.generator(0), horizon=40)

    def train(path, kill_at=None):
        def dies(_, __, step):
            if kill_at is not None and step >= kill_at:
                raise Killed
        head = il.Gaussian(960, 1, hidden=(4,), generator=il.generator(1))
        policy = il.Seeing(Grainy(il.generator(2)), head)
        return il.fit(policy, data, generator=il.generator(3), steps=40, batch_size=8, checkpoint=path,
                      log=dies).losses
    with pytest.raises(Killed):
        train(tmp_path / "a", kill_at=20)
    assert torch.equal(train(tmp_path / "a"), train(None))


def test_killed_while_writing_it_goes_on_from_the_one_before(tmp_path, monkeypatch):
    whole, path, replace = run(None, KINDS["one"]), tmp_path / "run", os.replace
    for kill_at in range(1, 5):  # the renames of the first writes
        calls = 0

        def dying(*names):
            nonlocal calls
            calls += 1
            if calls == kill_at:
                raise Killed
            replace(*names)
        monkeypatch.setattr(files.os, "replace", dying)
        with pytest.raises(Killed):
            run(path, KINDS["one"])
        monkeypatch.setattr(files.os, "replace", replace)
        assert [file.name for file in tmp_path.iterdir()] == ["run"] * (kill_at > 1)
        assert torch.equal(run(path, KINDS["one"]), whole), kill_at
        path.unlink()


DAMAGES = {"half": lambda b: b[: len(b) // 2], "empty": lambda b: b"", "header": lambda b: b[:8] + b"x" * 40
           + b[48:],
           "one bit": lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:]}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_refused_by_name_and_begun_anew_without_it(damage, tmp_path):
    whole, path = run(None, KINDS["one"]), tmp_path / "run"
    with pytest.raises(Killed):
        run(path, KINDS["one"], kill_at=40)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="run .*(damaged|truncated).*Delete it, and what it held is"):
        run(path, KINDS["one"])
    path.unlink()
    assert torch.equal(run(path, KINDS["one"]), whole)


def test_the_log_of_a_killed_run_is_that_of_a_whole_one(tmp_path):
    whole, told = [], []
    run(None, KINDS["one"], log=lambda *point: whole.append(point))
    with pytest.raises(Killed):
        run(tmp_path / "run", KINDS["one"], kill_at=30, log=lambda *point: told.append(point))
    assert 0 < len(told) < len(whole)
    run(tmp_path / "run", KINDS["one"], log=lambda *point: told.append(point))
    assert sorted(set(told), key=lambda point: point[2]) == whole


def test_a_full_disk_leaves_the_last_good_one(tmp_path, monkeypatch):
    path, save, writes = tmp_path / "run", files.save_file, 0

    def full(tensors, name, **about):
        nonlocal writes
        writes += 1
        if writes == 3:
            name.write_bytes(b"half of")
            raise OSError(28, "No space left on device")
        save(tensors, name, **about)
    monkeypatch.setattr(files, "save_file", full)
    said = "could not write .*No space left.*free some space and do the same again"
    with pytest.raises(OSError, match=said):
        run(path, KINDS["one"])
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
    assert torch.equal(run(path, KINDS["one"]), run(None, KINDS["one"]))


def test_the_system_itself_refuses_to_write(tmp_path):
    resource = pytest.importorskip("resource", reason="needs a system with limits on file sizes")
    whole, path = run(None, KINDS["one"]), tmp_path / "run"
    with pytest.raises(Killed):
        run(path, KINDS["one"], kill_at=40)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="could not write .*free some space and do the same again"):
            run(path, KINDS["one"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["run"]
    assert torch.equal(run(path, KINDS["one"]), whole)


def test_a_run_that_was_longer_and_a_folder_that_is_not_there(tmp_path):
    run(tmp_path / "run", KINDS["one"])
    with pytest.raises(ValueError, match="belongs to another run: steps: 60 there, 10 here"):
        run(tmp_path / "run", KINDS["one"], steps=10)
    with pytest.raises(FileNotFoundError, match="make it first"):
        run(tmp_path / "nowhere" / "run", KINDS["one"])


TRAIN = {
    "fit": """
        obs = torch.randn(100, 3, generator=il.generator(0))
        policies = [il.Gaussian(3, 1, generator=il.generator(0), hidden=(8,))]
        histories = [il.fit(policies[0], (obs, obs[:, :1].sin()), generator=il.generator(1), steps=2500,
                            batch_size=8, checkpoint=path)]
    """,
    "dagger": """
        made = list(il.dagger(
            il.Tightrope(horizon=20), il.tightrope_expert, lambda g: il.Categorical(9, 3, hidden=(8,),
            generator=g), rounds=8, n=20, generator=il.generator(1), train=partial(il.fit, steps=300,
            batch_size=8), checkpoint=path))
        policies, histories = [r.policy for r in made], [r.history for r in made]
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRAIN)
def test_kill_minus_9(kind, tmp_path):
    """A real process, killed by the system at random moments of playing, training and writing."""
    script = textwrap.dedent("""
        import os, random, signal, sys, threading
        from functools import partial
        import torch, ilsupport as il
        from ilsupport import bc, identity, runs
        path, out, seed = sys.argv[1:]
        path = None if path == "none" else path
        runs.SECONDS, bc.STEPS = 0.0, 7
        if seed != "never":
            threading.Timer(random.Random(seed).uniform(0, 1.5), os.kill, (os.getpid(),
            signal.SIGKILL)).start()
    """) + textwrap.dedent(TRAIN[kind]) + textwrap.dedent("""
        weights = [t for p in policies for t in p.state_dict().values()]
        with open(out, "w") as file:
            file.write(identity.fingerprint([*weights, *(h.losses for h in histories)]))
        os._exit(0)
    """)

    def start(path, seed):
        command = [sys.executable, "-W", "error::UserWarning", "-c", script, str(path), str(tmp_path / "out"),
                   str(seed)]
        return subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}).returncode
    assert start("none", "never") == 0
    whole = (tmp_path / "out").read_text()
    (tmp_path / "out").unlink()
    ends = [start(tmp_path / "run", seed) for seed in range(4)]
    assert -signal.SIGKILL in ends and set(ends) <= {0, -signal.SIGKILL}
    assert start(tmp_path / "run", "never") == 0
    assert (tmp_path / "out").read_text() == whole


def rounds_of_dagger(folder, die_at=None, seed=4):
    """Three rounds with a stack of two.

    Dies at the expert's question or the training step number `die_at`.
    """
    calls = 0

    def tick():
        nonlocal calls
        calls += 1
        if calls == die_at:
            raise Killed

    def expert(obs):
        tick()
        return il.tightrope_expert(obs)

    def new_policy(g):
        policy = il.Categorical(9, 3, hidden=(8,), generator=il.spawn(g, 2))
        loss = policy.loss

        def ticking(*batch):
            tick()
            return loss(*batch)
        policy.loss = ticking
        return policy

    def train(policy, data, **options):
        return il.fit(policy, data, steps=20, batch_size=8, **options)
    g = il.generator(seed)
    made = list(il.dagger(il.Tightrope(horizon=5), il.named("rope", expert), new_policy, rounds=3, n=3,
                          generator=g, train=train, checkpoint=folder))
    weights = [p.flatten() for r in made for p in r.policy.parameters()]
    return torch.cat([*weights, *(r.history.losses.flatten() for r in made),
                      g.get_state().float()]).detach(), calls


def test_dagger_killed_anywhere_goes_on_to_the_same_bits_and_asks_nobody_twice(tmp_path):
    whole, calls = rounds_of_dagger(tmp_path / "whole")
    assert torch.equal(rounds_of_dagger(None)[0], whole)
    for die_at in range(1, calls + 1, 4):
        folder = tmp_path / f"{die_at}"
        with pytest.raises(Killed):
            rounds_of_dagger(folder, die_at)
        assert torch.equal(rounds_of_dagger(folder)[0], whole), die_at
        assert rounds_of_dagger(folder)[1] == 0  # all labels and all training are there
    with pytest.raises(ValueError, match="belongs to another run: generator"):
        rounds_of_dagger(tmp_path / "whole", seed=5)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_labels_are_refused_and_cost_their_round_and_no_other(damage, tmp_path):
    whole, _ = rounds_of_dagger(tmp_path)
    file = tmp_path / "round-1.labels"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=r"round-1.labels .*(damaged|truncated).*Delete it.*asked for anew"):
        rounds_of_dagger(tmp_path)
    file.unlink()
    again, asked = rounds_of_dagger(tmp_path)
    assert torch.equal(again, whole) and asked == 1  # one batch of labels; no step of training
    assert rounds_of_dagger(tmp_path)[1] == 0
