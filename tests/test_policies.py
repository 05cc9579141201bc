"""Heads against torch.distributions; a stack against its students alone."""
import math

import pytest
import torch

from ilsupport import Categorical, Gaussian, generator, spawn

ARGUMENTS = {"categorical": (Categorical, dict(n_actions=3)),
             "unit": (Gaussian, dict(act_dim=2)),
             "fixed": (Gaussian, dict(act_dim=2, std=0.3)),
             "learnt": (Gaussian, dict(act_dim=2, std=None))}


@pytest.fixture(params=list(ARGUMENTS))
def head(request):
    cls, options = ARGUMENTS[request.param]
    return lambda g, dtype=torch.float64: cls(4, **options, hidden=(8, 8), generator=g, dtype=dtype)


def batch(policy, lead, device="cpu", dtype=torch.float64, n=7):
    g = generator(5, device)
    obs = torch.randn(*lead, n, 4, generator=g, device=device, dtype=dtype)
    return obs, policy.act(obs, g)


def test_likelihood_is_that_of_torch_distributions(head, device, dtype):
    policy = head(generator(0, device), dtype)
    obs, action = batch(policy, (), device, dtype)
    if isinstance(policy, Categorical):
        reference = torch.distributions.Categorical(logits=policy.logits(obs)).log_prob(action)
    else:
        mean, log_std = policy.parameters_at(obs)
        std = log_std.exp() if isinstance(log_std, torch.Tensor) else torch.full_like(mean, policy.std)
        reference = torch.distributions.Normal(mean, std).log_prob(action).sum(-1)
    torch.testing.assert_close(policy.log_prob(obs, action), reference)
    torch.testing.assert_close(policy.loss(obs, action), -reference.mean())


def test_unit_variance_is_half_the_squared_error_and_a_constant():
    policy = Gaussian(4, 2, generator=generator(0), dtype=torch.float64)
    obs, action = batch(policy, ())
    half_mse = 0.5 * ((policy.act(obs) - action) ** 2).sum(-1).mean()
    torch.testing.assert_close(policy.loss(obs, action), half_mse + math.log(2 * math.pi))


def test_samples_have_the_distribution_they_claim():
    policy = Categorical(4, 3, generator=generator(0))
    obs = torch.randn(1, 4, generator=generator(1)).expand(200_000, 4)
    counts = torch.bincount(policy.act(obs, generator(2)), minlength=3) / len(obs)
    probabilities = policy.logits(obs[:1]).softmax(-1)[0]
    assert (counts - probabilities).abs().max() < 5 * (0.25 / len(obs)) ** 0.5
    gauss = Gaussian(4, 2, std=0.3, generator=generator(0))
    drawn = gauss.act(obs, generator(2)) - gauss.act(obs[:1])
    assert drawn.mean(0).abs().max() < 5 * 0.3 / len(obs) ** 0.5
    torch.testing.assert_close(drawn.std(0), torch.full((2,), 0.3), rtol=0.02, atol=0)


def test_a_stack_is_its_students(head, device):
    together = head(spawn(generator(0, device), 3))
    alone = [head(g) for g in spawn(generator(0, device), 3)]
    obs, action = batch(together, (3,), device)
    torch.testing.assert_close(together.act(obs), torch.stack([p.act(o) for p, o in zip(alone, obs)]))
    torch.testing.assert_close(together.loss(obs, action), torch.stack([p.loss(o, a) for p, o, a in zip(alone, obs, action)]))


def test_without_a_generator_the_action_is_the_most_likely_one(head):
    policy = head(generator(0))
    obs, sampled = batch(policy, ())
    assert (policy.log_prob(obs, policy.act(obs)) >= policy.log_prob(obs, sampled) - 1e-12).all()


@pytest.mark.parametrize("obs, message", [
    (torch.zeros(5, 3), r"\(5, 3\), expected \(n, 4\)"),
    (torch.zeros(4), r"expected \(n, 4\)"),
    (torch.zeros(5, 4, dtype=torch.float64), "dtype"),
    (torch.zeros(5, 4, device="meta"), "on meta"),
])
def test_wrong_observations_are_refused(obs, message):
    for policy in (Categorical(4, 3, generator=generator(0)), Gaussian(4, 2, generator=generator(0))):
        with pytest.raises(ValueError, match=message):
            policy.act(obs)


@pytest.mark.parametrize("targets", [torch.tensor([0, 3]), torch.tensor([-1]), torch.tensor([0.5])])
def test_actions_outside_the_space_are_refused(targets):
    with pytest.raises(ValueError, match="expected integers"):
        Categorical(4, 3, generator=generator(0)).check_targets(targets)


@pytest.mark.parametrize("std", [0.0, -1.0, math.inf, math.nan])
def test_a_std_must_be_positive(std):
    with pytest.raises(ValueError, match="positive"):
        Gaussian(4, 2, std=std, generator=generator(0))


def test_continuous_targets_must_fit():
    with pytest.raises(ValueError, match="Categorical"):
        Gaussian(4, 2, generator=generator(0)).check_targets(torch.tensor([1, 2]))


def test_limits_clip_what_is_played_and_not_what_is_likely():
    free, clipped = (Gaussian(4, 2, limits=limits, generator=generator(0)) for limits in (None, (-0.01, 0.02)))
    obs, action = torch.randn(50, 4, generator=generator(1)), torch.ones(50, 2)
    for g in (None, generator(2)):
        assert clipped.act(obs, g).min() == torch.tensor(-0.01) and clipped.act(obs, g).max() == torch.tensor(0.02)
    assert torch.equal(free.log_prob(obs, action), clipped.log_prob(obs, action))
    with pytest.raises(ValueError, match="low < high"):
        Gaussian(4, 2, limits=(1.0, -1.0), generator=generator(0))


def test_a_copied_and_a_moved_policy_keep_their_parameters():
    import copy
    policy = Categorical(4, 3, generator=generator(0))
    twin = copy.deepcopy(policy).double()
    with torch.no_grad():
        for p in twin.parameters():
            p.zero_()
    assert twin.logits(torch.ones(2, 4, dtype=torch.float64)).abs().max() == 0
    assert policy.logits(torch.ones(2, 4)).abs().max() > 0
