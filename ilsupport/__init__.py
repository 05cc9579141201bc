"""Support package of the interactive book on imitation learning.

Environments are rolled out into `Trajectories`, `fit` turns those into a policy, `evaluate` says what it is
worth, and `dagger` goes round again with the expert's labels. `bounds` and `tabular` say what theory says.
"""
from ilsupport import bounds, envs, experts, noise, policies, runs, tabular
from ilsupport.bc import History, constant, cool_down, error_rate, fit
from ilsupport.dagger import Round, dagger, exponential_beta, first_round_only, linear_beta, mixed
from ilsupport.envs import BrakeLight, Camera, Driving, Env, Fork, Gymnasium, Reach, Tightrope, Window
from ilsupport.estimate import Estimate
from ilsupport.experts import (ForkExpert, LocomotionExpert, ReachExpert, ReachPlay, brakelight_expert,
                               cartpole_expert, driving_expert, pendulum_expert, tightrope_expert)
from ilsupport.identity import named
from ilsupport.interop import from_minari, from_sb3
from ilsupport.noise import dart, demonstrate
from ilsupport.policies import (GRU, Categorical, Chunked, Diffusion, Discretised, Flow, Gaussian, Latent,
                                Mixture, Policy, Seeing, Transformer, View, chunks)
from ilsupport.random import generator, spawn
from ilsupport.relabel import relabel
from ilsupport.rollout import evaluate, rollout
from ilsupport.storage import load, load_policy, save, save_policy
from ilsupport.trajectories import Trajectories

__version__ = "0.2.0"
