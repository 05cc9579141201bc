"""Play a policy in an environment, and say what it is worth with an interval (page 1).

The loop of the whole book: observe, act, step. Copies of the environment advance together; nothing inside the loop waits
for the device.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Shaped
from torch import Tensor

from ilsupport._checks import check_finite, check_horizon
from ilsupport._threads import one_thread, work_of
from ilsupport.envs.base import Env, check_actions
from ilsupport.estimate import Estimate
from ilsupport.policies.base import Policy
from ilsupport.trajectories import Trajectories

Act = Callable[[Tensor], Tensor]
Step = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def actor(policy: Policy | Act, generator: torch.Generator | None = None) -> Callable[[Shaped[Tensor, "n *obs"]],
                                                                                      Shaped[Tensor, "n *act"]]:
    """Anything that acts, as a plain function of a batch of observations.

    `policy` is a Policy or any callable (a script, a human, another library's model). With a generator a Policy samples,
    without one it plays its most likely action. A stack of M students gets its M blocks of rows in student order.
    A policy that remembers what it did earlier in the episode has a method `actor(generator)`, which returns such a
    function with a memory of its own: call `actor` anew for each batch of episodes.
    """
    if hasattr(policy, "actor"):
        return policy.actor(generator)
    if not hasattr(policy, "act"):
        if not callable(policy):
            raise TypeError(f"policy is {type(policy).__name__}, expected a Policy or a function of observations.")
        return lambda obs: torch.as_tensor(policy(obs), device=obs.device)
    if getattr(policy, "students", None) is None:
        return lambda obs: policy.act(obs, generator)
    return lambda obs: policy.act(obs.unflatten(0, (policy.students, -1)), generator).flatten(0, 1)


@torch.no_grad()
def rollout(env: Env, policy: Policy | Act, n: int, *, generator: torch.Generator, horizon: int | None = None,
            sample: bool = False) -> Trajectories:
    """Play `n` episodes of at most `horizon` steps (default: the environment's) and keep everything.

    For a stack of M students, `n` episodes each: `M n` rows in student order. `sample=True` samples from the policy, the
    default plays its most likely action.

    A slow simulator is worth several processes. Let each play whole batches, and give each batch a seed of its own, so that
    the data do not depend on how many processes there were:

        def batch(seed):
            return rollout(Gymnasium("HalfCheetah-v5"), expert, 16, generator=generator(seed))

        data = Trajectories.cat(joblib.Parallel(n_jobs=-1)(joblib.delayed(batch)(seed) for seed in range(8)))

    Raises ValueError for a horizon or `n` below 1, actions of the wrong shape or outside the action space, and NaN or infinity
    from the environment.
    """
    horizon = check_horizon(env.horizon if horizon is None else horizon)
    kept: list[list[Tensor]] = [[] for _ in range(5)]
    everyone = final = None
    with one_thread(work_of(policy, n), env.device):
        for obs, action, reward, alive, ended, after in _steps(env, policy, n, generator, horizon, sample):
            for column, value in zip(kept, (obs, action, reward, alive, ended)):
                column.append(value)
            everyone = alive if everyone is None else everyone
            final = after if alive is everyone else torch.where(alive.view(-1, *[1] * (obs.ndim - 1)), after, final)
    observations, actions, rewards, mask, ends = (torch.stack(column, 1) for column in kept)
    terminated, longest = (ends & mask).any(1), int(mask.sum(1).max())
    observations, actions, rewards, mask = (x[:, :longest] for x in (observations, actions, rewards, mask))
    check_actions(actions[mask], env.action_space)
    check_finite("rewards", rewards[mask])
    return Trajectories(observations, actions, rewards, mask, terminated, final_observations=final)


@torch.no_grad()
def evaluate(env: Env, policy: Policy | Act, n: int = 100, *, generator: torch.Generator, horizon: int | None = None,
             sample: bool = False) -> Estimate | list[Estimate]:
    """Mean return of a policy over `n` episodes, with a 95 % interval; for a stack of students a list, one each.

    On environments that pay minus a cost, `-evaluate(...)` is the expected cost `J`. Keeps no trajectories; use
    `rollout` and `Estimate.of` for any other statistic. Raises as `rollout` does.
    """
    horizon = check_horizon(env.horizon if horizon is None else horizon)
    total = lowest = highest = everyone = None
    with one_thread(work_of(policy, n), env.device):
        for _, action, reward, alive, _, _ in _steps(env, policy, n, generator, horizon, sample):
            if total is None:
                total, lowest, highest, everyone = reward.double(), action, action, alive
                continue
            total.add_(reward if alive is everyone else torch.where(alive, reward, 0))
            lowest, highest = torch.minimum(lowest, action), torch.maximum(highest, action)
    for extreme in (lowest, highest):
        check_actions(extreme, env.action_space)
    check_finite("return", total)
    students = getattr(policy, "students", None)
    return Estimate.of(total) if students is None else [Estimate.of(row) for row in total.view(students, n)]


def _steps(env: Env, policy: Policy | Act, n: int, generator: torch.Generator, horizon: int, sample: bool) -> Iterator[Step]:
    """Yield (obs, action, reward, alive, terminated, next obs) of each step; `alive` says whose episode still ran.

    On a CPU `alive` stays the same tensor until somebody's episode ends.
    """
    act = actor(policy, generator if sample else None)
    rows = n * (getattr(policy, "students", None) or 1)
    obs = env.reset(rows, generator)
    alive = torch.ones(rows, dtype=torch.bool, device=obs.device)
    on_cpu = obs.device.type == "cpu"
    for _ in range(horizon):
        action = act(obs)
        if action.shape[:1] != (rows,):
            raise ValueError(f"the policy returned shape {tuple(action.shape)} for {rows} observations, expected "
                             f"({rows}, *act): one action for each observation of the batch.")
        after, reward, terminated, truncated = env.step(action)
        yield obs, action, reward, alive, terminated, after
        over = terminated | truncated
        if not on_cpu or over.any():  # a look is free on a CPU; elsewhere it would wait for the device
            alive = alive & ~over
            if on_cpu and not alive.any():
                return
        obs = after
