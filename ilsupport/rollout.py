"""Play a policy in an environment, and say what it is worth with an interval (page 1).

The loop of the whole book: observe, act, step. Copies of the environment advance together; nothing inside the
loop waits for the device.
"""
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor

from ilsupport._checks import check_finite, check_horizon
from ilsupport._threads import one_thread, work_of
from ilsupport.envs.base import Env, check_actions
from ilsupport.estimate import Estimate, Estimates
from ilsupport.policies.base import Policy, in_mode
from ilsupport.trajectories import Trajectories

Act = Callable[[Shaped[Tensor, "n *obs"]], Shaped[Tensor, "n *act"]]
# steps between two looks at whether everybody's episode has ended, where a look waits for the device
LOOK = 32
# steps that `evaluate` adds up at a time: one after the other, that costs a third of one at a time
BLOCK = 8


def actor(policy: Policy | Act, generator: torch.Generator | None = None) -> Act:
    """Anything that acts, as a plain function of a batch of observations, at the start of its episodes.

    `policy` is a Policy or any callable (a script, a human, another library's model). With a generator a
    Policy samples, without one it plays its most likely action. A stack of M students gets its M blocks of
    rows in student order. A policy's `begin()` is called here: call `actor` anew for each batch of episodes.
    Raises TypeError for anything that neither is a Policy nor can be called.
    """
    if isinstance(policy, Policy):
        policy.begin()
        if policy.students is None:
            return lambda obs: policy.act(obs, generator)
        return lambda obs: policy.act(obs.unflatten(0, (policy.students, -1)), generator).flatten(0, 1)
    if not callable(policy) or isinstance(policy, type):
        raise TypeError(f"policy is {policy!r}, expected an il.Policy or a function of observations.")
    return lambda obs: torch.as_tensor(policy(obs), device=obs.device)


def students_of(policy: Policy | Act) -> int | None:
    """How many students play side by side; None for a lone policy and for a function."""
    return policy.students if isinstance(policy, Policy) else None


@torch.no_grad()
def rollout(env: Env, policy: Policy | Act, n: int, *, generator: torch.Generator, horizon: int | None = None,
            sample: bool = False) -> Trajectories:
    """Play `n` episodes of at most `horizon` steps (default: the environment's) and keep everything.

    For a stack of M students, `n` episodes each: `M n` rows in student order. `sample=True` samples from the
    policy, the default plays its most likely action. A policy that is a torch module plays in evaluation
    mode, and its mode comes back.

    A slow simulator is worth several processes. Let each play whole batches, and give each batch a seed of
    its own, so that the data do not depend on how many processes there were:

        def batch(seed):
            return rollout(Gymnasium("HalfCheetah-v5"), expert, 16, generator=generator(seed))

        data = Trajectories.cat(joblib.Parallel(n_jobs=-1)(joblib.delayed(batch)(seed) for seed in range(8)))

    Raises ValueError for a horizon or `n` below 1, actions of the wrong shape or outside the action space,
    and NaN or infinity from the environment while an episode runs.
    """
    with one_thread(work_of(policy, n), env.device), in_mode(policy, training=False):
        steps, final = list(_steps(env, policy, n, generator, horizon, sample)), None
        for step in steps:
            final = step.running(step.after, final)
    observations, actions, rewards, mask, ends = (torch.stack(column, 1) for column in list(zip(*steps))[:5])
    terminated, longest = (ends & mask).any(1), int(mask.sum(1).max())
    observations, actions, rewards, mask = (x[:, :longest] for x in (observations, actions, rewards, mask))
    check_actions(actions[mask], env.action_space)
    return Trajectories(observations, actions, rewards, mask, terminated, final_observations=final,
                        successes=_successes(env))


