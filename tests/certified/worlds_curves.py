"""Worlds of pages 3 and 5 with a formula for what they cost: numbers, the rope, discounting, the knob."""
from __future__ import annotations

from itertools import product

import numpy as np
import torch

from certified.worlds import F64, world
from certified.worlds_walk import step_costs, structure
from ilsupport import tabular


@world
def numbers(draws: int) -> list[dict]:
    """Names: eps, t; also where a power of 1 - eps means something else or nothing."""
    return [{"case": f"eps = {eps}, t = {t}", "eps": eps, "t": t}
            for eps, t in product((0.0, 0.01, 0.1, 0.5, 0.9, 1.0, 1.5, 2.0, 3.0, -0.5, -1.0),
                                  (0, 1, 2, 3, 4, 9, 25, 0.5, 2.5, -1, -3, -0.5))]


def rope_case(eps: float, rho: float, T: int) -> dict:
    """The two-state twin, walked: q_t for t = 0 .. T, and J; x is any number, here and there the crossing."""
    mdp, learner = tabular.tightrope(rho), tabular.tightrope_learner(eps)
    laws = tabular.state_distributions(mdp.transition, learner, mdp.initial, T + 2)
    x = 1 + 2 / (eps + rho) if T % 2 and eps + rho else (T - 2) / 2  # 0 at T = 2
    return {"case": f"eps = {eps}, rho = {rho}, T = {T}", "eps": eps, "rho": rho, "T": T, "x": x,
            "q": laws[:, 1], "J": float(tabular.expected_cost(mdp, learner, T))}


@world
def rope(draws: int) -> list[dict]:
    """Names: eps, rho, T, q [t], J, x."""
    some = [(0.01, 0.0), (0.3, 0.0), (1.0, 0.0), (0.0, 0.0), (0.0, 0.5), (0.02, 0.03), (0.2, 0.3), (0.5, 0.5),
            (0.7, 0.9), (1.0, 1.0), (0.9, 1.0), (1.0, 0.4), (0.6, 0.0), (0.001, 0.5), (0.3, 0.9)]
    rng = np.random.default_rng(0)
    some += [tuple(rng.random(2).round(3)) for _ in range(10 * (draws - 1))]
    return [rope_case(float(eps), float(rho), T) for (eps, rho), T in product(some, (1, 2, 3, 4, 8, 21))]


def discounted_case(kind: str, learner: str, cost: str, eps: float, gamma: float, seed: int) -> dict:
    """Stationary policies in an MDP without end."""
    w, rng = structure(kind, seed), np.random.default_rng(seed)
    S, A, _ = w.P.shape
    ahead = lambda pi: np.einsum("sa,sax->sx", pi, w.P)
    visits = lambda pi: np.linalg.solve(np.eye(S) - gamma * ahead(pi).T, w.p0)  # sum of gamma^t p_t
    expert = np.eye(A)[np.zeros(S, int)]
    reached = np.linalg.matrix_power(np.eye(S) + ahead(expert), S)
    visited = w.p0 @ reached > 0
    e = {"even": np.full(S, min(eps, 1.0)), "some": eps % 1.01 * rng.random(S), "free": rng.random(S) ** 2,
         "double": np.full(S, min(2 * eps, 1.0)), "one": np.where(np.arange(S) > 0, 1.0, min(eps, 1.0)),
         "start": np.eye(S)[0] * min(eps, 1.0)}[learner]
    e = np.where(visited, e, 1.0) if learner != "free" else e
    policy = np.concatenate([1 - e[:, None], np.repeat(e[:, None] / (A - 1), A - 1, 1)], 1)
    c = {"signed": 1 - 2 * w.c, "reward": 1 - w.c, "debt": w.c - 1}.get(cost)
    c = step_costs(cost, w, rng) if c is None else c
    p, J_of = w.p0, [0.0]
    for _ in range(400):
        J_of.append(J_of[-1] + (p * (policy * c).sum(1)).sum())
        p = p @ ahead(policy)
    to_go = np.linalg.solve(np.eye(S) - gamma * ahead(expert), c[:, 0])
    u = c + gamma * w.P @ to_go - to_go[:, None]
    pays = lambda pi: float(visits(pi) @ (pi * c).sum(1))
    extremal = learner in ("even", "start") and cost == "world" and eps <= 1
    return {"case": f"{kind}, {learner}, {cost} cost, eps = {eps}, gamma = {gamma}", "eps": eps,
            "gamma": gamma, "states": list(range(S)), "actions": list(range(A)), "e": e, "visited": visited,
            "c": c, "J": pays(policy), "J_star": pays(expert), "J_of": J_of, "ever": list(range(400)),
            "eps_gamma": float((1 - gamma) * visits(expert) @ e), "u": float(u.max()),
            "eps_own": float((1 - gamma) * visits(policy) @ e),
            "on_the_rope": extremal and kind == "tightrope" and learner == "even",
            "in_three_states": extremal and kind == "tight" and learner == "start"}


@world
def discounted(draws: int) -> list[dict]:
    """Names: gamma, eps, e, visited [s], c [s][a], J and J_star, eps_gamma, J_of [T], ever (the steps)."""
    kinds = ("dense", "absorbing", "recoverable", "tightrope", "tight")
    learners = ("even", "some", "free", "double", "start", "one")
    costs = ("world", "world", "double", "signed", "reward", "unfair", "some", "later", "partly",
             "debt")
    lot = np.random.default_rng(16)
    some = (0.2, 0.01, 1.0, 0.5, 1.6)
    found = [discounted_case(kind, learner, str(lot.choice(costs)), float(lot.choice(some)), gamma,
                             seed=int(lot.integers(10**6)))
             for _ in range(2 * draws) for kind, learner, gamma in product(kinds, learners, (0.0, 0.5, 0.9))]
    return found + [discounted_case(kind, learner, cost, eps, gamma, seed=3)
                    for kind, learner in (("tightrope", "even"), ("tightrope", "double"), ("tight", "start"),
                                          ("dense", "one"), ("dense", "even"))
                    for cost, eps, gamma in product(costs[1:], (0.02, 0.7), (0.0, 0.9))]


@world
def knob(draws: int) -> list[dict]:
    """Page 5's family: off the rope the expert's climb works with chance r; u by backward induction."""
    found = []
    for r, T in product((0.0, 0.1, 0.5, 0.9, 1.0), (1, 2, 3, 7)):
        mdp = tabular.climb_family(torch.tensor(r, dtype=F64))
        found.append({"case": f"r = {r}, T = {T}", "r": r, "T": T,
                      "u": float(tabular.recoverability(mdp, tabular.expert_of(mdp), T))})
    return found
