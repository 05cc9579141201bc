"""Experts: any callable from observations to actions will do; these are scripts of a few lines."""
from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ilsupport._checks import check_probability
from ilsupport.envs import fork
from ilsupport.envs.reach import RADIUS, SPEED, Reach
from ilsupport.envs.tightrope import right_action

CARTPOLE = torch.tensor([0.05, 0.1, 1.0, 0.3])  # of position, velocity, angle, angular velocity


def tightrope_expert(obs: Float[Tensor, "n 9"]) -> Int[Tensor, "n"]:
    """Leans against the wind on the rope and climbs when off it: never wrong, so it pays 0 (pages 3 to 5)."""
    return right_action(obs)


def brakelight_expert(obs: Float[Tensor, "n *length 3"]) -> Int[Tensor, "n"]:
    """Brakes exactly while somebody is on the road, so it pays 0 on `BrakeLight(truth=True)` (page 8).

    It reads the last column, the truth; of a window, that of the last frame. Raises ValueError for other observations.
    """
    if obs.ndim not in (2, 3) or obs.shape[-1] != 3:
        raise ValueError(f"observations have shape {tuple(obs.shape)}, expected (n, 3) or windows (n, length, 3): this expert "
                         "must see who is on the road; write BrakeLight(truth=True).")
    return (obs if obs.ndim == 2 else obs[:, -1])[:, 2].long()


def cartpole_expert(obs: Float[Tensor, "n 4"]) -> Int[Tensor, "n"]:
    """Balances `CartPole-v1` for all 500 steps: push towards the side to which the pole is about to fall
    (page 1).

    Observation: position, velocity, angle, angular velocity. The two small terms bring the cart back to the
    middle. Raises ValueError for observations of another shape.
    """
    _check_columns("CartPole-v1", obs, 4)
    position, velocity, angle, spin = obs.unbind(-1)
    return (angle + 0.25 * spin + 0.1 * position + 0.15 * velocity > 0).long()


def pendulum_expert(obs: Float[Tensor, "n 3"]) -> Float[Tensor, "n 1"]:
    """Swings `Pendulum-v1` up and holds it there: return about -150 from a random start (page 1).

    Observation: cosine and sine of the angle from upright, angular velocity. Far from upright the torque adds
    or removes energy until there is just enough to reach the top (Åström and Furuta, 2000); near it, a linear
    spring and damper. The torque, within [-2, 2], is smooth near the top and jumps where the pendulum turns:
    a clone sees both. Raises ValueError for observations of another shape.
    """
    _check_columns("Pendulum-v1", obs, 3)
    cos, sin, spin = obs.unbind(-1)
    energy, at_the_top = spin**2 / 6 + 5 * cos, 5  # rod of 1 kg and 1 m at g = 10 m/s^2, in joules
    swing = 4 * (at_the_top - energy) * torch.where(spin < 0, -1.0, 1.0).to(obs)
    hold = -10 * torch.atan2(sin, cos) - 2 * spin
    return torch.where(cos > 0.9, hold, swing).clamp(-2, 2).unsqueeze(-1)


def driving_expert(features: Float[Tensor, "n 8"]) -> Float[Tensor, "n 1"]:
    """Keeps a car of `Driving` on the middle of its lane: a spring, a damper and the bend ahead (pages 0, 2 and 6).

    It reads the features, never a picture. Two seconds after the start it is within 7 cm of the middle and stays there; put
    down anywhere between the barriers, it is in its lane after three seconds. Raises ValueError for observations of
    another shape.
    """
    _check_columns("Driving", features, 8)
    offset, heading, bend, soon = features.unbind(-1)[:4]
    return (0.9 * bend + 0.1 * soon - 0.7 * offset - 4 * heading).clamp(-1, 1).unsqueeze(-1)


def reach_expert(env: Reach) -> Callable[[Float[Tensor, "n 4"]], Float[Tensor, "n 2"]]:
    """Walks to the goal in this maze at speed 1, on the shortest way from cell to cell, and stays there (page 9).

    The function that comes back maps observations `(n, 4)` to velocities `(n, 2)` no longer than 1. Starts and goals lie in
    free cells, as `Reach` sees to. Raises ValueError for observations of another shape.
    """
    def act(obs: Tensor) -> Tensor:
        _check_columns("Reach", obs, 4)
        place, goal = obs.split(2, dim=1)
        there = env.cell(goal)
        via = env.hop[env.cell(place), there]
        way = torch.where((via == there)[:, None], goal, env.centres[via]) - place
        return way / way.norm(dim=1, keepdim=True).clamp(min=SPEED)
    return act


def reach_play(env: Reach, *, generator: torch.Generator) -> Callable[[Float[Tensor, "n 4"]], Float[Tensor, "n 2"]]:
    """Somebody at play in this maze: walks to a place of their own choice, then to another, whatever the goal
    (page 9).

    They walk as `reach_expert` does and choose evenly among the free cells, with `generator`. The function remembers where
    each episode is heading, so make a new one for each `rollout`. Raises ValueError for observations of another shape.
    """
    walk, aim = reach_expert(env), None

    def act(obs: Tensor) -> Tensor:
        nonlocal aim
        _check_columns("Reach", obs, 4)
        fresh = env.places(len(obs), generator)
        aim = fresh if aim is None else torch.where((obs[:, :2] - aim).norm(dim=1, keepdim=True) < RADIUS, fresh, aim)
        return walk(torch.cat([obs[:, :2], aim], 1))
    return act


def fork_expert(generator: torch.Generator, left: float = 0.5) -> Callable[[Float[Tensor, "n 4"]], Float[Tensor, "n 2"]]:
    """Passes the tree of `Fork` on the left or on the right (page 7).

    While no side is chosen (`fork.side` is 0, which is so on the first step) a coin with chance `left` decides; one step
    later position and velocity tell the side, and it is kept. The hand trembles: the action is `fork.steer` and Gaussian
    noise of standard deviation `fork.TREMBLE`. It does not crash (tests/test_fork.py). Raises ValueError for `left`
    outside [0, 1] and observations of another shape.
    """
    check_probability("left", left)

    def act(obs: Tensor) -> Tensor:
        _check_columns("Fork", obs, 4)
        noise = torch.randn(len(obs), 2, generator=generator, dtype=obs.dtype, device=obs.device)
        coin = torch.rand(len(obs), generator=generator, dtype=obs.dtype, device=obs.device)
        taken = fork.side(obs)
        taken = torch.where(taken == 0, torch.where(coin < left, 1, -1).to(obs.dtype), taken)
        return (fork.steer(obs, taken) + fork.TREMBLE * noise).clamp(-1, 1)
    return act


def _check_columns(name: str, obs: Tensor, columns: int) -> None:
    if obs.ndim != 2 or obs.shape[1] != columns:
        raise ValueError(f"observations have shape {tuple(obs.shape)}, expected (n, {columns}) from {name}.")
