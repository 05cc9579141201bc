"""What every environment has in common: it moves, it takes what it is given, and nobody waits for it."""
import gymnasium
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import ilsupport as il

WORLDS = {
    "BrakeLight": lambda **on: il.BrakeLight(truth=True, **on),
    "Driving": il.Driving,
    "Fork": il.Fork,
    "Reach": lambda **on: il.Reach(goals=torch.tensor([[0.9, 0.9], [-0.9, 0.9]]), **on),
    "Tightrope": lambda **on: il.Tightrope(rho=0.3, **on),
    "absorbing Tightrope": lambda **on: il.Tightrope(absorbing=True, **on),
    "Window": lambda **on: il.Window(il.Tightrope(**on), 3, actions=True),
    "Window of floats": lambda **on: il.Window(il.Reach(**on), 2),
}


@pytest.fixture(params=WORLDS)
def make(request):
    return WORLDS[request.param]


def actions(env, n, seed=0):
    """Floats within bounds, or whole numbers that are allowed."""
    g = il.generator(seed)
    space = env.action_space
    if space.dtype.kind == "i":
        return torch.randint(int(space.n), (n,), generator=g)
    return 2 * torch.rand(n, *space.shape, generator=g, dtype=torch.float64) - 1


class Watch(TorchDispatchMode):
    """A device that refuses what would make it wait for the host, and every number in float64."""

    waits = ("aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten.equal", "aten.item",
             "aten.unique", "aten.is_nonzero")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = str(function)
        assert not name.startswith(self.waits), f"{name} waits for the device"
        if name.startswith("aten.index.Tensor"):
            assert not any(i is not None and i.dtype == torch.bool
                           for i in args[1]), "a mask waits for the device"
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (list, tuple)) else [out]:
            assert not isinstance(tensor,
                                  torch.Tensor) or tensor.dtype != torch.float64, f"{name} gives float64"
        return out


def test_the_watch_sees_what_it_is_for():
    x = torch.arange(3.0)
    for wait in (lambda: bool(x.any()), lambda: float(x[0]), lambda: x[x > 1], lambda: x.nonzero(),
                 lambda: x.double()):
        with pytest.raises(AssertionError), Watch():
            wait()


def test_a_step_never_waits_for_the_device_and_needs_no_float64(make):
    env = make()
    env.reset(4, il.generator(0))
    action = actions(env, 4).to(torch.int64 if env.action_space.dtype.kind == "i" else torch.float32)
    with Watch():
        for _ in range(env.horizon):
            env.step(action)


def test_every_world_moves(make, dtype):
    """`meta` stands for any device: tensors that stay behind raise."""
    env = make()
    env.reset(4, il.generator(0))
    far = env.to("meta", dtype)
    with pytest.raises(RuntimeError, match="reset"):
        far.step(actions(env, 4))
    assert (far.device.type, far.dtype) == ("meta", dtype) and env.device.type == "cpu"
    obs = far.reset(4, il.generator(0))
    for _ in range(3):
        assert (obs.device.type, obs.dtype) == ("meta", dtype)
        assert obs.shape[1:] == env.observation_space.shape
        obs, reward, terminated, truncated = far.step(actions(env, 4).to("meta"))
        assert {x.device.type for x in (reward, terminated, truncated)} == {"meta"} and reward.dtype == dtype
    env.step(actions(env, 4))  # the one that stayed goes on


def test_a_moved_world_is_the_same_world(make):
    wide = make(dtype=torch.float64)
    narrow = wide.to(dtype=torch.float32)
    narrow.reset(5, il.generator(0))
    assert narrow.step(actions(wide, 5))[0].dtype == torch.float32
    back = narrow.to(dtype=torch.float64)
    for env in (wide, back):
        env.reset(5, il.generator(1))
    for a, b in zip(wide.step(actions(wide, 5)), back.step(actions(wide, 5))):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["tensor", "float64", "numpy", "requires grad"])
def test_actions_are_cast_at_the_border(make, kind):
    """Whoever answers in numpy or in float64 drives as who answers in the world's own dtype."""
    world, same = make(), make()
    for env in (world, same):
        env.reset(3, il.generator(0))
    for t in range(4):
        action = actions(world, 3, t)
        own = action if action.dtype == torch.int64 else action.float()
        given = {"tensor": own, "float64": action, "numpy": action.numpy(),
                 "requires grad": own.clone().requires_grad_() if own.is_floating_point() else own}[kind]
        with torch.no_grad():
            a, b = world.step(given), same.step(own)
        for x, y in zip(a, b):
            assert torch.equal(x, y) and x.dtype == y.dtype


def test_what_a_world_hands_out_belongs_to_whoever_got_it(make):
    world, same = make(), make()
    obs, kept = world.reset(3, il.generator(0)), same.reset(3, il.generator(0))
    for t in range(4):
        assert torch.equal(obs, kept)
        obs.zero_()
        (obs, reward, terminated, truncated), (kept, *_) = (env.step(actions(world, 3, t))
                                                            for env in (world, same))
        reward.zero_(), terminated.logical_not_()
        assert not truncated.any()


def test_a_step_before_any_reset_and_actions_for_others(make):
    env = make()
    with pytest.raises(RuntimeError, match=r"call env.reset\(n, generator\) first"):
        env.step(actions(env, 3))
    env.reset(3, il.generator(0))
    other = torch.zeros(3) if env.action_space.dtype.kind == "i" else torch.zeros(3, 2, dtype=torch.int64)
    for action in (actions(env, 2), actions(env, 3)[None], other):
        with pytest.raises(ValueError, match=r"expected (whole numbers|floats) \(3,.*one action a copy"):
            env.step(action)


@pytest.mark.parametrize("n, error", [(0, ValueError), (True, TypeError), (2.0, TypeError)])
def test_a_reset_of_no_episodes(make, n, error):
    with pytest.raises(error, match="number of episodes n"):
        make().reset(n, il.generator(0))
    with pytest.raises(TypeError, match="expected a torch.Generator"):
        make().reset(2, 7)


def test_cars_can_be_put_down_before_any_reset():
    env = il.Driving()
    obs = env.place(np.zeros(2), torch.zeros(2, dtype=torch.float64), np.zeros((2, 3)))
    assert obs.shape == (2, 8) and obs.dtype == torch.float32
    env.step(il.driving_expert(obs))
    with pytest.raises(ValueError, match=r"shapes \[\(2,\), \(3,\), \(2, 3\)\], expected \(n,\), \(n,\)"):
        env.place(torch.zeros(2), torch.zeros(3), torch.zeros(2, 3))


def test_a_camera_is_a_module_with_nothing_to_save():
    camera = il.Camera()
    assert isinstance(camera, torch.nn.Module) and not camera.state_dict() and list(camera.buffers())
    assert camera.to("meta")(torch.zeros(3, 8, device="meta")).device.type == "meta"
    wide = il.Camera(dtype=torch.float64)
    assert wide(torch.zeros(3, 8)).dtype == torch.float64, "states are cast at the border"
    torch.testing.assert_close(il.Camera().double()(torch.ones(3, 8)), wide(torch.ones(3, 8)), atol=1e-4,
                               rtol=0)


def test_a_world_with_other_actions_translates_them_in_its_own_step():
    class Pedal(il.BrakeLight):
        action_space = gymnasium.spaces.Box(0.0, 1.0, (1,))

        def step(self, action):
            return super().step((action[:, 0] > 0.5).long())

    data = il.rollout(Pedal(truth=True, horizon=30), lambda obs: obs[:, 2:], 4, generator=il.generator(0))
    assert data.actions.shape == (4, 30, 1) and not data.returns().any()
