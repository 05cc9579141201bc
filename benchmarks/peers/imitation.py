"""`imitation` 1.0.1: its own BC and DAgger, quiet, with the settings of the reference."""
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.remove(str(pathlib.Path(__file__).parent))  # this file is called like the package

import numpy as np
from data import cartpole, cartpole_action
from imitation.algorithms import bc
from imitation.algorithms.dagger import SimpleDAggerTrainer
from imitation.data.types import Transitions
from imitation.policies.base import NonTrainablePolicy
from imitation.util import logger as imit_logger
from imitation.util.util import make_vec_env
from serve import seconds, serve
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.policies import ActorCriticPolicy

SILENT = imit_logger.configure(tempfile.mkdtemp(), [])


class Expert(NonTrainablePolicy):
    def _choose_action(self, obs):
        return int(cartpole_action(np.asarray(obs)[None])[0])


def vector(n):
    return make_vec_env("CartPole-v1", rng=np.random.default_rng(0), n_envs=n)


def student(env, width, batch, demonstrations=None):
    policy = ActorCriticPolicy(env.observation_space, env.action_space, lambda _: 1e-3,
                               net_arch=[width, width])
    return bc.BC(observation_space=env.observation_space, action_space=env.action_space,
                 rng=np.random.default_rng(0), policy=policy, demonstrations=demonstrations, batch_size=batch,
                 custom_logger=SILENT)


def epoch(width, batch):
    obs, acts = cartpole()
    data = Transitions(obs=obs, acts=acts, infos=np.array([{}] * len(obs)), next_obs=obs,
                       dones=np.zeros(len(obs), bool))
    trainer = student(vector(1), width, batch, data)
    return seconds(lambda: trainer.train(n_epochs=1, progress_bar=False, log_interval=10**9))


def dagger():
    env = vector(8)
    expert = Expert(env.observation_space, env.action_space)
    trainer = SimpleDAggerTrainer(venv=env, scratch_dir=tempfile.mkdtemp(), expert_policy=expert,
                                  bc_trainer=student(env, 32, 32), rng=np.random.default_rng(0),
                                  custom_logger=SILENT)
    labels, enough = 0, None
    took = 0.0
    test = vector(8)
    for _ in range(5):
        took += seconds(lambda: trainer.train(total_timesteps=4000, rollout_round_min_episodes=3,
                                              rollout_round_min_timesteps=4000,
                                              bc_train_kwargs=dict(n_epochs=4, progress_bar=False,
                                                                   log_interval=10**9)))
        labels += 4000
        mean, _ = evaluate_policy(trainer.policy, test, 50)
        if enough is None and mean >= 475:
            enough = labels
    return {"seconds": took, "labels": labels, "labels_to_475": enough}


serve({
    "bc32": lambda: epoch(32, 32),
    "bc256": lambda: epoch(64, 256),
    "dagger": dagger,
    "import": lambda: seconds(
        lambda: subprocess.run([sys.executable, "-P", "-c", "import imitation.algorithms.bc"], check=True)),
})
