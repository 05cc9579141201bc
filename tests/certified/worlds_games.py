"""Worlds of page 5: mixing with the expert, exact games of DAgger, a leader on a line."""
from __future__ import annotations

import math
from itertools import product

import numpy as np
from numpy import ndarray

from certified.worlds import world
from certified.worlds_walk import World, laws, structure

ROPE = World(np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]), np.array([1.0, 0.0]),
             np.array([[0.0, 1.0], [0.0, 1.0]]))
FORK = np.array([np.eye(3)[[1, 2]], np.eye(3)[[1, 1]], np.eye(3)[[2, 2]]])  # the first action: left or right
LEFT_OR_RIGHT = World(FORK, np.array([1.0, 0.0, 0.0]), np.zeros((3, 2)))
STAYS, LEAVES = np.eye(2)[[0, 0]], np.eye(2)[[1, 1]]


def tv(a: ndarray, b: ndarray) -> ndarray:
    return (a - b).clip(0).sum(-1)


def mixing_case(name: str, w: World, expert: ndarray, learner: ndarray, beta: float, T: int,
                coin: str = "fresh") -> dict:
    """The states under the mixture; other coins: one for the whole episode, a single step."""
    own = laws(w, learner)
    if coin == "fresh":
        mixed = laws(w, beta * expert + (1 - beta) * learner)
    elif coin == "one":
        mixed = beta * laws(w, expert) + (1 - beta) * own
    else:  # at exactly one step, any of the T alike, the expert acts: beta = 1 / T
        at = [np.where(np.arange(T)[:, None, None] == t, expert, learner) for t in range(T)]
        mixed = np.mean([laws(w, policy) for policy in at], 0)
    return {"case": f"{name}, {coin} coin, beta = {beta}, T = {T}", "beta": beta, "T": T,
            "fresh": coin == "fresh", "TV": tv(mixed, own),
            "TV_d": float(tv(mixed[:T].mean(0), own[:T].mean(0)))}


def policies(w: World, T: int, rng: np.random.Generator, k: int) -> ndarray:
    """k random policies that vary with time, (k, T, S, A)."""
    S, A, _ = w.P.shape
    return rng.dirichlet(np.full(A, 0.4), (k, T, S))


@world
def mixing(draws: int) -> list[dict]:
    """Names: beta, T, TV [t] between mixture and learner at step t, TV_d between their mean laws."""
    found = []
    for beta, T in product((0.0, 1e-3, 0.04, 0.3, 0.7, 1.0), (1, 2, 3, 8, 25)):
        still, off = (np.tile(pi, (T, 1, 1)) for pi in (STAYS, LEAVES))
        found.append(mixing_case("rope", ROPE, off, still, beta, T))
        found.append(mixing_case("rope", ROPE, off, still, 1 / T, T, "single"))
        for draw in range(draws):
            w, rng = structure(("dense", "absorbing")[T % 2], T + 100 * draw), np.random.default_rng(T + draw)
            two = policies(w, T, rng, 2)
            found += [mixing_case("random", w, *two, beta, T, coin) for coin in ("fresh", "one")]
    return found


# -- exact games


def game_case(name: str, w: World, T: int, betas: ndarray, members: ndarray, expert: ndarray, losses: ndarray,
              leads: bool, plays: list[int] = ()) -> dict:
    """DAgger over a finite class (K, T, S, A) with losses (K, S): the leader is followed, or `plays`."""
    chosen, table, k = [], [], 0
    for i, beta in enumerate(betas):
        k = plays[i] if plays else k
        states = laws(w, beta * expert + (1 - beta) * members[k])[:T].mean(0)
        table.append(losses @ states)
        chosen.append(k)
        k = int(np.argmin(sum(table))) if leads else k
    own = [float(losses[k] @ laws(w, members[k])[:T].mean(0)) for k in chosen]
    table = np.array(table)
    best = float(table.mean(0).min())
    return {"case": f"{name}, T = {T}, beta = {betas.round(3).tolist()}", "T": T, "N": len(betas),
            "beta": betas, "own": own, "eps_N": best,
            "gamma_N": float(table[range(len(betas)), chosen].mean()) - best,
            "low": float(losses.min()), "high": float(losses.max())}


def two_state_game(T: int, beta: float, N: int, low: float, high: float) -> dict:
    """The expert leaves for a safe state, the learner stays: on the rope only, loss `high`, else `low`."""
    still, off = (np.tile(pi, (T, 1, 1)) for pi in (STAYS, LEAVES))
    return game_case(f"two states, losses {low} and {high}", ROPE, T, np.full(N, beta), still[None], off,
                     np.array([[high, low]]), leads=True)


