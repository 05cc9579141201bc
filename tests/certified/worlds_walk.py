"""Worlds of pages 3 and 5: a deterministic expert and a learner that varies with time in a tabular MDP.

Computed here once more, in NumPy, for costs and errors outside the ranges that `ilsupport.tabular` accepts:
an assumption is only tested where it is broken. `test_certified.py` compares the two.
"""
from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from numpy import ndarray

from certified.worlds import F64, rand, world
from ilsupport import tabular
from ilsupport.tabular import MDP

KINDS = ("dense", "absorbing", "recoverable", "tightrope", "tight", "cliff")
LEARNERS = ("even", "some", "first", "last", "early", "late", "double", "free", "one", "silent", "here",
            "second")


class World(NamedTuple):
    """Transitions (S, A, S), first states (S,), costs (S, A); the expert's action is 0."""

    P: ndarray
    p0: ndarray
    c: ndarray


def structure(kind: str, seed: int) -> World:
    """Random, or one of the extremal worlds."""
    if kind in ("dense", "absorbing", "recoverable"):
        g = torch.Generator().manual_seed(seed)
        return World(*(x[0].numpy() for x in tabular.random_mdps(1, 2 + seed % 3, 2 + seed % 2, g, kind)))
    if kind == "funnel":  # two ways to begin, and from either to the third state
        return World(np.tile(np.eye(3)[2], (3, 2, 1)), np.array([0.5, 0.5, 0.0]), np.array([[0.0, 1.0]] * 3))
    mdp = {"tightrope": tabular.tightrope(absorbing=True), "tight": tabular.tight_example(),
           "cliff": tabular.cliff(3)}[kind]
    return World(*(x.numpy() for x in mdp))


def errors(kind: str, rng: np.random.Generator, visited: ndarray, eps: float) -> ndarray:
    """e_t(s), (T, S), in some relation to eps where the expert goes; as a rule 1 where it never does."""
    T, S = visited.shape
    eps = min(eps, 1.0)
    e = np.full((T, S), eps)
    if kind in ("some", "late"):
        e = eps * rng.random((T, S))
    if kind in ("first", "last", "early", "silent", "second"):
        e = np.zeros((T, S))
    if kind in ("first", "early"):
        e[0] = eps if kind == "first" else min(1.0, T * eps)
    if kind in ("last", "late"):
        e[-1] = eps if kind == "last" else 1.0
    if kind == "second":
        e[1:2] = 1.0
    if kind == "double":
        e = np.minimum(2 * e, 1)
    if kind == "one":
        e[:, 0] = (4 * eps + 0.1 * (eps < 1)) % 1.0001
    if kind == "free":
        return rng.random((T, S)) ** 3
    if kind == "here":  # wrong where the expert is at that step, right anywhere else
        return np.where(visited, 0.9, 0.0)
    return np.where(visited, e, 1.0)


def balanced(w: World, eps: float, T: int, skip: bool) -> ndarray:
    """Errors that differ from state to state, while among the survivors of every step their mean is eps.

    With `skip` not at the first step: there all are eps.
    """
    f, e = w.p0, []
    for t in range(T):
        row = np.full(len(f), eps)
        a, b = np.argsort(f)[-2:]
        move = 0.9 * min(eps, 1 - eps) * min(f[a], f[b])
        if move > 0 and t >= skip:
            row[a], row[b] = eps + move / f[a], eps - move / f[b]
        e.append(row)
        f = (f * (1 - row)) @ w.P[:, 0]
    return np.array(e)


def erring(e: ndarray, A: int) -> ndarray:
    """The policy (T, S, A) that errs so, evenly over the wrong actions."""
    return np.concatenate([1 - e[..., None], np.repeat(e[..., None] / (A - 1), A - 1, -1)], -1)


