"""Teaching environments, one a file: batched tensors on any device, and registered with gymnasium."""
from ilsupport.envs.adapter import Gymnasium
from ilsupport.envs.base import Env
from ilsupport.envs.brakelight import BrakeLight
from ilsupport.envs.camera import Camera
from ilsupport.envs.driving import Driving
from ilsupport.envs.fork import Fork
from ilsupport.envs.reach import Reach
from ilsupport.envs.tightrope import Tightrope
from ilsupport.envs.window import Window

__all__ = ["BrakeLight", "Camera", "Driving", "Env", "Fork", "Gymnasium", "Reach", "Tightrope", "Window"]
