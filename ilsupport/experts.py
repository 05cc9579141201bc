"""Experts: any callable from observations to actions will do; here are short scripts and four networks.

What needs nothing but the observation is a function. What remembers something, draws, or carries numbers is a
Policy: `.to` moves it, `begin()` starts an episode, and it is called like the functions, `expert(obs)`.
"""
import functools
import json
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from torch import Generator, Tensor, nn

from ilsupport._checks import check_probability, check_shape
from ilsupport.envs import fork
from ilsupport.envs.base import Device
from ilsupport.envs.reach import RADIUS, SPEED, Reach
from ilsupport.envs.tightrope import right_action
from ilsupport.estimate import Estimate
from ilsupport.policies.base import Policy

WEIGHTS = Path(__file__).parent / "weights"
TASKS = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5")


def tightrope_expert(obs: Float[Tensor, "n 9"]) -> Int[Tensor, "n"]:
    """Leans against the wind on the rope and climbs when off it: never wrong, so it pays 0 (pages 3 to 5).

    Raises ValueError for observations of another width.
    """
    check_shape("an observation of Tightrope", obs, ("...", "n", 9))
    return right_action(obs)


def brakelight_expert(obs: Float[Tensor, "n *length 3"]) -> Int[Tensor, "n"]:
    """Brakes exactly while somebody is on the road, so it pays 0 on `BrakeLight(truth=True)` (page 8).

    It reads the last column, the truth; of a window, that of the last frame. Raises ValueError for
    observations of another width.
    """
    check_shape("an observation of BrakeLight(truth=True), whose truth is seen,", obs, ("...", "n", 3))
    return obs.flatten(1)[:, -1].long()


GAINS = torch.tensor([0.1, 0.15, 1, 0.25], dtype=torch.float64)
_gains = functools.cache(GAINS.to)  # so that no step carries them to the device again


def cartpole_expert(obs: Float[Tensor, "n 4"]) -> Int[Tensor, "n"]:
    """Balances `CartPole-v1` for all 500 steps: push to the side to which the pole is about to fall (page 1).

    Observation: position, velocity, angle, angular velocity. The two small terms bring the cart back to the
    middle. Raises ValueError for observations of another shape.
    """
    check_shape("an observation of CartPole-v1", obs, ("n", 4))
    return (obs @ _gains(obs.device, obs.dtype) > 0).long()


def pendulum_expert(obs: Float[Tensor, "n 3"]) -> Float[Tensor, "n 1"]:
    """Swings `Pendulum-v1` up and holds it there: return about -150 from a random start (page 1).

    Observation: cosine and sine of the angle from upright, angular velocity. Far from upright the torque adds
    or removes energy until there is just enough to reach the top (Åström and Furuta, 2000); near it, a linear
    spring and damper. The torque, within [-2, 2], is smooth near the top and jumps where the pendulum turns:
    a clone sees both. Raises ValueError for observations of another shape.
    """
    check_shape("an observation of Pendulum-v1", obs, ("n", 3))
    cos, sin, spin = obs.T
    energy, at_the_top = spin**2 / 6 + 5 * cos, 5  # rod of 1 kg and 1 m at g = 10 m/s^2, in joules
    swing = 4 * (at_the_top - energy) * torch.where(spin < 0, -1.0, 1.0)
    hold = -10 * torch.atan2(sin, cos) - 2 * spin
    return torch.where(cos > 0.9, hold, swing).clamp(-2, 2).unsqueeze(-1).to(obs.dtype)


def driving_expert(obs: Float[Tensor, "n 8"]) -> Float[Tensor, "n 1"]:
    """Keeps a car of `Driving` on the middle of its lane: a spring, a damper, the bend ahead (pages 0, 2, 6).

    It reads the state, never a picture. Two seconds after the start it is within 7 cm of the middle and
    stays there; put down anywhere between the barriers, it is in its lane after three seconds. Raises
    ValueError for observations of another shape.
    """
    check_shape("an observation of Driving", obs, ("n", 8))
    offset, heading, bend, soon = obs.T[:4]
    return (0.9 * bend + 0.1 * soon - 0.7 * offset - 4 * heading).clamp(-1, 1).unsqueeze(-1)


