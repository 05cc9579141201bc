"""Heads against torch.distributions; a stack against its students alone."""
import math
import subprocess
import sys

import pytest
import torch

from ilsupport import Categorical, Gaussian, generator

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
    policy.standardise([3 * obs + 1], [5 * action.to(dtype)
                                       - 2])  # densities are in the world's units, whatever the head's
    if isinstance(policy, Categorical):
        reference = torch.distributions.Categorical(logits=policy.logits(obs)).log_prob(action)
    else:
        mean, log_std = policy.parameters_at(obs)
        reference = torch.distributions.Normal(mean, log_std.exp()).log_prob(action).sum(-1)
    torch.testing.assert_close(policy.log_prob(obs, action), reference)
    torch.testing.assert_close(policy.loss(obs, action), -reference.mean())


@pytest.mark.parametrize("standardise", [True, False])
def test_unit_variance_is_half_the_squared_error_and_a_constant(standardise):
    """In the actions' own units, whose logarithms are the rest of the constant."""
    policy = Gaussian(4, 2, standardise=standardise, generator=generator(0), dtype=torch.float64)
    obs, action = batch(policy, ())
    policy.standardise([obs], [action])
    scale = action.std(0, correction=0) if standardise else torch.ones(2)
    half_mse = 0.5 * (((policy.act(obs) - action) / scale) ** 2).sum(-1).mean()
    torch.testing.assert_close(policy.loss(obs, action), half_mse + math.log(2 * math.pi) + scale.log().sum())


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


def test_without_a_generator_the_action_is_the_most_likely_one(head):
    policy = head(generator(0))
    obs, sampled = batch(policy, ())
    assert (policy.log_prob(obs, policy.act(obs)) >= policy.log_prob(obs, sampled) - 1e-12).all()


@pytest.mark.parametrize("std", [0.0, -1.0, math.inf, math.nan])
def test_a_std_must_be_positive(std):
    with pytest.raises(ValueError, match="positive"):
        Gaussian(4, 2, std=std, generator=generator(0))


@pytest.mark.skipif(sys.platform != "linux", reason="pages are counted on Linux only")
def test_a_wide_rollout_does_not_fetch_its_memory_anew_at_every_step():
    code = """
import resource, ilsupport as il
env, policy = il.Tightrope(horizon=20), il.Categorical(9, 3, generator=il.generator(0))
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    il.evaluate(env, policy, 4096, generator=il.generator(1))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    played = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(played.stdout) < 20 * 150, "pages in twenty steps; a layer's answer has 256"
