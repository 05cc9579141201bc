"""What every policy owes, whichever head it is: asked of all of them, alone, in a stack and in wrappers.

What only one head does stands in the file of that head.
"""
import copy
import json
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ilsupport as il
from ilsupport import generator, spawn
from ilsupport.files import write_tensors
from ilsupport.policies.base import Head, Units
from ilsupport.policies.network import ACTIVATIONS

F64 = torch.float64
SMALL = dict(hidden=(8, 8))


def half(obs):
    """What a View shows in these tests: all but the last column."""
    return obs[..., :-1]


def seeing(g, **options):
    return il.Seeing(il.Camera(device=g.device if isinstance(g, torch.Generator) else g[0].device,
                               dtype=options.get("dtype", torch.float32)),
                     il.Gaussian(960, 2, generator=g, **options))


# Each kind: how to make it from a generator (or a list of them) and options of its head; what it learns from.
# "bins" are whole numbers, "likely" says that the loss is the mean of -log_prob, "noisy" that it draws noise.
KINDS = {
    "categorical": dict(make=lambda g, **o: il.Categorical(3, 4, generator=g, **o), act="class", likely=True),
    "gaussian": dict(make=lambda g, **o: il.Gaussian(3, 2, generator=g, **o), likely=True),
    "gaussian fixed": dict(make=lambda g, **o: il.Gaussian(3, 2, std=0.3, generator=g, **o), likely=True),
    "gaussian learnt": dict(make=lambda g, **o: il.Gaussian(3, 2, std=None, generator=g, **o), likely=True),
    "mixture": dict(make=lambda g, **o: il.Mixture(3, 2, 3, generator=g, **o), likely=True),
    "discretised": dict(make=lambda g, **o: il.Discretised(3, 2, 6, generator=g,
                                                           **({"limits": (-9, [8, 9])} | o)), likely=True),
    "side by side": dict(make=lambda g, **o: il.Discretised(3, 2, [6, 4], autoregressive=False, generator=g,
                                                            **({"limits": ([-8, -9], 9)} | o)), likely=True),
    "numbers": dict(make=lambda g, **o: il.Discretised(3, 2, [3, 5], limits=None, generator=g, **o),
                    act="numbers", likely=True),
    "latent": dict(make=lambda g, **o: il.Latent(3, 2, latent_dim=2, generator=g, **o)),
    "latent fixed": dict(make=lambda g, **o: il.Latent(3, 2, std=0.3, free_nats=0.5, generator=g, **o)),
    "diffusion": dict(make=lambda g, **o: il.Diffusion(3, 2, levels=20, steps=4, generator=g, **o)),
    "flow": dict(make=lambda g, **o: il.Flow(3, 2, steps=4, generator=g, **o)),
    "window": dict(make=lambda g, **o: il.Categorical((4, 3), 4, generator=g, **o), obs=(4, 3), act="class",
                   likely=True),
    "gru": dict(make=lambda g, **o: il.Gaussian((4, 3), 2, net=il.GRU, generator=g, **o), obs=(4, 3),
                likely=True),
    "transformer": dict(make=lambda g, **o: il.Gaussian((4, 3), 2, net=il.Transformer, generator=g, **o),
                        obs=(4, 3), likely=True),
    "view": dict(make=lambda g, **o: il.View(il.Gaussian(2, 2, generator=g, **o), half), likely=True),
    "view of flow": dict(make=lambda g, **o: il.View(il.Flow(2, 2, steps=4, generator=g, **o), half)),
    "seeing": dict(make=seeing, obs=(8,), likely=True),
    "chunked": dict(make=lambda g, **o: il.Chunked(il.Mixture(3, 6, 2, generator=g, **o), 3),
                    plan=3, likely=True),
    "ensemble": dict(make=lambda g, **o: il.Chunked(il.View(il.Latent(2, 6, generator=g, **o), half), 3,
                                                    ensemble=0.1), plan=3),
    "chunked bins": dict(
        make=lambda g, **o: il.Chunked(il.Discretised(3, 6, 4, generator=g, **({"limits": (-9, 9)} | o)), 3),
        plan=3, likely=True),
}
CONTINUOUS = [name for name, kind in KINDS.items() if "act" not in kind]
STANDARD = [name for name in CONTINUOUS if name not in ("discretised", "side by side", "chunked bins")]
HEADS = [name for name, kind in KINDS.items() if isinstance(kind["make"](generator(0), **SMALL), Head)]
PLAIN = [name for name in HEADS if KINDS[name].get("obs", (3,)) == (3,)]
LIKELY = [name for name, kind in KINDS.items() if kind.get("likely")]
each = partial(pytest.mark.parametrize, "kind")


