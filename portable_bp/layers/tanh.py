"""The hyperbolic tangent."""

from dataclasses import dataclass
from typing import ClassVar

from portable_bp.arrays import Array, Namespace, Params
from portable_bp.layers.layer import Layer


@dataclass(frozen=True)
class Tanh(Layer):
    """Hyperbolic tangent y = tanh(x), elementwise, any shape.

    Backward: tanh'(x) = 1 - tanh²(x), so dx = dy · (1 - y²).

    Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998), section 4.4 (without its scaling).
    """

    elementwise: ClassVar[bool] = True

    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, Array]:
        y = xp.tanh(x)
        return y, y

    def backward(self, xp: Namespace, params: Params, cache: Array, dy: Array) -> tuple[Array, Params]:
        y = cache
        return dy * (1 - y * y), {}
