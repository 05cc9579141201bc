"""The data every contender is given: numpy arrays, the same for all."""
from __future__ import annotations

import numpy as np

CARTPOLE_GAINS = np.array([0.1, 0.15, 1, 0.25])  # of il.cartpole_expert, the expert of page 1

CARTPOLE_PAIRS = 25_000


def cartpole_action(obs: np.ndarray) -> np.ndarray:
    """`il.cartpole_expert` in numpy, for libraries that want it so and processes that have no torch."""
    return (obs @ CARTPOLE_GAINS > 0).astype(np.int64)


def cartpole() -> tuple[np.ndarray, np.ndarray]:
    """States around the balancing ones, with the expert's action: (25,000, 4) float32 and (25,000,) int64."""
    rng = np.random.default_rng(0)
    obs = (rng.normal(size=(CARTPOLE_PAIRS, 4)) * [0.5, 0.5, 0.05, 0.5]).astype(np.float32)
    return obs, cartpole_action(obs)


def locomotion() -> tuple[np.ndarray, np.ndarray]:
    """A smooth function of HalfCheetah's sizes: (102,400, 17) to (102,400, 6), float32."""
    rng = np.random.default_rng(0)
    obs = rng.normal(size=(102_400, 17)).astype(np.float32)
    return obs, np.tanh(obs @ rng.normal(size=(17, 6)) / 4).astype(np.float32)
