"""What holds for every head whose loss draws noise: latent, diffusion, flow."""
import math

import numpy as np
import pytest
import torch
from scipy import stats

from ilsupport import Diffusion, Flow, Latent, generator

HEADS = {"latent": (Latent, dict(latent_dim=2)), "latent, fixed std": (Latent, dict(std=0.1, free_nats=0.5)),
         "diffusion": (Diffusion, dict(levels=20)), "flow": (Flow, {})}


@pytest.fixture(params=list(HEADS))
def head(request):
    cls, options = HEADS[request.param]
    return lambda g, dtype=torch.float64, **more: cls(3, 2, **(options | more), hidden=(8, 8), generator=g,
                                                      dtype=dtype)


def batch(lead=(), device="cpu", dtype=torch.float64, n=7):
    g = generator(5, device)
    return (torch.randn(*lead, n, k, generator=g, device=device, dtype=dtype) for k in (3, 2))


def likelihood(policy, obs, action, g):
    return policy.elbo(obs, action, g) if isinstance(policy, Latent) else policy.log_prob(obs, action)


@pytest.mark.parametrize("make, message", [
    (lambda **k: Flow(3, 2, steps=0, **k), "steps must be at least 1"),
    (lambda **k: Diffusion(3, 2, steps=0, **k), "steps must be at least 1"),
    (lambda **k: Diffusion(3, 2, steps=30, levels=20, **k), "at least 1 and at most 20"),
    (lambda **k: Diffusion(3, 2, levels=0, **k), "levels must be at least 1"),
    (lambda **k: Latent(3, 2, latent_dim=0, **k), "at least 1"),
    (lambda **k: Latent(3, 2, std=0.0, **k), "positive"),
    (lambda **k: Latent(3, 2, std=math.nan, **k), "positive"),
    (lambda **k: Latent(3, 2, free_nats=-0.1, **k), ">= 0"),
    (lambda **k: Latent(3, 2, free_nats=math.inf, **k), ">= 0")])
def test_settings_out_of_range_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make(generator=generator(0))


def test_settings_changed_after_training_are_checked_too():
    policy = Flow(3, 2, generator=generator(0))
    policy.steps = 0
    with pytest.raises(ValueError, match="steps must be at least 1"):
        policy.act(torch.zeros(1, 3))
    policy = Diffusion(3, 2, levels=20, generator=generator(0))
    policy.steps = 21
    with pytest.raises(ValueError, match="at least 1 and at most 20"):
        policy.act(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="samples must be at least 1"):
        Latent(3, 2, generator=generator(0)).elbo(torch.zeros(1, 3), torch.zeros(1, 2), generator(1),
                                                  samples=0)


@pytest.mark.parametrize("policy", [
    Diffusion(1, 1, levels=200, steps=200, hidden=(12, 12), generator=generator(3), dtype=torch.float64),
    Flow(1, 1, steps=200, hidden=(12, 12), generator=generator(3), dtype=torch.float64)],
                         ids=["diffusion", "flow"])
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
