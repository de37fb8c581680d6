"""The logistic sigmoid."""

from dataclasses import dataclass
from typing import ClassVar

from portable_bp.arrays import Array, Namespace, Params
from portable_bp.layers.layer import Layer


def sigmoid(xp: Namespace, x: Array) -> Array:
    """σ(x) = 1 / (1 + e⁻ˣ), elementwise; computed from e^-|x|, which can't overflow."""
    e = xp.exp(-xp.abs(x))
    return xp.divide(xp.where(x >= 0, xp.ones_like(x), e), 1 + e)


@dataclass(frozen=True)
class Sigmoid(Layer):
    """Logistic sigmoid y = σ(x) = 1 / (1 + e⁻ˣ), elementwise, any shape.

    Backward: σ'(x) = σ(x) (1 - σ(x)), so dx = dy · y (1 - y).

    Source: Rumelhart, Hinton and Williams, Nature 323 (1986), eq. 2.
    """

    elementwise: ClassVar[bool] = True

    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, Array]:
        y = sigmoid(xp, x)
        return y, y

    def backward(self, xp: Namespace, params: Params, cache: Array, dy: Array) -> tuple[Array, Params]:
        y = cache
        return dy * (y * (1 - y)), {}
