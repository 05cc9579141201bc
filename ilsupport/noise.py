"""Demonstrations under disturbance: the demonstrator is pushed, and its answers to the push are what we keep
(page 6).

Noise injection, and DART (Laskey and others, 2017), which sets the noise by the learner's own error.
"""
from collections.abc import Callable, Iterator
from dataclasses import replace

import gymnasium
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ilsupport._checks import check_finite, check_shape
from ilsupport.bc import History, answers, fit
from ilsupport.dagger import Round, rounds_of
from ilsupport.envs.base import Env, check_space
from ilsupport.policies.base import Policy, in_mode
from ilsupport.random import randn
from ilsupport.rollout import Act, actor, rollout
from ilsupport.runs import Log, Progress
from ilsupport.trajectories import Trajectories

Covariance = Float[Tensor, "*M d d"]


def demonstrate(env: Env, expert: Policy | Act, n: int, *, generator: torch.Generator,
                horizon: int | None = None, covariance: float | Covariance = 0.0) -> Trajectories:
    """`n` episodes of an expert whose actions reach the world with Gaussian noise, in the action space.

    `actions` are what was executed, `labels` what the expert meant; it is asked once a step.
    covariance   of the noise, drawn anew at each step: a variance for every coordinate, or a matrix (d, d);
                 for a stack of M students (M, d, d), and then `n` episodes under each, rows in student order

    Raises ValueError for a covariance that is not symmetric and positive semidefinite, or of another shape,
    TypeError for an environment whose actions are not a box.
    """
    space = env.action_space
    check_space("the action space", space, (gymnasium.spaces.Box,), "Gaussian noise needs numbers to move")
    low, high = (torch.as_tensor(x, dtype=env.dtype, device=env.device) for x in (space.low, space.high))
    root = _root(covariance, space.shape[0]).to(env.device, env.dtype)
    rows = n * (len(root) if root.ndim == 3 else 1)
    act, meant = actor(expert), []

    def disturbed(obs: Tensor) -> Tensor:
        meant.append(act(obs).to(env.dtype).clone())
        check_shape("the expert's answer", meant[-1], (rows, len(low)), hint="one action an observation")
        push = randn((rows, len(low)), generator, low).view(*root.shape[:-2], n, -1) @ root
        return torch.minimum(torch.maximum(meant[-1] + push.view(rows, -1), low), high)

    with in_mode(expert, training=False):
        played = rollout(env, disturbed, rows, generator=generator, horizon=horizon)
    return replace(played, labels=torch.stack(meant, 1)[:, :played.horizon])


def error_covariance(policy: Policy, data: Trajectories | list[Trajectories]) -> Covariance:
    """Mean outer product of the policy's error on `data`, `E[(a - a*)(a - a*)^T]`, about zero: bias counts.

    For a stack a list of M data sets, and one matrix a student. A policy with a memory is asked at every
    state as if an episode started there.
    """
    both = answers(policy, data)
    errors = [check_shape("the policy's answer", acted, ("N", "d"), float) - target for acted, target in both]
    error = pad_sequence(errors, batch_first=True)
    steps = torch.tensor([len(target) for _, target in both], device=error.device)
    moment = error.mT @ error / steps[:, None, None]
    return moment[0] if policy.students is None else moment


def dart(env: Env, expert: Policy | Act, new_policy: Callable[[torch.Generator], Policy], *, rounds: int,
         n: int, generator: torch.Generator, horizon: int | None = None, train: Callable[..., History] = fit,
         progress: bool = False, log: Log | None = None) -> Iterator[Round]:
    """Yield one `Round` after another: the expert drives `n` episodes under noise, a fresh student learns all
    so far.

    Before the last student learns from new episodes it is examined on them: they are held out, at no extra
    label. Its error covariance there is the next round's noise; rounds 0 and 1 have none. Laskey and others
    (2017), equation for Gaussian noise, without their prior on its size (page 6). Arguments as in `dagger`.
    Raises ValueError for rounds below 1 and as `demonstrate` does.
    """
    noise = None  # of this round, (students, d, d)

    def collect(i: int, policy: Policy, last: Policy | None) -> tuple[list[Trajectories], dict]:
        nonlocal noise
        students, used = policy.students or 1, noise
        if used is None:
            used = torch.zeros(students, *env.action_space.shape * 2, dtype=env.dtype, device=env.device)
        batch = demonstrate(env, expert, n, generator=generator, horizon=horizon, covariance=used)
        parts = [batch[k * n:(k + 1) * n] for k in range(students)]
        if last is not None:
            noise = error_covariance(last, parts if policy.students else parts[0]).view_as(used)
        return parts, {"covariance": used if policy.students else used[0]}

    return rounds_of(collect, new_policy, rounds=rounds, generator=generator, train=train,
                     hook=lambda: Progress("dart", "round", rounds, shown=progress, log=log))


def _root(covariance: float | Covariance, d: int) -> Covariance:
    """The symmetric square root of a covariance, in float64."""
    if isinstance(covariance, Tensor):
        covariance = covariance.cpu()  # not every device has float64
    matrix = torch.as_tensor(covariance, dtype=torch.float64)
    matrix = matrix * torch.eye(d, dtype=torch.float64) if matrix.ndim == 0 else matrix
    check_finite("covariance", check_shape("covariance", matrix, ("students", d, d)[-max(2, matrix.ndim):]))
    values, vectors = torch.linalg.eigh(matrix)
    size = float(matrix.abs().max())
    if float((matrix - matrix.mT).abs().max()) > 1e-6 * size or float(values.min()) < -1e-6 * size:
        raise ValueError(f"the covariance has smallest eigenvalue {float(values.min()):.3g}, expected a "
                         "symmetric matrix without negative ones; a standard deviation s goes in as s ** 2.")
    return vectors * values.clamp(min=0).sqrt().unsqueeze(-2) @ vectors.mT
