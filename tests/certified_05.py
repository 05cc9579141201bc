"""Page 5, certified: what interaction buys. `certified_03.py` says what a check is."""

from __future__ import annotations

import torch
from certified_cases import F64, Case, at_most, certifies, disagreeing, equal, walk

from ilsupport import bounds, tabular
from ilsupport.tabular import MDP


@certifies("thm-recoverability", "eq-recoverability", wrong=("u halved", "error on the expert's states"))
def recoverability(c: Case, variant: str | None = None) -> None:
    mdp = tabular.tight_example()  # one mistake, at the first step, costs u = T: equality
    once = tabular.erring(tabular.expert_of(mdp), torch.tensor([c.eps, 0, 0], dtype=F64), 2)
    rope = tabular.climb_family(1.0)  # u = 1, and a learner that never climbs
    stuck = tabular.tightrope_learner(c.eps)
    for task, learner, expert in ((c.task, c.free, c.expert), (mdp, once, tabular.expert_of(mdp)),
                                  (rope, stuck, tabular.expert_of(rope))):
        u = tabular.recoverability(task, expert, c.T)
        rates = tabular.error_rates if variant == "error on the expert's states" else tabular.own_error_rates
        error = rates(task, expert, learner, c.T).mean(-1)
        claimed = bounds.recoverable(u / 2 if variant == "u halved" else u, c.T, error)
        by_expert = tabular.expected_cost(task, tabular.one_hot(expert, task.cost.shape[-1]), c.T)
        at_most(tabular.expected_cost(task, learner, c.T) - by_expert, claimed)


@certifies("prop-climb-family", "eq-climb-family", wrong=("one step long",))
def climb_family(c: Case, variant: str | None = None) -> None:
    T = max(c.T, 2)
    climb = torch.tensor([c.rho, 0.0, 0.1, 1.0], dtype=F64)
    mdp = tabular.climb_family(climb)
    k = torch.arange(T if variant == "one step long" else T - 1, dtype=F64)
    equal(tabular.recoverability(mdp, tabular.expert_of(mdp), T), ((1 - climb[:, None]) ** k).sum(-1))


@certifies("thm-own-states", "eq-own-states", "eq-disagreement-u", wrong=("error on the expert's states",))
def own_states(c: Case, variant: str | None = None) -> None:
    mdp = disagreeing(c)
    rates = tabular.error_rates if variant == "error on the expert's states" else tabular.own_error_rates
    eps = rates(mdp, c.expert, c.free, c.T).mean(-1)
    equal(tabular.expected_cost(mdp, c.free, c.T), c.T * eps)
    equal(tabular.recoverability(mdp, c.expert, c.T), 1.0)


@certifies("lem-beta-mixing", "eq-beta-mixing", "eq-beta-mixing-exact",
           wrong=("horizon dropped", "constant halved"))
def beta_mixing(c: Case, variant: str | None = None) -> None:
    """The expert acts with chance beta (here eps) at each step; worst case: the rope, the roles swapped."""
    rope = tabular.tightrope(absorbing=True)
    falls, stays = tabular.one_hot(torch.tensor([1, 1]), 2), tabular.one_hot(torch.tensor([0, 0]), 2)
    expert = tabular.one_hot(c.expert, c.mdp.cost.shape[-1])
    beta, T = c.eps, c.T
    claimed = {None: bounds.beta_mixing(beta, T), "horizon dropped": min(2, 2 * beta),
               "constant halved": bounds.beta_mixing(beta, T) / 2}[variant]
    for mdp, pi, learner in ((c.mdp, expert, c.free), (rope, falls, stays)):
        moved = walk(mdp, beta * pi + (1 - beta) * learner, T) - walk(mdp, learner, T)
        l1 = moved.abs().sum(-1)
        at_most(l1, claimed)
        at_most(moved.mean(-2).abs().sum(-1), claimed)  # averaged over steps, as thm-dagger uses it
        at_most(l1, 2 * bounds.total_variation(beta, torch.arange(T, dtype=F64)))


