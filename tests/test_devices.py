"""On any device: everything moves, no step waits for the host, nothing needs float64; and on CUDA where there
is one.

`meta`, a device that has shapes and no numbers, stands for a GPU: whatever stayed behind, or wants a value,
raises.
"""
import importlib
import re
from functools import partial
from pathlib import Path

import pytest
import torch
from test_worlds import WORLDS, Watch

import ilsupport as il
from ilsupport import noise

playing = importlib.import_module("ilsupport.rollout")  # the module: `il.rollout` is the function
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(),
                                reason="needs a CUDA device; this machine shows none")
SMALL = dict(hidden=(8,))

POLICIES = {
    "categorical": ("Tightrope", lambda g: il.Categorical(9, 3, generator=g, **SMALL)),
    "window": ("Window", lambda g: il.Categorical((3, 12), 3, generator=g, net=il.GRU, **SMALL)),
    "transformer": ("Window", lambda g: il.Categorical((3, 12), 3, generator=g, net=il.Transformer, **SMALL)),
    "gaussian": ("Reach", lambda g: il.Gaussian(4, 2, generator=g, limits=(-1, [1, 0.5]), **SMALL)),
    "mixture": ("Reach", lambda g: il.Mixture(4, 2, generator=g, limits=(-1, 1), **SMALL)),
    "discretised": ("Reach", lambda g: il.Discretised(4, 2, [4, 5], generator=g, **SMALL)),
    "latent": ("Reach", lambda g: il.Latent(4, 2, generator=g, limits=(-1, 1), **SMALL)),
    "diffusion": ("Reach", lambda g: il.Diffusion(4, 2, steps=3, generator=g, limits=(-1, 1), **SMALL)),
    "flow": ("Reach", lambda g: il.Flow(4, 2, steps=3, generator=g, limits=(-1, 1), **SMALL)),
    "view": ("Reach", lambda g: il.View(il.Gaussian(2, 2, generator=g, **SMALL), lambda obs: obs[..., :2])),
    "seeing": ("Driving", lambda g: il.Seeing(il.Camera(), il.Gaussian(960, 1, generator=g, **SMALL))),
    "chunked": ("Reach", lambda g: il.Chunked(il.Gaussian(4, 6, generator=g, **SMALL), 3)),
    "ensemble": ("Reach", lambda g: il.Chunked(il.Flow(4, 6, generator=g, **SMALL), 3, ensemble=0.1)),
}
EXPERTS = {
    "tightrope": ("Tightrope", lambda env: il.tightrope_expert),
    "brakelight": ("BrakeLight", lambda env: il.brakelight_expert),
    "driving": ("Driving", lambda env: il.driving_expert),
    "fork": ("Fork", lambda env: il.ForkExpert(il.generator(0))),
    "reach": ("Reach", il.ReachExpert), "play": ("Reach",
                                                 lambda env: il.ReachPlay(env, generator=il.generator(0))),
}


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Shapes alone are slow here."""
    monkeypatch.setattr(playing, "LOOK", 5)
    monkeypatch.setattr("ilsupport.bc.STEPS", 4)


def steps(env, policy, n, sample=False, horizon=4):
    """How many steps a roll-out makes on `meta`, under the eyes of who refuses to wait and to widen."""
    with torch.no_grad(), Watch():
        return sum(1 for _ in playing._steps(env, policy, n, il.generator(1), horizon, sample))





@pytest.mark.parametrize("students", [None, 2])
@pytest.mark.parametrize("world, make", POLICIES.values(), ids=POLICIES)
def test_a_policy_plays_without_waiting_for_the_device(world, make, students):
    env = WORLDS[world]().to("meta")
    policy = make(il.generator(0) if students is None else il.spawn(il.generator(0), students)).to("meta")
    for sample in (False, True):
        assert steps(env, policy, 4, sample) == 4


@pytest.mark.parametrize("world, make", EXPERTS.values(), ids=EXPERTS)
def test_an_expert_plays_without_waiting_for_the_device(world, make):
    env = WORLDS[world]().to("meta")
    expert = make(env)
    assert steps(env, expert.to("meta") if isinstance(expert, torch.nn.Module) else expert, 4) == 4


@pytest.mark.parametrize("task", il.experts.TASKS)
def test_a_locomotion_expert_moves(task):
    expert = il.LocomotionExpert(task).to("meta")
    with Watch():
        assert expert(torch.zeros(3, expert.width, device="meta")).device.type == "meta"


def test_where_a_look_waits_it_is_taken_every_so_many_steps():
    env = il.Tightrope().to("meta")
    policy = il.Categorical(9, 3, generator=il.generator(0)).to("meta")
    with pytest.raises((RuntimeError, NotImplementedError, AssertionError)):
        steps(env, policy, 4, horizon=5)


@pytest.mark.parametrize("students", [None, 2])
@pytest.mark.parametrize("world, make", POLICIES.values(), ids=POLICIES)
def test_fit_waits_for_the_device_once_a_portion_of_many_steps(world, make, students):
    policy = make(il.generator(0) if students is None else il.spawn(il.generator(0), students)).to("meta")
    calls, loss = [], policy.loss

    def counted(*batch):
        calls.append(1)
        return loss(*batch)
    policy.loss, policy.check = counted, lambda *_: None  # the data are looked at once, before the loop
    env = WORLDS[world]()
    obs = env.reset(30, il.generator(0)).to("meta")
    plan = 6 if isinstance(policy, il.Chunked) else None
    whole = isinstance(policy, il.Categorical)
    action = (torch.zeros(30, dtype=torch.int64) if whole
              else torch.zeros(30, plan or env.action_space.shape[0]))
    with pytest.raises((RuntimeError, NotImplementedError),
                       match="meta"), Watch():  # where the losses come home
        il.fit(policy, (obs, action.to("meta")), generator=il.generator(1), steps=9, batch_size=5,
               optimiser=torch.optim.SGD)
    assert len(calls) == 4


class NoDouble(torch.utils._python_dispatch.TorchDispatchMode):
    """A device without float64, as Apple's is; the CPU has it."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (list, tuple)) else [out]:
            if isinstance(tensor, torch.Tensor) and tensor.is_meta and tensor.dtype == torch.float64:
                raise AssertionError(f"{function} needs float64 on the device")
        return out


