"""The recipe that a reader tries first, on bodies in raw units: all by default, little data, seconds."""
import pytest
import torch

import ilsupport as il


def shares(task, **options):
    """Of the expert's return: ten students of the same two expert episodes, 1,000 steps of batch 100."""
    pytest.importorskip("mujoco", reason="needs mujoco")
    env, expert = il.Gymnasium(task), il.LocomotionExpert(task)
    data = il.rollout(env, expert, 2, generator=il.generator(0))
    students = il.Gaussian.of(env, generator=il.spawn(il.generator(1), 10), **options)
    il.fit(students, data, generator=il.generator(2), steps=1000, batch_size=100, lr=5e-3)
    returns = torch.tensor([one.mean for one in il.evaluate(env, students, 1, generator=il.generator(3))])
    return returns / data.returns().mean()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["Hopper-v5", "HalfCheetah-v5"])
def test_two_episodes_are_enough_for_most_students(task):
    standard, raw = shares(task), shares(task, standardise=False)
    assert standard.median() > 0.9, "the default"
    assert standard.median() > raw.median() + 0.3, "and what it is for"
