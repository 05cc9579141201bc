"""Checks of what a user passes in: each says what was given, what was expected and what to do.

Every check returns its value, so that it can stand in an expression. Checks of tensors read from the device;
call them before a step loop, never inside it.
"""

import math
import numbers
from collections.abc import Sequence

import torch
from torch import Tensor

KINDS = {float: "floats ", int: "whole numbers "}


def check_probability(name: str, value: float | Tensor) -> float | Tensor:
    """Return `value` if every entry is a number in [0, 1]; raise TypeError or ValueError otherwise."""
    return check_between(name, value, 0.0, 1.0)


def check_between(name: str, value: float | Tensor, low: float, high: float) -> float | Tensor:
    """Return `value` if every entry is a number in [low, high]; raise TypeError or ValueError otherwise."""
    if isinstance(value, Tensor):
        if value.is_complex() or value.dtype == torch.bool:
            raise TypeError(f"{name} must hold real numbers; got a tensor of {value.dtype}.")
        if value.numel() == 0:
            raise ValueError(f"{name} is empty (shape {tuple(value.shape)}); give at least one entry.")
    elif isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number or a tensor; got {value!r} ({type(value).__name__}).")
    x = torch.as_tensor(value)
    inside = (x >= low) & (x <= high)  # false for NaN too
    if not bool(inside.all()):
        shown = value if x.ndim == 0 else f"an entry {x[~inside][0].item()}"
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}]; got {shown}.")
    return value


def check_horizon(T: int, name: str = "horizon T", most: float = math.inf) -> int:
    """Return `T` as an int if it is a whole number from 1 to `most`; raise TypeError or ValueError otherwise.
    """
    if isinstance(T, bool) or not isinstance(T, numbers.Integral):
        raise TypeError(f"{name} is a count, so it must be an int; got {T!r} ({type(T).__name__}).")
    if not 1 <= T <= most:
        raise ValueError(f"{name} must be at least 1{f' and at most {most}' * (T > most)}; got {T}.")
    return int(T)


def check_positive(name: str, value: float, or_zero: bool = False) -> float:
    """Return `value` if it is a finite number above zero, or zero where that will do; raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not (
            0 < value < math.inf or or_zero and value == 0):
        expected = "finite number >= 0" if or_zero else "positive number"
        raise ValueError(f"{name} is {value!r}, expected a {expected}.")
    return value


def check_finite(name: str, x: Tensor) -> Tensor:
    """Return `x` if it is a non-empty tensor without NaN or infinity; raise otherwise."""
    _check_tensor(name, x)
    if x.numel() == 0:
        raise ValueError(f"{name} is empty (shape {tuple(x.shape)}); give at least one entry.")
    bad = ~torch.isfinite(x)
    if bool(bad.any()):
        raise ValueError(f"{name} has {int(bad.sum())} NaN or infinite entries; remove or mask them.")
    return x


def check_shape(name: str, x: Tensor, expected: Sequence[int | str],
                kind: torch.dtype | type | None = None, hint: str = "") -> Tensor:
    """Return `x` if its shape fits: an int is that size, a string any size, "..." first any lead.

    With a `kind` it must also be of that dtype, or of any of `float` or `int`. `hint` says what to do. Raises
    TypeError for anything but a tensor, ValueError for one that does not fit.
    """
    _check_tensor(name, x)
    sizes, shape = expected, x.shape
    if expected[:1] == ("...",):
        sizes, shape = expected[1:], x.shape[1 - len(expected):]
    fits = len(shape) == len(sizes) and all(isinstance(n, str) or n == have for n, have in zip(sizes, shape))
    if not fits or kind not in (None, x.dtype, float if x.is_floating_point() else int):
        dtype, of = ("", "") if kind is None else (f" and dtype {x.dtype}", KINDS.get(kind, f"{kind} "))
        wanted = ", ".join(map(str, expected)) + "," * (len(expected) == 1)
        raise ValueError(f"{name} has shape {tuple(x.shape)}{dtype}, expected {of}"
                         f"({wanted}){f': {hint}' * bool(hint)}.")
    return x


def check_distribution(name: str, x: Tensor) -> Tensor:
    """Return `x` if its last dimension holds distributions; raise TypeError or ValueError otherwise."""
    check_finite(name, x)
    if bool((x < 0).any()):
        raise ValueError(f"{name} has a negative entry ({float(x.min()):.3g}); probabilities lie in [0, 1].")
    off = (x.sum(-1) - 1).abs().max()
    tolerance = 1e-9 if x.dtype == torch.float64 else 1e-5
    if float(off) > tolerance:
        raise ValueError(f"{name} must sum to 1 along its last dimension (off by {off:.3g}): normalise it.")
    return x


def check_float64(name: str, x: Tensor) -> Tensor:
    """Return `x` if it is a float64 tensor; raise TypeError otherwise."""
    if not isinstance(x, Tensor) or x.dtype != torch.float64:
        kind = getattr(x, "dtype", type(x).__name__)
        raise TypeError(f"{name} must be a float64 tensor (for exact results); got {kind}: use .double().")
    return x


def check_discount(gamma: float | Tensor, name: str = "discount gamma") -> float | Tensor:
    """Return `gamma` if every entry lies in [0, 1); raise TypeError or ValueError otherwise."""
    check_probability(name, gamma)
    if bool((torch.as_tensor(gamma) >= 1).any()):
        raise ValueError(f"{name} must be below 1, or the sum over steps has no end; got {gamma}.")
    return gamma


def _check_tensor(name: str, x: object) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch tensor; got {type(x).__name__}: try torch.as_tensor.")
