"""Train the four locomotion experts that ship with `ilsupport` (page 10), on two processor cores.

    pip install -c constraints.txt -e ".[mujoco]" stable_baselines3==2.9.2
    python experiments/experts.py train Hopper-v5    # writes ilsupport/weights/Hopper-v5.safetensors
    python experiments/experts.py measure            # plays 100 episodes with each, writes what they earned

Stable-Baselines3 does the learning, with one thread a task. Where a step of the simulator is cheap and falls
are frequent (Hopper, Walker2d), PPO (Schulman and others, 2017) with normalised observations is done in ten
to thirty minutes; on HalfCheetah and Ant TD3 (Fujimoto, van Hoof and Meger, 2018), with half an update a
step, since on a processor the update is what costs. Every so often the actor plays ten episodes without
noise; the best one so far is on disk, and the first that is good enough ends the training. `Ant-v5` is learnt
from positions and velocities alone (the first 27 numbers): the 78 contact forces cost time and teach nothing
here.
"""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import ilsupport as il
from ilsupport import experts
from ilsupport.files import write_atomically

ENOUGH = {"HalfCheetah-v5": 5900, "Hopper-v5": 3250, "Walker2d-v5": 4200, "Ant-v5": 4600}
COLUMNS = {"Ant-v5": 27}
WITH_PPO = ("Hopper-v5", "Walker2d-v5")


def make(task: str) -> gymnasium.Env:
    env = gymnasium.make(task)
    columns = COLUMNS.get(task)
    if columns is None:
        return env
    space = gymnasium.spaces.Box(-np.inf, np.inf, (columns,), np.float64)
    return gymnasium.wrappers.TransformObservation(env, lambda obs: obs[:columns], space)


def td3(task: str, seed: int):
    from stable_baselines3 import TD3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.noise import NormalActionNoise
    envs = make_vec_env(lambda: make(task), n_envs=4, seed=seed)
    noise = NormalActionNoise(np.zeros(envs.action_space.shape), 0.1 * np.ones(envs.action_space.shape))
    return TD3("MlpPolicy", envs, learning_rate=1e-3, batch_size=128, learning_starts=10_000, train_freq=1,
               gradient_steps=2, action_noise=noise, policy_kwargs={"net_arch": [256, 256]}, seed=seed,
               device="cpu")


def ppo(task: str, seed: int):
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize
    gamma = 0.995 if task == "Hopper-v5" else 0.99
    envs = VecNormalize(make_vec_env(lambda: make(task), n_envs=8, seed=seed), gamma=gamma)
    return PPO("MlpPolicy", envs, n_steps=512, batch_size=128, n_epochs=10,
               learning_rate=lambda left: 3e-4 * left, gamma=gamma,
               policy_kwargs={"net_arch": [128, 128], "activation_fn": torch.nn.Tanh, "log_std_init": -1.0},
               seed=seed, device="cpu")


def actor(model) -> tuple[list[torch.nn.Linear], str]:
    """The layers that turn raw observations into torques, and the function between them."""
    if hasattr(model, "actor"):
        return [layer for layer in model.actor.mu if isinstance(layer, torch.nn.Linear)], "relu"
    first, *rest = [layer for layer in model.policy.mlp_extractor.policy_net
                    if isinstance(layer, torch.nn.Linear)]
    seen = model.get_vec_normalize_env().obs_rms
    mean, std = (torch.as_tensor(x, dtype=torch.float32) for x in (seen.mean, np.sqrt(seen.var + 1e-8)))
    raw = torch.nn.Linear(first.in_features,
                          first.out_features)  # the same layer with the normalisation inside
    with torch.no_grad():
        raw.weight.copy_(first.weight / std)
        raw.bias.copy_(first.bias - raw.weight @ mean)
    return [raw, *rest, model.policy.action_net], "tanh"


