"""Teaching environments, one a file: batched tensors on any device, and registered with gymnasium."""
from ilsupport.envs.adapter import Gymnasium
from ilsupport.envs.base import Env
from ilsupport.envs.camera import Camera
from ilsupport.envs.driving import Driving
from ilsupport.envs.registration import register
from ilsupport.envs.tightrope import Tightrope, simulate, simulate_by_steps

register()

__all__ = ["Camera", "Driving", "Env", "Gymnasium", "Tightrope", "simulate", "simulate_by_steps"]