class ReachExpert(Policy):
    """Walks to the goal in this maze at speed 1, the shortest way from cell to cell, and stays (page 9).

    Observations `(n, 4)`, velocities `(n, 2)` no longer than 1. Starts and goals lie in free cells, as
    `Reach` sees to. Raises ValueError for observations of another shape.
    """

    def __init__(self, env: Reach) -> None:
        super().__init__()
        self.env = env.to()

    def _apply(self, move, recurse: bool = True) -> Policy:
        there = move(self.env.centres)  # the maze goes where the parameters of a network would
        self.env = self.env.to(there.device, there.dtype)
        return super()._apply(move, recurse)

    def act(self, obs: Float[Tensor, "n 4"], generator: Generator | None = None) -> Float[Tensor, "n 2"]:
        check_shape("an observation of Reach", obs, ("n", 4))
        place, goal = obs.split(2, dim=1)
        there = self.env.cell(goal)
        via = self.env.hop[self.env.cell(place), there]
        way = torch.where((via == there)[:, None], goal, self.env.centres[via]) - place
        return way / way.norm(dim=1, keepdim=True).clamp(min=SPEED)


class ReachPlay(ReachExpert):
    """Somebody at play in this maze: walks to a place of their choice, then to another (page 9).

    They walk as `ReachExpert` does and choose evenly among the free cells, with `generator`. Where each of
    them is heading is remembered until the next `begin()`.
    """

    def __init__(self, env: Reach, *, generator: Generator) -> None:
        super().__init__(env)
        self.generator = generator
        self.begin()

    def begin(self) -> None:
        self._aim: Tensor | None = None

    def act(self, obs: Float[Tensor, "n 4"], generator: Generator | None = None) -> Float[Tensor, "n 2"]:
        check_shape("an observation of Reach", obs, ("n", 4))
        place, aim = obs[:, :2], self.env.places(len(obs), self.generator)
        if self._aim is not None:
            aim = torch.where((place - self._aim).norm(dim=1, keepdim=True) < RADIUS, aim, self._aim)
        self._aim = aim
        return super().act(torch.cat([place, aim], 1))


class ForkExpert(Policy):
    """Passes the tree of `Fork` on the left or on the right (page 7).

    While no side is chosen (`fork.side` is 0, which is so on the first step) a coin with chance `left`
    decides; one step later position and velocity tell the side, and it is kept. The hand trembles: the action
    is `fork.steer` and Gaussian noise of standard deviation `fork.TREMBLE`. It does not crash. Raises
    ValueError for `left` outside [0, 1] and observations of another shape.
    """

    def __init__(self, generator: Generator, left: float = 0.5) -> None:
        super().__init__()
        self.generator, self.left = generator, check_probability("left", left)

    def act(self, obs: Float[Tensor, "n 4"], generator: Generator | None = None) -> Float[Tensor, "n 2"]:
        check_shape("an observation of Fork", obs, ("n", 4))
        like = {"generator": self.generator, "dtype": obs.dtype, "device": obs.device}
        noise, coin = torch.randn(len(obs), 2, **like), torch.rand(len(obs), **like)
        taken = fork.side(obs)
        taken = torch.where(taken == 0, torch.where(coin < self.left, 1, -1), taken)
        return (fork.steer(obs, taken) + fork.TREMBLE * noise).clamp(-1, 1)


class LocomotionExpert(Policy):
    """The expert of one of the `TASKS`: `LocomotionExpert("Hopper-v5")` gives torques (page 10).

    A network with two hidden layers, trained by `experiments/experts.py` on gymnasium's MuJoCo task of that
    name by TD3 (Fujimoto, van Hoof and Meger, 2018) or PPO (Schulman and others, 2017). Of `Ant-v5` it reads
    positions and velocities, the first 27 numbers, not the contact forces.

    measured   its return over 100 episodes without noise, an `Estimate`
    about      how it was made: algorithm, steps, seed, the versions of everything that mattered

    Needs no MuJoCo itself; the environment does, `pip install "ilsupport[mujoco]"`. Raises ValueError for
    another task and, when called, for observations of another width.
    """

    def __init__(self, task: str, *, device: Device = "cpu", dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if task not in TASKS:
            raise ValueError(f"task is {task!r}, expected one of {', '.join(TASKS)}.")
        with safe_open(WEIGHTS / f"{task}.safetensors", "pt") as file:
            self.about = json.loads(file.metadata()["expert"])
            for name in file.keys():
                self.register_buffer(name.replace(".", "_"), file.get_tensor(name).to(device, dtype))
        self.task, self.measured = task, Estimate(*self.about["measured"])
        self.width = self.about["observations"]

    def act(self, obs: Float[Tensor, "n d"], generator: Generator | None = None) -> Float[Tensor, "n a"]:
        check_shape(f"an observation of {self.task}", obs, ("n", self.width))
        between, parts = getattr(torch, self.about["between"]), list(self.buffers())
        x = obs[:, :parts[1].shape[1]]
        for k in range(0, len(parts), 2):  # bias and weight of each layer
            x = nn.functional.linear(between(x) if k else x, parts[k + 1], parts[k])
        # Torques lie in [-1, 1] in all four tasks.
        return x.tanh() if self.about["algorithm"] == "TD3" else x.clamp(-1, 1)
