"""Stable-Baselines3: `evaluate_policy` on 100 CartPole episodes with 8 environments."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.remove(str(pathlib.Path(__file__).parent))  # this file is called like the package

import functools

from data import cartpole_action
from serve import seconds, serve
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


class Expert:
    def predict(self, obs, state=None, episode_start=None, deterministic=False):
        return cartpole_action(obs), None


@functools.cache
def vector():
    return make_vec_env("CartPole-v1", n_envs=8, seed=0)


serve({"evaluate": lambda: seconds(lambda: evaluate_policy(Expert(), vector(), n_eval_episodes=100))})