def random_game(seed: int, T: int, scale: float) -> dict:
    rng, w = np.random.default_rng(seed), structure(("dense", "absorbing", "recoverable")[seed % 3], seed)
    S, N = len(w.p0), 1 + seed % 6
    members = policies(w, T, rng, 5)
    i = np.arange(N)
    betas = (np.zeros(N), 0.3**i, (i == 0) * 1.0, rng.random(N), np.full(N, 0.01))[seed % 5]
    return game_case(f"random {seed}", w, T, betas, members, policies(w, T, rng, 1)[0],
                     scale * rng.random((5, S)), leads=seed % 4 > 0)


def seesaw_case(a: float, b: float, N: int) -> dict:
    """Policy 1 goes to the left and errs there, policy 2 to the right: the leader changes each round.

    The first action decides, so T = 2; a, b are the losses at either place of the one that goes there.
    """
    members = np.tile(np.eye(2)[:, None, None], (1, 2, 3, 1))
    losses = np.array([[0, a, 0], [0, 0, b]])
    return game_case(f"seesaw {a}, {b}", LEFT_OR_RIGHT, 2, np.zeros(N), members, members[0], losses, True)


def foresight_case(a: float, N: int) -> dict:
    """The seesaw, each erring where the *other* goes, played in turn: nobody pays, the regret is negative."""
    w, members = LEFT_OR_RIGHT, np.tile(np.eye(2)[:, None, None], (1, 2, 3, 1))
    losses = np.array([[0, 0, a], [0, a, 0]])
    return game_case(f"in turn {a}", w, 2, np.zeros(N), members, members[0], losses, False, [0, 1] * N)


@world
def games(draws: int) -> list[dict]:
    """Names: T, N, beta [i], own [i] (loss on own states), eps_N, gamma_N, low, high (of the loss), l_max."""
    found = [two_state_game(T, beta, N, low, high)
             for T, beta, N, (low, high) in product((1, 2, 3, 25), (0.0, 0.02, 0.04, 0.9, 1.0), (1, 2),
                                                    ((0, 1), (0, 5), (-1, 1), (-2, 2), (0, 0.25), (0, 2)))]
    found += [seesaw_case(0.4, b, N) for b, N in product((0.4, 0.6, 0.9), (1, 2, 3, 6))]
    found += [foresight_case(a, N) for a, N in product((0.5, 1.0), (2, 3, 6))]
    found += [random_game(seed, T, (1.0, 5.0)[seed % 2]) for seed in range(30 * draws) for T in (1, 2, 6)]
    return [{**case, "l_max": l_max} for case in found for l_max in (1.0, 5.0)]


@world
def seesaws(draws: int) -> list[dict]:
    """Names: N (even), own [i], eps_N, gamma_N; the one that goes right loses a little more."""
    return [seesaw_case(a, a * (1 + tilt / N), N)
            for a, tilt, N in product((0.3, 0.5), (0.2, 0.9), (2, 4, 10))]


# -- the leader


def leader_case(name: str, N: int, mu: float, G: float, pull, follows: bool = True) -> dict:
    """Follow-the-Leader on [-1, 1], losses mu/2 (theta - a_i)^2, a_i = pull(i, theta), from theta = -1."""
    theta, a, paid = -1.0, [], 0.0
    for i in range(N):
        a.append(pull(i, theta))
        paid += mu / 2 * (theta - a[-1]) ** 2
        theta = max(-1.0, min(1.0, sum(a) / len(a))) if follows else theta
    best = max(-1.0, min(1.0, sum(a) / N))
    regret = (paid - mu / 2 * sum((best - x) ** 2 for x in a)) / N
    steepest = mu * max(max(abs(1 - x), abs(-1 - x)) for x in a)
    return {"case": f"{name}, N = {N}, curvature {mu}, declared G = {G}", "N": N, "mu": mu, "G": G,
            "gamma_N": regret, "curvature": mu, "slope": steepest, "follows": follows}


@world
def leaders(draws: int) -> list[dict]:
    """Names: N, mu and G (declared), curvature and slope (true), gamma_N, follows (the leader)."""
    pulls = {"one side": lambda i, theta: 1.0, "the other side": lambda i, theta: -1.0 if theta > 0 else 1.0,
             "wave": lambda i, theta: math.cos(3 * i)}
    found = []
    for (name, pull), N, mu, follows in product(pulls.items(), (1, 2, 3, 10, 60), (0.2, 1.0, 3.0),
                                                (True, False)):
        case = leader_case(name, N, mu, 0.0, pull, follows)
        found += [{**case, "G": case["slope"] * g, "mu": mu * m,
                   "case": f"{case['case']} x {g}, mu x {m}, {'leader' if follows else 'stays'}"}
                  for g, m in ((1, 1), (0.5, 1), (1, 2), (1.5, 1), (0.6, 2))]
    return found
