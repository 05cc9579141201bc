"""Exact dynamic programming against itself, against simulation, and against numbers known by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ilsupport import bounds, tabular
from ilsupport.estimate import Estimate
from ilsupport.tabular import MDP

F64 = torch.float64


def generator(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def random_policy(*shape, seed=0):
    weights = torch.rand(shape, generator=generator(seed), dtype=F64)
    return weights / weights.sum(-1, keepdim=True)


kinds = st.sampled_from(["dense", "absorbing", "recoverable"])


@settings(deadline=None)
@given(kinds, st.integers(0, 999), st.integers(2, 6), st.integers(2, 4), st.integers(1, 20))
def test_three_ways_to_the_same_cost(kind, seed, S, A, T):
    mdp = tabular.random_mdps(3, S, A, generator(seed), kind)
    policy = random_policy(3, S, A, seed=seed)
    p = tabular.state_distributions(mdp.transition, policy, mdp.initial, T)
    q, v = tabular.values(mdp, policy, T)
    cost = tabular.expected_cost(mdp, policy, T)
    assert p.shape == (3, T, S) and q.shape == (3, T, S, A) and v.shape == (3, T + 1, S)
    assert torch.allclose(p.sum(-1), torch.ones(3, T, dtype=F64)) and (p >= 0).all()
    assert torch.allclose((mdp.initial * v[:, 0]).sum(-1), cost)  # backward induction = forward distributions
    assert torch.allclose((policy[:, None] * q).sum(-1), v[:, :-1]) and not v[:, -1].any()
    if kind != "absorbing":  # there the fallen pay although no action is wrong
        own = tabular.own_error_rates(mdp, tabular.expert_of(mdp), policy, T)
        assert torch.allclose(own.sum(-1), cost)
    right = tabular.one_hot(tabular.expert_of(mdp), A)
    assert not tabular.expected_cost(mdp, right, T).any()
    assert not tabular.error_rates(mdp, tabular.expert_of(mdp), right, T).any()


def test_a_batch_is_its_members_and_a_repeated_table_is_stationary():
    mdp, T = tabular.random_mdps(6, 4, 3, generator(), "recoverable"), 9
    policy = random_policy(6, 4, 3)
    whole = tabular.expected_cost(mdp, policy, T)
    one = [tabular.expected_cost(MDP(*(x[i] for x in mdp)), policy[i], T) for i in range(6)]
    assert torch.allclose(whole, torch.stack(one))
    grid = MDP(*(x.unflatten(0, (2, 3)) for x in mdp))
    gridded = tabular.expected_cost(grid, policy.unflatten(0, (2, 3)), T)
    assert torch.allclose(gridded, whole.unflatten(0, (2, 3)))
    assert torch.allclose(tabular.expected_cost(mdp, policy[:, None].expand(6, T, 4, 3), T), whole)
    shared = tabular.expected_cost(mdp, policy[0], T)  # one policy, six MDPs
    assert torch.allclose(shared[2], tabular.expected_cost(MDP(*(x[2] for x in mdp)), policy[0], T))
    single = MDP(*(x[:1] for x in mdp))  # six policies, one MDP with a leading dimension
    assert torch.allclose(tabular.expected_cost(single, policy, T)[0], whole[0])
    assert tabular.recoverability(mdp, tabular.expert_of(mdp), T).shape == (6,)


def test_a_policy_may_change_with_time():
    mdp, T = tabular.tight_example(), 4
    right, wrong = tabular.one_hot(torch.tensor([0, 0, 0]), 2), tabular.one_hot(torch.tensor([1, 1, 1]), 2)
    late = torch.stack([right, right, wrong, wrong])  # wrong in the safe state: costs, and moves nowhere
    assert tabular.expected_cost(mdp, late, T) == 2
    assert tabular.error_rates(mdp, tabular.expert_of(mdp), late, T).tolist() == [0, 0, 1, 1]
    assert torch.equal(tabular.simulate(mdp, late, T, 5, generator()), torch.full((5,), 2.0, dtype=F64))


def test_the_examples_of_the_theory():
    mdp = tabular.tight_example()
    expert = tabular.expert_of(mdp)
    learner = tabular.erring(expert, torch.tensor([1.0, 0.0, 1.0], dtype=F64), 2)
    assert tabular.error_rates(mdp, expert, learner, 20).mean() == 0.05
    assert tabular.expected_cost(mdp, learner, 20) == 20 > 2.5 * bounds.sharp(0.05, 20)
    rope, absorbing = tabular.tightrope(), tabular.tightrope(absorbing=True)
    for T in (1, 10, 300):
        clone = tabular.tightrope_learner(0.01)
        assert tabular.expected_cost(rope, clone, T).item() == pytest.approx(bounds.sharp(0.01, T))
        assert tabular.expected_cost(absorbing, clone, T).item() == pytest.approx(bounds.sharp(0.01, T))
    climber = tabular.erring(expert[:2], torch.full((2,), 0.01, dtype=F64), 2)  # what DAgger makes
    assert tabular.expected_cost(rope, climber, 300).item() == pytest.approx(3.0)
    assert tabular.expected_cost(absorbing, climber, 300).item() == pytest.approx(bounds.sharp(0.01, 300))


def test_a_batch_of_ropes():
    rho, eps = torch.tensor([[0.0], [0.1], [1.0]], dtype=F64), torch.tensor([0.0, 0.05, 0.5, 1.0], dtype=F64)
    cost = tabular.expected_cost(tabular.tightrope(rho), tabular.tightrope_learner(eps), 25)
    assert torch.allclose(cost, bounds.recovery(eps, rho, 25))


def test_the_cliff():
    mdp = tabular.cliff(5)
    expert = tabular.expert_of(mdp)
    for cell in range(5):  # wrong for certain in one cell: pays from there on
        error = torch.zeros(6, dtype=F64)
        error[cell] = 1
        assert tabular.expected_cost(mdp, tabular.erring(expert, error, 2), 5) == 5 - cell


def test_recoverability_runs_from_a_trap_to_one_step():
    climb, T = torch.tensor([0.0, 0.2, 1.0], dtype=F64), 30
    mdp = tabular.climb_family(climb)
    u = tabular.recoverability(mdp, tabular.expert_of(mdp), T)
    assert u[0] == T - 1 and u[1].item() == pytest.approx((1 - 0.8**29) / 0.2) and u[2] == 1
    random = tabular.random_mdps(5, 4, 2, generator(), "dense")
    u = tabular.recoverability(random, tabular.expert_of(random), T)
    assert (u == 1).all()  # under the disagreement cost


@pytest.mark.parametrize("kind", ["dense", "absorbing", "recoverable"])
def test_random_mdps_have_the_structure_they_are_named_for(kind):
    mdp = tabular.random_mdps(4, 5, 3, generator(), kind)
    P, home = mdp.transition, slice(0, 3)
    if kind == "dense":
        assert (P > 0).all()
        return
    assert (P[:, home, 0, home].sum(-1) - 1).abs().max() < 1e-12 and not P[:, home, 1:, home].any()
    assert not mdp.initial[:, 3:].any() and not P[:, 3:, 1:, home].any()
    back = P[:, 3:, 0, home].sum(-1)
    assert torch.allclose(back, torch.full_like(back, float(kind == "recoverable")))
    assert (mdp.cost[:, 3:, 0] == float(kind == "absorbing")).all()
    assert torch.equal(P, tabular.random_mdps(4, 5, 3, generator(), kind).transition)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 999), st.floats(0, 0.9))
def test_the_discounted_solve_is_the_discounted_sum(seed, gamma):
    mdp = tabular.random_mdps(2, 4, 2, generator(seed), "recoverable")
    policy = random_policy(2, 4, 2, seed=seed)
    weights = gamma ** torch.arange(400, dtype=F64)[:, None]
    p = tabular.state_distributions(mdp.transition, policy, mdp.initial, 400)
    assert torch.allclose(tabular.occupancy(mdp, policy, gamma), (1 - gamma) * (weights * p).sum(1))
    steps = tabular.own_error_rates(mdp, tabular.expert_of(mdp), policy, 400)
    assert torch.allclose(tabular.discounted_cost(mdp, policy, gamma), (weights[:, 0] * steps).sum(-1))
    eps_t = tabular.error_rates(mdp, tabular.expert_of(mdp), policy, 400)
    error = tabular.discounted_error(mdp, tabular.expert_of(mdp), policy, gamma)
    assert torch.allclose(error, (1 - gamma) * (weights[:, 0] * eps_t).sum(-1))


def test_simulation_agrees_with_dynamic_programming(device):
    T, n = 15, 40_000
    mdp = MDP(*(x[0].to(device) for x in tabular.random_mdps(1, 5, 3, generator(3), "recoverable")))
    mdp = MDP(mdp.transition, mdp.initial, torch.rand(5, 3, generator=generator(4), dtype=F64).to(device))
    stepwise = random_policy(T, 5, 3, seed=5).to(device)
    for policy in (stepwise[0], stepwise):
        costs = tabular.simulate(mdp, policy, T, n, generator(6, device))
        exact = tabular.expected_cost(mdp, policy, T)
        q_spread = costs.std() / n**0.5
        assert costs.shape == (n,) and abs(costs.mean() - exact) < 5 * q_spread
        assert Estimate.of(costs).n == n
    again = tabular.simulate(mdp, stepwise, T, n, generator(6, device))
    assert torch.equal(costs, again)


def test_simulation_never_takes_what_has_probability_zero():
    P = torch.zeros(3, 1, 3, dtype=F64)
    P[:, 0, 1] = 1  # all go to the middle state, whatever comes before and after it in the table
    mdp = MDP(P, torch.tensor([0, 1.0, 0], dtype=F64), torch.tensor([[1.0], [0.0], [1.0]], dtype=F64))
    assert not tabular.simulate(mdp, torch.ones(3, 1, dtype=F64), 20, 50_000, generator()).any()


def test_any_device(device):
    mdp = tabular.random_mdps(3, 4, 2, generator(device=device), "recoverable")
    expert = tabular.expert_of(mdp)
    learner = tabular.erring(expert, torch.full((3, 4), 0.1, dtype=F64, device=device), 2)
    for result in (tabular.expected_cost(mdp, learner, 5), tabular.error_rates(mdp, expert, learner, 5),
                   tabular.recoverability(mdp, expert, 5), tabular.discounted_cost(mdp, learner, 0.9),
                   *tabular.values(mdp, learner, 5), tabular.discounted_error(mdp, expert, learner, 0.9)):
        assert result.device.type == device.type and result.dtype == F64
    rope = tabular.tightrope(torch.tensor([0.1], dtype=F64, device=device))
    assert rope.transition.device.type == rope.cost.device.type == device.type


HALF = torch.full((2, 2), 0.5, dtype=F64)
EIGHT = torch.full((2, 2, 2), 0.5, dtype=F64)
MANY = tabular.random_mdps(2, 3, 2, generator())
RIGHT = torch.tensor([0])


def tables(transition=EIGHT, initial=HALF[0], cost=HALF):
    return MDP(transition, initial, cost)


@pytest.mark.parametrize("call,told", [
    (lambda: tables(1.2 * EIGHT), "transition must sum to 1.*off by 0.2"),
    (lambda: tables(EIGHT - torch.tensor([1.0, -1.0])), "transition .*negative"),
    (lambda: tables(torch.nan * EIGHT), "transition .*NaN"),
    (lambda: tables(EIGHT[..., :1]), "transition has shape"),
    (lambda: tables(initial=0.9 * HALF[0]), "initial must sum to 1"),
    (lambda: tables(cost=3 * HALF), r"cost must lie in \[0, 1\]"),
    (lambda: tables(cost=torch.inf * HALF), "cost must lie"),
    (lambda: tables(cost=-HALF), "cost must lie"),
    (lambda: tabular.expected_cost(tables(), 2 * HALF, 5), "policy must sum to 1"),
    (lambda: tabular.expected_cost(tables(), HALF.expand(4, 2, 2), 5), "each of T = 5 steps"),
    (lambda: tabular.expected_cost(tables(), HALF[:, :1], 5), "policy has shape"),
    (lambda: tabular.expected_cost(tables(), HALF, 0), "at least 1; got 0"),
    (lambda: tabular.one_hot(torch.tensor([0, 2]), 2), "the expert's actions must lie"),
    (lambda: tabular.erring(RIGHT, torch.tensor([1.2], dtype=F64), 2), "error must lie"),
    (lambda: tabular.erring(RIGHT, torch.tensor([0.2], dtype=F64), 1), "at least 2"),
    (lambda: tabular.occupancy(tables(), HALF, 1.0), "gamma must be below 1"),
    (lambda: tabular.occupancy(tables(), HALF.expand(5, 2, 2), 0.9), "not one table"),
    (lambda: tabular.tightrope(1.5), "rho must lie"),
    (lambda: tabular.tightrope(0.1, absorbing=True), "absorbing fall has no recovery"),
    (lambda: tabular.climb_family(-0.1), "climb must lie"),
    (lambda: tabular.random_mdps(2, 1, 2, generator()), "at least 2 states"),
    (lambda: tabular.random_mdps(2, 3, 2, generator(), "sparse"), "'sparse'"),
    (lambda: tabular.simulate(MANY, random_policy(3, 2), 5, 9, generator()), "transition of a simulated MDP"),
])
def test_bad_input_is_told_what_is_wrong(call, told):
    with pytest.raises(ValueError, match=told):
        call()


@pytest.mark.parametrize("call,told", [
    (lambda: tables(EIGHT.float()), "transition must be a float64"),
    (lambda: tables([[0.5]]), "transition must be a torch tensor"),
    (lambda: tabular.expected_cost(tables(), HALF.float(), 5), "policy must be a float64"),
    (lambda: tabular.values(tables(), HALF, 2.5), "must be an int"),
    (lambda: tabular.one_hot(torch.tensor([0.0, 1.0]), 2), "action indices"),
])
def test_what_is_of_the_wrong_type_is_refused(call, told):
    with pytest.raises(TypeError, match=told):
        call()


def test_mdps_move_and_stay_exact(device):
    mdp = tabular.cliff(4).to(device)
    assert isinstance(mdp, MDP) and {(x.device.type, x.dtype) for x in mdp} == {(device.type, F64)}
    assert {x.device.type for x in mdp.to("meta")} == {"meta"}
    learner = tabular.erring(tabular.expert_of(mdp), torch.full((5,), 0.1, dtype=F64, device=device), 2)
    assert tabular.expected_cost(mdp, learner, 9).device.type == device.type
