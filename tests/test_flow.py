"""Flow matching against a known velocity field, a known mixture and its own density."""
import torch
from scipy import stats

from ilsupport import Flow, fit, generator
from ilsupport.policies.ode import log_density

F64 = torch.float64
M, S = torch.tensor([0.3, -0.6], dtype=F64), 0.4  # a Gaussian target whose best velocity is a formula


class Known(Flow):
    """The conditional mean of action - noise given x, for actions N(M, S^2 I)."""

    def at(self, obs, x, t):
        slope = (t * S**2 - (1 - t)) / (t**2 * S**2 + (1 - t)**2)
        return M + slope * (x - t * M)


def two_lumps(n, g):
    """0.7 N(-0.5, 0.1^2) + 0.3 N(0.5, 0.1^2) where obs is 1, mirrored where it is -1."""
    obs = 1 - 2 * torch.randint(2, (n, 1), generator=g).double()
    side = torch.where(torch.rand(n, 1, generator=g) < 0.7, -0.5, 0.5).double()
    return obs, obs * side + 0.1 * torch.randn(n, 1, generator=g, dtype=F64)


def two_lumps_log_prob(obs, action):
    lumps = torch.stack([torch.distributions.Normal(c * obs, 0.1).log_prob(action)
                         + torch.tensor(w, dtype=F64).log()
                         for c, w in ((-0.5, 0.7), (0.5, 0.3))])
    return lumps.logsumexp(0).squeeze(-1)


def ks(policy, obs, truth, g):
    """Largest gap of the two distribution functions at one observation."""
    with torch.no_grad():
        drawn = policy.act(obs.expand(len(truth), -1), g)[:, 0]
    return stats.ks_2samp(drawn, truth, method="asymp").statistic


def test_the_density_of_a_known_flow_is_known():
    policy = Known(1, 2, generator=generator(0), dtype=F64)
    obs, action = torch.zeros(50, 1, dtype=F64), M + S * torch.randn(50, 2, generator=generator(1), dtype=F64)
    exact = torch.distributions.Normal(M, S).log_prob(action).sum(-1)
    torch.testing.assert_close(policy.log_prob(obs, action), exact, rtol=0, atol=3e-3)


def test_many_steps_give_the_distribution_and_one_step_its_mean():
    policy = Known(1, 2, steps=100, generator=generator(0), dtype=F64)
    obs = torch.zeros(20_000, 1, dtype=F64)
    drawn = policy.act(obs, generator(1))
    torch.testing.assert_close(drawn.mean(0), M, rtol=0, atol=0.02)
    torch.testing.assert_close(drawn.std(0), torch.full((2,), S, dtype=F64), rtol=0.03, atol=0)
    policy.steps = 1
    assert (policy.act(obs, generator(1)) - M).abs().max() < 1e-12


def test_the_path_goes_from_the_noise_to_the_action():
    policy = Flow(3, 2, steps=7, generator=generator(0))
    obs, noise = torch.ones(4, 3), torch.zeros(4, 2)
    path = list(policy.path(obs, noise))
    assert len(path) == 8 and path[0] is noise
    assert torch.equal(path[-1], policy.act(obs))


def test_the_loss_at_the_best_velocity_is_what_no_velocity_can_know():
    policy, g = Known(1, 2, generator=generator(0), dtype=F64), generator(1)
    obs, action = torch.zeros(200_000, 1, dtype=F64), M + S * torch.randn(200_000, 2, generator=g, dtype=F64)
    t = torch.linspace(0, 1, 10_001, dtype=F64)
    unknowable = S**2 / (t**2 * S**2 + (1 - t)**2)  # Var(action - noise | x): the determinant over Var(x)
    best = 2 * torch.trapezoid(unknowable, t)
    torch.testing.assert_close(policy.loss(obs, action, g), best, rtol=0.02, atol=0)
    shifted = type("Shifted", (Known,), {"at": lambda self, obs, x, t: Known.at(self, obs, x, t) + 0.5})
    worse = shifted(1, 2, generator=generator(0), dtype=F64).loss(obs, action, g)
    torch.testing.assert_close(worse, best + 2 * 0.5**2, rtol=0.02, atol=0)


def test_the_divergence_is_that_of_a_linear_field():
    A = torch.tensor([[0.5, 2.0], [-1.0, -0.2]], dtype=F64)
    x, times = torch.randn(5, 2, generator=generator(0), dtype=F64), torch.linspace(0, 1, 201, dtype=F64)
    back = x @ torch.linalg.matrix_exp(-A).mT
    exact = torch.distributions.Normal(0.0, 1.0).log_prob(back).sum(-1) - A.trace()
    torch.testing.assert_close(log_density(lambda x, t: x @ A.mT, x, times), exact, rtol=0, atol=1e-4)


def test_trained_it_answers_two_lumps_with_two_lumps():
    g = generator(0)
    policy, data = Flow(1, 1, steps=50, generator=g, dtype=F64), two_lumps(4000, g)
    (obs, held_out), (sides, answers) = two_lumps(500, g), two_lumps(8000, g)
    places = [torch.full((1, 1), side, dtype=F64) for side in (-1.0, 1.0)]
    gaps = lambda: [ks(policy, at, answers[sides == at], g) for at in places]
    untrained = min(gaps())
    fit(policy, data, generator=g, steps=1500, lr=3e-3, batch_size=256)
    assert max(gaps()) < 0.1 < untrained
    missing = two_lumps_log_prob(obs, held_out).mean() - policy.log_prob(obs, held_out).mean()
    assert -0.1 < missing < 0.25