def make(kind, g=None, dtype=F64, **options):
    return KINDS[kind]["make"](generator(0) if g is None else g, **(SMALL | options), dtype=dtype)


def batch(kind, *lead, n=7, seed=5, dtype=F64, device="cpu"):
    """Observations and actions that this kind takes, in units of their own a column."""
    g, about = generator(seed, device), KINDS[kind]
    draw = lambda *shape: torch.randn(*lead, n, *shape, generator=g, dtype=dtype, device=device)  # noqa: E731
    obs = draw(*about.get("obs", (3,)))
    scale = torch.tensor([1.0, 5.0, 0.2], dtype=dtype, device=device)
    obs = obs * scale + 3 * scale if obs.shape[-1] == 3 else obs.clamp(-1, 1)
    if "act" not in about:
        return obs, draw(2 * about.get("plan", 1)).clamp(-3, 3) + 0.5
    top = torch.tensor([3, 5] if about["act"] == "numbers" else [4], device=device)
    action = (torch.rand(*lead, n, len(top), generator=g, device=device) * top).long()
    return obs, action if about["act"] == "numbers" else action.squeeze(-1)


def acted(policy, obs, g=None):
    policy.begin()
    with torch.no_grad():
        return policy.act(obs, g)


def played_shape(kind, action):
    return (*action.shape[:-1], 2) if "plan" in KINDS[kind] else action.shape


def head_of(policy):
    return policy if isinstance(policy, Head) else head_of(policy.head)


# -- shapes, likelihood, chance


@each(KINDS)
@pytest.mark.parametrize("students", [None, 3])
def test_shapes_types_and_devices(kind, students, device, dtype):
    g = generator(0, device)
    policy, lead = make(kind, g if students is None else spawn(g, 3), dtype), () if students is None else (3,)
    obs, action = batch(kind, *lead, dtype=dtype, device=device)
    noise = lambda: generator(1, device) if students is None else spawn(generator(1, device), 3)  # noqa: E731
    assert policy.students == students
    answers = [(acted(policy, obs), played_shape(kind, action)), (acted(policy, obs, generator(1, device)),
                                                                  played_shape(kind, action)),
               (policy.loss(obs, action, noise()), lead)]
    if kind in LIKELY:
        answers.append((policy.log_prob(obs, action), (*lead, 7)))
    for value, shape in answers:
        assert value.shape == shape and value.device.type == device.type and bool(value.isfinite().all())
        assert value.dtype == (dtype if value.is_floating_point() else torch.int64)
    assert torch.equal(policy(obs), policy.act(obs)) if "plan" not in KINDS[kind] else True


@each(LIKELY)
@pytest.mark.parametrize("lead", [(), (3,)])
def test_the_loss_is_minus_the_mean_log_probability(kind, lead):
    policy = make(kind, spawn(generator(0), 3) if lead else generator(0))
    data = batch(kind, n=50)
    il.fit(policy, data, generator=generator(1), steps=2)
    data = [x.expand(*lead, *x.shape) for x in data]
    torch.testing.assert_close(policy.loss(*data), -policy.log_prob(*data).mean(-1))


@each([kind for kind in STANDARD if kind not in LIKELY and "latent" not in kind and kind != "ensemble"]
      + LIKELY)
@pytest.mark.parametrize("standardise", [True, False])
def test_the_density_in_the_worlds_units_integrates_to_one(kind, standardise):
    """Along one action dimension, whatever units the head computes in.

    A sum where actions are whole numbers.
    """
    if kind in ("window", "categorical", "numbers"):
        policy, (obs, _) = make(kind, standardise=standardise), batch(kind, n=1)
        every = {"numbers": torch.cartesian_prod(torch.arange(3), torch.arange(5))}.get(kind, torch.arange(4))
        total = policy.log_prob(obs.expand(len(every), *obs.shape[1:]), every).exp().sum()
        return torch.testing.assert_close(total, torch.ones_like(total))
    head = type(head_of(make(kind)))
    about = {il.Discretised: dict(bins=5, limits=(-30, 40))}.get(head, {})
    policy = head(3, 1, generator=generator(0), standardise=standardise, dtype=F64, **SMALL, **about)
    obs, action = batch("gaussian", n=40)
    il.fit(policy, (obs, 3 * action[:, :1] + 5), generator=generator(1), steps=3)
    grid = torch.linspace(-30, 40, 1401, dtype=F64)
    density = policy.log_prob(obs[:1].expand(len(grid), -1), grid[:, None]).detach().exp()
    assert abs(float(torch.trapezoid(density, grid)) - 1) < 0.01