@pytest.mark.parametrize("summary", [
    il.Estimate.of, lambda x: noise._root(x, 3), lambda x: noise._root(x[0, 0], 3)],
                         ids=["interval", "covariance", "variance"])
def test_what_is_computed_in_float64_is_computed_on_the_cpu(summary):
    with NoDouble(), pytest.raises(NotImplementedError, match="Cannot copy out of meta"):
        summary(torch.zeros(3, 3, device="meta"))


def test_the_whole_way_from_demonstrations_to_a_mean_return_needs_no_float64_but_for_the_mean(monkeypatch):
    monkeypatch.setattr(il.Estimate, "of", lambda x: float(x.sum()))
    env = il.Reach(horizon=8)
    new = lambda g: il.Gaussian(4, 2, generator=g, limits=(-1, 1), **SMALL)  # noqa: E731

    class Watched(Watch):
        waits = ("no operation",)

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if str(function).startswith("aten.index.Tensor"):
                return function(*args, **(kwargs or {}))
            return super().__torch_dispatch__(function, types, args, kwargs)
    with Watched():
        rounds = list(il.dagger(env, il.ReachExpert(env), new, rounds=2, n=3, generator=il.generator(0),
                                train=partial(il.fit, steps=3)))
    assert rounds[-1].policy.sees.scale.dtype == torch.float32


# -- where there is a GPU


@needs_cuda
def test_cloning_and_dagger_of_the_readme_on_cuda(capsys):
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    code = code.replace('il.Gymnasium("CartPole-v1")', 'il.Gymnasium("CartPole-v1", device="cuda")')
    code = re.sub(r"il\.generator\((\d)\)", r'il.generator(\1, "cuda")', code)
    exec(compile(code, "README.md", "exec"), {})
    returns = [float(line.split("return ")[1].split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert len(returns) == 3 and max(returns[1:]) > 450


@needs_cuda
@pytest.mark.parametrize("students", [None, 4])
def test_steps_on_cuda_never_wait(students):
    env, g = il.Tightrope(device="cuda"), il.generator(0, "cuda")
    policy = il.Categorical(9, 3, generator=g if students is None else il.spawn(g, students))
    for mode in ("default", "error"):  # once to warm up: loading kernels waits
        torch.cuda.set_sync_debug_mode(mode)
        try:
            with torch.no_grad():
                done = sum(1 for _ in playing._steps(env, policy, 256, g, 4, True))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert done == 4
