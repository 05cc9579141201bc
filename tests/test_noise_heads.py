"""What holds for every head whose loss draws noise: latent, diffusion, flow."""
import copy
import math

import numpy as np
import pytest
import torch
from scipy import stats

from ilsupport import Diffusion, Flow, Latent, fit, generator, spawn

HEADS = {"latent": (Latent, dict(latent_dim=2)), "latent, fixed std": (Latent, dict(std=0.1, free_nats=0.5)),
         "diffusion": (Diffusion, dict(levels=20)), "flow": (Flow, {})}


@pytest.fixture(params=list(HEADS))
def head(request):
    cls, options = HEADS[request.param]
    return lambda g, dtype=torch.float64, **more: cls(3, 2, **(options | more), hidden=(8, 8), generator=g, dtype=dtype)


def batch(lead=(), device="cpu", dtype=torch.float64, n=7):
    g = generator(5, device)
    return (torch.randn(*lead, n, k, generator=g, device=device, dtype=dtype) for k in (3, 2))


def likelihood(policy, obs, action, g):
    return policy.elbo(obs, action, g) if isinstance(policy, Latent) else policy.log_prob(obs, action)


def test_shapes_types_and_devices(head, device, dtype):
    policy, g = head(generator(0, device), dtype), generator(1, device)
    obs, action = batch((), device, dtype)
    for value, shape in ((policy.act(obs), (7, 2)), (policy.act(obs, g), (7, 2)),
                         (policy.loss(obs, action, g), ()), (likelihood(policy, obs, action, g), (7,))):
        assert value.shape == shape and value.dtype == dtype and value.device.type == device.type
        assert value.isfinite().all()


def test_a_stack_is_its_students(head, device):
    together = head(spawn(generator(0, device), 3))
    alone = [head(g) for g in spawn(generator(0, device), 3)]
    obs, action = batch((3,), device)
    torch.testing.assert_close(together.act(obs), torch.stack([p.act(o) for p, o in zip(alone, obs)]))
    noise = lambda: spawn(generator(9, device), 3)
    for f in (lambda p, o, a, g: p.loss(o, a, g), likelihood, lambda p, o, a, g: p.act(o, g)):
        each = torch.stack([f(*args) for args in zip(alone, obs, action, noise())])
        torch.testing.assert_close(f(together, obs, action, noise()), each)


def test_a_stacked_student_learns_what_it_would_alone(head):
    data = [tuple(batch(n=n)) for n in (90, 150)]
    together = head(spawn(generator(0), 2))
    stacked = fit(together, data, generator=spawn(generator(1), 2), steps=40)
    for k, (g, shuffle) in enumerate(zip(spawn(generator(0), 2), spawn(generator(1), 2))):
        alone = head(g)
        history = fit(alone, data[k], generator=shuffle, steps=40)
        torch.testing.assert_close(stacked.losses[:, k], history.losses, rtol=1e-6, atol=1e-8)
        for mine, ours in zip(alone.parameters(), together.parameters()):
            torch.testing.assert_close(ours[k], mine, rtol=1e-5, atol=1e-6)


def test_one_seed_gives_one_result_and_another_another(head):
    def everything(seed):
        policy, g = head(generator(0)), generator(seed)
        obs, action = batch()
        fit(policy, (obs, action), generator=g, steps=5)
        return torch.cat([policy.act(obs, g), policy.act(obs), *policy.parameters().__next__()[:, :2].split(4)])
    assert torch.equal(everything(1), everything(1))
    assert not torch.equal(everything(1), everything(2))


def test_the_global_generator_is_left_alone(head):
    policy, g = head(generator(0)), generator(1)
    before = torch.get_rng_state()
    obs, action = batch()
    fit(policy, (obs, action), generator=g, steps=2)
    policy.act(obs, g), likelihood(policy, obs, action, g)
    assert torch.equal(torch.get_rng_state(), before)


def test_limits_clip_what_is_played(head):
    clipped = head(generator(0), limits=(-0.01, 0.02))
    obs = torch.randn(50, 3, generator=generator(1), dtype=torch.float64)
    for g in (None, generator(2)):
        assert clipped.act(obs, g).min() >= -0.01 and clipped.act(obs, g).max() <= 0.02
    with pytest.raises(ValueError, match="low < high"):
        head(generator(0), limits=(1.0, -1.0))


