"""Support package of the interactive book on imitation learning.

Environments are rolled out into `Trajectories`, `fit` turns those into a policy, `evaluate` says what it is worth, and
`dagger` goes round again with the expert's labels. `bounds` and `tabular` say what theory promised.
"""
from ilsupport import bounds, envs, experts, policies, tabular
from ilsupport.bc import History, error_rate, fit
from ilsupport.dagger import Round, dagger, exponential, first_round_only, linear, mixture
from ilsupport.envs import Camera, Driving, Gymnasium, Tightrope
from ilsupport.estimate import Estimate
from ilsupport.experts import cartpole_expert, driving_expert, from_sb3, pendulum_expert, tightrope_expert
from ilsupport.policies import Categorical, Gaussian, Policy, Seeing
from ilsupport.random import generator, spawn
from ilsupport.rollout import evaluate, rollout
from ilsupport.storage import from_minari, to_minari
from ilsupport.trajectories import Trajectories

__all__ = [
    "Camera", "Categorical", "Driving", "Estimate", "Gaussian", "Gymnasium", "History", "Policy", "Round", "Seeing", "Tightrope",
    "Trajectories", "bounds", "cartpole_expert", "dagger", "driving_expert", "envs", "error_rate", "evaluate", "experts",
    "exponential", "first_round_only", "fit", "from_minari", "from_sb3", "generator", "linear", "mixture",
    "pendulum_expert", "policies", "rollout", "spawn", "tabular", "tightrope_expert", "to_minari",
]
__version__ = "0.1.0"