def play(layers: list[torch.nn.Linear], between: str, env: gymnasium.Env, episodes: int) -> np.ndarray:
    """Returns of `episodes` without noise.

    Ends are squashed as in training: by tanh for TD3, at the limits for PPO.
    """
    returns = np.zeros(episodes)
    for i in range(episodes):
        x, over = env.reset()[0], False
        while not over:
            h = torch.as_tensor(x, dtype=torch.float32)
            for layer in layers[:-1]:
                h = getattr(layer(h), between)()
            h = layers[-1](h)
            torques = (h.tanh() if between == "relu" else h.clamp(-1, 1)).numpy()
            x, reward, terminated, truncated, _ = env.step(torques)
            returns[i] += reward
            over = terminated or truncated
    return returns


def train(task: str, steps: int, seed: int, folder: Path) -> None:
    import stable_baselines3
    from stable_baselines3.common.callbacks import BaseCallback

    torch.set_num_threads(1)
    test, began, every = make(task), time.time(), 100_000 if task in WITH_PPO else 10_000
    test.reset(seed=seed + 10_000)

    class KeepTheBest(BaseCallback):
        best, due = -np.inf, every

        def _on_step(self) -> bool:
            if self.num_timesteps < self.due:
                return True
            self.due += every
            with torch.no_grad():
                layers, between = actor(self.model)
                returns = play(layers, between, test, 10)
            # an expert that seldom falls is worth more than one that runs fast
            score = returns.mean() - returns.std() / 2
            print(f"{task} {self.num_timesteps:8d} steps {time.time() - began:6.0f} s "
                  f"return {returns.mean():7.0f} (sd {returns.std():.0f})", flush=True)
            if score > self.best:
                self.best = score
                write({f"{i}.{name}": value.detach().contiguous() for i, layer in enumerate(layers)
                       for name, value in layer.state_dict().items()},
                      {"env": task, "algorithm": type(self.model).__name__, "between": between,
                       "steps": self.num_timesteps, "seed": seed,
                       "versions": {"stable_baselines3": stable_baselines3.__version__,
                                    "torch": torch.__version__.split("+")[0],
                                    "gymnasium": gymnasium.__version__, "mujoco": mujoco.__version__}},
                      folder / f"{task}.safetensors")
            return score < ENOUGH[task]

    model = (ppo if task in WITH_PPO else td3)(task, seed)
    model.learn(steps, callback=KeepTheBest())


def write(tensors: dict, about: dict, file: Path) -> None:
    write_atomically(file, lambda part: save_file(tensors, part, {"expert": json.dumps(about)}))


def measure(task: str, folder: Path) -> None:
    """Write into its file what an expert earns in 100 episodes, and how wide its observations are."""
    file, experts.WEIGHTS = folder / f"{task}.safetensors", folder  # where LocomotionExpert looks
    with safe_open(file, "pt") as old:
        about, tensors = json.loads(old.metadata()["expert"]), {name: old.get_tensor(name).clone()
                                                                for name in old.keys()}
    env = il.Gymnasium(task)
    about |= {"observations": env.observation_space.shape[0], "measured": [0, 0, 0, 1]}
    write(tensors, about, file)
    expert, g = il.LocomotionExpert(task), il.generator(2026)
    returns = torch.cat([il.rollout(env, expert, 10, generator=g).returns() for _ in range(10)])
    about["measured"] = list(il.Estimate.of(returns))
    write(tensors, about, file)
    print(task, il.Estimate.of(returns), f"worst of the 100: {returns.min():.0f}", about, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["train", "measure"])
    parser.add_argument("tasks", nargs="*", help=f"of {', '.join(ENOUGH)}; none for all")
    parser.add_argument("--steps", type=int, default=4_000_000, help="the most to train for")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=experts.WEIGHTS)
    options = parser.parse_args()
    for task in options.tasks or ENOUGH:
        if options.what == "measure":
            measure(task, options.folder)
        else:
            train(task, options.steps, options.seed, options.folder)


if __name__ == "__main__":
    main()
