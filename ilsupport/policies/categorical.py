"""Discrete actions: behaviour cloning is cross-entropy (page 1)."""
import gymnasium
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ilsupport.policies.base import Action, Head, Known, Obs, PerRow, PerStudent
from ilsupport.policies.network import MLP, Net, Size
from ilsupport.random import Generators, rand


class Categorical(Head):
    """A network whose outputs are the logits of `n_actions` actions, the whole numbers from 0 on.

    Page 1: minimising its negative log-likelihood is minimising the cross-entropy with the expert's actions.
    For windows of observations `obs_dim` is (length, d), and `net` may be `GRU` or `Transformer` (page 8).
    `options` are those of `Head`. Raises ValueError as `Head` does, and for actions not among its own (in
    `fit` and `log_prob`).
    """

    whole = True

    def __init__(self, obs_dim: Size, n_actions: int, *, generator: Generators,
                 net: Net = MLP, **options) -> None:
        super().__init__(obs_dim, None, generator, **options)
        self.net = self.network(obs_dim, n_actions, generator, net)
        self.n_actions = n_actions

    @classmethod
    def serves(cls, space: gymnasium.Space) -> dict:
        """The arguments that fit this action space."""
        if not isinstance(space, gymnasium.spaces.Discrete):
            raise TypeError(f"the action space is {space}, expected Discrete for a Categorical.")
        return {"n_actions": int(space.n)}

    def likely(self) -> tuple[int, int]:
        """All there are."""
        return 0, self.n_actions - 1

    def logits(self, obs: Obs) -> Float[Tensor, "*M n actions"]:
        """Unnormalised log-probabilities."""
        return self.net(self.seen(obs))

    def act(self, obs: Obs, generator: torch.Generator | None = None) -> Action:
        """The most likely action, or with a generator a sample."""
        return pick(self.logits(obs), generator)

    def loss(self, obs: Obs, action: Action, generator: Generators | None = None) -> PerStudent:
        """Cross-entropy, averaged over the batch; one value a student for a stack."""
        if self.students is not None:
            return super().loss(obs, action)
        return nn.functional.cross_entropy(self.logits(obs), self.meant(obs, action))

    def _density(self, obs: Obs, action: Action, known: Known) -> PerRow:
        return self.logits(obs).log_softmax(-1).gather(-1, self.meant(obs, action).unsqueeze(-1)).squeeze(-1)


def pick(logits: Float[Tensor, "*n choices"], generator: torch.Generator | None = None) -> Int[Tensor, "*n"]:
    """The index of the largest, or with a generator one drawn in proportion to exp(logits) (Gumbel's trick).
    """
    if generator is not None:
        uniform = rand(logits.shape, generator, logits)
        logits = logits - torch.log(-torch.log(uniform.clamp_(torch.finfo(logits.dtype).tiny, 1 - 1e-7)))
    return logits.argmax(-1)
