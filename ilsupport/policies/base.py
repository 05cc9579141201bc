"""What every policy answers, and what all heads share: a network, units, limits, checks at the door (page 1).
"""
from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import gymnasium
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from ilsupport._checks import check_finite, check_shape
from ilsupport.identity import Configured
from ilsupport.policies.network import MLP, Net, Size, window_size
from ilsupport.random import Generators

Limits = tuple[float | Sequence[float], float | Sequence[float]]


Obs = Shaped[Tensor, "*M n obs"]
Action = Shaped[Tensor, "*M n act"]
PerRow = Float[Tensor, "*M n"]
PerStudent = Float[Tensor, "*M"]
Known = Bool[Tensor, "*M n act"] | None  # which numbers of an action anybody said; None: all


class Policy(Configured, nn.Module):
    """A distribution over actions given an observation; subclass it to make one of your own.

    `students` is None for one student, or `M` for a stack of `M` that train and act in one pass; a stack
    takes observations `(M, n, *obs)` and answers `(M, n, *act)`, its losses and log-probabilities gain the
    same leading `M`. Only `act` is needed to play, and `loss` to learn. Called like a function, a policy
    acts: so it can be an expert.
    """

    students: int | None = None

    def begin(self) -> None:
        """An episode starts: whoever remembers anything forgets it. Wrappers pass it on."""

    def act(self, obs: Obs, generator: torch.Generator | None = None) -> Action:
        """The most likely action, or with a generator a sample."""
        raise NotImplementedError(f"{type(self).__name__} has no act(obs, generator=None); add one.")

    def loss(self, obs: Obs, action: Action, generator: Generators | None = None) -> PerStudent:
        """What `fit` minimises: the mean negative log-likelihood of the batch, or a bound on it.

        A head whose loss draws noise draws it from `generator`, for a stack a list of one a student.
        """
        raise NotImplementedError(f"{type(self).__name__} has no loss(obs, action, generator=None); add one.")

    def log_prob(self, obs: Obs, action: Action) -> PerRow:
        """Log-probability (or log-density) of each action, where there is one; TypeError where there is none.
        """
        raise TypeError(f"{type(self).__name__} has no likelihood that can be computed; compare losses.")

    def check(self, obs: Shaped[Tensor, "N *obs"], action: Shaped[Tensor, "N *act"]) -> None:
        """Raise ValueError unless one student can learn from these. `fit` calls it once; it reads from the
        device.
        """
        check_finite("observations", obs)
        check_finite("targets", action)

    def standardise(self, obs: Sequence[Tensor] | None, action: Sequence[Tensor]) -> None:
        """Take the units in which it computes from data, one entry a student; `fit` calls it with what it is
        given.

        `obs` is None where inputs are to stay as they are: pictures, and numbers of a class.
        """

    def forward(self, obs: Obs) -> Action:
        """As `act`: a policy is an expert for others."""
        return self.act(obs)


