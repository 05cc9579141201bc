"""Exact twins: finite MDPs whose state distributions and costs come by dynamic programming, not by sampling.

Pages 3, 4 and 5 hold every theorem against what this module computes. Steps are t = 0, ..., T-1. All is
float64 and batched over leading dimensions (written `...`), so that a thousand MDPs are one call. Bad tables
raise ValueError, wrong types TypeError.

An expert is deterministic and given by its actions, integers (..., S). A policy is a table of probabilities,
stationary (..., S, A) or one for each step (..., T, S, A), and then with as many dimensions as `transition`.
Every MDP built here is labelled so that the expert's action is 0 in every state: see `expert_of`.
"""
from __future__ import annotations

from collections import namedtuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

import ilsupport._checks as check

Actions = Int[Tensor, "... S"]
Table = Float[Tensor, "... S A"]


class MDP(namedtuple("MDP", "transition initial cost")):
    """Finite MDPs: P(s' | s, a) (..., S, A, S), p_0 (..., S) and costs in [0, 1] a step (..., S, A), float64.

    Leading dimensions broadcast. ValueError when a row is no distribution, a cost lies outside [0, 1], an
    entry is not finite or a shape does not fit; TypeError when a table is not float64.
    """

    __slots__ = ()

    def __new__(cls, transition: Tensor, initial: Tensor, cost: Tensor) -> MDP:
        check.check_shape("transition", transition, ("...", "S", "A", "S"))
        S, A = transition.shape[-3:-1]
        tables, shapes = (transition, initial, cost), ((S, A, S), (S,), (S, A))
        for name, table, shape in zip(cls._fields, tables, shapes):
            check.check_float64(name, check.check_shape(name, table, ("...", *shape)))
        check.check_distribution("transition", transition)
        check.check_distribution("initial", initial)
        check.check_probability("cost", cost)
        lead = torch.broadcast_shapes(*(x.shape[:x.ndim - len(shape)] for x, shape in zip(tables, shapes)))
        return super().__new__(cls, *(x.expand(*lead, *shape) for x, shape in zip(tables, shapes)))

    def to(self, device: torch.device | str) -> MDP:
        """The same MDPs on another device; they stay float64, since all here is exact."""
        return self._make(table.to(device) for table in self)


def expert_of(mdp: MDP) -> Actions:
    """Return the expert of any MDP built in this module: action 0 in every state."""
    return torch.zeros_like(mdp.initial, dtype=torch.long)


def one_hot(expert: Actions, n_actions: int) -> Table:
    """Return a deterministic policy as a table of probabilities. Raises for actions outside 0 .. A-1."""
    if not isinstance(expert, Tensor) or expert.is_floating_point() or expert.dtype == torch.bool:
        kind = getattr(expert, "dtype", type(expert).__name__)
        raise TypeError(f"an expert is a tensor of action indices; got {kind}. Of a table take .argmax(-1).")
    check.check_between("the expert's actions", expert, 0, n_actions - 1)
    return torch.nn.functional.one_hot(expert.long(), n_actions).double()


def disagreement_cost(expert: Actions, n_actions: int) -> Table:
    """Return C(s, a) = 1[a != expert(s)], the cost under which the expert pays nothing."""
    return 1 - one_hot(expert, n_actions)


def erring(expert: Actions, error: Float[Tensor, "... S"], n_actions: int) -> Table:
    """Return the policy that errs in state s with chance error(s), evenly over the wrong actions."""
    if n_actions < 2:
        raise ValueError(f"n_actions must be at least 2, or no action is wrong; got {n_actions}.")
    check.check_probability("error", check.check_float64("error", error))
    right = one_hot(expert, n_actions)
    return right * (1 - error[..., None]) + (1 - right) * error[..., None] / (n_actions - 1)


def state_distributions(transition: Tensor, policy: Tensor, initial: Tensor, T: int) -> Tensor:
    """Return p_t(s), (..., T, S), for t = 0 .. T-1 under a policy, stationary or one table a step."""
    check.check_horizon(T)
    kernels, steps = _kernels(transition, _stepwise(policy, transition, T)), [initial]
    for t in range(T - 1):
        steps.append((steps[t][..., None, :] @ _at(kernels, t)).squeeze(-2))
    return torch.stack(torch.broadcast_tensors(*steps), dim=-2)


