"""The network as a chain of stages with textbook names and the numbers of one forward and one backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from portable_bp.arrays import HostArray
from portable_bp.errors import ConfigurationError, GradientError
from portable_bp.explanation.notation import FUNCTIONS, Name, X
from portable_bp.layers import Dense, Layer
from portable_bp.tracing import LayerTrace, Trace

if TYPE_CHECKING:
    from portable_bp.network import Network


@dataclass(frozen=True, eq=False)
class Stage:
    """A layer, what its input and output are called, and its numbers: NumPy, float64.

    ``x``, ``y``, ``dy`` (batch, n) and ``grads`` come from the network's own passes. ``slope`` is f′(x), (batch, n), of
    an activation: its own `backward` with dy = 1. ``depth`` is the k of Θᵏ, 0 for an activation.
    """

    number: int
    layer: Layer
    before: Name
    after: Name
    depth: int
    x: HostArray
    y: HostArray
    dy: HostArray
    params: dict[str, HostArray]
    grads: dict[str, HostArray]
    slope: HostArray | None

    def parameter(self, name: str) -> Name:
        """What a parameter of a Dense layer is called: Θ (θ with indices) or b."""
        return Name("θ", r"\theta", self.depth) if name == "weight" else Name("b", "b", self.depth)

    @property
    def matrix(self) -> Name:
        """Θᵏ."""
        return Name("Θ", r"\Theta", self.depth)

    @property
    def delta(self) -> Name:
        """What textbooks call δ: ∂J/∂z of a Dense layer's output z."""
        return Name("δ", r"\delta", self.after.level)


def require_explainable(net: Network) -> None:
    """Refuse layers whose derivative isn't a matrix of weights or one number a neuron."""
    for number, layer in enumerate(net.layers):
        if not (isinstance(layer, Dense) or layer.elementwise):
            can = ", ".join(kind.__name__ for kind in FUNCTIONS)
            raise ConfigurationError(
                f"explain follows single paths, and layer {number} is {layer}: it takes Dense and elementwise "
                f"activations such as {can}; write elementwise = True into a layer of your own that is one, leave the "
                "layer out, or see the arrays themselves in net.trace(x, y)"
            )


def stages(net: Network, trace: Trace) -> list[Stage]:
    """Name everything in a trace of NumPy arrays: z² = x Θ¹ + b¹, a² = f(z²), z³ = a² Θ² + b², …"""
    made = []
    for number, (layer, (before, after, depth), entry) in enumerate(
        zip(net.layers, names(net.layers), trace, strict=True)
    ):
        _require_shapes(number, layer, entry)
        slope = None if depth else _slope(net, number, entry.x)
        arrays = (entry.x, entry.y, entry.dy, entry.params, entry.grads, slope)
        made.append(Stage(number, layer, before, after, depth, *arrays))
    return made


def _require_shapes(number: int, layer: Layer, entry: LayerTrace) -> None:
    """Refuse gradients that aren't one for each parameter, of its shape."""
    expected, got = ({n: a.shape for n, a in tree.items()} for tree in (entry.params, entry.grads))
    if got != expected:
        raise GradientError(
            f"backward of layer {number}, {type(layer).__name__}, must give gradients of the shapes {expected}; "
            f"got {got}"
        )


def names(layers: tuple[Layer, ...]) -> list[tuple[Name, Name, int]]:
    """What every layer's input and output are called, and the k of a Dense layer's Θᵏ, 0 for an activation."""
    now, depth, found = X, 0, []
    for layer in layers:
        before = now
        if isinstance(layer, Dense):
            depth += 1
            now = Name("z", "z", depth + 1)
        else:
            again = before.letter.startswith("a")
            letter = before.letter + "′" if again else "a"
            now = Name(letter, before.latex_letter + "'" if again else "a", depth + 1)
        found.append((before, now, depth if isinstance(layer, Dense) else 0))
    return found


def _slope(net: Network, number: int, x: HostArray) -> HostArray:
    """f′(x) of layer ``number``: dx for dy = 1."""
    xp, model = net.backend.xp, net.model
    with net.backend.activate():
        _, cache = model.forward_layer(xp, number, {}, net.backend.asarray(x))
        dx, _ = model.layers[number].backward(xp, {}, cache, net.backend.asarray(np.ones_like(x)))
        return net.backend.to_numpy(dx)
