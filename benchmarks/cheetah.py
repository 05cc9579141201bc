"""Demonstrations on HalfCheetah, in a module of its own so that other processes can import it."""
from __future__ import annotations

import functools

import ilsupport as il

COPIES, STEPS = 16, 100  # of a batch, and of an episode: enough for a rate


@functools.cache
def env() -> il.Gymnasium:
    return il.Gymnasium("HalfCheetah-v5", horizon=STEPS)


def batch(seed: int) -> il.Trajectories:
    """What a fixed, lively network of an expert's size does."""
    net = il.Gaussian(17, 6, hidden=(256, 256), generator=il.generator(0))
    return il.rollout(env(), lambda obs: (5 * net.act(obs)).clamp(-1, 1), COPIES,
                      generator=il.generator(seed))