def laws(w: World, policy: ndarray) -> ndarray:
    """p_t(s) for t = 0 .. T of a policy (T, S, A)."""
    steps = [w.p0]
    for pi in policy:
        steps.append(np.einsum("s,sa,sax->x", steps[-1], pi, w.P))
    return np.array(steps)


def survivors(w: World, e: ndarray) -> ndarray:
    """f_t(s) for t = 0 .. T, by the recursion of page 3's proof."""
    steps = [w.p0]
    for row in e:
        steps.append((steps[-1] * (1 - row)) @ w.P[:, 0])
    return np.array(steps)


def with_memory(w: World, policy: ndarray) -> ndarray:
    """Where the learner is at t = 0 .. T, (T + 1, 2, S): without a mistake so far, and with one.

    Walked as a chain on pairs of a state and a flag, to check the recursion by other means.
    """
    S, A, _ = w.P.shape
    P = np.zeros((2 * S, A, 2 * S))
    P[:S, 0, :S], P[:S, 1:, S:], P[S:, :, S:] = w.P[:, 0], w.P[:, 1:], w.P
    pairs = World(P, np.concatenate([w.p0, np.zeros(S)]), np.zeros((2 * S, A)))
    return laws(pairs, np.concatenate([policy, policy], 1)).reshape(-1, 2, S)


def step_costs(kind: str, w: World, rng: np.random.Generator) -> ndarray:
    wrong = np.ones_like(w.c)
    wrong[:, 0] = 0
    later, partly = wrong.copy(), wrong.copy()
    later[w.p0 == 0, 0], partly[1:, 0] = 1, 1
    some, other, paid = wrong.copy(), np.zeros_like(wrong), wrong.copy()
    some[0] /= 2
    other[:, 0], paid[:, 0] = 1, -1
    return {"world": w.c, "double": 2 * w.c, "wrong": wrong, "wrong, double": 2 * wrong, "wrong, some": some,
            "some": wrong * rng.random(wrong.shape), "half": wrong / 2, "nothing": 0 * wrong,
            "unfair": np.ones_like(wrong), "later": later, "partly": partly, "other": other,
            "paid": paid}[kind]


def start(kind: str, learner: str, eps: float, T: int, seed: int) -> tuple:
    """What every case begins with: the world, a source of chance, e and the expert's laws."""
    w, rng = structure(kind, seed), np.random.default_rng(seed)
    S, A, _ = w.P.shape
    p_star = laws(w, np.tile(np.eye(A)[0], (T, S, 1)))
    e = (balanced(w, eps, T, skip=learner == "balanced later") if learner.startswith("balanced")
         else errors(learner, rng, p_star[:T] > 0, eps))
    return w, rng, e, p_star


def common(kind: str, learner: str, cost: str, eps: float, T: int, seed: int, w: World) -> dict:
    S, A, _ = w.P.shape
    return {"case": f"{kind}, {learner}, {cost} cost, eps = {eps}, T = {T}, seed {seed}", "T": T, "eps": eps,
            "states": list(range(S)), "actions": list(range(A))}


def walk_case(kind: str, learner: str, cost: str, eps: float, T: int, seed: int) -> dict:
    w, rng, e, p_star = start(kind, learner, eps, T, seed)
    policy = erring(e, w.P.shape[1])
    p_hat, f, flagged = laws(w, policy), survivors(w, e), with_memory(w, policy)
    none, moved, c = flagged[:, 0].sum(-1), p_hat - p_star, step_costs(cost, w, rng)
    return {
        **common(kind, learner, cost, eps, T, seed, w), "p_star": p_star, "p_hat": p_hat, "f": f, "e": e,
        "visited": p_star > 0, "c": c, "J": float((p_hat[:T, :, None] * policy * c).sum()),
        "J_past": float((1 - none[1:]).sum()),
        "eps_t": (p_star[:T] * e).sum(-1), "own_t": (p_hat[:T] * e).sum(-1),
        "no_mistake": none, "mistaken": flagged[:, 1], "first": none[:-1] - none[1:],
        "TV": moved.clip(0).sum(-1), "L1": abs(moved).sum(-1),
    }


