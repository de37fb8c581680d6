"""The distributions of Weights & Biases sweep files, drawn from a stream.

Source: https://docs.wandb.ai/models/sweeps/sweep-config-keys. ``log_uniform`` takes its limits as exponents of e,
``log_uniform_values`` as values; ``q_…`` rounds to whole multiples of q.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, floor, log
from typing import Any, Protocol, overload

from portable_bp.arrays import Shape

Numbers = Mapping[str, Any]


class Source(Protocol):
    """Where numbers are drawn from: a `Stream`, or what stands for one."""

    def uniform(self, shape: Shape) -> Any:
        """Numbers uniform in [-1, 1)."""

    def normal(self, shape: Shape) -> Any:
        """Standard normal numbers."""


@dataclass(frozen=True)
class Distribution:
    """How a number is drawn, and the keys that define it, each with its default; None where it must be given."""

    draw: Callable[[Numbers, Source], float]
    keys: Mapping[str, float | None]
    positive: bool = False
    """Whether its limits must be above 0."""


def share(stream: Source) -> float:
    """Draw a number uniform in [0, 1)."""
    return float(stream.uniform((1,))[0] + 1.0) / 2.0


def _uniform(given: Numbers, stream: Source) -> float:
    low, high = float(given["min"]), float(given["max"])
    return low + (high - low) * share(stream)


def _int_uniform(given: Numbers, stream: Source) -> int:
    """Both limits are among the values."""
    low, high = int(given["min"]), int(given["max"])
    return low + floor(share(stream) * (high - low + 1))


def _log_uniform(given: Numbers, stream: Source) -> float:
    return exp(_uniform(given, stream))


def _log_uniform_values(given: Numbers, stream: Source) -> float:
    low, high = float(given["min"]), float(given["max"])
    value = _log_uniform({"min": log(low), "max": log(high)}, stream)
    return min(max(value, low), high)  # exp(log(x)) may round to beyond x


def _inv_log_uniform(given: Numbers, stream: Source) -> float:
    """log(1/x) is uniform between the limits."""
    return 1 / _log_uniform(given, stream)


def _normal(given: Numbers, stream: Source) -> float:
    return float(given["mu"] + given["sigma"] * stream.normal((1,))[0])


def _log_normal(given: Numbers, stream: Source) -> float:
    return exp(_normal(given, stream))


def quantized(value: float, q: float) -> float:
    """The whole multiple of q that is nearest; an int where q is one."""
    return round(value / q) * q


def _quantized(draw: Callable[[Numbers, Source], float]) -> Callable[[Numbers, Source], float]:
    return lambda given, stream: quantized(draw(given, stream), given["q"])


LIMITS: Mapping[str, float | None] = {"min": None, "max": None}
MOMENTS: Mapping[str, float | None] = {"mu": 0, "sigma": 1}
_CONTINUOUS = {
    "uniform": Distribution(_uniform, LIMITS),
    "log_uniform": Distribution(_log_uniform, LIMITS),
    "log_uniform_values": Distribution(_log_uniform_values, LIMITS, positive=True),
    "normal": Distribution(_normal, MOMENTS),
    "log_normal": Distribution(_log_normal, MOMENTS),
}
DISTRIBUTIONS = {
    **_CONTINUOUS,
    **{f"q_{name}": Distribution(_quantized(it.draw), {**it.keys, "q": 1}, it.positive)
       for name, it in _CONTINUOUS.items()},
    "int_uniform": Distribution(_int_uniform, LIMITS),
    "inv_log_uniform": Distribution(_inv_log_uniform, LIMITS),
    "inv_log_uniform_values": Distribution(_log_uniform_values, LIMITS, positive=True),
}  # fmt: skip
COUNTABLE = ("int_uniform", "q_uniform")
"""Distributions whose values a grid can run through."""


@dataclass(frozen=True)
class Multiples(Sequence[Any]):
    """The whole multiples of ``q`` from the ``first`` to the ``last``, of this ``kind``, each made when asked for."""

    first: int
    last: int
    q: float
    kind: type

    def __len__(self) -> int:
        return self.last - self.first + 1

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        return self.kind(range(self.first, self.last + 1)[place] * self.q)


def grid_values(name: str, given: Numbers, kind: type) -> Multiples:
    """All values of a countable distribution, in rising order."""
    q = 1 if name == "int_uniform" else given["q"]
    return Multiples(round(given["min"] / q), round(given["max"] / q), q, kind)
