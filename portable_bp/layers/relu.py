"""The rectifier and its leaky form."""

from dataclasses import dataclass
from typing import ClassVar

from portable_bp.arguments import real_number, settle
from portable_bp.arrays import Array, Namespace, Params
from portable_bp.layers.layer import Layer


@dataclass(frozen=True)
class ReLU(Layer):
    """Rectified linear unit y = max(x, 0), elementwise, any shape.

    Backward: dx = dy where x > 0, else 0; at the kink x = 0 the derivative is taken as 0.

    Source: Nair and Hinton, ICML 2010.
    """

    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    elementwise: ClassVar[bool] = True

    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, Array]:
        y = xp.maximum(x, xp.zeros_like(x))
        return y, y

    def backward(self, xp: Namespace, params: Params, cache: Array, dy: Array) -> tuple[Array, Params]:
        y = cache
        return dy * xp.astype(y > 0, dy.dtype), {}


@dataclass(frozen=True)
class LeakyReLU(Layer):
    """Leaky rectifier y = x where x > 0, else ``slope`` · x; elementwise, any shape.

    Backward: dx = dy where x > 0, else ``slope`` · dy; at the kink x = 0 the derivative is ``slope``.

    Source: Maas, Hannun and Ng, ICML 2013, section 2.
    """

    slope: float = 0.01
    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        settle(self, "slope", real_number("LeakyReLU got slope", self.slope, high=1.0))

    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, Array]:
        return xp.where(x > 0, x, self.slope * x), x

    def backward(self, xp: Namespace, params: Params, cache: Array, dy: Array) -> tuple[Array, Params]:
        x = cache
        return xp.where(x > 0, dy, self.slope * dy), {}