EPS = (0.3, 0.05, 1.0, 0.6, 1.5, 0.15, 3.0, 0.0)


def mixed(make: Callable, costs: tuple[str, ...], draws: int) -> list[dict]:
    """Every world with every learner and some horizons; eps and the cost by lot."""
    lot = np.random.default_rng(15)
    return [make(kind, learner, str(lot.choice(costs)), float(lot.choice(EPS)), T, int(lot.integers(10**6)))
            for _ in range(draws) for kind, learner, T in product(KINDS, LEARNERS, (1, 2, 3, 7))]


@world
def walk(draws: int) -> list[dict]:
    """Names: p_star, p_hat, f, mistaken, visited, e [t][s], eps_t, own_t, no_mistake, TV, L1 [t], J."""
    found = mixed(walk_case, ("world", "wrong", "some", "world", "world", "later", "partly"), draws)
    costs = ("double", "unfair", "world", "later", "partly", "other", "paid", "half", "nothing")
    for cost, eps, T in product(costs, (0.2, 1e-3), (1, 2, 5)):
        found += [walk_case(kind, learner, cost, eps, T, seed=2)
                  for kind, learner in (("tightrope", "even"), ("absorbing", "even"), ("cliff", "early"),
                                        ("dense", "silent"), ("cliff", "silent"), ("cliff", "here"))]
    found += [walk_case("funnel", "balanced", "wrong", 0.3, T, seed=1) for T in (1, 2)]
    lots = product(("balanced", "balanced later"), ("wrong", "wrong, double", "wrong, some"), (0.2, 0.4),
                   (1, 2, 3), (4, 5))
    return found + [walk_case("dense", *lot) for lot in lots]


# -- values: any policies, any cost


def cost_to_go(w: World, c: ndarray, policy: ndarray) -> tuple[ndarray, ndarray]:
    """Q_t(s, a) and V_t(s) of a policy (T, S, A), V_T = 0."""
    Q, V = [], [np.zeros(len(w.p0))]
    for pi in policy[::-1]:
        Q.append(c + w.P @ V[-1])
        V.append((pi * Q[-1]).sum(-1))
    return np.array(Q[::-1]), np.array(V[::-1])


def moments(p_star: ndarray, p_hat: ndarray, expert: ndarray, policy: ndarray) -> dict:
    """Page 5's three moments, the largest over all step functions with values in [0, 1]."""
    T = len(policy)
    pairs = p_hat[:T, :, None] * policy - p_star[:T, :, None] * expert
    off, own = (p[:T, :, None] * (policy - expert) for p in (p_star, p_hat))
    return {name: float(x.clip(0).sum() / T)
            for name, x in (("eps_r", pairs), ("eps_off", off), ("eps_on", own))}


def task_costs(kind: str, w: World, rng: np.random.Generator) -> ndarray:
    """A cost by its name, which may begin with who the expert is."""
    S, A = w.c.shape
    by_state = np.repeat(rng.random((S, 1)), A, 1)
    visited = w.p0 @ np.linalg.matrix_power(np.eye(S) + w.P[:, 0], S) > 0
    off = np.repeat((~visited).astype(float)[:, None], A, 1)
    remorse = np.where(off > 0, -1.0, np.arange(A) > 0)  # a mistake costs 1, and then one is paid
    kinds = {"world": w.c, "reward": 1 - w.c, "double": 2 * w.c, "signed": 1 - 2 * w.c, "minus": -w.c,
             "debt": w.c - 1, "deep debt": w.c - 2, "toll": (1 + w.c) / 2, "upward": 2 * w.c - 1,
             "off": off, "off, double": 2 * off,
             "off, signed": 1 - 2 * off, "off, minus": -off, "by state": by_state, "remorse": remorse}
    kind = kind.removeprefix("random expert, ")
    if kind.startswith("wrong") or kind in ("half", "nothing", "unfair"):
        return step_costs(kind, w, rng)
    return kinds.get(kind, rng.random((S, A)))


