"""Worlds of pages 1, 6 to 9, 12 and 13: densities, springs, a copycat, luck, whole trajectories, weights."""
from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from torch.distributions import MultivariateNormal, Normal

from certified.worlds import F64, world
from ilsupport.policies import Gaussian, Latent

# -- page 1


@world
def gaussians(draws: int) -> list[dict]:
    """Names: d, sigma, M, L, loss (a function of sigma, the package's), others (values of sigma)."""
    found = []
    for d, sigma, seed in product((1, 2, 3), (0.3, 1.0, 2.5), range(draws)):
        g = torch.Generator().manual_seed(seed)
        obs, action = (torch.randn(20, k, generator=g, dtype=F64) for k in (2, d))

        def policy(std: float, d: int = d) -> Gaussian:  # the same means whatever the spread
            return Gaussian(2, d, std=std, hidden=(4,), standardise=False, dtype=F64,
                            generator=torch.Generator().manual_seed(0))

        def loss(std: float, obs=obs, action=action, policy=policy) -> float:
            return float(policy(std).loss(obs, action).detach())

        M = float((action - policy(1.0).act(obs).detach()).square().sum(-1).mean())
        others = [factor * (M / d) ** 0.5 for factor in (0.5, 0.7, 0.99, 1.0, 1.01, 1.5, 2.0)]
        found.append({"case": f"d = {d}, sigma = {sigma}", "d": d, "sigma": sigma, "M": M, "L": loss(sigma),
                      "loss": loss, "others": others})
    return found


# -- page 6


def long_run_spring(k: float, b: float, lam: float) -> float:
    """Least squares of a on -x after 2^40 steps, by doubling; after 2^7 where it diverges."""
    step, S = np.array([[1 - b * k, b], [0.0, lam]]), np.diag([0.0, 1.0])
    for _ in range(40 if max(abs(1 - b * k), abs(lam)) <= 1 else 7):
        S = S + step @ S @ step.T
        step = step @ step
    return float(k - S[0, 1] / S[0, 0])


@world
def spring(draws: int) -> list[dict]:
    """Names: k, b, lam, k_hat (what least squares fits in the long run)."""
    return [{"case": f"k = {k}, b = {b}, lambda = {lam}", "k": k, "b": b, "lam": lam,
             "k_hat": long_run_spring(k, b, lam)}
            for b, k, lam in product((0.5, 1.0, 1.4), (0.3, 1.0, 1.5, 2.0, 2.5, 0.0, -0.4),
                                     (0.0, 0.3, 0.8, 0.97, 1.0, 1.3, -0.6, -1.0, -1.2))]


# -- page 7


def answers_case(d: int, seed: int) -> dict:
    g = torch.Generator().manual_seed(seed)
    randn = lambda *shape: torch.randn(shape, generator=g, dtype=F64)
    points, weight = randn(8, d), randn(8).softmax(-1)
    points[0] += 3  # lopsided
    mean = weight @ points
    spread = (weight[:, None] * (points - mean)).T @ (points - mean)

    def crossed(at: torch.Tensor, wide: torch.Tensor) -> float:
        return float(-(weight * MultivariateNormal(at, wide).log_prob(points)).sum())

    others, moved, still = [], [], []
    for size in (0.03, 0.3, 1.0):
        move, shear = size * randn(d), torch.eye(d, dtype=F64) + size * randn(d, d)
        wide = shear @ spread @ shear.T + 1e-6 * torch.eye(d, dtype=F64)
        others += [crossed(mean + move, spread), crossed(mean, wide), crossed(mean + move, wide)]
        still.append(crossed(mean, wide)), moved.append(crossed(mean + move, wide))
    return {"case": f"d = {d}, seed {seed}", "d": d, "logdet": float(torch.logdet(spread)),
            "best": crossed(mean, spread), "others": others, "still": still, "moved": moved,
            "pairs": list(range(len(still)))}


@world
def answers(draws: int) -> list[dict]:
    """Names: d, logdet (of the answers' covariance), best (with their moments), others, still and moved."""
    return [answers_case(d, seed) for d in (1, 2, 3) for seed in range(4 * draws)]


@world
def two_clouds(draws: int) -> list[dict]:
    """Two clouds on a line at +-v, tremble tau, on a fine grid: lost (against the truth), h_side."""
    found = []
    for v, tau in product((0.0, 0.4, 1.0, 2.5, 6.0), (0.7, 1.0, 1.6)):
        a = torch.linspace(-20, 20, 20_001, dtype=F64)
        means = torch.tensor([[-v], [v]], dtype=F64)
        each = Normal(means, torch.full_like(means, tau)).log_prob(a)
        log_density, da = each.logsumexp(0) - math.log(2), a[1] - a[0]
        density, sides = log_density.exp(), (each - each.logsumexp(0)).exp()
        entropy = -(density * log_density).sum() * da
        variance = float((density * a.square()).sum() * da)
        found.append({"case": f"v = {v}, tau = {tau}", "v": v, "tau": tau,
                      "h_side": math.log(2) + float((density * torch.xlogy(sides, sides).sum(0)).sum() * da),
                      "lost": 0.5 * math.log(2 * math.pi * math.e * variance) - float(entropy)})
    return found


