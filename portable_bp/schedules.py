"""Schedules: hyper-parameters that are pure functions of the step.

A schedule is called as ``schedule(xp, t)`` with t, a float64 array of shape (), the number of updates made before this
one (0 at the first), and returns a float64 array of shape (). Nothing is read back to the host.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from math import pi
from numbers import Real
from typing import Any, TypeAlias

from portable_bp.arguments import INFINITY, real_number, settle
from portable_bp.arrays import Array, Namespace
from portable_bp.numbers import Numbers


@dataclass(frozen=True)
class Schedule(ABC):
    """A hyper-parameter as a function of the step."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Schedule) and field.name == "then":
                continue
            at_least = 1.0 if field.name in ("steps", "every") else 0.0
            settle(self, field.name, real_number(f"{type(self).__name__} got {field.name}", value, at_least))

    @abstractmethod
    def __call__(self, xp: Namespace, t: Array) -> Array:
        """Value at step t."""


@dataclass(frozen=True)
class Constant(Schedule):
    """η(t) = η₀."""

    initial: float

    def __call__(self, xp: Namespace, t: Array) -> Array:
        return xp.full_like(t, self.initial)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """η(t) = η₀ · factor^⌊t / every⌋."""

    initial: float
    factor: float
    every: int

    def __call__(self, xp: Namespace, t: Array) -> Array:
        return self.initial * xp.pow(xp.full_like(t, self.factor), xp.floor(xp.divide(t, xp.full_like(t, self.every))))


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """η(t) = η₀ · e^(-decay · t)."""

    initial: float
    decay: float

    def __call__(self, xp: Namespace, t: Array) -> Array:
        return self.initial * xp.exp(-self.decay * t)


@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """η(t) = η₀ / (1 + decay · t). Source: Robbins and Monro, Ann. Math. Statist. 22 (1951), for rates of order 1/t."""

    initial: float
    decay: float

    def __call__(self, xp: Namespace, t: Array) -> Array:
        return xp.divide(xp.full_like(t, self.initial), 1 + self.decay * t)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """η(t) = η₁ + ½ (η₀ - η₁) (1 + cos(π min(t, steps) / steps)), from ``initial`` η₀ to ``final`` η₁.

    Source: Loshchilov and Hutter, "SGDR" (ICLR 2017), eq. 5, without restarts.
    """

    initial: float
    steps: int
    final: float = 0.0

    def __call__(self, xp: Namespace, t: Array) -> Array:
        share = xp.minimum(t, xp.full_like(t, self.steps)) * (pi / self.steps)
        return self.final + (0.5 * (self.initial - self.final)) * (1 + xp.cos(share))


@dataclass(frozen=True)
class WarmUp(Schedule):
    """η(t) = then(0) · (t + 1) / steps for t < steps, then then(t - steps): a linear start before ``then``.

    Source: Goyal et al., arXiv:1706.02677, section 2.2.
    """

    steps: int
    then: Schedule | float

    def __call__(self, xp: Namespace, t: Array) -> Array:
        ramp = xp.minimum(xp.divide(t + 1, xp.full_like(t, self.steps)), xp.ones_like(t))
        later = xp.maximum(t - self.steps, xp.zeros_like(t))
        return ramp * (self.then(xp, later) if isinstance(self.then, Schedule) else self.then)


Hyperparameter: TypeAlias = "float | Schedule | Any"
"""A number, a schedule, or for a population an array of K values of shape (K, 1, 1), or K `Numbers`."""


def value_at(xp: Namespace, hyperparameter: Hyperparameter, updates: Array, dtype: Any) -> Any:
    """Value of a hyper-parameter after ``updates`` updates: the number itself, or an array of ``dtype``."""
    if isinstance(hyperparameter, Schedule):
        hyperparameter = hyperparameter(xp, xp.astype(updates, xp.float64))
    return xp.astype(hyperparameter, dtype) if hasattr(hyperparameter, "shape") else hyperparameter


def require(owner: object, name: str, high: float = INFINITY, *, positive: bool = False) -> None:
    """Refuse a hyper-parameter that is a number outside [0, high), or (0, high); schedules and arrays pass."""
    value = getattr(owner, name)
    if isinstance(value, Real) or not (isinstance(value, (Schedule, Numbers)) or hasattr(value, "shape")):
        settle(owner, name, real_number(f"{type(owner).__name__} got {name}", value, high=high, above=positive))
