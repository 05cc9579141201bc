"""Flow matching: learn the velocity that carries noise to actions on straight lines (page 7)."""
from collections.abc import Iterator

from torch import Tensor

from ilsupport.policies.base import Action, Obs, PerStudent, known_sum
from ilsupport.policies.ode import Transport, noise_and_time


class Flow(Transport):
    """A network that answers: at `x`, at time `t`, which way and how fast?

    Training: draw a straight line from noise to a demonstrated action, stand on it at time t, regress on its
    velocity `action - noise` (Lipman and others, 2023; Liu and others, 2023: rectified flow). Where lines
    cross the network learns their mean velocity, and following the means carries the noise to the right
    distribution all the same. Acting: Euler's rule in `steps` steps. One step is no distribution at all: a
    perfect network takes every noise to the mean. Raises ValueError where `Transport` does.
    """

    def loss(self, obs, action, generator=None, known=None) -> PerStudent:
        """Squared error of the velocity, summed over dimensions (those that are `known`); not a likelihood.
        """
        action = self.meant(obs, action)
        noise, t = noise_and_time(action, generator)
        x = (1 - t) * noise + t * action
        return known_sum((self.velocity(obs, x, t) - (action - noise)).square(), known).mean(-1)

    def velocity(self, obs: Obs, x: Action, t: Tensor) -> Action:
        """dx/dt, from time 0 (noise) to time 1 (an action)."""
        return self.at(obs, x, t)

    def path(self, obs: Obs, noise: Action) -> Iterator[Action]:
        """Euler's rule: the `steps + 1` samples from the noise to the action, as for a moving picture."""
        x, times = noise, self.times(self.steps)
        yield x
        for now, then in zip(times[:-1], times[1:]):
            x = x + (then - now) * self.velocity(obs, x, now)
            yield x
