"""Diffusion against a denoiser known by formula, a known mixture and its own density."""
import pytest
import torch
from test_flow import ks, two_lumps, two_lumps_log_prob

from ilsupport import Diffusion, fit, generator

F64 = torch.float64
M, S = torch.tensor([0.3, -0.6], dtype=F64), 0.4  # a Gaussian target whose best denoiser is a formula


class Known(Diffusion):
    """The best answer for actions N(M, S^2 I): E[cos noise - sin action | x]."""

    def at(self, obs, x, t):
        phi = self.angle((1 - t) * self.levels)
        slope = phi.sin() * phi.cos() * (1 - S**2) / (phi.cos()**2 * S**2 + phi.sin()**2)
        return -phi.sin() * M + slope * (x - phi.cos() * M)


def known(**options):
    return Known(1, 2, generator=generator(0), dtype=F64, **options)


def test_the_noise_seen_is_the_mean_noise_given_what_is_seen():
    policy, g = known(), generator(1)
    action, noise = M + S * torch.randn(200_000, 2, generator=g,
                                        dtype=F64), torch.randn(200_000, 2, generator=g, dtype=F64)
    for level in torch.tensor([1.0, 10.0, 40.0, 50.0], dtype=F64):
        phi = policy.angle(level)
        x = phi.cos() * action + phi.sin() * noise
        best = phi.sin() * (x - phi.cos() * M) / (phi.cos()**2 * S**2 + phi.sin()**2)
        seen = policy.noise(torch.zeros(len(x), 1, dtype=F64), x, level)
        torch.testing.assert_close(seen, best)
        assert (((noise - seen) * x).mean(0).abs() < 0.01).all()  # what is left is nothing that x could tell


def test_the_schedule_is_a_cosine():
    policy = known(levels=100)
    signal = policy.angle(torch.arange(101, dtype=F64)).cos() ** 2  # the cumulative product of 1 - beta
    assert signal[0] == 1 and (signal.diff() < 0).all() and 0 < signal[-1] < 3e-4
    torch.testing.assert_close(signal[50], torch.tensor(0.5, dtype=F64), rtol=0.05, atol=0)


def test_the_loss_at_the_best_denoiser_is_what_no_denoiser_can_know():
    policy, g = known(), generator(1)
    obs, action = torch.zeros(200_000, 1, dtype=F64), M + S * torch.randn(200_000, 2, generator=g, dtype=F64)
    phi = policy.angle(torch.arange(1, 51, dtype=F64))  # every level is as likely as any other
    signal = phi.cos()**2 * S**2
    best = 2 * (signal / (signal + phi.sin()**2)).mean()
    torch.testing.assert_close(policy.loss(obs, action, g), best, rtol=0.02, atol=0)


@pytest.mark.parametrize("steps, tolerance", [(50, 0.04), (10, 0.2)])
def test_ddim_gives_the_distribution_with_all_steps_and_nearly_with_few(steps, tolerance):
    drawn = known(steps=steps).act(torch.zeros(20_000, 1, dtype=F64), generator(1))
    torch.testing.assert_close(drawn.mean(0), M, rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.std(0), torch.full((2,), S, dtype=F64), rtol=tolerance, atol=0)


def test_fewer_steps_are_further_off_and_one_is_nearly_the_mean():
    obs = torch.zeros(20_000, 1, dtype=F64)
    spread = [float(known(steps=n).act(obs, generator(1)).std()) for n in (1, 2, 5, 10, 50)]
    off = [abs(s - float(torch.cat([M + S, M - S]).std(correction=0))) for s in spread]
    alone = known(steps=1).act(obs, generator(1))
    assert off == sorted(off, reverse=True)
    assert (alone.std(0) < 0.02).all() and (alone.mean(0) - M).abs().max() < 0.02


def test_ddim_is_a_rotation_in_the_plane_of_signal_and_noise():
    policy = Diffusion(3, 2, levels=20, steps=20, generator=generator(0), dtype=F64)
    obs, x = torch.ones(4, 3, dtype=F64), torch.ones(4, 2, dtype=F64)
    path = list(policy.path(obs, x))
    assert len(path) == 21 and path[0] is x
    zero = list(policy.path(obs, torch.zeros_like(x)))
    assert torch.equal(zero[-1], policy.act(obs))
    turn = policy.angle(torch.tensor(1.0, dtype=F64))
    level = torch.tensor(20.0, dtype=F64)
    answer = policy.at(obs, x, 1 - level / 20)
    torch.testing.assert_close(path[1], turn.cos() * x - turn.sin() * answer)


def test_the_density_of_a_known_diffusion_is_known():
    policy = known(levels=1000)
    obs, action = torch.zeros(50, 1, dtype=F64), M + S * torch.randn(50, 2, generator=generator(1), dtype=F64)
    exact = torch.distributions.Normal(M, S).log_prob(action).sum(-1)
    torch.testing.assert_close(policy.log_prob(obs, action), exact, rtol=0, atol=5e-3)


def test_trained_it_answers_two_lumps_with_two_lumps():
    g = generator(0)
    policy, data = Diffusion(1, 1, steps=50, generator=g, dtype=F64), two_lumps(4000, g)
    (obs, held_out), (sides, answers) = two_lumps(500, g), two_lumps(8000, g)
    places = [torch.full((1, 1), side, dtype=F64) for side in (-1.0, 1.0)]
    gaps = lambda: [ks(policy, at, answers[sides == at], g) for at in places]
    untrained = min(gaps())
    fit(policy, data, generator=g, steps=1500, lr=3e-3, batch_size=256)
    assert max(gaps()) < 0.1 < untrained
    policy.steps = 5  # few steps make the lumps too narrow, and leave each its share
    for at in places:
        drawn = policy.act(at.expand(4000, 1), g)
        assert abs(float((drawn < 0).double().mean())
                   - float((answers[sides == at] < 0).double().mean())) < 0.12
    missing = two_lumps_log_prob(obs, held_out).mean() - policy.log_prob(obs, held_out).mean()
    assert -0.1 < missing < 0.25
