"""Images to rows."""

from dataclasses import dataclass
from math import prod

from portable_bp.arguments import settle, whole_number
from portable_bp.arrays import Array, Namespace, Params, Shape
from portable_bp.errors import ShapeError
from portable_bp.layers.layer import Layer


@dataclass(frozen=True)
class Flatten(Layer):
    """Each input as one row: y = x of shape (batch, n1, n2, …) reshaped to (batch, n1·n2·…).

    ``axes`` is the number of trailing axes that become one; None means all but the first. A population's x
    (K, batch, n1, n2) needs ``axes=2``.

    Backward: dx = dy reshaped back.
    """

    axes: int | None = None

    def __post_init__(self) -> None:
        if self.axes is not None:
            settle(self, "axes", whole_number("Flatten got axes", self.axes, 1, hint=", or None for all but the first"))

    def output_shape(self, shape: Shape | None) -> Shape | None:
        if shape is None:
            return None
        if self.axes is not None and self.axes != len(shape):
            raise ShapeError(f"Flatten(axes={self.axes}) expects inputs of {self.axes} axes; got the shape {shape}")
        return (prod(shape),)

    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, Shape]:
        kept = 1 if self.axes is None else x.ndim - self.axes
        if kept < 1:
            raise ShapeError(f"{self} expects a batch axis before {self.axes} others; got x of shape {tuple(x.shape)}")
        return xp.reshape(x, (*x.shape[:kept], prod(x.shape[kept:]))), tuple(x.shape)

    def backward(self, xp: Namespace, params: Params, cache: Shape, dy: Array) -> tuple[Array, Params]:
        return xp.reshape(dy, cache), {}