def declared_u(largest: ndarray, seed: int) -> float:
    """The largest advantage of any step, for some seeds half of it, or that of the first step."""
    return float({3: largest[0], 4: largest.max() / 2}.get(seed % 5, largest.max()))


def value_case(kind: str, learner: str, cost: str, eps: float, T: int, seed: int) -> dict:
    w, rng, e, p_star = start(kind, learner, eps, T, seed)
    S, A, _ = w.P.shape
    expert, policy = np.tile(np.eye(A)[0], (T, S, 1)), erring(e, A)
    if cost.startswith("random expert"):
        expert = rng.dirichlet(np.ones(A), (T, S))
        p_star = laws(w, expert)
    p_hat, c = laws(w, policy), task_costs(cost, w, rng)
    (Q_star, V_star), (Q_hat, V_hat) = (cost_to_go(w, c, pi) for pi in (expert, policy))
    ends = [(p[T - 1, :, None] * pi[-1] * c).sum() for p, pi in ((p_hat, policy), (p_star, expert))]
    return {
        **common(kind, learner, cost, eps, T, seed, w), "p_star": p_star, "p_hat": p_hat, "e": e, "c": c,
        "visited": p_star > 0, "pi_star": expert, "pi_hat": policy, "eps_t": (p_star[:T] * e).sum(-1),
        "own_t": (p_hat[:T] * e).sum(-1), "Q_star": Q_star, "V_star": V_star, "Q_hat": Q_hat, "V_hat": V_hat,
        "J_star": float(w.p0 @ V_star[0]), "J_hat": float(w.p0 @ V_hat[0]),
        "u": declared_u((Q_star - V_star[:-1, :, None]).max((1, 2)), seed),
        "last_gap": float(abs(ends[0] - ends[1])),
        "by_state": bool((c == c[:, :1]).all()), "deterministic": not cost.startswith("random expert"),
        **moments(p_star, p_hat, expert, policy),
    }


@world
def values(draws: int) -> list[dict]:
    """Names: Q_star, V_star, Q_hat, V_hat (costs to go), J_star, J_hat, c, u, last_gap, most of `walk`'s."""
    costs = ("world", "some", "random expert", "random expert, by state", "reward", "by state", "by state",
             "double", "signed", "minus", "wrong", "wrong, some", "random expert, wrong", "upward", "debt")
    found = mixed(value_case, costs, draws)
    costs = ("world", "reward", "double", "signed", "minus", "debt", "upward", "off", "off, double",
             "off, signed", "off, minus", "remorse", "toll", "deep debt", "half", "nothing", "unfair")
    for cost, eps, T in product(costs, (0.2, 1e-3, 0.9, 1.5, 3.0), (1, 2, 3)):
        found += [value_case(kind, learner, cost, eps, T, seed) for kind, learner, seed in
                  (("tight", "early", 1), ("tightrope", "early", 1), ("tightrope", "even", 1),
                   ("tightrope", "double", 1), ("tightrope", "second", 1), ("tightrope", "last", 3),
                   ("tight", "early", 4), ("cliff", "here", 1))]
    return found