@certifies("thm-dagger", "eq-dagger", wrong=("mixing dropped", "regret dropped"))
def dagger(c: Case, variant: str | None = None) -> None:
    """Exact DAgger over a finite class, following the leader; and one that never learns: any will do."""
    N, A = 6, c.mdp.cost.shape[-1]
    expert, S = tabular.one_hot(c.expert[0], A), c.mdp.cost.shape[-2]
    mdp = MDP(*(table[:1] for table in c.mdp))
    random = tabular.erring(c.expert[:1], torch.rand(6, S, generator=c.generator, dtype=F64) ** 2, A)
    members = torch.cat([c.sup[:1], random])  # (K, S, A)
    wrong = (members * tabular.disagreement_cost(c.expert[0], A)).sum(-1)  # (K, S)
    i = torch.arange(N, dtype=F64)
    schedules = (torch.ones(N, dtype=F64), torch.zeros(N, dtype=F64), 0.3**i, (i == 0).double())
    for betas, learns, pool in [(b, True, slice(None)) for b in schedules] + [
            (schedules[1], False, slice(None)), (schedules[0], True, slice(0, 1))]:
        losses, chosen, k = [], [], 0 if learns else int(wrong[pool].sum(-1).argmax())
        for beta in betas:
            acting = beta * expert + (1 - beta) * members[pool][k]
            losses.append(wrong[pool] @ walk(mdp, acting, c.T)[0].mean(-2))
            chosen.append(k)
            k = int(sum(losses).argmin()) if learns else k  # follow the leader
        table = torch.stack(losses)  # (N, K)
        best = float(table.mean(0).min())
        regret = float(table[torch.arange(N), chosen].mean()) - best
        own = [float(wrong[pool][k] @ walk(mdp, members[pool][k], c.T)[0].mean(-2)) for k in set(chosen)]
        bound = bounds.dagger(best, regret, betas, c.T)
        dropped = {None: 0.0, "mixing dropped": bound.mixing, "regret dropped": bound.regret}[variant]
        at_most(min(own), bound.total - dropped)


@certifies("eq-discounted-recoverability", wrong=("error on the expert's states", "u halved"))
def discounted_recoverability(c: Case, variant: str | None = None) -> None:
    at_start = torch.tensor([c.eps, 0, 0], dtype=F64)
    once = tabular.erring(torch.zeros(3, dtype=torch.long), at_start, 2)
    stuck = tabular.tightrope_learner(c.eps)  # never climbs, though one climb would do
    extremal = [(tabular.tight_example(), once), (tabular.climb_family(1.0), stuck)]
    for mdp, learner in [(c.task, c.free), *extremal]:
        right = tabular.one_hot(tabular.expert_of(mdp), mdp.cost.shape[-1])
        on = torch.eye(mdp.cost.shape[-2], dtype=F64) - c.gamma * mdp.transition[..., 0, :]
        v = torch.linalg.solve(on, mdp.cost[..., :1])  # the expert's discounted cost to go
        u = (mdp.cost + c.gamma * (mdp.transition @ v[..., None, :, :]).squeeze(-1) - v).amax((-2, -1))
        states = right if variant == "error on the expert's states" else learner
        error = (tabular.occupancy(mdp, states, c.gamma) * (1 - learner[..., 0])).sum(-1)
        claimed = u * error / (1 - c.gamma) / (2 if variant == "u halved" else 1)
        gap = tabular.discounted_cost(mdp, learner, c.gamma) - tabular.discounted_cost(mdp, right, c.gamma)
        at_most(gap, claimed)


@certifies("lem-leader", "eq-leader", wrong=("strong convexity dropped", "a fiftieth of it"))
def leader(c: Case, variant: str | None = None) -> None:
    """Follow-the-Leader on [-1, 1] against an adversary that always pulls to the other side."""
    N, mu, theta, pulls, played = 20 * c.T, 1.0, 1.0, [], []
    flat = variant == "strong convexity dropped"
    for _ in range(N):
        pull = -1.0 if theta > 0 else 1.0
        pulls.append(pull)
        played.append(-theta * pull if flat else mu / 2 * (theta - pull) ** 2)
        mean = sum(pulls) / len(pulls)
        theta = (1.0 if mean >= 0 else -1.0) if flat else mean
    best = -abs(mean) if flat else mu / 2 * sum((mean - pull) ** 2 for pull in pulls) / N
    steepest = 1.0 if flat else 2 * mu
    rounds = torch.arange(1, N + 1, dtype=F64)
    claimed = 2 * steepest**2 / mu * (1 + torch.log(rounds[-1])) / N
    at_most(sum(played) / N - best, claimed / 50 if variant == "a fiftieth of it" else claimed)