class Units(nn.Module):
    """A shift and a scale for each column, of each student: what is a large number, and what is a small one,
    in the data.

    `inward` gives columns of mean 0 and standard deviation 1 on the data that `measure` saw. A column that
    never varies there is shifted and not scaled; before anything was measured nothing changes. With
    `on=False` nothing ever does: these are the world's own units.
    """

    def __init__(self, columns: int, students: int | None, dims: int, like: Tensor, on: bool = True) -> None:
        super().__init__()
        lead, self.on = () if students is None else (students, *[1] * dims), on
        self.register_buffer("shift", like.new_zeros(*lead, columns) if on else None)
        self.register_buffer("scale", like.new_ones(*lead, columns) if on else None)

    def inward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        return (x - self.shift) / self.scale if self.on else x

    def outward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        return torch.addcmul(self.shift, x, self.scale) if self.on else x

    def widened(self, log_std: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """`outward` of the logarithm of a standard deviation."""
        return log_std + self.scale.log() if self.on else log_std

    def lost(self, known: Known = None) -> Tensor | float:
        """What a log-density loses by the change of units: the logarithms of the (known) scales."""
        return known_sum(self.scale.log(), known) if self.on else 0.0

    @torch.no_grad()
    def measure(self, parts: Sequence[Float[Tensor, "N *window d"]], flags: bool) -> None:
        """Take the columns' mean and deviation in each student's data, NaN (what nobody said) left out.

        With `flags` a column that holds nothing but 0 and 1 stays as it is: it names a class.
        """
        if not self.on:
            return
        seen = {id(x): self._of(x.reshape(-1, x.shape[-1]), flags) for x in parts}
        for buffer, column in ((self.shift, 0), (self.scale, 1)):
            buffer.copy_(torch.stack([seen[id(x)][column] for x in parts]).view_as(buffer))

    @staticmethod
    def _of(x: Float[Tensor, "N d"], flags: bool) -> tuple[Tensor, Tensor]:
        x = x.to(torch.promote_types(x.dtype, torch.float32))  # sums of float16 overflow
        shift = x.nanmean(0)
        largest = (x - shift).abs().nan_to_num().amax(0).clamp(min=torch.finfo(x.dtype).tiny)
        scale = largest * ((x - shift) / largest).square().nanmean(0).sqrt()  # no square overflows
        varies = scale > 1e-6 * shift.abs() + torch.finfo(x.dtype).tiny ** 0.5  # rounding alone is no spread
        # of what nobody ever said, nothing is known
        shift, scale = shift.nan_to_num(), torch.where(varies, scale, 1)
        if flags:
            named = ((x == 0) | (x == 1)).all(0)
            shift, scale = torch.where(named, 0, shift), torch.where(named, 1, scale)
        return shift, scale


class Head(Policy):
    """What the heads share: a network, units, limits, checks at the door.

    Observations are `(n, obs_dim)`, or windows `(n, length, d)` for `obs_dim = (length, d)`.

    hidden        widths of the layers between observation and answer
    activation    what stands between the layers: "relu", "tanh", "silu", "gelu" or "elu"
    standardise   compute in units in which each column of the data that `fit` is given, observations and
                  continuous actions, has mean 0 and standard deviation 1; for a stack each student in its
                  own. The units are part of the policy: buffers, saved and moved with it. Observed columns of
                  nothing but 0 and 1 stay as they are
    limits        (low, high), each a number or one a dimension: clips what `act` plays, as an actuator would;
                  likelihood and loss know nothing of it

    With a list of generators it is a stack, one student a generator. A subclass says in `_density` what the
    log-density is, or defines `loss`. Raises ValueError for widths below 1, limits out of order or of another
    length, and on observations and actions of another shape, dtype or device.
    """

    whole = False  # whether actions are whole numbers; else they are numbers to be standardised

    def __init__(self, obs_dim: Size, act_dim: int | None, generator: Generators, *,
                 hidden: Sequence[int] = (64, 64), activation: str = "relu", limits: Limits | None = None,
                 standardise: bool = True, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        generators = [generator] if isinstance(generator, torch.Generator) else list(generator)
        self.students = None if isinstance(generator, torch.Generator) else len(generators)
        # the shapes of one observation and of one action: a single whole number where `act_dim` is None
        self.seen_shape = (obs_dim,) if isinstance(obs_dim, int) else window_size(obs_dim)
        self.act_shape = () if act_dim is None else (act_dim,)
        if min(len(generators), *self.seen_shape, *self.act_shape) < 1:
            raise ValueError(f"{len(generators)} generators, observations of shape {self.seen_shape} and "
                             f"actions of shape {self.act_shape}, expected at least one of each number.")
        self.obs_dim, self.act_dim, self.hidden, self.activation = obs_dim, act_dim, tuple(hidden), activation
        like = torch.empty(0, dtype=dtype, device=generators[0].device)
        self.register_buffer("like", like, persistent=False)  # has the dtype and the device of all others
        self.sees = Units(self.seen_shape[-1], self.students, len(self.seen_shape), like, standardise)
        self.plays = Units(act_dim or 1, self.students, 1, like, standardise and not self.whole)
        low, high = (None, None) if limits is None else _limits(limits, self.act_shape, like)
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)

    @classmethod
    def of(cls, env, *, generator: Generators, **options) -> Head:
        """A head as wide as the spaces of `env`, which clips what it plays to its action space.

        Raises TypeError for spaces that this head cannot serve.
        """
        shape = env.observation_space.shape
        options = {"dtype": env.dtype, **cls.serves(env.action_space), **options}
        return cls(shape[0] if len(shape) == 1 else tuple(shape), generator=generator, **options)

    @classmethod
    def serves(cls, space: gymnasium.Space) -> dict:
        """The arguments that fit this action space."""
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise TypeError(f"the action space is {space}, expected a Box of shape (d,) for {cls.__name__}.")
        limits = (space.low.tolist(), space.high.tolist()) if space.is_bounded() else None
        return {"act_dim": space.shape[0], "limits": limits}

    def network(self, inputs: Size, outputs: int, generator: Generators, net: Net = MLP) -> nn.Module:
        """A network of the head's hidden layers, activation and dtype."""
        return net((inputs, *self.hidden, outputs), generator, self.like.dtype, self.activation)

    def log_prob(self, obs: Obs, action: Action, known: Known = None) -> PerRow:
        """Log-density of each action, over its numbers that are `known`: of a cut-off plan the first."""
        self.check_action(obs, action, likely=True)
        return self._density(obs, action, known)

    def loss(self, obs, action, generator=None, known: Known = None) -> PerStudent:
        """Mean negative log-density of the batch; one value a student for a stack."""
        return -self._density(obs, action, known).mean(-1)

    def standardise(self, obs, action) -> None:
        """Take units from the data, unless it was switched off."""
        if obs is not None:
            self.sees.measure(obs, flags=True)
        self.plays.measure(action, flags=False)

    def check(self, obs: Tensor, action: Tensor) -> None:
        """Raise ValueError for another shape, dtype or device, NaN or infinity, and actions out of range."""
        super().check(obs, action)
        self.check_observation(obs, None)
        self.check_action(obs, action, likely=True)

    def check_observation(self, obs: Obs, students: int | None) -> None:
        """Raise ValueError unless `obs` is what the network takes, of its dtype and on its device."""
        lead, like = () if students is None else (students,), self.like
        check_shape("observations", obs, (*lead, "n", *self.seen_shape))
        if obs.dtype != like.dtype or obs.device != like.device:
            raise ValueError(f"observations have dtype {obs.dtype} on {obs.device}, expected {like.dtype} on "
                             f"{like.device}: move one .to(...), or give the policy dtype={obs.dtype}.")

    def check_action(self, obs: Obs, action: Action, likely: bool = False) -> None:
        """Raise ValueError unless there is one action of this head's kind for each observation.

        `likely` also refuses actions that have no likelihood at all, and reads from the device.
        """
        lead = obs.shape[:obs.ndim - len(self.seen_shape)]
        dtype = torch.int64 if self.whole else self.like.dtype
        other = "continuous actions want a Gaussian" if self.whole else "whole numbers want a Categorical"
        check_shape("actions", action, (*lead, *self.act_shape), dtype, f"one an observation; {other}")
        if not likely or (bounds := self.likely()) is None:
            return
        bad = ~((action >= bounds[0]) & (action <= bounds[1]))  # NaN is in no range
        if bool(bad.any()):
            low, high, a = (torch.as_tensor(x).tolist() for x in (*bounds, action[bad][0]))
            raise ValueError(f"action {a} lies outside the limits {low} and {high}; scale it or widen them.")

    def likely(self) -> tuple | None:
        """The least and the greatest action that have a likelihood, where not all have."""
        return None

    def seen(self, obs: Obs) -> Float[Tensor, "*M n *obs"]:
        """The observations in the network's units; raises ValueError for those of another kind."""
        self.check_observation(obs, self.students)
        return self.sees.inward(obs)

    def meant(self, obs: Obs, action: Action) -> Action:
        """The actions in the network's units; raises ValueError unless they are of this head's kind."""
        self.check_action(obs, action)
        return self.plays.inward(action)

    def played(self, action: Action) -> Action:
        """What the network said, in the world's units and within the limits."""
        action = self.plays.outward(action)
        return action if self.low is None else action.clamp(self.low, self.high)


def known_sum(each: Float[Tensor, "*n act"], known: Known) -> Float[Tensor, "*n"]:
    """Sum over action dimensions, those that nobody knows left out."""
    return (each if known is None else each * known).sum(-1)


@contextlib.contextmanager
def in_mode(policy: object, training: bool) -> Iterator[None]:
    """Dropout and its like in training or in evaluation mode; each module's own mode comes back."""
    modes = [(m, m.training) for m in policy.modules()] if isinstance(policy, nn.Module) else []
    if any(mode != training for _, mode in modes):
        policy.train(training)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _limits(limits: Limits, act_shape: tuple[int, ...], like: Tensor) -> list[Tensor]:
    low, high = (torch.as_tensor(x, dtype=like.dtype, device=like.device) for x in limits)
    if not {low.shape, high.shape} <= {(), act_shape} or not bool((low < high).all()):
        raise ValueError(f"limits are {limits}, expected low < high, each a number or of shape {act_shape}.")
    return [x.expand(act_shape).clone() for x in (low, high)]
