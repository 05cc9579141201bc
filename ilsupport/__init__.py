"""Support package of the interactive book on imitation learning.

Environments are rolled out into `Trajectories`, `fit` turns those into a policy, `evaluate` says what it is worth, and
`dagger` goes round again with the expert's labels. `bounds` and `tabular` say what theory promised.
"""
from ilsupport import bounds, envs, experts, noise, policies, tabular
from ilsupport.bc import History, error_rate, fit
from ilsupport.dagger import Round, dagger, exponential, first_round_only, linear, mixture
from ilsupport.envs import BrakeLight, Camera, Driving, Fork, Gymnasium, Reach, Tightrope, Window
from ilsupport.estimate import Estimate
from ilsupport.experts import (brakelight_expert, cartpole_expert, driving_expert, fork_expert, pendulum_expert,
                               reach_expert, reach_play, tightrope_expert)
from ilsupport.interop import from_minari, from_sb3, to_minari
from ilsupport.locomotion import LocomotionExpert
from ilsupport.noise import DartRound, dart, demonstrate
from ilsupport.policies import (GRU, Categorical, Chunked, Diffusion, Discretised, Flow, Gaussian, Latent,
                                Mixture, Policy, Seeing, Transformer, View, chunks)
from ilsupport.random import generator, spawn
from ilsupport.relabel import relabel
from ilsupport.rollout import evaluate, rollout
from ilsupport.trajectories import Trajectories

__all__ = [
    "BrakeLight", "Camera", "Categorical", "Chunked", "DartRound", "Diffusion", "Discretised", "Driving",
    "Estimate", "Flow", "Fork", "Gaussian", "GRU", "Gymnasium", "History", "Latent", "LocomotionExpert",
    "Mixture", "Policy",
    "Reach", "Round", "Seeing", "Tightrope", "Trajectories", "Transformer", "View", "Window", "bounds",
    "brakelight_expert", "cartpole_expert", "chunks", "dagger", "dart", "demonstrate", "driving_expert",
    "envs", "error_rate", "evaluate", "experts", "exponential", "first_round_only", "fit", "fork_expert",
    "from_minari", "from_sb3", "generator", "linear", "mixture", "noise", "pendulum_expert", "policies",
    "reach_expert", "reach_play", "relabel", "rollout", "spawn", "tabular", "tightrope_expert",
    "to_minari",
]
__version__ = "0.1.0"
