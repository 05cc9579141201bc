"""The mixture head against torch.distributions, numerical integration and its own collapse."""
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ilsupport import Mixture, fit, generator, spawn


def head(g, components=3, act_dim=2, dtype=torch.float64):
    policy = Mixture(4, act_dim, components, generator=g, hidden=(8, 8), dtype=dtype)
    with torch.no_grad():
        for weight in policy.net.weights:  # far enough from the start to tell components apart
            weight.mul_(3)
    return policy


def batch(g, n=7, act_dim=2):
    return (torch.randn(n, d, generator=g, dtype=torch.float64) for d in (4, act_dim))


def reference(policy, obs):
    """The same density, built by torch.distributions."""
    log_weight, mean, std = policy.parameters_at(obs)
    components = torch.distributions.Independent(torch.distributions.Normal(mean, std), 1)
    return torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=log_weight),
                                                 components)


@given(seed=st.integers(0, 2**32 - 1), components=st.integers(1, 6), act_dim=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_likelihood_is_that_of_torch_distributions(seed, components, act_dim):
    g = generator(seed)
    policy = head(g, components, act_dim)
    obs, action = batch(g, act_dim=act_dim)
    policy.standardise([3 * obs + 1], [5 * action
                                       - 2])  # the density is the world's, whatever the head's units
    torch.testing.assert_close(policy.log_prob(obs, action), reference(policy, obs).log_prob(action))
    torch.testing.assert_close(policy.loss(obs, action), -policy.log_prob(obs, action).mean())
    assert torch.allclose(policy.parameters_at(obs)[0].exp().sum(-1), torch.ones(7, dtype=torch.float64))


def test_the_density_integrates_to_one():
    policy, span = head(generator(0)), torch.linspace(-12, 12, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(span, span)
    obs = torch.randn(1, 4, generator=generator(1), dtype=torch.float64)
    mass = policy.log_prob(obs.expand(len(grid), 4), grid).detach().exp().sum() * (span[1] - span[0]) ** 2
    assert abs(float(mass) - 1) < 1e-3


def test_samples_have_the_distribution_they_claim(device):
    """Two-sample Kolmogorov-Smirnov tests of both coordinates, their sum and difference."""
    n, policy = 20_000, head(generator(0, device))
    obs = torch.randn(1, 4, generator=generator(1, device), dtype=torch.float64, device=device)
    drawn = policy.act(obs.expand(n, 4), generator(2, device)).cpu()
    torch.manual_seed(3)  # torch.distributions knows no generator
    theirs = reference(policy, obs).sample((n,))[:, 0].cpu()
    for direction in torch.tensor([[1.0, 0], [0, 1], [1, 1], [1, -1]], dtype=torch.float64):
        assert ks_distance(drawn @ direction, theirs @ direction) < 1.95 * math.sqrt(2 / n)  # p = 0.001
    swapped = drawn.flip(1)  # and the test can fail
    assert ks_distance(swapped[:, 0], theirs[:, 0]) > 1.95 * math.sqrt(2 / n)


def ks_distance(x, y):
    both = torch.cat([x, y]).sort().values
    below = [torch.searchsorted(z.sort().values, both, right=True) / len(z) for z in (x, y)]
    return float((below[0] - below[1]).abs().max())


def test_without_a_generator_it_plays_the_mean_of_greatest_density():
    policy = head(generator(0), components=5)
    obs, _ = batch(generator(1))
    means = policy.parameters_at(obs)[1]
    density = torch.stack([policy.log_prob(obs, means[:, k]) for k in range(5)], -1)
    torch.testing.assert_close(policy.act(obs), means[torch.arange(7), density.argmax(-1)])
    assert len(density.argmax(-1).unique()) > 1


def test_no_density_without_bound():
    """All data on one action: the likelihood climbs to what the floor allows and no further."""
    policy = Mixture(4, 2, 3, generator=generator(0), hidden=(8,))
    obs, action = torch.randn(64, 4, generator=generator(1)), torch.full((64, 2), 0.3)
    fit(policy, (obs, action), generator=generator(2), steps=1500, lr=1e-2)
    ceiling = -2 * math.log(0.01 * math.sqrt(2 * math.pi))
    best = float(policy.log_prob(obs, action).detach().max())
    assert ceiling - 1 < best <= ceiling + 1e-4
    assert policy.parameters_at(obs)[2].min() > 0.01


def corners(n, g):
    """Actions near the 16 corners of a cube in 4 dimensions, all alike whatever the observation."""
    corner = 1.6 * torch.randint(2, (n, 4), generator=g) - 0.8
    return torch.randn(n, 4, generator=g), corner + 0.05 * torch.randn(n, 4, generator=g)


@pytest.mark.slow
def test_spread_means_find_the_modes_that_equal_starts_fuse():
    """Four students each, on 16 modes; the likelihood at best is minus the entropy.

    Log 16, four narrow Gaussians.
    """
    best = -math.log(16) - 4 * math.log(0.05 * math.sqrt(2 * math.pi * math.e))
    data, reached = corners(2000, generator(1)), {}
    for components, spread in ((16, True), (32, False), (32, True)):
        policy = Mixture(4, 4, components, generator=spawn(generator(0), 4), hidden=(16,))
        if not spread:  # draw the means' biases as any other's, and not apart
            with torch.no_grad():
                policy.net.biases[-1].view(4, 32, 9)[..., 1:5] = policy.net.biases[-1].view(4, 32, 9)[..., :1]
        fit(policy, data, generator=generator(2), steps=1000, lr=4e-3)
        reached[components, spread] = -policy.loss(*(x.expand(4, -1, -1) for x in data)).detach()
    assert reached[32, True].min() > best - 0.25
    assert reached[32, True].mean() > reached[32, False].mean() + 0.1
    assert reached[32, True].mean() > reached[16, True].mean() + 0.1  # spare components help


def test_bad_settings():
    with pytest.raises(ValueError, match="components must be at least 1; got 0"):
        Mixture(4, 2, components=0, generator=generator(0))
