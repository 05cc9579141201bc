"""Page 7b, certified: when a latent variable is not worth looking at.

`certified_03.py` says what a check is.
"""

from __future__ import annotations

import math

import torch
from certified_cases import F64, Case, at_most, certifies, equal

from ilsupport.policies import Latent


@certifies("prop-collapse", wrong=("threshold at sigma", "die never used", "every variance halved"))
def collapse(c: Case, variant: str | None = None) -> None:
    """No other linear decoder does better than the claimed one, which the package's own bound attains."""
    d, std = 1 + c.T % 3, 0.3 + c.rho
    root = torch.randn(d, d, generator=c.generator, dtype=F64)
    C = root @ root.mT / d
    spectrum, axes = torch.linalg.eigh(C)
    floor = std if variant == "threshold at sigma" else std**2
    v = torch.full_like(spectrum, std**2) if variant == "die never used" else spectrum.clamp(min=floor)
    claimed = -0.5 * ((2 * math.pi * v).log()
                      + spectrum / v).sum() * (0.5 if variant == "every variance halved" else 1)

    # mean over answers of log N(m, W W^T + std^2 I): what bounds the bound
    def likelihood(W: torch.Tensor) -> torch.Tensor:
        V = W @ W.mT + std**2 * torch.eye(d, dtype=F64)
        return -0.5 * (torch.logdet(2 * math.pi * V) + torch.linalg.solve(V, C).trace())

    best = axes * (v - std**2).clamp(min=0).sqrt()
    for scale in (0.0, 0.1, 1.0):
        at_most(likelihood(best + scale * torch.randn(d, d, generator=c.generator, dtype=F64)), claimed)
    equal(likelihood(axes * (spectrum - std**2).clamp(min=0).sqrt()), claimed)
    equal(package_bound(spectrum, axes, std), claimed)


def package_bound(spectrum: torch.Tensor, axes: torch.Tensor, std: float) -> torch.Tensor:
    """`Latent.elbo` with the proof's decoder and encoder, at answers whose covariance is exactly the one
    wanted."""
    d = len(spectrum)
    W = axes * (spectrum - std**2).clamp(min=0).sqrt()
    policy = Latent(1, d, latent_dim=d, std=std, hidden=(), generator=torch.Generator().manual_seed(0),
                    dtype=F64)
    posterior = torch.linalg.inv(torch.eye(d, dtype=F64) + W.mT @ W / std**2)
    with torch.no_grad():
        for net in (policy.encoder, policy.net):
            net.weights[0].zero_(), net.biases[0].zero_()
        policy.net.weights[0][:, 1:] = W
        policy.encoder.weights[0][:d, 1:] = posterior @ W.mT / std**2
        policy.encoder.biases[0][d:] = posterior.diagonal().log() / 2
    points = (d * spectrum).sqrt() * axes @ torch.eye(d, dtype=F64)
    answers = torch.cat([points.mT, -points.mT])
    tight = policy.elbo(torch.zeros(2 * d, 1, dtype=F64), answers, torch.Generator().manual_seed(1))
    return tight.mean().detach()  # with the exact posterior every toss gives the same number
