"""What happens inside every layer, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from portable_bp.arguments import whole_number
from portable_bp.callbacks import Callback
from portable_bp.history import History, Row
from portable_bp.tracing import LayerTrace, norm, ratio

if TYPE_CHECKING:
    from portable_bp.network import Network

QUANTITIES = ("activation", "delta", "gradient", "weight", "ratio")
"""‖y‖, ‖∂J/∂y‖, ‖∂J/∂θ‖, ‖θ‖ and ‖update‖ / ‖θ‖: the first word of a column; the layer's name follows."""


class RecordGradients(Callback):
    """Trace x and y before the first epoch and after every ``every``-th, and keep Euclidean norms.

    ``record.history`` has the columns "epoch", "activation 0 Dense" ‖y‖, "delta 0 Dense" ‖∂J/∂y‖, and for every
    parameter "gradient 0 Dense weight" ‖∂J/∂θ‖, "weight 0 Dense weight" ‖θ‖ and "ratio 0 Dense weight"
    ‖update‖ / ‖θ‖: the update that the optimizer would make with x and y next. Dropout rests. A second `fit` begins a
    new history. Give few examples: each record is a forward and a backward pass, and a copy to the host.
    """

    def __init__(self, x: Any, y: Any, every: int = 1) -> None:
        self.x, self.y = x, y
        self.every = whole_number("RecordGradients got every", every, 1)
        self.history = History()

    def on_fit_begin(self, net: Network, epochs: int) -> None:
        self.history = History()
        self._record(net, net.epoch)

    def on_epoch_end(self, net: Network, row: Row) -> None:
        epoch = int(row["epoch"])
        if epoch % self.every == 0:
            self._record(net, epoch)

    def state(self) -> dict[str, Any]:
        return {"history": {name: np.asarray(column) for name, column in self.history.columns.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        self.history = History()
        self.history.extend({name: column.tolist() for name, column in state["history"].items()})

    def _record(self, net: Network, epoch: int) -> None:
        trace = net.trace(self.x, self.y, optimizer=net.optimizer).to_numpy()
        self.history.append({"epoch": epoch, **{k: v for layer in trace for k, v in _norms(layer).items()}})


def _norms(layer: LayerTrace) -> Row:
    row = {f"activation {layer.name}": norm(layer.y), f"delta {layer.name}": norm(layer.dy)}
    for name, theta in layer.params.items():
        size, place = norm(theta), f"{layer.name} {name}"
        row[f"gradient {place}"] = norm(layer.grads[name])
        row[f"weight {place}"] = size
        row[f"ratio {place}"] = ratio(norm(layer.update[name]), size) if layer.update else 0.0
    return row