@world
def sides(draws: int) -> list[dict]:
    """A joint table of three coordinates: h, h_i, best (marginals), others (any product), independent."""
    found = []
    for seed, sharp in product(range(6 * draws), (0.0, 1.0, 4.0)):
        rng = np.random.default_rng(seed)
        joint = np.exp(sharp * rng.standard_normal((2, 3, 2)))
        joint /= joint.sum()
        marginals = [joint.sum(tuple(j for j in range(3) if j != i)) for i in range(3)]
        entropy = lambda p: float(-(p * np.log(p)).sum())
        crossed = lambda q, joint=joint: float(-(joint * np.log(np.einsum("i,j,k->ijk", *q))).sum())
        others = [[rng.dirichlet(np.ones(len(m))) for m in marginals] for _ in range(5)]
        near = [[np.exp(np.log(m) + 0.05 * rng.standard_normal(len(m))) for m in marginals] for _ in range(3)]
        near = [[m / m.sum() for m in q] for q in near]
        found.append({"case": f"seed {seed}, sharpness {sharp}", "h": entropy(joint),
                      "h_i": [entropy(m) for m in marginals], "axes": [0, 1, 2], "best": crossed(marginals),
                      "others": [crossed(q) for q in others + near], "independent": sharp == 0})
    return found


def best_bound(spectrum: torch.Tensor, axes: torch.Tensor, std: float, scale: torch.Tensor) -> float:
    """`Latent.elbo` of the decoder W = axes * scale with its exact encoder, at answers with that spectrum."""
    d = len(spectrum)
    W = axes * scale
    policy = Latent(1, d, latent_dim=d, std=std, hidden=(), dtype=F64,
                    generator=torch.Generator().manual_seed(0))
    posterior = torch.linalg.inv(torch.eye(d, dtype=F64) + W.mT @ W / std**2)
    with torch.no_grad():
        for net in (policy.encoder, policy.net):
            net.weights[0].zero_(), net.biases[0].zero_()
        policy.net.weights[0][:, 1:] = W
        policy.encoder.weights[0][:d, 1:] = posterior @ W.mT / std**2
        policy.encoder.biases[0][d:] = posterior.diagonal().log() / 2
    points = (d * spectrum).sqrt() * axes
    told = torch.cat([points.mT, -points.mT])
    bound = policy.elbo(torch.zeros(2 * d, 1, dtype=F64), told, torch.Generator().manual_seed(1))
    return float(bound.mean().detach())  # with the exact posterior every toss gives the same number


@world
def decoders(draws: int) -> list[dict]:
    """Names: d, lam [i], sigma, best (the largest bound found), others, ignored (W = 0)."""
    found = []
    for d, sigma, largest, seed in product((1, 2, 3), (0.4, 0.8, 1.3), (0.9, 1.1, 3.0), range(2 * draws)):
        g = torch.Generator().manual_seed(seed)
        root = torch.randn(d, d, generator=g, dtype=F64)
        lam, axes = torch.linalg.eigh(root @ root.mT / d + 1e-3 * torch.eye(d, dtype=F64))
        lam = lam * largest * sigma**2 / lam.max()
        top = (lam - sigma**2).clamp(min=0).sqrt()
        others = [best_bound(lam, axes, sigma, (top + size * torch.randn(d, generator=g, dtype=F64)).abs())
                  for size in (0.05, 0.3, 1.0)]
        found.append({"case": f"d = {d}, sigma = {sigma}, largest {largest} sigma^2, seed {seed}", "d": d,
                      "sigma": sigma, "lam": lam,
                      "best": best_bound(lam, axes, sigma, top), "others": others,
                      "ignored": best_bound(lam, axes, sigma, 0 * lam)})
    return found


# -- page 8