@torch.no_grad()
def evaluate(env: Env, policy: Policy | Act, n: int = 100, *, generator: torch.Generator,
             horizon: int | None = None, sample: bool = False, success: bool = False) -> Estimate | Estimates:
    """Mean return of a policy over `n` episodes, with a 95 % interval; for a stack of students a list, one
    each.

    On environments that pay minus a cost, `-evaluate(...)` is the expected cost `J`. `success=True`: the
    share of episodes that the environment calls a success, with its exact interval. Keeps no trajectories;
    use `rollout` and `Estimate.of` for any other statistic. Raises as `rollout` does, and ValueError where
    the environment says nothing of success.
    """
    steps, total = _steps(env, policy, n, generator, horizon, sample), None
    with one_thread(work_of(policy, n), env.device), in_mode(policy, training=False):
        while some := list(islice(steps, BLOCK)):
            if total is None:  # float64 where every device has it, so that long sums keep their digits
                reward, action = some[0].reward, some[0].action
                total = torch.zeros_like(reward, dtype=torch.float64 if env.device.type == "cpu" else None)
                seen, lowest, highest = 0 * some[0].obs, action.clone(), action.clone()
            for step in some:
                total.add_(step.running(step.reward, 0))
                seen.add_(step.running(step.after, 0), alpha=0)  # 0, but for NaN and infinity, which stay
                action = step.running(step.action, lowest)
                torch.minimum(lowest, action, out=lowest)
                torch.maximum(highest, action, out=highest)
    for extreme in (lowest, highest):
        check_actions(extreme, env.action_space)
    check_finite("observations", seen), check_finite("return", total)
    results, summary = total, Estimate.of
    if success:
        results, summary = _successes(env), lambda row: Estimate.of_rate(int(row.sum()), len(row))
        if results is None:
            raise ValueError("env gives no info['is_success']; evaluate its return, or count in a rollout.")
    students = students_of(policy)
    return summary(results) if students is None else Estimates(map(summary, results.view(students, n)))


class _Step(NamedTuple):
    """`alive` says whose episode still ran when `action` was played, `everyone` that nobody's had ended."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    alive: Tensor
    terminated: Tensor
    after: Tensor
    everyone: bool

    def running(self, x: Tensor, other: Tensor | float | None) -> Tensor:
        """`x` where the episode still ran, `other` where it had ended."""
        if self.everyone:
            return x
        return torch.where(self.alive.view(-1, *[1] * (x.ndim - 1)), x, other)


def _steps(env: Env, policy: Policy | Act, n: int, generator: torch.Generator, horizon: int | None,
           sample: bool) -> Iterator[_Step]:
    """Yield every step; the tensors are the caller's own, whatever environment and policy do to theirs."""
    horizon = check_horizon(env.horizon if horizon is None else horizon)
    act, ours = actor(policy, generator if sample else None), isinstance(env, Env)
    own = (lambda x: x) if ours else torch.clone
    rows = running = n * (students_of(policy) or 1)
    obs = env.reset(rows, generator)
    alive = torch.ones(rows, dtype=torch.bool, device=obs.device)
    on_cpu, everyone, before = obs.device.type == "cpu", True, own(obs)
    for t in range(1, horizon + 1):
        action = act(obs)
        if action.shape[:1] != (rows,):
            raise ValueError(f"the policy returned shape {tuple(action.shape)}, expected ({rows}, *act).")
        played = action.clone()
        obs, reward, terminated, truncated = env.step(action)
        if not reward.shape == terminated.shape == truncated.shape == (rows,):
            shapes = [tuple(x.shape) for x in (reward, terminated, truncated)]
            raise ValueError(f"rewards, terminated, truncated have shapes {shapes}, expected ({rows},) each.")
        after = own(obs)
        yield _Step(before, played, own(reward), alive, own(terminated), after, everyone)
        before, left = after, env.left if ours else None
        # Where nobody counts, a look at who has ended is free on a CPU; elsewhere it waits for the device.
        if (not on_cpu or (terminated | truncated).any()) if left is None else left < running:
            alive, everyone, running = alive & ~(terminated | truncated), False, left
            if left == 0 or left is None and (on_cpu or t % LOOK == 0) and not alive.any():
                return


def _successes(env: Env) -> Tensor | None:
    """What the environment says of the episodes just played; one that is not an `Env` says nothing."""
    success = env.success if isinstance(env, Env) else None
    return None if success is None else success.clone()
