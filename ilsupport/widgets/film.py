"""Films of MuJoCo's bodies that need no OpenGL: the simulator says where its capsules are, the page draws
them (page 10).
"""
import gymnasium
import numpy as np
import torch
import traitlets

from ilsupport.policies.base import Policy, in_mode
from ilsupport.rollout import Act, actor
from ilsupport.widgets.static import StaticWidget, packed

FRAME = 0.04  # seconds between frames, at least


class Film(StaticWidget):
    """Side by side, what each of `drivers` (a name and a policy) does in the first `seconds` of the same
    episode of `task`.

    All start where `seed` puts them; who falls stays where it fell. Planar bodies are seen from the side, the
    ant from above at an angle. It plays while it is on screen, stops at the reader's word, and does not start
    by itself for readers who asked their system for less motion. `alt` says in a sentence what there is to
    see. Drivers may live on any device. Needs the extra `mujoco`.
    """

    scripts = ("film.js",)

    alt = traitlets.Unicode().tag(sync=True)
    tilt = traitlets.Bool().tag(sync=True)
    frame = traitlets.Float().tag(sync=True)
    clips = traitlets.List().tag(sync=True)
    packed = traitlets.Unicode().tag(sync=True)

    def __init__(self, task: str, drivers: dict[str, Policy | Act], *, alt: str, seed: int = 0,
                 seconds: float = 4.0) -> None:
        world = gymnasium.make(task).unwrapped
        world.reset(seed=seed)
        model, y = world.model, world.data.geom_xpos[:, 1]
        # Spheres and capsules, from back to front.
        parts = sorted((i for i in range(model.ngeom) if model.geom_type[i] in (2, 3)), key=lambda i: -y[i])
        names, tilt = [model.geom(i).name for i in parts], bool(model.nq > 9)  # in space, not in a plane
        skip = max(1, round(FRAME / world.dt))
        takes = [_record(world, parts, tilt, skip, driver, seed, seconds) for driver in drivers.values()]
        body = {"radii": [round(1000 * float(model.geom_size[i, 0])) for i in parts],
                "torso": next(i for i, name in enumerate(names) if name.startswith("torso")),
                "pale": [int("left" in name and not tilt) for name in names]}
        super().__init__(alt=alt, tilt=tilt, frame=skip * world.dt, packed=packed(takes),
                         clips=[{"name": name, **body} for name in drivers])


@torch.no_grad()
def _record(world: gymnasium.Env, parts: list[int], tilt: bool, skip: int, driver: Policy | Act, seed: int,
            seconds: float) -> tuple[list[list[int]], list[int], bool]:
    """One episode: both ends of every part on the screen, in mm, and the return, frame by frame; a fall?"""
    tensors = driver.state_dict().values() if isinstance(driver, Policy) else ()
    act, like = actor(driver), next(iter(tensors), torch.empty(0))
    obs, total, over, frames, returns = world.reset(seed=seed)[0], 0.0, False, [], []
    for step in range(round(seconds / world.dt)):
        if step % skip == 0 or over:
            half = world.data.geom_xmat[parts][:, 2::3] * world.model.geom_size[parts, 1:2]
            ends = np.stack([world.data.geom_xpos[parts] + sign * half for sign in (-1, 1)], 1)
            height = ends @ [0, 0.6, 0.8] if tilt else ends[..., 2]
            frames.append((1000 * np.stack([ends[..., 0], height], -1)).round().astype(int).ravel().tolist())
            returns.append(round(total))
        if over:
            break
        with in_mode(driver, training=False):
            action = act(torch.as_tensor(obs).to(like)[None])[0]
        obs, reward, over, *_ = world.step(action.detach().cpu().numpy())
        total += reward
    return frames, returns, bool(over)