@pytest.mark.parametrize("obs, message", [(torch.zeros(5, 4), r"\(5, 4\), expected \(n, 3\)"),
                                          (torch.zeros(3), r"expected \(n, 3\)"),
                                          (torch.zeros(5, 3, dtype=torch.float64), "dtype"),
                                          (torch.zeros(5, 3, device="meta"), "on meta")])
def test_wrong_observations_are_refused(head, obs, message):
    policy = head(generator(0), torch.float32)
    for ask in (lambda: policy.act(obs), lambda: policy.loss(obs, torch.zeros(len(obs), 2), generator(1)),
                lambda: likelihood(policy, obs, torch.zeros(len(obs), 2), generator(1))):
        with pytest.raises(ValueError, match=message):
            ask()


def test_wrong_targets_are_refused(head):
    for targets in (torch.tensor([1, 2]), torch.zeros(5, 3), torch.zeros(5)):
        with pytest.raises(ValueError, match="expected floats"):
            obs = torch.zeros(len(targets), 3)
            fit(head(generator(0), torch.float32), (obs, targets), generator=generator(1), steps=1)


@pytest.mark.parametrize("make, message", [
    (lambda **k: Flow(3, 2, steps=0, **k), "at least one step"), (lambda **k: Diffusion(3, 2, steps=0, **k), "1 <= steps"),
    (lambda **k: Diffusion(3, 2, steps=30, levels=20, **k), "1 <= steps <= levels"),
    (lambda **k: Diffusion(3, 2, levels=0, **k), "1 <= steps <= levels"),
    (lambda **k: Latent(3, 2, latent_dim=0, **k), "at least 1"), (lambda **k: Latent(3, 2, std=0.0, **k), "positive"),
    (lambda **k: Latent(3, 2, std=math.nan, **k), "positive"), (lambda **k: Latent(3, 2, free_nats=-0.1, **k), ">= 0"),
    (lambda **k: Latent(3, 2, free_nats=math.inf, **k), ">= 0")])
def test_settings_out_of_range_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make(generator=generator(0))


def test_settings_changed_after_training_are_checked_too():
    policy = Flow(3, 2, generator=generator(0))
    policy.steps = 0
    with pytest.raises(ValueError, match="at least one step"):
        policy.act(torch.zeros(1, 3))
    policy = Diffusion(3, 2, levels=20, generator=generator(0))
    policy.steps = 21
    with pytest.raises(ValueError, match="1 <= steps <= levels"):
        policy.act(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="at least one toss"):
        Latent(3, 2, generator=generator(0)).elbo(torch.zeros(1, 3), torch.zeros(1, 2), generator(1), samples=0)


def test_a_copy_moves_on_its_own(head):
    policy = head(generator(0), torch.float32)
    twin = copy.deepcopy(policy).double()
    with torch.no_grad():
        for p in twin.parameters():
            p.zero_()
    obs = torch.ones(2, 3)
    assert twin.act(obs.double()).abs().max() == 0 and policy.act(obs).abs().max() > 0


@pytest.mark.parametrize("policy", [
    Diffusion(1, 1, levels=400, steps=400, hidden=(12, 12), generator=generator(3), dtype=torch.float64),
    Flow(1, 1, steps=200, hidden=(12, 12), generator=generator(3), dtype=torch.float64)], ids=["diffusion", "flow"])
def test_density_and_sampler_agree_for_any_network(policy):
    with torch.no_grad():
        for weight in policy.net.weights:
            weight.mul_(3)
    grid = torch.linspace(-12, 12, 2001, dtype=torch.float64)[:, None]
    density = policy.log_prob(torch.ones(2001, 1, dtype=torch.float64), grid).exp().detach()
    below = torch.cumulative_trapezoid(density, grid[:, 0])
    assert abs(below[-1] - 1) < 2e-3
    drawn = policy.act(torch.ones(10_000, 1, dtype=torch.float64), generator(4)).detach()[:, 0].numpy()
    claimed = lambda x: np.interp(x, grid[1:, 0].numpy(), below.numpy())
    assert stats.kstest(drawn, claimed, method="asymp").statistic < 0.02
