"""The exponential linear unit."""

from dataclasses import dataclass
from typing import ClassVar

from portable_bp.arguments import real_number, settle
from portable_bp.arrays import Array, Namespace, Params
from portable_bp.layers.layer import Layer


@dataclass(frozen=True)
class ELU(Layer):
    """Exponential linear unit y = x where x > 0, else ``alpha`` (eˣ - 1); elementwise, any shape.

    Backward: dx = dy where x > 0, else dy · alpha eˣ = dy · (y + alpha). The derivative is continuous at 0 only for
    alpha = 1; the kink's value is alpha.

    Source: Clevert, Unterthiner and Hochreiter, ICLR 2016, eq. 15.
    """

    alpha: float = 1.0
    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    elementwise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        settle(self, "alpha", real_number("ELU got alpha", self.alpha, above=True))

    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, tuple[Array, Array]]:
        below = self.alpha * xp.expm1(xp.minimum(x, xp.zeros_like(x)))  # min: eˣ of a large x would overflow unused
        y = xp.where(x > 0, x, below)
        return y, (x, y)

    def backward(self, xp: Namespace, params: Params, cache: tuple[Array, Array], dy: Array) -> tuple[Array, Params]:
        x, y = cache
        return dy * xp.where(x > 0, xp.ones_like(y), y + self.alpha), {}
