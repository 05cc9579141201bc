"""Noise carried to an action along a differential equation: what diffusion and flow matching share (page 7).
"""
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ilsupport._checks import check_horizon
from ilsupport.policies.base import Action, Head, Known, Obs, PerRow
from ilsupport.random import Generators, randn

Velocity = Callable[[Tensor, Tensor], Tensor]  # of a place and a time
WAVES = 4            # sines and cosines that tell a network the time
DENSITY_STEPS = 100  # of Heun's rule, for log_prob


class Transport(Head):
    """Standard normal noise at time 0 becomes an action at time 1 along dx/dt = velocity(obs, x, t).

    Subclasses (`Diffusion`, `Flow`) say how the velocity is learnt (`loss`, `velocity`) and stepped along
    (`path`: the `steps + 1` samples on the way, first the noise, last the action, before it is scaled to the
    world's units). `steps` is how many
    steps, hence network calls, `act` takes; set it at will after training. Noise, ways and velocities are in
    units of the actions' own spread in the data, which is the size of the noise (`standardise=False`: in the
    world's). `options` are those of `Head`. Raises ValueError for fewer than one step, and for observations
    and actions of another shape, dtype or device.
    """

    def __init__(self, obs_dim: int, act_dim: int, *, generator: Generators, steps: int = 10,
                 **options) -> None:
        super().__init__(obs_dim, act_dim, generator, **options)
        self.net = self.network(obs_dim + act_dim + 2 * WAVES, act_dim, generator)
        self.steps = check_horizon(steps, "steps")

    def at(self, obs: Obs, x: Action, t: Tensor) -> Action:
        """The network's output at `x` and time `t`: one for all, or one each (*M, n, 1)."""
        return self.net(torch.cat([self.seen(obs), x, time_features(t.expand(*x.shape[:-1], 1))], -1))

    def times(self, steps: int) -> Float[Tensor, "steps+1"]:
        """From 0 to 1. Raises ValueError for fewer than one step."""
        like = self.like
        return torch.linspace(0, 1, check_horizon(steps, "steps") + 1, dtype=like.dtype, device=like.device)

    def act(self, obs: Obs, generator: torch.Generator | None = None) -> Action:
        """A sample; without a generator what becomes of zero noise.

        That is usually one of the answers, not always the likeliest, and where two are equally good it may
        lie between them.
        """
        shape = (*obs.shape[:-1], self.act_dim)
        noise = obs.new_zeros(shape) if generator is None else randn(shape, generator, obs)
        *_, action = self.path(obs, noise)
        return self.played(action)

    def log_prob(self, obs: Obs, action: Action, known: Known = None) -> PerRow:
        """Log-density of each action under the differential equation itself, which `act` follows in `steps`
        steps.

        Costs `act_dim` backward passes at each of 100 times, and carries no gradient: to look at, not to
        train on.
        """
        if known is not None:
            raise TypeError("noise is carried to whole actions only; leave out those with unknown numbers.")
        meant = self.meant(obs, action)
        return log_density(lambda x, t: self.velocity(obs, x, t), meant,
                           self.times(DENSITY_STEPS)) - self.plays.lost()


def time_features(t: Float[Tensor, "*n 1"]) -> Float[Tensor, "*n 8"]:
    """The time in [0, 1] as waves of 1/2, 1, 2 and 4 turns: a network reads it off these more easily than off
    one number.
    """
    angle = t * math.pi * 2.0 ** torch.arange(WAVES, dtype=t.dtype, device=t.device)
    return torch.cat([angle.sin(), angle.cos()], -1)


def noise_and_time(action: Action, generator: Generators | None) -> tuple[Action, Float[Tensor, "*M n 1"]]:
    """Standard normal noise like the actions, and for each a time uniform in [0, 1).

    The time is the rank of one more normal draw.
    """
    draw = randn((*action.shape[:-1], action.shape[-1] + 1), generator, action)
    return draw[..., :-1], torch.special.ndtr(draw[..., -1:]).clamp(max=1 - torch.finfo(action.dtype).eps)


def log_density(velocity: Velocity, x: Action, times: Float[Tensor, "steps"]) -> PerRow:
    """Log-density at `x` of where dx/dt = velocity(x, t) carries standard normal noise from `times[0]` to
    `times[-1]`.

    The instantaneous change of variables (Chen and others, 2018): walk back to the noise it came from and add
    up the divergence on the way, which says how much the flow has thinned the crowd. Heun's rule between the
    times; the divergence is exact, by a backward pass a dimension. No gradient flows through the result.
    """
    thinned = torch.zeros_like(x[..., 0])
    for late, early in zip(times.flip(0)[:-1], times.flip(0)[1:]):
        h = late - early
        here, divergence = _with_divergence(velocity, x, late)
        there, divergence_there = _with_divergence(velocity, x - h * here, early)
        x = x.detach() - h * (here + there) / 2
        thinned = thinned + h * (divergence + divergence_there) / 2
    return -(x.square() + math.log(2 * math.pi)).sum(-1) / 2 - thinned


def _with_divergence(velocity: Velocity, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        v = velocity(x, t)
        slopes = [torch.autograd.grad(v[..., i].sum(), x, retain_graph=True)[0][..., i]
                  for i in range(x.shape[-1])]
    return v.detach(), torch.stack(slopes).sum(0)
