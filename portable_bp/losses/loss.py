"""The contract of a loss, and how an output is read as a class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from portable_bp.arrays import Array, Namespace
from portable_bp.errors import ConfigurationError, ShapeError


@dataclass(frozen=True)
class Loss(ABC):
    """A number J that says how far outputs y (batch, n_out) are from targets, and its gradient dy = ∂J/∂y.

    With a leading axis of K networks y is (K, batch, n_out) and J has the shape (K,); targets, weights may be shared.
    ``weight`` (batch,) multiplies each example's share of J; a mean still divides by the batch size, not by Σ weight.
    """

    target_kind: ClassVar[Literal["labels", "probabilities", "values"]] = "values"
    """Integer class numbers (batch,), numbers in [0, 1] of y's shape, or any numbers of y's shape."""
    applies: ClassVar[str] = ""
    """Name of the layer that this loss applies to the outputs itself, so that it mustn't be the network's last one."""
    threshold: ClassVar[float] = 0.5
    """Where a single output passes from class 0 to class 1."""

    @property
    @abstractmethod
    def averages(self) -> bool:
        """Whether J is a mean over the batch (True) or a sum (False)."""

    @abstractmethod
    def forward(self, xp: Namespace, y: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        """Return J and a cache of what `backward` needs."""

    @abstractmethod
    def backward(self, xp: Namespace, cache: Any) -> Array:
        """Return dy = ∂J/∂y, of y's shape."""

    def output(self, xp: Namespace, y: Array) -> Array:
        """What a prediction shows for the network's output y: probabilities, where y are logits."""
        return y

    def classify(self, xp: Namespace, y: Array) -> Array:
        """Class numbers (batch,): the largest of several outputs, or whether a single one is above the threshold."""
        if y.shape[-1] > 1:
            return xp.argmax(y, axis=-1)
        return xp.astype(y[..., 0] > self.threshold, xp.int64)

    def correct(self, xp: Namespace, y: Array, target: Array) -> Array:
        """Whether each example's class is the target's, boolean (batch,)."""
        if target.shape[-1] > 1:
            return self.classify(xp, y) == xp.argmax(target, axis=-1)
        return self.classify(xp, y) == xp.astype(target[..., 0] > 0.5, xp.int64)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """What the cross-entropies share: J = c Σ_i w_i ℓ_i, c = 1/batch for the reduction "mean", 1 for "sum"."""

    reduction: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise ConfigurationError(f"{type(self).__name__} got reduction={self.reduction!r}: write 'mean' or 'sum'")

    @property
    def averages(self) -> bool:
        return self.reduction == "mean"

    def scale(self, batch: int) -> float:
        """The factor c."""
        return 1.0 / batch if self.averages else 1.0


def weigh(xp: Namespace, per_row: Array, weight: Array | None) -> Array:
    """Multiply rows (..., batch, n) by the examples' weights (..., batch)."""
    return per_row if weight is None else per_row * xp.expand_dims(weight, axis=-1)


def require_same_shape(loss: Loss, y: Array, target: Array) -> None:
    """Refuse targets that would be broadcast against the outputs."""
    if y.shape[-2:] != target.shape[-2:] or target.ndim < 2:
        raise ShapeError(
            f"{type(loss).__name__} expects targets of the outputs' shape {tuple(y.shape[-2:])}; got "
            f"{tuple(target.shape)}: reshape them, or turn labels into rows with datasets.to_one_hot()"
        )
