"""The contract of a layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, ClassVar

from portable_bp.arrays import Array, HostArray, Namespace, Params, Shape
from portable_bp.streams import Stream


@dataclass(frozen=True)
class Layer(ABC):
    """A differentiable function y = f(x; params), and the two gradients that backpropagation asks of it.

    A layer holds configuration only; parameters come in and gradients go out, nothing is written in place. Arrays have
    the shape (batch, ...); the parameters, x and dy may all carry a leading axis of K networks before that.
    """

    kinks: ClassVar[tuple[float, ...]] = ()
    """Values of x at which f has no derivative, so that gradient checks can keep away from them."""
    stochastic: ClassVar[bool] = False
    """Whether `forward` takes a further argument ``draw``: the step's random bits, None outside training."""
    elementwise: ClassVar[bool] = False
    """Whether each number of y depends on the one of x in its place alone; y and y' must then be finite at x = 0."""

    def init(self, stream: Stream, shape: Shape | None) -> dict[str, HostArray]:
        """Draw the initial parameters on the host, float64; ``shape`` is one input's, None where not known."""
        return {}

    def param_shapes(self, shape: Shape | None) -> dict[str, Shape]:
        """Shapes of the parameters; override it where they are known without drawing them."""
        return {name: array.shape for name, array in self.init(Stream(0, "shapes"), shape).items()}

    @property
    def input_shape(self) -> Shape | None:
        """Shape of one input where the configuration fixes it, else None."""
        return None

    def output_shape(self, shape: Shape | None) -> Shape | None:
        """Shape of one output for one input of ``shape``; raises ShapeError where the layer can't take it."""
        return shape

    @abstractmethod
    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, Any]:
        """Return y and a cache of what `backward` needs."""

    @abstractmethod
    def backward(self, xp: Namespace, params: Params, cache: Any, dy: Array) -> tuple[Array, Params]:
        """Turn dy = ∂J/∂y into dx = ∂J/∂x and the gradients ∂J/∂params, with the keys of ``params``."""

    def backward_params(self, xp: Namespace, params: Params, cache: Any, dy: Array) -> Params:
        """Return the gradients of `backward` without dx, which nobody needs in front of the first layer."""
        return self.backward(xp, params, cache, dy)[1]

    def __str__(self) -> str:
        said = [f for f in fields(self) if getattr(self, f.name) != _default(f)]
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in said)})"


@dataclass(frozen=True)
class StochasticLayer(Layer):
    """A layer that is random while training: its `forward` takes the step's `Draw`, None outside training."""

    stochastic: ClassVar[bool] = True

    @abstractmethod
    def forward(self, xp: Namespace, params: Params, x: Array, draw: Any = None) -> tuple[Array, Any]:
        """Return y and a cache of what `backward` needs."""


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
