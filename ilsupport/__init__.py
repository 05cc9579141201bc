"""Support package of the interactive book on imitation learning.

Environments are rolled out into `Trajectories`, `fit` turns those into a policy, `evaluate` says what it is worth, and
`dagger` goes round again with the expert's labels. `bounds` and `tabular` say what theory promised.
"""
from ilsupport import bounds, envs, experts, policies, tabular
from ilsupport.bc import History, error_rate, fit
from ilsupport.dagger import Round, dagger, exponential, first_round_only, linear, mixture
from ilsupport.envs import BrakeLight, Camera, Driving, Gymnasium, Reach, Tightrope, Window
from ilsupport.estimate import Estimate
from ilsupport.experts import (brakelight_expert, cartpole_expert, driving_expert, from_sb3, pendulum_expert, reach_expert, reach_play,
                               tightrope_expert)
from ilsupport.policies import GRU, Categorical, Chunked, Gaussian, Policy, Seeing, Transformer, View, chunks
from ilsupport.random import generator, spawn
from ilsupport.relabel import relabel
from ilsupport.rollout import evaluate, rollout
from ilsupport.storage import from_minari, to_minari
from ilsupport.trajectories import Trajectories

__all__ = [
    "BrakeLight", "Camera", "Categorical", "Chunked", "GRU", "Driving", "Estimate", "Gaussian", "Gymnasium", "History", "Policy", "Reach", "Round", "Seeing",
    "Tightrope", "Trajectories", "bounds", "cartpole_expert", "dagger", "driving_expert", "envs", "error_rate", "evaluate", "experts",
    "exponential", "first_round_only", "fit", "from_minari", "from_sb3", "generator", "linear", "mixture",
    "pendulum_expert", "policies", "reach_expert", "reach_play", "relabel", "rollout", "spawn", "tabular",
    "tightrope_expert", "to_minari", "Transformer", "View", "Window", "brakelight_expert", "chunks",
]
__version__ = "0.1.0"
