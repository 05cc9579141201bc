"""Films of MuJoCo's bodies that need no OpenGL: the simulator says where its capsules are, the page draws them (page 10)."""
from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable

import numpy as np
import torch
import traitlets

from ilsupport.rollout import actor
from ilsupport.widgets.static import StaticWidget

FRAME = 0.04  # seconds between frames, at least


class Film(StaticWidget):
    """Side by side, what each of `drivers` (a name and a policy) does in the first `seconds` of the same episode of `task`.

    All start where `seed` puts them; who falls stays where it fell. Planar bodies are seen from the side, the ant from above at an
    angle. It plays while it is on screen, stops at the reader's word, and does not start by itself for readers who asked
    their system for less motion. `alt` says in a sentence what there is to see. Needs the extra `mujoco`.
    """

    scripts = ("film.js",)

    alt = traitlets.Unicode().tag(sync=True)
    tilt = traitlets.Bool().tag(sync=True)
    frame = traitlets.Float().tag(sync=True)
    clips = traitlets.List().tag(sync=True)
    packed = traitlets.Unicode().tag(sync=True)

    def __init__(self, task: str, drivers: dict[str, Callable], *, alt: str, seed: int = 0, seconds: float = 4.0) -> None:
        recorded = [_record(task, actor(policy), seed, seconds) for policy in drivers.values()]
        clips = [{"name": name, **{key: clip[key] for key in ("radii", "pale", "torso")}} for name, clip in zip(drivers, recorded)]
        moving = [[clip["frames"], clip["returns"], clip["fell"]] for clip in recorded]
        packed = base64.b64encode(zlib.compress(json.dumps(moving, separators=(",", ":")).encode(), 9)).decode()
        super().__init__(alt=alt, tilt=recorded[0]["tilt"], frame=recorded[0]["every"], clips=clips, packed=packed)

    def __repr__(self) -> str:
        return f"Film: {self.alt}"


@torch.no_grad()
def _record(task: str, act: Callable, seed: int, seconds: float) -> dict:
    """One episode: of every capsule both ends on the screen, in mm, frame by frame."""
    import gymnasium
    env = gymnasium.make(task)
    obs, world = env.reset(seed=seed)[0], env.unwrapped
    bodies = [i for i in range(world.model.ngeom) if world.model.geom_type[i] in (2, 3)]  # spheres and capsules, not the floor
    tilt = world.model.nq > 9  # a body that moves in space, not in a plane
    lift = np.array([0, 0.6, 0.8]) if tilt else np.array([0, 0, 1.0])
    bodies.sort(key=lambda i: -world.data.geom_xpos[i, 1])  # from back to front
    skip, total, frames, returns, over, fell = max(1, round(FRAME / world.dt)), 0.0, [], [], False, False
    for step in range(round(seconds / world.dt)):
        if step % skip == 0 or over:
            centre = world.data.geom_xpos[bodies]
            half = world.data.geom_xmat[bodies].reshape(-1, 3, 3)[:, :, 2] * world.model.geom_size[bodies, 1:2]
            ends = np.stack([centre - half, centre + half], 1)
            frames.append((1000 * np.stack([ends[..., 0], ends @ lift], -1)).round().astype(int).ravel().tolist())
            returns.append(round(total))
        if over:
            fell = True
            break
        obs, reward, over, *_ = env.step(act(torch.as_tensor(obs, dtype=torch.float32)[None])[0].numpy())
        total += reward
    names = [world.model.geom(i).name for i in bodies]
    env.close()
    return {"frames": frames, "returns": returns, "fell": fell, "tilt": bool(tilt), "every": skip * world.dt,
            "radii": [round(1000 * float(world.model.geom_size[i, 0])) for i in bodies],
            "torso": next(i for i, name in enumerate(names) if name.startswith("torso")),
            "pale": [int("left" in name and not tilt) for name in names]}
