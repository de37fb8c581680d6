"""The softplus, a smooth rectifier."""

from dataclasses import dataclass
from typing import ClassVar

from portable_bp.arrays import Array, Namespace, Params
from portable_bp.layers.layer import Layer
from portable_bp.layers.sigmoid import sigmoid


def softplus(xp: Namespace, x: Array) -> Array:
    """log(1 + eˣ) = max(x, 0) + log(1 + e^-|x|), which can't overflow."""
    return xp.maximum(x, xp.zeros_like(x)) + xp.log1p(xp.exp(-xp.abs(x)))


@dataclass(frozen=True)
class Softplus(Layer):
    """Softplus y = log(1 + eˣ), elementwise, any shape.

    Backward: its derivative is the sigmoid, so dx = dy · σ(x).

    Source: Dugas, Bengio, Bélisle, Nadeau and Garcia, NIPS 2000.
    """

    elementwise: ClassVar[bool] = True

    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, Array]:
        return softplus(xp, x), x

    def backward(self, xp: Namespace, params: Params, cache: Array, dy: Array) -> tuple[Array, Params]:
        x = cache
        return dy * sigmoid(xp, x), {}
