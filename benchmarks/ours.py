"""Ours, and what comes without a library: the bare fused torch loop, gymnasium's own vector environments.

`python benchmarks/ours.py [device]`: data, networks and native environments live there.
"""
from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable

import cheetah
import gymnasium
import joblib
import numpy as np
import torch
from data import cartpole, locomotion
from serve import seconds as clock
from serve import serve
from torch import nn

import ilsupport as il
from ilsupport.envs import Gymnasium

DEVICE = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu")


def seconds(work) -> float:
    """Wall-clock seconds of one call, and of what it left to do on the device."""
    def whole():
        work()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
    return clock(whole)


def seeded(seed: int) -> torch.Generator:
    return il.generator(seed, DEVICE)


def there(arrays) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(array).to(DEVICE) for array in arrays)


CARTPOLE = there(cartpole())


@functools.cache
def locomotion_tensors() -> tuple[torch.Tensor, torch.Tensor]:
    return there(locomotion())


def bare(data, sizes, batch, loss, threads) -> float:
    """An epoch of the shortest fast loop one would write by hand: data in memory, one shuffle, fused Adam."""
    obs, target = data
    layers = [layer for a, b in zip(sizes[:-1], sizes[1:]) for layer in (nn.Linear(a, b), nn.ReLU())]
    net = nn.Sequential(*layers[:-1]).to(DEVICE)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)

    def epoch():
        shuffled = torch.randperm(len(obs), device=DEVICE)
        o, t = obs[shuffled], target[shuffled]
        for k in range(0, len(o) - batch + 1, batch):
            value = loss(net(o[k:k + batch]), t[k:k + batch])
            optimiser.zero_grad()
            value.backward()
            optimiser.step()

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return seconds(epoch)
    finally:
        torch.set_num_threads(before)


def bfloat16(wanted: bool):
    """Forward passes in bfloat16, for whatever runs inside."""
    return torch.autocast(torch.device(DEVICE).type, torch.bfloat16, enabled=wanted)


def epoch_of_fit(make, data, batch, students=1, half=False) -> float:
    """Seconds of one epoch, a student."""
    policy = make(seeded(0) if students == 1 else il.spawn(seeded(0), students))
    steps = len(data[0]) // batch
    with bfloat16(half):
        return seconds(lambda: il.fit(policy, data, generator=seeded(1), steps=steps,
                                      batch_size=batch)) / students


def discrete(width):
    return lambda g: il.Categorical(4, 2, hidden=(width, width), generator=g)


def continuous(g, standardise=True):
    return il.Gaussian(17, 6, hidden=(256, 256), generator=g, standardise=standardise)


def raw(g):
    """The same without units of its own: what standardising costs."""
    return continuous(g, standardise=False)


def held_out_loss(half: bool) -> float:
    """Squared error on 10,000 held-out pairs after 4 epochs of 17 -> 6, for "same held-out loss"."""
    obs, target = locomotion_tensors()
    policy = continuous(seeded(0))
    with bfloat16(half):
        il.fit(policy, (obs[10_000:], target[10_000:]), generator=seeded(1), steps=4 * 360, batch_size=256)
    with torch.no_grad():
        return float(((policy.act(obs[:10_000]) - target[:10_000]) ** 2).mean())


def dagger_run() -> dict:
    """Five rounds of 4,000 labels on CartPole, as many gradient steps as the peer's four epochs a round."""
    env, rounds = Gymnasium("CartPole-v1", device=DEVICE), []

    def train(policy, data, *, generator):
        return il.fit(policy, data, generator=generator, steps=4 * data.steps // 32, batch_size=32)

    def run():
        rounds.extend(il.dagger(env, il.experts.cartpole_expert, discrete(32), rounds=5, n=8,
                                generator=seeded(0), train=train))
    took = seconds(run)
    returns = [il.evaluate(env, r.policy, 50, generator=seeded(1)).mean for r in rounds]
    enough = [r.labels for r, value in zip(rounds, returns) if value >= 475]
    return {"seconds": took, "labels": rounds[-1].labels, "labels_to_475": enough[0] if enough else None}


def vector_cartpole_alone() -> None:
    """100 copies of gymnasium's own vector CartPole for 500 steps, by the expert's rule in numpy."""
    env = gymnasium.make_vec("CartPole-v1", num_envs=100, vectorization_mode="vector_entry_point")
    obs, _ = env.reset(seed=0)
    for _ in range(500):
        obs, *_ = env.step((obs @ np.array([0.1, 0.15, 1, 0.25]) > 0).astype(np.int64))


@functools.cache
def policy_64():
    return il.Categorical(9, 3, generator=seeded(0))


def native_steps(policy: bool, width: int, T: int) -> float:
    """Steps a second of Tightrope, `width` copies at once."""
    env = il.Tightrope(device=DEVICE)
    if policy:
        return width * T / seconds(lambda: il.evaluate(env, policy_64(), width, generator=seeded(0),
                                                       horizon=T))
    env.reset(width, seeded(0))
    action = torch.zeros(width, dtype=torch.int64, device=DEVICE)
    return width * T / seconds(lambda: [env.step(action) for _ in range(T)])


def forward_alone(width: int, T: int) -> float:
    obs = il.Tightrope(device=DEVICE).reset(width, seeded(0))
    with torch.no_grad():
        return width * T / seconds(lambda: [policy_64().act(obs) for _ in range(T)])


@functools.cache
def vector(name: str, width: int, mode: str):
    env = gymnasium.make_vec(name, num_envs=width, vectorization_mode=mode)
    env.reset(seed=0)
    return env


def gymnasium_steps(name: str, width: int, mode: str, T: int, policy: bool) -> float:
    env = vector(name, width, mode)
    obs, _ = env.reset(seed=0)
    net = il.Categorical(4, 2, generator=seeded(0))

    def run():
        nonlocal obs
        action = np.zeros(width, dtype=np.int64)
        with torch.no_grad():
            for _ in range(T):
                if policy:
                    action = net.act(torch.from_numpy(obs).to(DEVICE)).cpu().numpy()
                obs, *_ = env.step(action)
    return width * T / seconds(run)


def imports(line: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, "-c", line], check=True))