@each(CONTINUOUS)
def test_limits_of_each_dimension_clip_what_is_played_and_not_what_is_likely(kind):
    if isinstance(head_of(make(kind)), il.Discretised):  # its limits are its bins
        policy, (obs, _) = make(kind), batch(kind, n=200)
        low, high = head_of(policy).low, head_of(policy).high
        for g in (None, generator(2)):
            said = acted(policy, obs, g)
            assert (said >= low[:2] - 1e-9).all() and (said <= high[:2] + 1e-9).all()
        return
    width = 2 * KINDS[kind].get("plan", 1)
    for limits in ((-0.01, 0.02), ([-0.01] * width, [0.02, 0.5] * (width // 2)),
                   (-0.01, [0.02, 0.5] * (width // 2))):
        free, clipped = make(kind), make(kind, limits=limits)
        obs, action = batch(kind, n=200)
        top = torch.as_tensor(limits[1], dtype=F64).expand(width)[:2]
        for g in (None, 2):
            wide, said = (acted(p, obs, None if g is None else generator(g)) for p in (free, clipped))
            if kind != "ensemble":
                torch.testing.assert_close(said, torch.minimum(wide.clamp(min=-0.01), top))
            assert (said >= -0.01 - 1e-9).all() and (said <= top + 1e-9).all()
        torch.testing.assert_close(free.loss(obs, action, generator(1)),
                                   clipped.loss(obs, action, generator(1)))


@each([kind for kind in HEADS if kind in STANDARD])
@pytest.mark.parametrize("limits", [(1.0, -1.0), (0.0, 0.0), ([0.0, 1.0], [1.0, 1.0]), (-1.0, [1.0] * 3),
                                    (float("nan"), 1.0)])
def test_limits_out_of_order_or_of_another_length_are_refused(kind, limits):
    with pytest.raises(ValueError, match="low < high, each a number or of shape"):
        make(kind, limits=limits)


@each(KINDS)
def test_one_seed_gives_one_result_another_another_and_the_global_generator_is_left_alone(kind):
    before = torch.get_rng_state()

    def everything(seed):
        policy, g, data = make(kind, generator(0)), generator(seed), batch(kind, n=40)
        il.fit(policy, data, generator=g, steps=3)
        return torch.cat([acted(policy, data[0], g).flatten().double(),
                          *(p.flatten() for p in policy.parameters())]).detach()
    assert torch.equal(everything(1), everything(1)) and not torch.equal(everything(1), everything(2))
    assert torch.equal(torch.get_rng_state(), before)


@each(KINDS)
def test_without_a_generator_it_always_plays_the_same(kind):
    policy, (obs, _) = make(kind), batch(kind, n=50)
    assert torch.equal(acted(policy, obs), acted(policy, obs))
    assert not torch.equal(acted(policy, obs, generator(1)), acted(policy, obs))


# -- a stack


@each(KINDS)
def test_a_stack_is_its_students_in_all_they_say_and_learn(kind):
    """With data sets of different lengths, and so with units of their own."""
    data = [batch(kind, n=n, seed=n) for n in (90, 150)]
    together = make(kind, spawn(generator(0), 2))
    history = il.fit(together, data, generator=spawn(generator(1), 2), steps=20)
    obs, action = batch(kind, 2)
    said = {"act": acted(together, obs), "sample": acted(together, obs, spawn(generator(3), 2)),
            "loss": together.loss(obs, action, spawn(generator(4), 2))}
    if kind in LIKELY:
        said["log_prob"] = together.log_prob(obs, action)
    for k, (g, shuffle) in enumerate(zip(spawn(generator(0), 2), spawn(generator(1), 2))):
        alone = make(kind, g)
        losses = il.fit(alone, data[k], generator=shuffle, steps=20).losses
        torch.testing.assert_close(history.losses[:, k], losses, rtol=1e-6, atol=1e-8)
        mine = {"act": acted(alone, obs[k]), "sample": acted(alone, obs[k], spawn(generator(3), 2)[k]),
                "loss": alone.loss(obs[k], action[k], spawn(generator(4), 2)[k])}
        if kind in LIKELY:
            mine["log_prob"] = alone.log_prob(obs[k], action[k])
        for name, value in mine.items():
            torch.testing.assert_close(said[name][k], value, rtol=1e-5, atol=1e-6, msg=lambda text,
                                       name=name: f"{name}: {text}")
        ours = together.state_dict()
        for name, value in alone.state_dict().items():
            if name.startswith("camera"):
                continue
            torch.testing.assert_close(ours[name][k].reshape(value.shape), value, rtol=1e-5, atol=1e-6)


# -- what is refused


def wrong_actions(kind, action):
    """Actions of another shape or kind for as many observations as `action` has rows."""
    n = len(action)
    if action.is_floating_point():
        width = action.shape[1]
        shapes = (n,), (n, 1), (n, width + 1), (n, 1, width), (1, width), (width,)
        return [*(torch.zeros(shape) for shape in shapes),
                torch.zeros(n, width).long(), torch.zeros(n, width, dtype=F64)]
    return [torch.zeros_like(action, dtype=torch.float32), torch.zeros(n, 3).long(), torch.zeros(n, 1).long(),
            torch.zeros(1).long(), action.int(), action.bool()]


@each(KINDS)
def test_actions_that_do_not_fit_are_refused_by_all_that_take_them(kind):
    """The loss above all: a target of one number too few would otherwise be copied to where it does not
    belong."""
    policy = make(kind, dtype=torch.float32)
    obs, action = batch(kind, n=6, dtype=torch.float32)
    for wrong in wrong_actions(kind, action):
        said = rf"\({', '.join(map(str, wrong.shape))},?\)"
        asks = [lambda w: policy.loss(obs, w, generator(1))]
        if kind in LIKELY:
            asks.append(lambda w: policy.log_prob(obs, w))
        # `fit` counts rows first, and casts other precisions
        if len(wrong) == 6 and wrong.dtype not in (torch.int32, F64):
            asks.append(lambda w: il.fit(policy, (obs, w), generator=generator(1), steps=1))
        for ask in asks:
            with pytest.raises(ValueError, match=rf"{said}.*expected"):
                ask(wrong)


@each(CONTINUOUS)
def test_fit_casts_targets_in_another_precision(kind):
    one, other = make(kind, dtype=torch.float32), make(kind, dtype=torch.float32)
    obs, action = batch(kind, n=20, dtype=torch.float32)
    for policy, target in ((one, action), (other, action.double())):
        il.fit(policy, (obs, target), generator=generator(1), steps=2)
    assert torch.equal(acted(one, obs), acted(other, obs))


@each(KINDS)
def test_a_stack_refuses_actions_of_one_student(kind):
    policy = make(kind, spawn(generator(0), 3))
    obs, action = batch(kind, 3)
    for wrong in (action[0], action[:1], action[:, :1]):
        with pytest.raises(ValueError, match="expected"):
            policy.loss(obs, wrong, spawn(generator(1), 3))


@each([kind for kind in KINDS if kind != "seeing"])  # whose camera takes states of any dtype
def test_observations_that_do_not_fit_are_refused(kind):
    policy = make(kind, dtype=torch.float32)
    obs, action = batch(kind, n=6, dtype=torch.float32)
    asks = [lambda o: acted(policy, o), lambda o: policy.loss(o, action, generator(1))]
    if kind in LIKELY:
        asks.append(lambda o: policy.log_prob(o, action))
    for wrong, said in ((torch.cat([obs, obs], -1), "shape.*expected"), (obs[None], "shape.*expected"),
                        (obs.double(), "dtype.*expected"), (obs.to("meta"), "on meta")):
        for ask in asks[:1] if said == "on meta" else asks:
            with pytest.raises(ValueError, match=said):
                ask(wrong)


@each(KINDS)
def test_fit_refuses_what_is_not_finite(kind):
    policy, (obs, action) = make(kind), batch(kind, n=6)
    obs[3].view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match="observations has 1 NaN"):
        il.fit(policy, (obs, action), generator=generator(1), steps=1)
    if action.is_floating_point():
        action[3, 0] = torch.inf
        with pytest.raises(ValueError, match="infinite|outside the limits"):
            il.fit(policy, (batch(kind, n=6)[0], action), generator=generator(1), steps=1)


@each(["categorical", "numbers", "discretised", "chunked bins"])
def test_actions_out_of_range_are_refused_by_fit_and_log_prob(kind):
    policy, (obs, action) = make(kind), batch(kind, n=6)
    for wrong in (action + 50, action - 50):
        for ask in (lambda: il.fit(policy, (obs, wrong), generator=generator(1), steps=1),
                    lambda: policy.log_prob(obs, wrong)):
            with pytest.raises(ValueError, match="expected whole numbers from|outside the limits"):
                ask()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in LIKELY
                                  and kind not in ("diffusion", "flow", "view of flow")])
def test_who_has_no_likelihood_says_so(kind):
    with pytest.raises(TypeError, match="no likelihood that can be computed"):
        make(kind).log_prob(*batch(kind))


# -- an ordinary torch module


@each(KINDS)
@pytest.mark.parametrize("assign", [True, False])
def test_loaded_weights_answer(kind, assign):
    one, other = make(kind, generator(0)), make(kind, generator(1))
    obs, action = batch(kind, n=40)
    il.fit(other, (obs, action), generator=generator(2), steps=2)
    assert not torch.equal(acted(one, obs), acted(other, obs))
    one.load_state_dict(copy.deepcopy(other.state_dict()), assign=assign)
    assert torch.equal(acted(one, obs), acted(other, obs))
    before = acted(one, obs)
    il.fit(one, (obs, action), generator=generator(3), steps=10, lr=0.05)
    assert not torch.equal(acted(one, obs), before), "training moves what answers"


@each(KINDS)
def test_functional_call_uses_the_parameters_it_is_given(kind):
    policy, obs = make(kind), batch(kind, n=40)[0]
    other = make(kind, generator(1))
    policy.begin()
    assert torch.equal(torch.func.functional_call(policy, dict(other.named_parameters()), (obs,)),
                       acted(other, obs))
    assert torch.equal(acted(policy, obs), acted(make(kind), obs)), "and leaves its own alone"


class Doubled(torch.nn.Module):
    def forward(self, x):
        return 2 * x


@each(KINDS)
def test_a_parametrisation_is_seen_and_trained_through(kind):
    policy, twin, (obs, action) = make(kind), make(kind), batch(kind, n=40)
    name, parameter = next((n, p) for n, p in twin.named_parameters() if n.endswith("weight0"))
    with torch.no_grad():
        parameter.mul_(2)
    module = policy.get_submodule(name.rsplit(".", 1)[0])
    torch.nn.utils.parametrize.register_parametrization(module, "weight0", Doubled())
    torch.testing.assert_close(acted(policy, obs, generator(1)), acted(twin, obs, generator(1)))
    original = module.parametrizations.weight0.original
    before = original.detach().clone()
    il.fit(policy, (obs, action), generator=generator(1), steps=3)
    assert not torch.equal(original, before)


@each(KINDS)
def test_a_copy_goes_its_own_way(kind):
    policy, obs = make(kind, dtype=torch.float32), batch(kind, n=40, dtype=torch.float32)[0]
    before, twin = acted(policy, obs), copy.deepcopy(policy).double()
    with torch.no_grad():
        for p in twin.parameters():
            p.add_(1)
    assert torch.equal(acted(policy, obs), before)
    changed = acted(twin, obs.double())
    assert changed.dtype == (F64 if changed.is_floating_point() else torch.int64)


@each(KINDS)
def test_it_moves_whole(kind):
    """To a device without memory: whatever stays behind meets a tensor of the other device."""
    policy = make(kind, dtype=torch.float32, **({"limits": (-9, 9)} if kind in STANDARD else {}))
    obs, action = (x.to("meta") for x in batch(kind, n=6, dtype=torch.float32))
    assert policy.to("meta") is policy
    assert {t.device.type for t in policy.state_dict().values()} == {"meta"}
    assert {t.device.type for t in policy.buffers()} <= {"meta"}
    said = acted(policy, obs)
    assert said.device.type == "meta" and said.shape == played_shape(kind, action)
    # a plan's loss draws nothing either, but see below
    if kind in LIKELY and kind != "chunked" and kind != "chunked bins":
        assert policy.loss(obs, action).device.type == "meta"


# -- units


@each(STANDARD)
def test_units_are_those_of_the_data(kind):
    policy, (obs, action) = make(kind), batch(kind, n=60)
    il.fit(policy, (obs, action), generator=generator(1), steps=1)
    head, seen = head_of(policy), obs if isinstance(policy, Head) or kind == "chunked" else half(obs)
    if kind != "seeing":
        seen = seen.reshape(-1, seen.shape[-1])
        torch.testing.assert_close(head.sees.shift, seen.mean(0))
        torch.testing.assert_close(head.sees.scale, seen.std(0, correction=0))
    else:
        assert (head.sees.shift == 0).all() and (head.sees.scale == 1).all(), "pictures stay as they are"
    torch.testing.assert_close(head.plays.shift, action.mean(0))
    torch.testing.assert_close(head.plays.scale, action.std(0, correction=0))
    il.fit(policy, (obs, 2 * action), generator=generator(1), steps=1)
    torch.testing.assert_close(head.plays.scale, 2 * action.std(0, correction=0))


@each([kind for kind in HEADS if kind not in STANDARD])
def test_bins_and_classes_have_no_units_and_their_observations_do(kind):
    policy, (obs, action) = make(kind), batch(kind, n=60)
    il.fit(policy, (obs, action), generator=generator(1), steps=1)
    torch.testing.assert_close(policy.sees.shift, obs.reshape(-1, 3).mean(0))
    assert not policy.plays.on and not list(policy.plays.buffers())


@each([kind for kind in KINDS if kind != "seeing"])
def test_units_are_the_users_choice(kind):
    policy, data = make(kind, standardise=False), batch(kind, n=60)
    il.fit(policy, data, generator=generator(1), steps=1)
    assert not head_of(policy).sees.on and not head_of(policy).plays.on
    assert not any("sees" in name or "plays" in name for name in policy.state_dict())


@each([kind for kind in KINDS if kind != "seeing"])
def test_the_units_of_the_data_make_no_difference(kind):
    """Metres or millimetres, from here or from there: the same policy comes out, up to rounding."""
    obs, action = batch(kind, n=60)
    a, b = torch.tensor([1000.0, 0.01, 7.0], dtype=F64), torch.tensor([-50.0, 3.0, 0.0], dtype=F64)
    c, d = (5.0, 20.0) if kind in STANDARD else (1.0, 0.0)
    c, d = (torch.tensor(x, dtype=F64) if action.is_floating_point() else int(x) for x in (c, d))
    said = []
    for data, ask in (((obs, action), obs), ((obs * a + b, action * c + d), obs * a + b)):
        policy = make(kind)
        il.fit(policy, data, generator=generator(1), steps=20, batch_size=16)
        said.append((acted(policy, ask), acted(policy, ask, generator(2))))
    for here, there in zip(*said):
        torch.testing.assert_close(there, here * c + d, rtol=1e-4, atol=1e-5)


def measured(columns, flags=True):
    units = Units(len(columns[0]), None, 1, torch.zeros(0, dtype=F64))
    x = torch.tensor(columns, dtype=F64)
    units.measure([x], flags)
    assert units.scale.gt(0).all() and units.shift.isfinite().all() and units.lost().isfinite()
    torch.testing.assert_close(units.outward(units.inward(x)), x, equal_nan=True)
    return units.shift.tolist(), units.scale.tolist()


NAN = float("nan")


def test_a_constant_column_is_shifted_and_not_scaled():
    assert measured([[7.0, 1e9], [7.0, 1e9], [7.0, 1e9 + 1e-4]]) == ([7.0, pytest.approx(1e9)], [1.0, 1.0])
    assert measured([[0.25, 1e-9]]) == ([0.25, 1e-9], [1.0, 1.0]), "one row is constant"
    assert measured([[1e-9], [3e-9]]) == ([pytest.approx(2e-9)],
                                          [pytest.approx(1e-9)]), "small is not constant"


def test_flags_stay_as_they_are_among_observations_only():
    assert measured([[0.0, 1, 0], [1.0, 1, 0.5]]) == ([0, 0, 0.25], [1, 1, 0.25])
    assert measured([[0.0, 1], [1.0, 1]], flags=False) == ([0.5, 1.0], [0.5, 1.0])


def test_what_nobody_said_does_not_count():
    assert measured([[1.0, NAN], [3.0, NAN], [NAN, NAN]]) == ([2.0, 0.0], [1.0, 1.0])


def test_a_head_learns_and_plays_with_columns_that_never_vary():
    for kind in STANDARD:
        if KINDS[kind].get("obs", (3,)) != (3,):
            continue
        policy, (obs, action) = make(kind), batch(kind, n=40)
        obs[:, 1], action[:, 1] = 4.0, 0.25
        il.fit(policy, (obs, action), generator=generator(1), steps=3)
        assert acted(policy, obs).isfinite().all() and policy.loss(obs, action, generator(1)).isfinite()


def test_a_plan_that_always_ends_early_is_played_whole():
    data = il.Trajectories.from_episodes([(torch.randn(3, 3, generator=generator(i)),
                                           torch.randn(3, 2, generator=generator(i)))
                                          for i in range(4)])
    obs, plans = il.chunks(data, 3)
    keep = plans.isnan()[:, -1]
    policy = il.Chunked(il.Gaussian(3, 6, generator=generator(0), **SMALL), 3)
    il.fit(policy, (obs[keep], plans[keep]), generator=generator(1), steps=5)
    assert policy.head.plays.scale[4:].tolist() == [1, 1] and policy.head.plays.shift[4:].tolist() == [0, 0]
    assert policy.plan(obs).isfinite().all() and policy.log_prob(obs[keep], plans[keep]).isfinite().all()


@given(st.integers(0, 2**32 - 1), st.sampled_from([il.Gaussian, partial(il.Mixture, components=3),
                                                   partial(il.Discretised, bins=7, limits=(-50, 50))]))
@settings(max_examples=20, deadline=None)
def test_of_a_plan_that_ends_early_the_likelihood_is_that_of_its_beginning(seed, head):
    """What comes after is integrated over: the same as asking for the beginning alone."""
    g = generator(seed)
    policy = head(2, 4, generator=g, dtype=F64, **SMALL)
    obs, plan = torch.randn(1, 2, generator=g, dtype=F64), 3 * torch.randn(1, 4, generator=g, dtype=F64)
    policy.standardise([torch.randn(9, 2, generator=g, dtype=F64)],
                       [5 * torch.randn(9, 4, generator=g, dtype=F64)])
    known = torch.tensor([[True, True, True, False]])
    grid = torch.linspace(-50, 50, 4001, dtype=F64)
    whole = torch.cat([plan[:, :3].expand(4001, 3), grid[:, None]], 1)
    mass = torch.trapezoid(policy.log_prob(obs.expand(4001, 2), whole).exp().detach(), grid)
    torch.testing.assert_close(policy.log_prob(obs, plan, known=known).exp().squeeze(0), mass, rtol=2e-2,
                               atol=1e-12)


def test_pictures_and_classes_keep_their_units_behind_a_view():
    pictures = torch.rand(20, 2, 4, 4, generator=generator(0)) + 5
    action = torch.randn(20, 2, generator=generator(0))
    for obs, see, width in ((pictures, lambda o: o.flatten(-3), 32),
                            (torch.arange(20)[:, None], lambda o: o.float(), 1)):
        policy = il.View(il.Gaussian(width, 2, generator=generator(0), **SMALL), see)
        il.fit(policy, (obs, action), generator=generator(1), steps=1)
        assert (policy.head.sees.scale == 1).all() and (policy.head.plays.scale != 1).all()


@pytest.mark.parametrize("students", [None, 2])
def test_dagger_takes_units_anew_from_each_rounds_aggregate(students):
    env = il.Gymnasium("Pendulum-v1")
    new = lambda g: il.Gaussian(3, 1, generator=g if students is None else spawn(g, 2), limits=(-2, 2),
                                **SMALL)  # noqa: E731
    scales = []
    for r in il.dagger(env, il.pendulum_expert, new, rounds=3, n=2, generator=generator(0), horizon=30,
                       train=partial(il.fit, steps=20)):
        for k, data in enumerate(r.data if students else [r.data]):
            obs, action = data.pairs()
            shift = r.policy.sees.shift if students is None else r.policy.sees.shift[k, 0]
            scale = r.policy.plays.scale if students is None else r.policy.plays.scale[k, 0]
            torch.testing.assert_close(shift, obs.mean(0))
            torch.testing.assert_close(scale, action.std(0, correction=0))
        scales.append(r.policy.sees.scale)
    assert not torch.equal(scales[0], scales[2])


# -- activations, and heads as wide as an environment


@pytest.mark.parametrize("activation", ACTIVATIONS)
@each(HEADS)
def test_the_activation_is_a_choice(kind, activation):
    policy, (obs, action) = make(kind, activation=activation), batch(kind, n=20)
    assert bool(policy.loss(obs, action, generator(1)).isfinite())
    same = policy.loss(obs, action, generator(1)) == make(kind).loss(obs, action, generator(1))
    assert bool(same) is (activation == "relu")


@each(HEADS)
def test_another_activation_is_refused(kind):
    with pytest.raises(ValueError, match="activation is 'sigmoid', expected one of relu, tanh"):
        make(kind, activation="sigmoid")


def test_a_head_is_as_wide_as_its_environment_and_plays_within_its_limits():
    import gymnasium
    box = gymnasium.spaces.Box

    class World:
        device, dtype, horizon = torch.device("cpu"), torch.float64, 3

        def __init__(self, seen, played):
            self.observation_space, self.action_space = seen, played
    import numpy as np
    env = World(box(-9, 9, (5,)), box(np.array([-1, 0], np.float32), np.array([1, 5], np.float32)))
    for head in (il.Gaussian, il.Mixture, il.Latent, il.Diffusion, il.Flow, il.Discretised):
        policy = head.of(env, generator=generator(0), **SMALL)
        assert (policy.obs_dim, policy.act_dim) == (5, 2)
        assert policy.low.tolist() == [-1, 0] and policy.high.tolist() == [1, 5]
        assert policy.act(torch.zeros(3, 5, dtype=torch.float64)).dtype == torch.float64
    assert il.Gaussian.of(env, generator=generator(0), limits=None).low is None
    assert il.Gaussian.of(World(box(-9, 9, (4, 5)), env.action_space),
                          generator=generator(0)).obs_dim == (4, 5)
    assert il.Gaussian.of(World(box(-9, 9, (5,)), box(-np.inf, np.inf, (2,))),
                          generator=generator(0)).low is None
    assert il.Categorical.of(World(env.observation_space, gymnasium.spaces.Discrete(7)),
                             generator=generator(0)).n_actions == 7
    many = World(env.observation_space, gymnasium.spaces.MultiDiscrete([3, 5]))
    policy = il.Discretised.of(many, generator=generator(0))
    assert policy.bins == [3, 5] and policy.act(torch.zeros(4, 5, dtype=torch.float64),
                                                generator(1)).dtype == torch.int64
    for head, space in ((il.Gaussian, gymnasium.spaces.Discrete(3)), (il.Categorical, box(-1, 1, (2,))),
                        (il.Gaussian, box(-1, 1, (2, 2))), (il.Discretised, gymnasium.spaces.Discrete(3))):
        with pytest.raises(TypeError, match="the action space is .* expected"):
            head.of(World(env.observation_space, space), generator=generator(0))


# -- on disk


@each([kind for kind in KINDS if "view" not in kind and kind != "ensemble"])
@pytest.mark.parametrize("students", [None, 2])
def test_a_saved_policy_comes_back_bit_for_bit(kind, students, tmp_path):
    policy = make(kind, generator(0) if students is None else spawn(generator(0), 2), torch.float32,
                  activation="tanh")
    obs, action = batch(kind, n=40, dtype=torch.float32)
    il.fit(policy, (obs, action), generator=generator(1), steps=3)
    il.save_policy(policy, tmp_path / "p")
    loaded = il.load_policy(tmp_path / "p")
    obs = obs if students is None else obs.expand(2, *obs.shape)
    assert type(loaded) is type(policy) and loaded.students == students
    for g in (None, 3):
        assert torch.equal(*(acted(p, obs, None if g is None else generator(g)) for p in (policy, loaded)))
    il.fit(loaded, batch(kind, n=40, dtype=torch.float32), generator=generator(1),
           steps=1)  # and it learns on


@each(["gaussian", "numbers", "gru", "seeing", "chunked"])
def test_a_policy_that_was_moved_to_another_dtype_is_saved_in_it(kind, tmp_path):
    policy, (obs, _) = make(kind, dtype=torch.float32).double(), batch(kind)
    il.save_policy(policy, tmp_path / "p")
    loaded = il.load_policy(tmp_path / "p")
    assert torch.equal(acted(loaded, obs),
                       acted(policy, obs)) and loaded.state_dict().keys() == policy.state_dict().keys()


def test_settings_changed_after_training_are_saved(tmp_path):
    policy = make("flow")
    policy.steps = 9
    il.save_policy(policy, tmp_path / "p")
    assert il.load_policy(tmp_path / "p").steps == 9


def test_what_no_file_can_hold_is_refused(tmp_path):
    class Mine(il.Gaussian):
        pass
    for policy in (make("view"), make("ensemble"), Mine(3, 2, generator=generator(0))):
        with pytest.raises(TypeError, match="cannot be made again from a file"):
            il.save_policy(policy, tmp_path / "p")
    assert not list(tmp_path.iterdir())


def test_damaged_and_foreign_policies_are_refused(tmp_path):
    path = tmp_path / "p"
    with pytest.raises(FileNotFoundError, match="no file"):
        il.load_policy(path)
    il.save_policy(make("gaussian"), path)
    whole = path.read_bytes()
    for damaged in (whole[:-9], whole[:40], b"", b"x" * 99, whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="truncated|damaged"):
            il.load_policy(path)
    il.save(il.Trajectories.from_episodes([(torch.zeros(3, 3), torch.zeros(3, 2))]), path)
    with pytest.raises(ValueError, match="something else"):
        il.load_policy(path)
    with pytest.raises(ValueError, match="something else"):
        il.save_policy(make("gaussian"), path)
        il.load(path)
    for recipe in ({}, {"type": "os.system", "students": None}, {"class": "os.system"}, {"dtype": "system"},
                   {"type": "Gaussian", "students": None, "obs_dim": 3}, {"class": "Gaussian"}, 3):
        about = {"policy": json.dumps(recipe)}
        write_tensors(path, make("gaussian").state_dict(), about, "ilsupport.Policy")
        with pytest.raises(ValueError, match="holds no whole policy"):
            il.load_policy(path)
