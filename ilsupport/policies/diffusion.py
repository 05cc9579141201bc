"""Diffusion: learn to say what is noise in a noisy action, then clean noise until it is an action (page 7).
"""
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ilsupport._checks import check_horizon
from ilsupport.policies.base import Action, Obs, PerStudent, known_sum
from ilsupport.policies.ode import Transport, noise_and_time
from ilsupport.random import Generators


class Diffusion(Transport):
    """A network that is shown `cos(phi) * action + sin(phi) * noise` and answers which noise.

    Training is DDPM's (Ho and others, 2020) at `levels` angles phi between an action (0) and noise (pi/2):
    the cosine schedule (Nichol and Dhariwal, 2021, without its offset), whose cumulative signal is
    cos(phi)^2. Acting is DDIM's deterministic sampler (Song and others, 2021): take the noise that the
    network sees for true, go to a lower level, look again; `steps` times, from noise to action. The network's
    answer enters as `sin(phi) x + cos(phi) answer`, so that near pure noise it need not learn to copy its
    input; the answer itself is then the velocity dx/dphi (Salimans and Ho, 2022), and DDIM a ride on its
    field. Raises ValueError unless 1 <= steps <= levels, and where `Transport` does.
    """

    def __init__(self, obs_dim: int, act_dim: int, *, generator: Generators, levels: int = 50,
                 steps: int = 10, **options) -> None:
        check_horizon(steps, "steps", check_horizon(levels, "levels"))
        super().__init__(obs_dim, act_dim, generator=generator, steps=steps, **options)
        self.levels = levels

    def angle(self, level: Tensor) -> Tensor:
        """How far from an action (level 0) to pure noise, in radians; the last level, `levels`, is just short
        of pi/2.
        """
        return level / (self.levels + 1) * math.pi / 2

    def noise(self, obs: Obs, x: Action, level: Tensor) -> Action:
        """What the network takes for noise in `x`, whose level is 1 .. levels: one for all, or one each (*M,
        n, 1).
        """
        phi = self.angle(level)
        return phi.sin() * x + phi.cos() * self.at(obs, x, 1 - level / self.levels)

    def loss(self, obs, action, generator=None, known=None) -> PerStudent:
        """Squared error of the noise, summed over dimensions (those that are `known`); not a likelihood."""
        action = self.meant(obs, action)
        noise, share = noise_and_time(action, generator)
        level = 1 + (share * self.levels).floor()
        phi = self.angle(level)
        noisy = phi.cos() * action + phi.sin() * noise
        return known_sum((self.noise(obs, noisy, level) - noise).square(), known).mean(-1)

    def velocity(self, obs: Obs, x: Action, t: Tensor) -> Action:
        """dx/dt, from time 0 (the last level) to time 1 (an action): the limit of DDIM in many steps."""
        return -self.angle(torch.full_like(t, self.levels)) * self.at(obs, x, t)

    def path(self, obs: Obs, noise: Action) -> Iterator[Action]:
        """DDIM: the `steps + 1` samples from the noise to the action, as for a moving picture."""
        check_horizon(self.steps, "steps", self.levels)  # they may be set after training
        x, levels = noise, ((1 - self.times(self.steps)) * self.levels).round()
        yield x
        for level, lower in zip(levels[:-1], levels[1:]):
            seen = self.noise(obs, x, level)
            clean = (x - self.angle(level).sin() * seen) / self.angle(level).cos()
            x = self.angle(lower).cos() * clean + self.angle(lower).sin() * seen
            yield x
