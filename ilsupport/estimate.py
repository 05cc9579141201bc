"""Every measured number of the book: a mean, its 95 % interval and how many samples stand behind it."""
from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ilsupport._checks import check_finite

LEVEL = 0.95


class Estimate(NamedTuple):
    """`mean` with the interval `[low, high]` at 95 % from `n` samples."""

    mean: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, samples: Float[Tensor, "n"] | Sequence[float]) -> Estimate:
        """Student's t interval for the mean of independent samples; infinite for a single one.

        Raises ValueError for no samples, NaN or infinity.
        """
        from scipy.special import stdtrit  # imported here: scipy would double the package's import time
        on_cpu = samples.cpu() if isinstance(samples, Tensor) else samples  # not every device has float64
        x = torch.as_tensor(on_cpu, dtype=torch.float64).flatten()
        check_finite("samples", x)
        n, mean, half = len(x), float(x.mean()), torch.inf
        if n > 1:
            half = float(stdtrit(n - 1, 0.5 + LEVEL / 2)) * float(x.std()) / n**0.5
        return cls(mean, mean - half, mean + half, n)

    @classmethod
    def of_rate(cls, k: int, n: int) -> Estimate:
        """Exact (Clopper and Pearson, 1934) interval for a rate, `k` of `n` independent trials.

        Raises ValueError unless `0 <= k <= n` and `n >= 1`.
        """
        from scipy.special import betaincinv
        if not (n >= 1 and 0 <= k <= n):
            raise ValueError(f"k = {k} of n = {n}, expected 0 <= k <= n and n >= 1.")
        tail = (1 - LEVEL) / 2
        low = float(betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
        high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
        return cls(k / n, low, high, n)

    @classmethod
    def across(cls, estimates: Sequence[Estimate]) -> Estimate:
        """The mean over students (seeds), each one sample: what figures show when training itself is random.
        """
        return cls.of([estimate.mean for estimate in estimates])

    def __neg__(self) -> Estimate:
        """A cost is minus a return."""
        return self * -1

    def __mul__(self, factor: float) -> Estimate:
        """In other units: the mean and the interval times a number."""
        if not isinstance(factor, numbers.Real):
            raise TypeError(f"an estimate times {factor!r}, expected a number; two have no product.")
        return Estimate(self.mean * factor, *sorted((self.low * factor, self.high * factor)), self.n)

    __rmul__ = __mul__
    __array_ufunc__ = None  # lest numpy take it for four numbers

    def __add__(self, other: object) -> Estimate:
        raise TypeError("intervals do not add; add the samples, and take Estimate.of their sums.")

    def __str__(self) -> str:
        mean, low, high = (f"{x:.3g}" if abs(x) < 999.5 else f"{x:,.0f}" for x in self[:3])
        return f"{mean} [{low}, {high}] (n = {self.n:,})"


class Estimates(list):
    """One `Estimate` for each student of a stack; a number times it is so of each."""

    def __mul__(self, factor: float) -> Estimates:
        return Estimates(one * factor for one in self)

    __rmul__ = __mul__

    def __neg__(self) -> Estimates:
        return self * -1