def expected_cost(mdp: MDP, policy: Tensor, T: int) -> Float[Tensor, "..."]:
    """Return J = E[sum_t C(s_t, a_t)] over T steps, exactly; in [0, T]."""
    p = state_distributions(mdp.transition, policy, mdp.initial, T)
    return (p * _paid(mdp, policy, mdp.cost, T)).sum((-2, -1))


def error_rates(mdp: MDP, expert: Actions, learner: Tensor, T: int) -> Float[Tensor, "... T"]:
    """Return eps_t, the learner's chance to disagree at step t in states drawn from the *expert's* p*_t."""
    return _errors_along(mdp, one_hot(expert, mdp.cost.shape[-1]), expert, learner, T)


def own_error_rates(mdp: MDP, expert: Actions, learner: Tensor, T: int) -> Float[Tensor, "... T"]:
    """Return the learner's chance to disagree at step t in the states it visits *itself*; their sum is J."""
    return _errors_along(mdp, learner, expert, learner, T)


def values(mdp: MDP, policy: Tensor, T: int) -> tuple[Float[Tensor, "... T S A"], Float[Tensor, "... T+1 S"]]:
    """Return Q_t(s, a) and V_t(s), the cost still to come from step t on; V_T = 0. By backward induction."""
    check.check_horizon(T)
    policy = _stepwise(policy, mdp.transition, T)
    qs, vs = [], [torch.zeros_like(mdp.initial)]
    for t in reversed(range(T)):
        qs.append(mdp.cost + (mdp.transition @ vs[-1][..., None, :, None]).squeeze(-1))
        vs.append((_at(policy, t) * qs[-1]).sum(-1))
    qs, vs = torch.broadcast_tensors(*qs[::-1]), torch.broadcast_tensors(*vs[::-1])
    return torch.stack(qs, dim=-3), torch.stack(vs, dim=-2)


def recoverability(mdp: MDP, expert: Actions, T: int) -> Float[Tensor, "..."]:
    """Return u = max over s, a, t of Q*_t(s, a) - V*_t(s): what one wrong action costs if the expert goes on.

    Q* and V* are the *expert's* own values under the MDP's cost. Under the disagreement cost u is 1 (page 5).
    """
    q, v = values(mdp, one_hot(expert, mdp.cost.shape[-1]), T)
    return (q - v[..., :-1, :, None]).amax((-3, -2, -1))


def occupancy(mdp: MDP, policy: Table, gamma: float) -> Float[Tensor, "... S"]:
    """Return d(s) = (1 - gamma) sum_t gamma^t p_t(s), a distribution, by a linear solve; 0 <= gamma < 1."""
    check.check_discount(gamma)
    kernel = _kernels(mdp.transition, _stepwise(policy, mdp.transition, 1)).squeeze(-3)
    system = torch.eye(kernel.shape[-1]).to(kernel) - gamma * kernel
    return torch.linalg.solve(system.mT, ((1 - gamma) * mdp.initial)[..., None]).squeeze(-1)


def discounted_cost(mdp: MDP, policy: Table, gamma: float) -> Float[Tensor, "..."]:
    """Return J_gamma = E[sum_t gamma^t C(s_t, a_t)] over t = 0, 1, ...; in [0, 1 / (1 - gamma)]."""
    visits = occupancy(mdp, policy, gamma) / (1 - gamma)
    return (visits * _paid(mdp, policy, mdp.cost, 1).squeeze(-2)).sum(-1)


def discounted_error(mdp: MDP, expert: Actions, learner: Table, gamma: float) -> Float[Tensor, "..."]:
    """Return eps_gamma, the learner's chance to disagree in the expert's discounted occupancy."""
    A = mdp.cost.shape[-1]
    errors = _paid(mdp, learner, disagreement_cost(expert, A), 1).squeeze(-2)
    return (occupancy(mdp, one_hot(expert, A), gamma) * errors).sum(-1)


