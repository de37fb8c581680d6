"""The training step of a population: the same pure step, with each member's own numbers, masks and batch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from portable_bp.arrays import Array, Namespace, Params, Shape
from portable_bp.backend import Batch, State, Step
from portable_bp.backpropagation import Model, training_step
from portable_bp.layers.dense import Dense
from portable_bp.layers.flatten import Flatten
from portable_bp.layers.layer import Layer
from portable_bp.layers.rescale import Rescale
from portable_bp.numbers import Numbers
from portable_bp.optimizers.optimizer import Optimizer
from portable_bp.philox import Draw
from portable_bp.populations.comparison import with_numbers

CORE = ("params", "optimizer", "step")
"""The part of the state that a single network has too; beside it lie the members' ``numbers``, ``keys``, ``units``."""


@dataclass(frozen=True)
class Members(Model):
    """A model of K networks, of which some may be padded."""

    keys: dict[str, list[Array]] = field(default_factory=dict)
    """Of the masks, by layer: two int64 arrays of shape (K, 1) each."""
    units: dict[str, Array] = field(default_factory=dict)
    """By Dense layer: 1 for each input that a member has, 0 for those added, (K, 1, n_in)."""

    def forward_layer(
        self, xp: Namespace, number: int, own: Params, x: Array, step: Array | None = None
    ) -> tuple[Array, Any]:
        layer = self.layers[number]
        if str(number) in self.units:  # an activation of 0 need not be 0
            x = x * self.units[str(number)]
        if layer.stochastic and step is not None:
            first, second = self.keys[str(number)]
            return layer.forward(xp, own, x, Draw((first, second), step))  # type: ignore[call-arg]
        return layer.forward(xp, own, x)


def members_of(model: Model, shapes: list[Shape | None]) -> Members:
    """The model of a population of such networks; ``shapes``: one input's for each layer, so that Flatten keeps K."""
    layers: list[Layer] = []
    for layer, shape in zip(model.layers, shapes, strict=False):
        flattens_all = isinstance(layer, Flatten) and layer.axes is None and shape is not None
        layers.append(Flatten(len(shape or ())) if flattens_all else layer)
    return Members(layers, model.loss, dtype=model.dtype)


def takes_shared_input(model: Model) -> bool:
    """Whether x (batch, …) without a leading axis will do: where a Dense comes first, or behind these."""
    first = next((layer for layer in model.layers if not isinstance(layer, (Flatten, Rescale))), None)
    return isinstance(first, Dense)


def population_step(xp: Namespace, model: Members, optimizer: Optimizer, *, own_batches: bool) -> Step:
    """One step of all members.

    A batch's arrays are shared, x (batch, …); with ``own_batches`` they are the members' own, one behind the other,
    x (K · batch, …). ``numbers`` in the state are the hyper-parameters in which members differ, (K, 1, 1), by name.
    """
    shared = takes_shared_input(model)

    def step(state: State, batch: Batch) -> tuple[State, Array]:
        k = next(array.shape[0] for own in state["params"] for array in own.values())
        if own_batches:
            batch = tuple(xp.reshape(a, (k, a.shape[0] // k, *a.shape[1:])) for a in batch)
        elif not shared:
            batch = (xp.broadcast_to(batch[0], (k, *batch[0].shape)), *batch[1:])
        rule = with_numbers(optimizer, {name: Numbers(xp, values) for name, values in state["numbers"].items()})
        one = training_step(xp, replace(model, keys=state["keys"], units=state["units"]), rule)
        after, loss = one({name: state[name] for name in CORE}, batch)
        return {**state, **after}, loss

    return step