def copycat_case(kappa: float, eta: float, T: int) -> dict:
    """Road (clear, taken), light (the last action), a camera: all by exact walking."""
    change = np.array([[1 - kappa, kappa], [kappa, 1 - kappa]])
    camera = np.array([[1 - eta, eta], [eta, 1 - eta]])  # road, picture

    def walked(policy: Callable[[int, int, int], int]) -> np.ndarray:
        """P(road, light, picture) at each step, the action being policy(road, picture, light)."""
        p, steps = np.array([[1.0, 0.0], [0.0, 0.0]]), []
        for _ in range(T):
            steps.append(p[:, :, None] * camera[:, None, :])
            new = np.zeros((2, 2))
            for road, light, seen in product((0, 1), repeat=3):
                new[:, policy(road, seen, light)] += steps[-1][road, light, seen] * change[road]
            p = new
        return np.array(steps)

    def error(at: np.ndarray, policy: Callable[[int, int, int], int]) -> list[float]:
        wrong = np.array([[[policy(road, seen, light) != road for seen in (0, 1)] for light in (0, 1)]
                          for road in (0, 1)])
        return (at * wrong).sum((1, 2, 3)).tolist()

    expert, copy = lambda road, seen, light: road, lambda road, seen, light: light
    trust = lambda road, seen, light: seen
    drives = walked(expert)
    rivals = [error(drives, lambda road, seen, light, table=table: table[2 * seen + light])
              for table in product((0, 1), repeat=4)]  # the error is linear in a policy: these suffice
    return {"case": f"kappa = {kappa}, eta = {eta}, T = {T}", "kappa": kappa, "eta": eta, "T": T,
            "copy": error(drives, copy), "rivals": rivals, "J_copy": sum(error(walked(copy), copy)),
            "J_trust": sum(error(walked(trust), trust))}


@world
def copycats(draws: int) -> list[dict]:
    """Names: kappa, eta, T, copy [t], rivals [r][t] (errors on the expert's drives), J_copy, J_trust."""
    return [copycat_case(kappa, eta, T) for kappa, eta, T in
            product((0.0, 0.05, 0.2, 0.45, 0.5, 0.7), (0.0, 0.1, 0.2, 0.45, 0.5, 0.7, 0.97), (1, 2, 3, 8))]


# -- page 9


@world
def gamblers(draws: int) -> list[dict]:
    """Names: p, h, x0, x1 (after a round, by Bayes' rule), x_ever (after 2^60), G_ever (its chance of G)."""
    found = []
    chances = (0.0, 0.1, 0.3, 0.5, 0.75, 1.0), (0.0, 0.25, 0.5, 0.6, 1.0), (0.0, 0.3, 0.8, 1.0)
    for p, h, x0 in product(*chances):
        plays = np.array([[1 - x0, x0], [0, 1]]) * np.array([[1 - h], [h]])  # order, action (sure, gamble)
        to_G = plays.sum(0) * np.array([1.0, p])
        x1 = to_G[1] / to_G.sum() if to_G.sum() else 0.0
        slope, shift, y = (p / (1 - h), p * h / (1 - h), x0 / (1 - x0)) if h < 1 and x0 < 1 else (1, 0, 0)
        for _ in range(60):  # y -> slope y + shift, composed with itself
            slope, shift = min(slope**2, 1e100), min(shift * (1 + slope), 1e100)
        y = slope * y + shift
        x_ever = y / (1 + y) if h < 1 and x0 < 1 else 1.0
        found.append({"case": f"p = {p}, h = {h}, x0 = {x0}", "p": p, "h": h, "x0": x0, "x1": float(x1),
                      "x_ever": x_ever, "G_ever": (1 - x_ever) + x_ever * p})
    return found


# -- page 12


@world
def weights(draws: int) -> list[dict]:
    """A softmax policy, two states and steps: gradients of weighted cloning and of the return, enumerated.

    Names: own_data (or another policy's), of_cloning and of_return, by parameter.
    """
    found = []
    for seed, away in product(range(6 * draws), (False, True)):
        g = torch.Generator().manual_seed(seed)
        randn = lambda *shape, g=g: torch.randn(shape, generator=g, dtype=F64)
        P, p0, theta = randn(2, 2, 2).softmax(-1), randn(2).softmax(-1), randn(2, 2)
        data = (theta + randn(2, 2) * away).log_softmax(-1)
        theta = theta.requires_grad_()
        log_pi, cloning, value = theta.log_softmax(-1), 0.0, 0.0
        for s0, a0, s1, a1 in product((0, 1), repeat=4):
            w, moves = randn(), p0[s0] * P[s0, a0, s1]
            said = log_pi[s0, a0] + log_pi[s1, a1]
            cloning = cloning + w * moves * (data[s0, a0] + data[s1, a1]).exp() * said
            value = value + w * moves * said.exp()
        of = [torch.autograd.grad(x, theta, retain_graph=True)[0].flatten() for x in (cloning, value)]
        found.append({"case": f"seed {seed}, {'other data' if away else 'own data'}", "own_data": not away,
                      "of_cloning": of[0], "of_return": of[1], "parameters": [0, 1, 2, 3]})
    return found


