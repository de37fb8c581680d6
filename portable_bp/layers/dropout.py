"""Dropout with a counter-based mask."""

from dataclasses import dataclass

from portable_bp.arguments import real_number, settle
from portable_bp.arrays import Array, Namespace, Params
from portable_bp.layers.layer import StochasticLayer
from portable_bp.philox import Draw


@dataclass(frozen=True)
class Dropout(StochasticLayer):
    """Inverted dropout: while training y = x · m / (1 - rate), m = 1 with probability 1 - rate or 0; else y = x.

    Elementwise, any shape. The mask is a function of (seed, layer, step) alone, by integer comparison of
    counter-based random words: the same bits on every backend, and the same after a resume.

    Backward: dx = dy · m / (1 - rate).

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, JMLR 15 (2014), section 10 for the scaling.
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        settle(self, "rate", real_number("Dropout got rate", self.rate, high=1.0))

    def forward(self, xp: Namespace, params: Params, x: Array, draw: Draw | None = None) -> tuple[Array, Array | None]:
        if draw is None:
            return x, None
        dropped = round(self.rate * 2**32)  # of the 2³² values of a random word
        mask = xp.astype(draw.bits(xp, tuple(x.shape)) >= dropped, x.dtype) * (1.0 / (1.0 - self.rate))
        return x * mask, mask

    def backward(self, xp: Namespace, params: Params, cache: Array | None, dy: Array) -> tuple[Array, Params]:
        mask = cache
        return (dy if mask is None else dy * mask), {}
