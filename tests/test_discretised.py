"""The discretised head: a density that is exact by construction, and samples that have it."""
import math

import gymnasium
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ilsupport import Discretised, fit, generator

KINDS = pytest.mark.parametrize("autoregressive", [True, False])


def head(g, autoregressive=True, bins=5, act_dim=2, dtype=torch.float64, **options):
    policy = Discretised(3, act_dim, bins, generator=g, autoregressive=autoregressive, hidden=(8, 8),
                         dtype=dtype, **options)
    with torch.no_grad():
        for weight in policy.net.weights:  # far enough from uniform to tell one bin from another
            weight.mul_(3)
    return policy


def centres(policy):
    return policy.low[0] + policy.width[0] * (torch.arange(policy.bins, dtype=torch.float64) + 0.5)


def table(policy, obs):
    """Probability of every pair of bins at one observation, (bins, bins), by asking for the density at the
    centres."""
    grid = torch.cartesian_prod(centres(policy), centres(policy))
    log_density = policy.log_prob(obs.expand(len(grid), 3), grid).detach()
    return (log_density.exp() * policy.width.prod()).view(policy.bins, policy.bins)


@given(seed=st.integers(0, 2**32 - 1), autoregressive=st.booleans(), bins=st.integers(1, 9),
       act_dim=st.integers(1, 3), low=st.floats(-3, 1), size=st.floats(0.1, 5))
@settings(max_examples=20, deadline=None)
def test_the_density_integrates_to_one(seed, autoregressive, bins, act_dim, low, size):
    """The density is flat in every bin, so its integral is a finite sum: exact."""
    policy = head(generator(seed), autoregressive, bins, act_dim, limits=(low, low + size))
    grid = torch.cartesian_prod(*[centres(policy)] * act_dim).view(-1, act_dim)
    obs = torch.randn(1, 3, generator=generator(seed), dtype=torch.float64)
    density = policy.log_prob(obs.expand(len(grid), 3), grid).detach().exp()
    assert abs(float(density.sum() * policy.width.prod()) - 1) < 1e-9
    everywhere = obs.expand(len(grid), 3)
    torch.testing.assert_close(policy.loss(everywhere, grid), -policy.log_prob(everywhere, grid).mean())


def test_the_chain_rule_is_that_of_torch_distributions():
    policy, obs = head(generator(0)), torch.randn(6, 3, generator=generator(1), dtype=torch.float64)
    bins = torch.randint(5, (6, 2), generator=generator(2))
    action = centres(policy)[bins]
    total = torch.zeros(6, dtype=torch.float64)
    for i in range(2):
        blank = bins.clone()
        blank[:, i:] = 0  # nothing later may matter
        logits = policy.logits(obs, blank, [i]).squeeze(1)
        total = total + torch.distributions.Categorical(logits=logits).log_prob(bins[:, i])
    torch.testing.assert_close(policy.log_prob(obs, action), total - 2 * math.log(0.4))


def test_the_density_is_flat_within_a_bin_and_the_edges_belong_to_the_range():
    policy, obs = head(generator(0)), torch.zeros(4, 3, dtype=torch.float64)
    action = torch.tensor([[-1, -1], [-0.61, -0.61], [1, 1], [0.61, 0.61]], dtype=torch.float64)
    density = policy.log_prob(obs, action)
    assert density[0] == density[1] and density[2] == density[3] and density[0] != density[2]


@KINDS
def test_samples_have_the_distribution_they_claim(autoregressive, device):
    """A chi-squared test over all pairs of bins, and uniform within them."""
    n, policy = 100_000, head(generator(0, device), autoregressive)
    obs = torch.randn(1, 3, generator=generator(1, device), dtype=torch.float64, device=device)
    drawn = policy.act(obs.expand(n, 3), generator(2, device)).cpu()
    policy = policy.cpu()
    expected = n * table(policy, obs.cpu()).flatten()
    position = (drawn + 1) / policy.width
    counts = torch.bincount(position.long() @ torch.tensor([5, 1]), minlength=25)
    assert expected.min() > 5
    assert ((counts - expected) ** 2 / expected).sum() < 51.2  # p = 0.001 at 24 degrees of freedom
    within = (position % 1).flatten()
    assert abs(float(within.mean()) - 0.5) < 4 / math.sqrt(12 * len(within)) and within.max() > 0.99
    shuffled = expected.view(5, 5).T.flatten()  # and the test can fail
    assert ((counts - shuffled) ** 2 / shuffled).sum() > 51.2


def test_independent_dimensions_are_independent_and_chained_ones_need_not_be():
    obs = torch.randn(1, 3, generator=generator(1), dtype=torch.float64)
    for autoregressive in (False, True):
        joint = table(head(generator(0), autoregressive), obs)
        product = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
        assert torch.allclose(joint, product, atol=1e-12) is not autoregressive


def test_two_opposite_answers():
    """Demonstrations of (1, 1) and (-1, -1): the chain learns both; side by side one invents (1, -1)."""
    coin = torch.randint(2, (2000, 1), generator=generator(3)) * 2.0 - 1
    invented, right = {}, float((coin > 0).double().mean())
    for autoregressive in (True, False):
        policy = Discretised(3, 2, 8, autoregressive=autoregressive, generator=generator(0), hidden=(16,))
        fit(policy, (torch.zeros(2000, 3), 0.9 * coin.expand(2000, 2)), generator=generator(1), steps=500,
            lr=1e-2)
        drawn = policy.act(torch.zeros(2000, 3), generator(2))
        assert abs(float((drawn[:, 0] > 0).double().mean()) - right) < 0.06
        invented[autoregressive] = float((drawn.prod(1) < 0).double().mean())
    assert invented[True] < 0.01 and abs(invented[False] - 0.5) < 0.06


def test_without_a_generator_it_plays_the_likeliest_bin_of_each_in_turn():
    policy, obs = head(generator(0), limits=(0.0, 5.0)), torch.randn(1, 3, generator=generator(1),
                                                                     dtype=torch.float64)
    joint = table(policy, obs)
    first = int(joint.sum(1).argmax())
    assert policy.act(obs).tolist() == [[first + 0.5, int(joint[first].argmax()) + 0.5]]


@pytest.mark.parametrize("options, message", [
    (dict(bins=0), "bins is 0"), (dict(limits=(0.0, math.inf)), "finite"),
])
def test_bad_settings(options, message):
    with pytest.raises(ValueError, match=message):
        Discretised(3, 2, **options, generator=generator(0))


@pytest.mark.parametrize("action, message", [
    (torch.tensor([[0.5, 1.5]]), r"action 1.5 lies outside the limits \[-1.0, -1.0\] and \[1.0, 1.0\]"),
    (torch.tensor([[math.nan, 0.0]]), "outside the limits|finite|NaN"),
    (torch.tensor([[0.5]]), r"expected torch.float32 \(1, 2\)"), (torch.tensor([1]), "Categorical"),
])
def test_actions_outside_the_declared_range_are_refused(action, message):
    policy, obs = head(generator(0), dtype=torch.float32), torch.zeros(len(action), 3)
    with pytest.raises(ValueError, match=message):
        fit(policy, (obs, action), generator=generator(0))
    with pytest.raises(ValueError, match=message):
        policy.log_prob(obs, action)


def test_a_space_without_bounds_has_no_bins():
    with pytest.raises(TypeError, match="expected a bounded one"):
        Discretised.serves(gymnasium.spaces.Box(-math.inf, 1, (2,)))
