"""The latent-variable head against integrals over its toss; collapse, and its cure."""
import math

import numpy as np
import pytest
import torch
from scipy import stats
from test_flow import ks, two_lumps

from ilsupport import Latent, fit, generator

F64 = torch.float64


def loud(**options):
    """An untrained head whose weights are doubled, so that the toss matters.

    One coordinate, to be integrated over.
    """
    policy = Latent(1, 1, latent_dim=1, generator=generator(3), dtype=F64, **options)
    with torch.no_grad():
        for weight in [*policy.net.weights, *policy.encoder.weights]:
            weight.mul_(2)
    return policy


def log_density(policy, obs, action):
    """log of the integral of N(z; 0, 1) p(a | s, z) over z, by the trapezoidal rule."""
    z = torch.linspace(-8, 8, 401, dtype=F64)
    lead = (len(obs), len(z))
    mean, log_std = policy.decode(obs[:, None].expand(*lead, 1).flatten(0, 1), z.repeat(len(obs))[:, None])
    given = torch.distributions.Normal(mean, log_std.exp())
    answer = given.log_prob(action.repeat_interleave(len(z), 0))[:, 0].view(lead)
    weight = torch.distributions.Normal(0.0, 1.0).log_prob(z) + math.log(z[1] - z[0])
    return (answer + weight).logsumexp(1)


def pairs(n):
    g = generator(5)
    return torch.randn(n, 1, generator=g, dtype=F64), torch.randn(n, 1, generator=g, dtype=F64)


@pytest.mark.parametrize("std", [None, 0.5])
def test_the_bound_is_below_the_log_likelihood_and_climbs_to_it(std):
    policy, g = loud(std=std), generator(1)
    obs, action = pairs(6)
    exact = log_density(policy, obs, action)
    many = (obs.repeat(4000, 1), action.repeat(4000, 1))
    means = []
    for samples in (1, 5, 500):
        some = many if samples < 500 else (obs.repeat(50, 1), action.repeat(50, 1))
        draws = policy.elbo(*some, g, samples).view(-1, 6).detach()
        assert (draws.mean(0) <= exact + 5 * draws.std(0) / len(draws) ** 0.5).all()
        means.append(draws.mean(0))
    assert (means[0] < exact - 0.05).any()  # a bound, and not a tight one
    assert (means[1] > means[0] - 0.02).all()
    torch.testing.assert_close(means[2], exact, rtol=0, atol=0.1)


def test_the_loss_is_minus_the_bound():
    policy, g = loud(std=0.5), generator(1)
    obs, action = (x.repeat(4000, 1) for x in pairs(6))
    torch.testing.assert_close(policy.loss(obs, action, g), -policy.elbo(obs, action, g).mean(), rtol=0.02,
                               atol=0)


def test_free_nats_forgive_what_is_said_up_to_them_and_no_more():
    obs, action = pairs(50)
    loss = lambda free: loud(free_nats=free).loss(obs, action, generator(1))
    told = loud().told(obs, action).mean().detach()
    torch.testing.assert_close(loss(float(told) + 0.7) - loss(0.0), torch.tensor(0.7, dtype=F64))
    torch.testing.assert_close(loss(0.5 * float(told)), loss(0.0))


def test_samples_have_the_density_they_claim():
    policy = loud()
    grid = torch.linspace(-15, 15, 1001, dtype=F64)[:, None]
    density = log_density(policy, torch.ones(1001, 1, dtype=F64), grid).exp().detach()
    below = torch.cumulative_trapezoid(density, grid[:, 0])
    assert abs(below[-1] - 1) < 1e-3
    drawn = policy.act(torch.ones(20_000, 1, dtype=F64), generator(4)).detach()[:, 0]
    claimed = lambda x: np.interp(x, grid[1:, 0].numpy(), below.numpy())
    assert stats.kstest(drawn.numpy(), claimed, method="asymp").statistic < 0.015


def test_trained_it_answers_two_lumps_with_two_lumps():
    g = generator(0)
    policy, data = Latent(1, 1, latent_dim=2, free_nats=0.3, generator=g, dtype=F64), two_lumps(4000, g)
    sides, answers = two_lumps(8000, g)
    places = [torch.full((1, 1), side, dtype=F64) for side in (-1.0, 1.0)]
    gaps = lambda: [ks(policy, at, answers[sides == at], g) for at in places]
    untrained = min(gaps())
    fit(policy, data, generator=g, steps=800, lr=1e-2, batch_size=128)
    assert max(gaps()) < 0.15 < 0.25 < untrained


def grips(n, g):
    """Sixteen corners of the cube in eight dimensions (the extended Hamming code).

    Any three coordinates look like coins.
    """
    bits = torch.randint(2, (n, 4), generator=g)
    a, b, c, d = bits.unbind(1)
    words = torch.stack([a, b, c, d, a + b + c, a + b + d, a + c + d, b + c + d], 1) % 2
    return torch.zeros(n, 1), 0.5 - words + 0.1 * torch.randn(n, 8, generator=g)


def test_the_latent_collapses_and_free_nats_cure_it():
    data = grips(2000, generator(7))
    bound = {}
    for free in (0.0, 0.5):
        policy = Latent(1, 8, free_nats=free, generator=generator(0))
        fit(policy, data, generator=generator(1), steps=800, lr=5e-3)
        told = policy.told(*data).mean()
        assert told < 0.1 if free == 0 else told > 1
        bound[free] = policy.elbo(*data, generator(2)).mean()
    assert bound[0.5] > bound[0.0] + 2  # by the plain bound itself, which the collapsed one was trained on


def test_a_spread_set_too_wide_has_nothing_to_tell():
    g = generator(7)
    side = 1 - 2.0 * torch.randint(2, (4000, 1), generator=g)
    data = torch.zeros(4000, 1), 0.5 * side + 0.1 * torch.randn(4000, 1, generator=g)
    for std, says in ((0.9, False), (0.2, True)):  # the answers' own spread is 0.51
        policy = Latent(1, 1, latent_dim=1, std=std, generator=generator(0))
        fit(policy, data, generator=generator(1), steps=600, lr=5e-3)
        assert bool(policy.told(*data).mean() > 0.2) is says
