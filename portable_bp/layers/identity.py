"""The identity."""

from dataclasses import dataclass
from typing import ClassVar

from portable_bp.arrays import Array, Namespace, Params
from portable_bp.layers.layer import Layer


@dataclass(frozen=True)
class Identity(Layer):
    """y = x, of any shape; for networks in which an activation is left out on purpose.

    Backward: dx = dy.
    """

    elementwise: ClassVar[bool] = True

    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, None]:
        return x, None

    def backward(self, xp: Namespace, params: Params, cache: None, dy: Array) -> tuple[Array, Params]:
        return dy, {}
