"""The experts that ship: are they what their files say, and do they need nothing but torch?"""
from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import ilsupport as il
from ilsupport.experts import TASKS

BARS = {"HalfCheetah-v5": 4000, "Hopper-v5": 3000, "Walker2d-v5": 4000, "Ant-v5": 4000}


@pytest.mark.parametrize("task", TASKS)
def test_the_measured_return_reaches_the_bar(task):
    measured = il.LocomotionExpert(task).measured
    assert measured.n == 100 and measured.low < measured.mean < measured.high
    assert measured.mean >= BARS[task]


@pytest.mark.parametrize("task", TASKS)
def test_a_few_episodes_are_worth_what_the_file_says(task):
    pytest.importorskip("mujoco")
    expert = il.LocomotionExpert(task)
    returns = il.rollout(il.Gymnasium(task), expert, 4, generator=il.generator(0)).returns()
    assert returns.median() > 0.8 * expert.measured.mean


@pytest.mark.parametrize("task", TASKS)
def test_torques_are_the_same_on_every_device_and_within_their_limits(task, device, dtype):
    expert = il.LocomotionExpert(task, device=device, dtype=dtype)
    obs = torch.randn(64, expert.width, generator=il.generator(0)) * 3
    torques = expert(obs.to(device, dtype))
    assert torques.dtype == dtype and torques.device.type == device.type and torques.abs().max() <= 1
    assert torch.allclose(torques.float().cpu(), il.LocomotionExpert(task)(obs), atol=1e-4)


def test_contact_forces_do_not_move_the_ant():
    expert, obs = il.LocomotionExpert("Ant-v5"), torch.randn(8, 105, generator=il.generator(0))
    felt = obs.clone()
    felt[:, 27:] = 100
    assert torch.equal(expert(obs), expert(felt))


def test_what_cannot_be_an_expert_is_refused():
    with pytest.raises(ValueError, match="task is 'Humanoid-v5', expected one of HalfCheetah-v5"):
        il.LocomotionExpert("Humanoid-v5")
    with pytest.raises(ValueError, match=r"shape \(3, 11\), expected \(n, 17\)"):
        il.LocomotionExpert("HalfCheetah-v5")(torch.zeros(3, 11))


def test_the_experts_need_no_simulator():
    hidden = "import sys; sys.modules['mujoco'] = None; import ilsupport as il; "
    subprocess.run([sys.executable, "-c", hidden + "il.LocomotionExpert('HalfCheetah-v5')"], check=True)
