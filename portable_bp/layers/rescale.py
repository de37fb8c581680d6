"""Inputs to the range that suits a network."""

from dataclasses import dataclass

from portable_bp.arguments import INFINITY, real_number, settle
from portable_bp.arrays import Array, Namespace, Params
from portable_bp.layers.layer import Layer


@dataclass(frozen=True)
class Rescale(Layer):
    """y = ``scale`` · x + ``offset``, elementwise, any shape; no parameters.

    In front of a network it brings bytes to the range that suits it, on the device: Rescale(1 / 255) to 0 … 1,
    Rescale(2 / 255, -1) to -1 … 1. A product, so the last bit may differ from that of a quotient x / 255.

    Backward: dx = ``scale`` · dy.
    """

    scale: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            settle(self, name, real_number(f"Rescale got {name}", getattr(self, name), low=-INFINITY))

    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, None]:
        y = self.scale * x
        return (y + self.offset if self.offset else y), None

    def backward(self, xp: Namespace, params: Params, cache: None, dy: Array) -> tuple[Array, Params]:
        return self.scale * dy, {}