def simulate(mdp: MDP, policy: Tensor, T: int, n: int, generator: torch.Generator) -> Float[Tensor, "n"]:
    """Return the costs of n sampled trajectories of one MDP (no leading dimensions), for intervals."""
    check.check_horizon(T)
    check.check_horizon(n, "number of trajectories n")
    check.check_shape("transition of a simulated MDP", mdp.transition, ("S", "A", "S"))
    policy = _stepwise(policy, mdp.transition, T)
    state = torch.multinomial(mdp.initial, n, replacement=True, generator=generator)
    total = torch.zeros(n, dtype=torch.float64, device=state.device)
    for t in range(T):
        action = torch.multinomial(_at(policy, t)[state], 1, generator=generator).squeeze(1)
        total += mdp.cost[state, action]
        state = torch.multinomial(mdp.transition[state, action], 1, generator=generator).squeeze(1)
    return total


def tightrope(rho: float | Float[Tensor, "..."] = 0.0, absorbing: bool = False) -> MDP:
    """Return the two-state twin of the Tightrope environment, its wind marginalised out (page 3).

    States: 0 on the rope, 1 off it. Actions: 0 right, 1 wrong. On the rope a wrong action falls; off it the
    right one climbs back, and after a wrong one the environment puts the learner back with chance `rho`. A
    wrong action costs 1; `absorbing`: nobody returns and each step off the rope costs 1. Batched over `rho`.
    """
    rho = _chances("rho", rho)
    if absorbing and bool((rho > 0).any()):
        raise ValueError("an absorbing fall has no recovery: leave rho at 0, or absorbing at False.")
    climb = torch.full_like(rho, 0.0 if absorbing else 1.0)
    return _two_states(climb, rho, [[0.0, 1.0], [1.0 if absorbing else 0.0, 1.0]])


def tightrope_learner(eps: float | Float[Tensor, "..."]) -> Float[Tensor, "... 2 2"]:
    """Return the clone on `tightrope`: errs with chance `eps` on the rope, never climbs. Batched."""
    eps = _chances("eps", eps)
    error = torch.stack([eps, torch.ones_like(eps)], -1)
    return erring(torch.zeros_like(error, dtype=torch.long), error, 2)


def tight_example() -> MDP:
    """Return the MDP that makes the average-case bound an equality: states 0 start, 1 safe, 2 lost (page 3).

    Only the first step can go wrong; lost is for ever and costs 1 a step. The learner that errs with chances
    [T eps, 0, 1] has average error eps and costs T^2 eps: the mistake costs 1 and so does every later step.
    """
    return _deterministic([[1, 2], [1, 1], [2, 2]])


def cliff(length: int) -> MDP:
    """Return a walk along an edge of `length` cells, 0 .. length-1, the last one stays; wrong steps fall.

    State `length` is the bottom: no way back, cost 1 a step. Lets the error differ from cell to cell.
    """
    check.check_horizon(length, "length")
    return _deterministic([[min(s + 1, length - 1), length] for s in range(length)] + [[length, length]])


def climb_family(climb: float | Float[Tensor, "..."]) -> MDP:
    """Return the recoverability knob (page 5): 0 on, 1 off the rope; climbing works with chance `climb`.

    The cost is a *task* cost, 1 a step off the rope whatever one does there; the mistake itself is free. Then
    u = (1 - (1 - climb)^(T-1)) / climb for T >= 2: a trap, T - 1, at climb = 0; 1 at climb = 1. Batched.
    """
    climb = _chances("climb", climb)
    return _two_states(climb, torch.zeros_like(climb), [[0.0, 0.0], [1.0, 1.0]])


