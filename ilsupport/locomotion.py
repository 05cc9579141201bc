"""Experts for the four locomotion tasks of page 10, trained by `experiments/experts.py` and shipped with the package."""
from __future__ import annotations

import json
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor

from ilsupport.estimate import Estimate

WEIGHTS = Path(__file__).parent / "weights"
TASKS = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5")


class LocomotionExpert:
    """The expert of `task`, one of `TASKS`: `LocomotionExpert("Hopper-v5")` maps observations to torques (page 10).

    A network with two hidden layers, trained on gymnasium's MuJoCo task of that name by TD3 (Fujimoto, van Hoof and Meger, 2018) or PPO
    (Schulman and others, 2017). Of `Ant-v5` it reads positions and velocities, the first 27 numbers, not the contact forces.

    measured   its return over 100 episodes without noise, an `Estimate`
    about      how it was made: algorithm, steps, seed, the versions of everything that mattered

    Needs no MuJoCo itself; the environment does, `pip install "ilsupport[mujoco]"`. Raises ValueError for another task and,
    when called, for observations of another width.
    """

    def __init__(self, task: str, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        if task not in TASKS:
            raise ValueError(f"task is {task!r}, expected one of {', '.join(TASKS)}.")
        self.task = task
        with safe_open(WEIGHTS / f"{task}.safetensors", "pt") as file:
            self.about = json.loads(file.metadata()["expert"])
            self.layers = [tuple(file.get_tensor(f"{i}.{part}").to(device, dtype) for part in ("weight", "bias")) for i in range(3)]
        self.measured = Estimate(*self.about["measured"])
        self.width = self.about["observations"]

    def __call__(self, obs: Float[Tensor, "n d"]) -> Float[Tensor, "n a"]:
        if obs.ndim != 2 or obs.shape[1] != self.width:
            raise ValueError(f"observations have shape {tuple(obs.shape)}, expected (n, {self.width}) from {self.task}.")
        x = obs[:, :self.layers[0][0].shape[1]]
        for weight, bias in self.layers[:-1]:
            x = getattr(torch.nn.functional.linear(x, weight, bias), self.about["between"])()
        x = torch.nn.functional.linear(x, *self.layers[-1])
        return x.tanh() if self.about["algorithm"] == "TD3" else x.clamp(-1, 1)  # torques lie in [-1, 1] in all four tasks