@functools.cache
def cartpole_100():
    return Gymnasium("CartPole-v1", device=DEVICE)


def driving_steps(T: int, look: Callable = lambda state: state) -> float:
    """Nanoseconds of one car's step, 4,096 cars at once, without a policy."""
    env = il.Driving(device=DEVICE)
    env.reset(4096, seeded(0))
    action = torch.zeros(4096, 1, device=DEVICE)
    return 1e9 * seconds(lambda: [look(env.step(action)[0]) for _ in range(T)]) / (4096 * T)


def cheetah_steps(jobs: int) -> float:
    """Steps a second of eight batches, by so many processes that are already there."""
    batches = 8
    play = [joblib.delayed(cheetah.batch)(seed) for seed in range(batches)]
    return batches * cheetah.COPIES * cheetah.STEPS / seconds(lambda: joblib.Parallel(n_jobs=jobs)(play))


@functools.cache
def cheetah_actions() -> np.ndarray:
    return cheetah.batch(0).actions.numpy()


def bare_cheetah(copies: int | None = None) -> float:
    """Steps a second of the same actions, no policy: one environment, or gymnasium's AsyncVectorEnv."""
    actions = cheetah_actions()
    if copies is None:
        env, played = gymnasium.make("HalfCheetah-v5"), actions[:8].reshape(-1, 6)
    else:
        env, played = vector("HalfCheetah-v5", copies, "async"), actions[:copies].swapaxes(0, 1)
    env.reset(seed=0)
    return played.size / 6 / seconds(lambda: [env.step(action) for action in played])


serve({
    "cheetah": lambda: cheetah_steps(os.cpu_count()),
    "cheetah one process": lambda: cheetah_steps(1),
    "cheetah bare": bare_cheetah,
    "cheetah async": lambda: bare_cheetah(8),
    "bc32": lambda: epoch_of_fit(discrete(32), CARTPOLE, 32),
    "bc32 bare": lambda: bare(CARTPOLE, (4, 32, 32, 2), 32, nn.functional.cross_entropy, 1),
    "bc256": lambda: epoch_of_fit(discrete(64), CARTPOLE, 256),
    "bc256 bare": lambda: bare(CARTPOLE, (4, 64, 64, 2), 256, nn.functional.cross_entropy, 1),
    "stack32": lambda: epoch_of_fit(discrete(32), CARTPOLE, 32, students=16),
    "loco256": lambda: epoch_of_fit(continuous, locomotion_tensors(), 256),
    "loco256 bf16": lambda: epoch_of_fit(continuous, locomotion_tensors(), 256, half=True),
    "loco256 bare": lambda: bare(locomotion_tensors(), (17, 256, 256, 6), 256, nn.functional.mse_loss, None),
    "loco256 raw": lambda: epoch_of_fit(raw, locomotion_tensors(), 256),
    "loco4096": lambda: epoch_of_fit(continuous, locomotion_tensors(), 4096),
    "loco4096 bf16": lambda: epoch_of_fit(continuous, locomotion_tensors(), 4096, half=True),
    "loco4096 bare": lambda: bare(locomotion_tensors(), (17, 256, 256, 6), 4096, nn.functional.mse_loss,
                                  None),
    "held-out float32": lambda: held_out_loss(False),
    "held-out bf16": lambda: held_out_loss(True),
    "dagger": dagger_run,
    "evaluate": lambda: seconds(lambda: il.evaluate(cartpole_100(), il.experts.cartpole_expert, 100,
                                                    generator=seeded(0))),
    "evaluate alone": lambda: seconds(vector_cartpole_alone),
    "policy steps": lambda: native_steps(True, 4096, 200),
    "policy steps forward": lambda: forward_alone(4096, 200),
    "policy steps sync": lambda: gymnasium_steps("CartPole-v1", 64, "sync", 300, policy=True),
    "bare steps": lambda: native_steps(False, 65_536, 50),
    "bare steps gymnasium": lambda: gymnasium_steps("CartPole-v1", 65_536, "vector_entry_point", 20,
                                                    policy=False),
    "driving features": lambda: driving_steps(500),
    "driving camera": lambda: driving_steps(50, il.Camera(device=DEVICE)),
    "import": lambda: imports("import ilsupport"),
    "import base": lambda: imports("import torch, gymnasium"),
})