def random_mdps(n: int, S: int, A: int, generator: torch.Generator, kind: str = "dense") -> MDP:
    """Return n random MDPs under the disagreement cost; the expert's action is 0. `kind` is one of

    "dense"        any state may follow any other;
    "absorbing"    the expert keeps to the first half of the states, a wrong action leaves it for ever, at
                   1 a step;
    "recoverable"  as absorbing, but there the expert's action returns.
    """
    check.check_horizon(n, "number of MDPs n")
    if kind not in ("dense", "absorbing", "recoverable"):
        raise ValueError(f"kind must be 'dense', 'absorbing' or 'recoverable'; got {kind!r}.")
    if S < 2 or A < 2:
        raise ValueError(f"a random MDP needs at least 2 states and 2 actions; got S = {S}, A = {A}.")
    home = torch.arange(S, device=generator.device) < (S + 1) // 2
    allowed = torch.ones(S, A, S, dtype=torch.float64, device=generator.device)
    if kind != "dense":
        goes_home = torch.zeros(S, A, dtype=torch.bool, device=generator.device)
        goes_home[:, 0] = home if kind == "absorbing" else True
        allowed = (goes_home[..., None] == home).double()
    draw = {"generator": generator, "dtype": torch.float64, "device": generator.device}
    P = allowed * -torch.rand(n, S, A, S, **draw).clamp_min(1e-300).log()  # uniform on the simplex
    p0 = allowed[0, 0] * -torch.rand(n, S, **draw).clamp_min(1e-300).log()
    cost = disagreement_cost(torch.zeros(S, dtype=torch.long, device=generator.device), A)
    if kind == "absorbing":
        cost[~home] = 1.0
    return MDP(P / P.sum(-1, keepdim=True), p0 / p0.sum(-1, keepdim=True), cost)


def _stepwise(policy: Tensor, transition: Tensor, T: int) -> Tensor:
    """Return the policy, checked, as (..., T or 1, S, A), with as many dimensions as the transitions."""
    check.check_float64("policy", policy)
    check.check_shape("policy", policy, ("...", *transition.shape[-3:-1]))
    check.check_distribution("policy", policy)
    missing = transition.ndim - policy.ndim
    if missing > 0:  # one table for all steps
        return policy[(None,) * (missing - 1)][..., None, :, :]
    if missing < 0 or policy.shape[-3] != T:
        raise ValueError(f"a policy {tuple(policy.shape)} for transitions {tuple(transition.shape)} is not "
                         f"one table, nor one for each of T = {T} steps; a batch needs a batch of MDPs.")
    return policy


def _paid(mdp: MDP, policy: Tensor, cost: Tensor, T: int) -> Tensor:
    """Return what a policy pays in each state at each step, (..., T or 1, S)."""
    return (_stepwise(policy, mdp.transition, T) * cost[..., None, :, :]).sum(-1)


def _kernels(transition: Tensor, stepwise: Tensor) -> Tensor:
    """Return P_pi(s' | s) (..., T or 1, S, S), the sum over a of pi(a | s) P(s' | s, a)."""
    return (stepwise[..., None, :] @ transition.unsqueeze(-4)).squeeze(-2)


def _at(tables: Tensor, t: int) -> Tensor:
    return tables[..., 0 if tables.shape[-3] == 1 else t, :, :]


def _errors_along(mdp: MDP, walker: Tensor, expert: Tensor, learner: Tensor, T: int) -> Tensor:
    p = state_distributions(mdp.transition, walker, mdp.initial, T)
    return (p * _paid(mdp, learner, disagreement_cost(expert, mdp.cost.shape[-1]), T)).sum(-1)


def _chances(name: str, x: float | Tensor) -> Tensor:
    return torch.as_tensor(check.check_probability(name, x), dtype=torch.float64)


def _two_states(climb: Tensor, rho: Tensor, cost: list[list[float]]) -> MDP:
    """Build on (0) and off (1): wrong on the rope falls; off it right returns by `climb`, wrong by `rho`."""
    zero, one = torch.zeros_like(rho), torch.ones_like(rho)
    P = torch.stack([one, zero, zero, one, climb, 1 - climb, rho, 1 - rho], -1).unflatten(-1, (2, 2, 2))
    start = torch.tensor([1.0, 0.0], dtype=torch.float64, device=rho.device)
    return MDP(P, start, torch.tensor(cost, dtype=torch.float64, device=rho.device))


def _deterministic(successors: list[list[int]]) -> MDP:
    """Build an MDP that starts in state 0, moves as the table says and loses for good in its last state."""
    S = len(successors)
    P = torch.nn.functional.one_hot(torch.tensor(successors), S).double()
    cost = torch.tensor([[0.0, 1.0]] * (S - 1) + [[1.0, 1.0]], dtype=torch.float64)
    return MDP(P, torch.eye(S, dtype=torch.float64)[0], cost)