@world
def two_actions(draws: int) -> list[dict]:
    """One state, two actions of total weight W0, W1: score(x) at pi(0) = x; bounded or not."""
    found = []
    for W0, W1 in product((-0.7, 0.0, 0.4, 1.0, 3.0), repeat=2):
        def score(x: float, W0: float = W0, W1: float = W1) -> float:
            return sum(w * (math.log(p) if p else -math.inf) for w, p in ((W0, x), (W1, 1 - x)) if w)

        found.append({"case": f"weights {W0}, {W1}", "W0": W0, "W1": W1, "score": score,
                      "grid": [0.001, 0.05, 0.2, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9, 0.999],
                      "bounded": max(W0 * math.log(1e-300), W1 * math.log(1e-300)) < 400})
    return found


# -- page 13


def paths_case(seed: int, T: int, size: float, reward: str, certain: bool) -> dict:
    """Every trajectory of a small MDP, enumerated: its chance under expert and learner, and its reward."""
    rng = np.random.default_rng(seed)
    S, A = 2, 2 + seed % 2
    P, p0 = rng.dirichlet(np.ones(S), (S, A)), rng.dirichlet(np.ones(S))
    e = size * rng.random((T, S))
    learner = np.concatenate([1 - e[..., None], np.repeat(e[..., None] / (A - 1), A - 1, -1)], -1)
    expert = np.tile(np.eye(A)[0], (T, S, 1)) if certain else rng.dirichlet(np.ones(A), (T, S))
    star, hat, agree, surprise = [], [], 0.0, 0.0
    for states, acts in product(product(range(S), repeat=T), product(range(A), repeat=T)):
        moves = p0[states[0]] * math.prod(P[s, a, x] for s, a, x in zip(states, acts, states[1:]))
        by = [math.prod(pi[t, s, a] for t, (s, a) in enumerate(zip(states, acts)))
              for pi in (expert, learner)]
        star.append(moves * by[0]), hat.append(moves * by[1])
        agree += star[-1] * by[1]
        surprise += star[-1] * -math.log(max(by[1], 1e-300)) if star[-1] else 0.0
    star, hat = np.array(star), np.array(hat)
    worst = (star > hat) * 1.0
    g = {"worst": worst, "any": rng.random(len(star)), "double": 2 * worst, "signed": 2 * worst - 1,
         "best": 1 - worst}[reward]
    f = p0
    for t in range(T):
        f = (f * (1 - e[t])) @ P[:, 0]
    return {"case": f"seed {seed}, T = {T}, errors up to {size}, {reward} reward, expert certain: {certain}",
            "T": T, "R": 1.0, "low": float(g.min()), "high": float(g.max()), "gap": float((star - hat) @ g),
            "agree": float(agree), "TV": float((star - hat).clip(0).sum()), "surprise": float(surprise),
            "survivors": float(f.sum()), "deterministic": certain, "worst_reward": reward == "worst"}


@world
def paths(draws: int) -> list[dict]:
    """Names: gap, R, low and high (of the reward), agree (the mean product), TV, surprise, survivors."""
    rewards = ("worst", "any", "double", "signed", "best")
    found = [paths_case(seed, T, size, reward, certain) for seed in range(2 * draws)
             for T, size, reward, certain in product((1, 2, 3), (1e-3, 0.3, 1.0), rewards, (True, False))]
    return found + [{**case, "R": 4.0, **{name: 4 * case[name] for name in ("gap", "low", "high")}}
                    for case in found[::3]]


@world
def classes(draws: int) -> list[dict]:
    """A class of F policies, each but the expert wrong from a start of its own with chance x, losing R there.

    fail(b): the chance that some maximum-likelihood policy of n demonstrations has a gap above b, by
    inclusion and exclusion over the starts not seen. Without the expert in the class the best errs always.
    """
    found = []
    parts = (0.3, 0.45, 0.55, 0.8, 0.95, 0.999, 1.001, 1.2, 1.9)
    for F, delta, R, part, member in product((2, 5, 20), (0.02, 0.1, 0.5), (1.0, 7.0), parts, (True, False)):
        n = 40 * math.ceil(F * math.log(F / delta))
        x = part * math.log(F / delta) / n

        def fail(b: float, F=F, n=n, x=x, R=R, member=member) -> float:
            unseen = sum((-1) ** (k + 1) * math.comb(F - 1, k) * (1 - k * x) ** n for k in range(1, F))
            return (unseen if R * x > b else 0.0) if member else float(R > b)

        found.append({"case": f"F = {F}, delta = {delta}, R = {R}, n = {n}, x = {part} of the bound, "
                              f"the expert in it: {member}",
                      "F": F, "delta": delta, "R": R, "n": n, "fail": fail, "has_expert": member})
    return found
