"""One forward and one backward pass with every array kept and named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from portable_bp.arrays import Array, Params
from portable_bp.backend import Backend, Batch, get_backend
from portable_bp.backpropagation import Model
from portable_bp.errors import ConfigurationError
from portable_bp.optimizers.optimizer import Optimizer, OptimizerState, Tree, each
from portable_bp.params import mapped

ARRAYS = ("x", "y", "dy", "dx")
TREES = ("params", "grads", "update")


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """What one layer got and gave: y = f(x; params), and with dy = ∂J/∂y its dx = ∂J/∂x and ∂J/∂params.

    Shapes: x and dx that of the layer's input (batch, …), y and dy that of its output; ``params``, ``grads`` and
    ``update`` have the parameters' names and shapes. ``update`` is θ_new - θ, empty where no optimizer was given. The δ
    of textbooks, ∂J/∂z, is the ``dy`` of the layer whose output z is.
    """

    name: str
    """The layer's number and kind, such as "0 Dense"."""
    x: Array
    y: Array
    dy: Array
    dx: Array
    params: Params
    grads: Params
    update: Params


@dataclass(frozen=True, eq=False)
class Trace(Sequence[LayerTrace]):
    """The layers' traces in order, and the loss; see `portable_bp.Network.trace`.

    ``trace[0]`` and ``trace["0 Dense"]`` give a layer, iteration all of them; it prints as a table of shapes and
    Euclidean norms.
    """

    loss: float
    layers: tuple[LayerTrace, ...]
    backend: Backend

    @overload
    def __getitem__(self, which: int | str) -> LayerTrace: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[LayerTrace]: ...
    def __getitem__(self, which: int | str | slice) -> LayerTrace | Sequence[LayerTrace]:
        if not isinstance(which, str):
            return self.layers[which]
        named = {layer.name: layer for layer in self.layers}
        if which not in named:
            raise ConfigurationError(f"the trace has no layer {which!r}: its layers are {', '.join(map(repr, named))}")
        return named[which]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[LayerTrace]:
        return iter(self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Give the loss and, by name, every layer's arrays as NumPy's: ``["0 Dense"]["grads"]["weight"]``."""
        to_numpy = self.backend.to_numpy
        layers = {
            layer.name: {part: mapped(to_numpy, getattr(layer, part)) for part in (*ARRAYS, *TREES)}
            for layer in self.layers
        }
        return {"loss": self.loss, **layers}

    def to_numpy(self) -> Trace:
        """Give the same trace with NumPy arrays."""
        arrays = self.to_dict()
        layers = tuple(LayerTrace(name=layer.name, **arrays[layer.name]) for layer in self.layers)
        return Trace(self.loss, layers, get_backend("numpy"))

    def __repr__(self) -> str:
        header = [
            "layer",
            "output",
            "‖x‖",
            "‖y‖",
            "‖dy‖",
            "‖dx‖",
            "parameter",
            "‖θ‖",
            "‖∂J/∂θ‖",
            "‖update‖",
            "update ÷ θ",
        ]
        rows = [row for layer in self.to_numpy() for row in _rows(layer)]
        filled = [n for n in range(len(header)) if any(row[n] for row in rows)]
        table = [[line[n] for n in filled] for line in (header, *rows)]
        widths = [max(len(line[n]) for line in table) for n in range(len(filled))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in table]
        n = self.layers[0].x.shape[0]
        return "\n".join([f"trace of {n} example{'s' * (n > 1)}, loss {self.loss:.6g}", *lines])

    __str__ = __repr__


def norm(array: Any) -> float:
    """Euclidean norm √Σ a² of a NumPy array of any shape."""
    return float(np.linalg.norm(array))


def ratio(update: float, weight: float) -> float:
    """‖update‖ / ‖θ‖; infinite where only θ is 0, 0 where both are."""
    return update / weight if weight else float("inf") if update else 0.0


def _rows(layer: LayerTrace) -> list[list[str]]:
    """A row for the layer with its first parameter, and one for each further parameter."""
    shape = str(tuple(layer.y.shape))
    own = [layer.name, shape, *(_short(norm(getattr(layer, part))) for part in ARRAYS)]
    parameters = [_parameter(layer, name) for name in layer.params] or [[""] * 5]
    return [(own if n == 0 else [""] * len(own)) + cells for n, cells in enumerate(parameters)]


def _parameter(layer: LayerTrace, name: str) -> list[str]:
    theta = layer.params[name]
    grad = _short(norm(layer.grads[name])) if name in layer.grads else "missing"  # of a layer that is being written
    cells = [f"{name} {tuple(theta.shape)}", _short(norm(theta)), grad]
    if name not in layer.update:
        return [*cells, "", ""]
    moved = norm(layer.update[name])
    return [*cells, _short(moved), _short(ratio(moved, norm(theta)))]


def _short(value: float) -> str:
    return f"{value:.3g}"


def trace(
    backend: Backend,
    model: Model,
    names: Sequence[str],
    params: Tree,
    batch: Batch,
    optimizer: Optimizer | None = None,
    state: OptimizerState | None = None,
) -> Trace:
    """Run a batch (x, target) forward and back through the layers called ``names`` and keep all arrays.

    Stochastic layers rest. With an ``optimizer`` its update is made too, from ``state`` or, without one, from a fresh
    one; nothing is changed.
    """
    value, kept = model.every_array(backend.xp, params, batch)
    updates = _updates(backend, params, [own["grads"] for own in kept], optimizer, state)
    layers = [
        LayerTrace(name, **arrays, params=own, update=its)
        for name, arrays, own, its in zip(names, kept, params, updates, strict=True)
    ]
    return Trace(float(value), tuple(layers), backend)


def _updates(
    backend: Backend, params: Tree, grads: Tree, optimizer: Optimizer | None, state: OptimizerState | None
) -> Tree:
    """θ_new - θ for every parameter; empty without an optimizer."""
    if optimizer is None:
        return [{} for _ in params]
    begun = optimizer.init(backend.xp, params) if state is None else state
    new, _ = backend.lower(optimizer).update(backend.xp, params, grads, begun)
    return each(lambda after, before: after - before, new, params)
