"""What a network is made of: layers that fit each other, a loss, a dtype and a seed; and the parameters that belong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from numbers import Integral
from typing import Any

from portable_bp.arguments import require_fields, whole_number
from portable_bp.arrays import HostArray, Shape
from portable_bp.errors import ConfigurationError, ShapeError
from portable_bp.layers.layer import Layer
from portable_bp.losses.loss import Loss
from portable_bp.streams import Stream

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Architecture:
    """Layers in order, the loss behind them, dtype and seed; checked, and free of arrays.

    ``input_shape`` is one input's shape, or None where it isn't known.
    """

    layers: tuple[Layer, ...]
    loss: Loss
    dtype: str
    seed: int
    input_shape: Shape | None

    @classmethod
    def of(cls, layers: Any, loss: Any, dtype: Any, seed: Any, input_shape: Any) -> Architecture:
        """Check what a user gave; without ``input_shape`` the first layer's is taken, where it has one."""
        checked = _layers(layers)
        if not isinstance(loss, Loss):
            raise ConfigurationError(f"loss={loss!r} is no loss: give an instance such as SoftmaxCrossEntropy()")
        require_fields(loss)
        if type(checked[-1]).__name__ == loss.applies:
            raise ConfigurationError(
                f"{type(loss).__name__} takes logits and applies the {loss.applies} itself, and the last layer is "
                f"{checked[-1]}: leave it out; predict() shows probabilities all the same"
            )
        if dtype not in DTYPES:
            raise ConfigurationError(f"dtype={dtype!r}: write one of {', '.join(map(repr, DTYPES))}")
        shape = checked[0].input_shape if input_shape is None else _shape(input_shape)
        made = cls(checked, loss, dtype, whole_number("seed", seed, 0), shape)
        made.shapes()
        return made

    @property
    def names(self) -> tuple[str, ...]:
        """Each layer's number and kind, such as "0 Dense"."""
        return tuple(f"{number} {type(layer).__name__}" for number, layer in enumerate(self.layers))

    def shapes(self, shape: Shape | None = None) -> list[Shape | None]:
        """Shape of one input of every layer, and of the network's output last, for inputs of ``shape``.

        None stands for the architecture's own input shape; an entry is None where it isn't known.
        """
        shapes = [self.input_shape if shape is None else shape]
        for number, layer in enumerate(self.layers):
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except ShapeError as error:
                raise ShapeError(f"layer {number}: {error}") from None
        return shapes

    def initial_params(self) -> list[dict[str, HostArray]]:
        """Draw the initial parameters on the host."""
        return [
            layer.init(Stream(self.seed, "init", number), shape)
            for number, (layer, shape) in enumerate(zip(self.layers, self.shapes(), strict=False))
        ]

    def param_shapes(self) -> list[dict[str, Shape]]:
        """Shapes of the parameters, one dict a layer."""
        return [layer.param_shapes(shape) for layer, shape in zip(self.layers, self.shapes(), strict=False)]

    def require_params(self, new: Sequence[Mapping[str, Any]]) -> None:
        """Refuse parameters whose names or shapes aren't the layers' own."""
        if not isinstance(new, Sequence) or not all(isinstance(own, Mapping) for own in new):
            came = [type(own).__name__ for own in new] if isinstance(new, Sequence) else type(new).__name__
            raise ConfigurationError(
                f"params must be a list with one dict of arrays a layer; got {came}: see net.params"
            )
        if len(new) != len(self.layers):
            raise ShapeError(
                f"params has {len(new)} entries and the network {len(self.layers)} layers: give one dict a layer"
            )
        for number, (layer, expected, given) in enumerate(zip(self.layers, self.param_shapes(), new, strict=True)):
            got = {name: tuple(getattr(array, "shape", ())) for name, array in given.items()}
            if got != expected:
                raise ShapeError(
                    f"layer {number}, {type(layer).__name__}, has parameters {expected}; got {got}: give these"
                )

    def lines(self, title: str) -> str:
        """A numbered line a layer with its parameters' shapes, under the title and the number of all parameters."""
        shapes = self.param_shapes()
        total = sum(prod(shape) for own in shapes for shape in own.values())
        width = max(len(str(layer)) for layer in self.layers)
        lines = [
            f"  {number}  {layer!s:<{width}}  {', '.join(f'{name} {shape}' for name, shape in own.items())}".rstrip()
            for number, (layer, own) in enumerate(zip(self.layers, shapes, strict=True))
        ]
        return "\n".join([f"{title}, {self.dtype}, seed {self.seed}, {total:,} parameters", *lines, f"  {self.loss}"])


def _layers(given: Any) -> tuple[Layer, ...]:
    if not isinstance(given, Iterable):
        raise ConfigurationError(f"layers={given!r}: give a list, Network([Dense(784, 10)], loss=…)")
    layers = tuple(given)
    if not layers:
        raise ConfigurationError("a Network needs at least one layer: Network([Dense(784, 10)], loss=…)")
    for number, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            what = f"the class {layer.__name__}" if isinstance(layer, type) else repr(layer)
            raise ConfigurationError(f"layer {number} is {what}, which is no layer: give an instance such as ReLU()")
        require_fields(layer)
    return layers


def _shape(given: Any) -> Shape:
    sizes = given if isinstance(given, (tuple, list)) else []
    if not sizes or not all(isinstance(n, Integral) and not isinstance(n, bool) and int(n) >= 1 for n in sizes):
        raise ConfigurationError(f"input_shape={given!r}: give one input's shape, whole numbers such as (28, 28)")
    return tuple(int(n) for n in sizes)