@world
def two_laws(draws: int) -> list[dict]:
    """Two distributions p, q; g, a function; f, a measure; TV, the largest difference over all events."""
    found = []
    for k in range(40 * draws):
        g = torch.Generator().manual_seed(k)
        S = 2 + k % 4
        p, q = ((3 * rand(g, S)).softmax(-1) if k % 3 else rand(g, S) ** 4 + 1e-9 for _ in "pq")
        p, q = p / p.sum(), q / q.sum()
        events = torch.tensor(list(product((0.0, 1.0), repeat=S)), dtype=F64)
        worst = (p > q).to(F64)
        low, high = ((0, 1), (0, 2), (-1, 1), (0.25, 0.5))[k % 4]
        both = torch.minimum(p, q)
        found.append({"case": f"draw {k}", "p": p, "q": q, "states": list(range(S)),
                      "TV": float((events @ (p - q)).max()),
                      "g": low + (high - low) * (worst if k % 8 < 4 else rand(g, S)),
                      "f": (both, both * rand(g, S), p, q, torch.maximum(p, q), 2 * both,
                            torch.minimum(2 * p, q), torch.minimum(p, 2 * q))[k % 8]})
    return found


@world
def three_states(draws: int) -> list[dict]:
    """Page 3's extremal world: the learner errs at the first step only, with chance T eps."""
    found = []
    for T, eps in product((1, 2, 3, 8, 20), (0.0, 0.01, 0.05, 0.3, 0.5, 1.0, -0.2)):
        mdp, at_start = tabular.tight_example(), min(1.0, max(0.0, T * eps))
        expert = tabular.expert_of(mdp)
        learner = tabular.erring(expert, torch.tensor([at_start, 0, 1], dtype=F64), 2)
        found.append({"case": f"T = {T}, eps = {eps}", "T": T, "eps": eps,
                      "eps_t": tabular.error_rates(mdp, expert, learner, T),
                      "J": float(tabular.expected_cost(mdp, learner, T)),
                      "J_sharp": sum(1 - (1 - eps) ** k for k in range(1, T + 1))})
    return found


@world
def wind(draws: int) -> list[dict]:
    """The tightrope with three winds. Otherwise: a wind that stays, a memory of the first, a climb, help."""
    found = []
    kinds = ("as stated", "wind stays", "remembers", "climbs", "helped")
    learners = ((1, 0, 0), (0.5, 0.2, 0.9), (1, 1, 1))
    for kind, T, w, error in product(kinds, (1, 2, 3, 9), (0.1, 0.45), learners):
        winds = torch.tensor([w, 1 - w - 0.05, 0.05], dtype=F64)
        found.append(wind_case(kind, T, winds, torch.tensor(error, dtype=F64)))
    return found


def wind_case(kind: str, T: int, winds: torch.Tensor, error: torch.Tensor) -> dict:
    """States are (wind now, first wind) on the rope, and one off it; the policy sees the wind now."""
    now, first = torch.arange(9) % 3, torch.arange(9) // 3
    P = torch.zeros(10, 2, 10, dtype=F64)
    for s in range(9):
        on = (torch.arange(9) // 3 == first[s]).to(F64) * winds[now]
        P[s, 0, :9] = torch.eye(9, dtype=F64)[s] if kind == "wind stays" else on
        P[s, 1, 9] = 1.0
    P[9, :, 9] = 1.0
    back = torch.zeros(10, dtype=F64)
    back[:9] = (now == first) * winds[now]
    P[9, 0] = back
    if kind == "helped":
        P[9, 1] = 0.3 * back + 0.7 * P[9, 1]
    mdp = MDP(P, back, torch.tensor([[0.0, 1.0]] * 10, dtype=F64))
    seen = first if kind == "remembers" else now
    e = torch.cat([error[seen], torch.tensor([0.4 if kind == "climbs" else 1.0], dtype=F64)])
    expert = tabular.expert_of(mdp)
    learner = tabular.erring(expert, e, 2)
    return {"case": f"{kind}, T = {T}, errors {error.tolist()}, winds {winds.tolist()}", "T": T,
            "eps": float((winds * error).sum()), "fresh_wind": kind != "wind stays",
            "sees_now_only": kind != "remembers", "never_climbs": kind != "climbs",
            "no_help": kind != "helped", "eps_t": tabular.error_rates(mdp, expert, learner, T),
            "J": float(tabular.expected_cost(mdp, learner, T))}
