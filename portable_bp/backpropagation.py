"""Backpropagation itself: forward through the layers, backward through them in reverse, and one training step.

Pure functions over explicit state: nothing is written in place, nothing is looked up, no value decides a branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portable_bp.arrays import Array, Namespace, Params
from portable_bp.backend import Batch, State, Step
from portable_bp.layers.layer import Layer
from portable_bp.losses.loss import Loss
from portable_bp.optimizers.optimizer import Optimizer, Tree
from portable_bp.philox import Draw, mask_key


@dataclass(frozen=True)
class Model:
    """What is to be differentiated: the layers in order, and the loss behind them.

    ``dtype`` is that of the numbers which inputs of bytes become; None where they are numbers always.
    """

    layers: Sequence[Layer]
    loss: Loss
    seed: int = 0
    dtype: str | None = None

    def numbers(self, xp: Namespace, x: Array) -> Array:
        """Give x as numbers: images stay bytes on the device, and those of a batch alone are made four bytes each."""
        return x if self.dtype is None or x.dtype != xp.uint8 else xp.astype(x, getattr(xp, self.dtype))

    def forward(self, xp: Namespace, params: Tree, x: Array, step: Array | None = None) -> tuple[Array, list[Any]]:
        """Run x through all layers; ``step`` (int64, shape ()) makes stochastic layers draw, None leaves them still."""
        x, caches = self.numbers(xp, x), []
        for number, own in enumerate(params):
            x, cache = self.forward_layer(xp, number, own, x, step)
            caches.append(cache)
        return x, caches

    def forward_layer(
        self, xp: Namespace, number: int, own: Params, x: Array, step: Array | None = None
    ) -> tuple[Array, Any]:
        """Run x through layer ``number`` with its ``own`` parameters."""
        layer = self.layers[number]
        if layer.stochastic and step is not None:
            return layer.forward(xp, own, x, Draw(mask_key(self.seed, number), step))  # type: ignore[call-arg]
        return layer.forward(xp, own, x)

    def backward(self, xp: Namespace, params: Tree, caches: list[Any], dy: Array) -> tuple[Array, Tree]:
        """Carry dy from the output back to the input; return dx and every layer's gradients."""
        grads: Tree = [{} for _ in self.layers]
        for number in reversed(range(len(self.layers))):
            dy, grads[number] = self.layers[number].backward(xp, params[number], caches[number], dy)
        return dy, grads

    def backward_params(self, xp: Namespace, params: Tree, caches: list[Any], dy: Array) -> Tree:
        """As `backward`, but end at the first layer that has parameters, whose dx nobody needs."""
        grads: Tree = [{} for _ in self.layers]
        first = next((number for number, own in enumerate(params) if own), len(self.layers))
        for number in reversed(range(first + 1, len(self.layers))):
            dy, grads[number] = self.layers[number].backward(xp, params[number], caches[number], dy)
        if first < len(self.layers):
            grads[first] = self.layers[first].backward_params(xp, params[first], caches[first], dy)
        return grads

    def gradients(self, xp: Namespace, params: Tree, batch: Batch, step: Array | None = None) -> tuple[Array, Tree]:
        """J and ∂J/∂params for a batch (x, target) or (x, target, weight)."""
        y, caches = self.forward(xp, params, batch[0], step)
        value, cache = self.loss.forward(xp, y, *batch[1:])
        return value, self.backward_params(xp, params, caches, self.loss.backward(xp, cache))

    def every_array(
        self, xp: Namespace, params: Tree, batch: Batch, step: Array | None = None
    ) -> tuple[Array, list[dict[str, Any]]]:
        """J, and of each layer x, y, dy, dx and grads, by these names: to be looked at, not to train with."""
        x, kept, caches = self.numbers(xp, batch[0]), list[dict[str, Any]](), []
        for number, own in enumerate(params):
            y, cache = self.forward_layer(xp, number, own, x, step)
            kept.append({"x": x, "y": y})
            caches.append(cache)
            x = y
        value, cache = self.loss.forward(xp, x, *batch[1:])
        dy = self.loss.backward(xp, cache)
        for number in reversed(range(len(kept))):
            dx, grads = self.layers[number].backward(xp, params[number], caches[number], dy)
            kept[number].update(dy=dy, dx=dx, grads=grads)
            dy = dx
        return value, kept


def training_step(xp: Namespace, model: Model, optimizer: Optimizer) -> Step:
    """One pure step, state → state: gradients of a batch, and the optimizer's update with them.

    The state holds ``params``, the ``optimizer``'s state and ``step``, the number of steps taken (int64, shape ()).
    """

    def step(state: State, batch: Batch) -> tuple[State, Array]:
        value, grads = model.gradients(xp, state["params"], batch, state["step"])
        params, optimizer_state = optimizer.update(xp, state["params"], grads, state["optimizer"])
        return {"params": params, "optimizer": optimizer_state, "step": state["step"] + 1}, value

    return step
