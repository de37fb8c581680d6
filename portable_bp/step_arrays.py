"""The arrays of one training step, by layer and name, in the order in which they are computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portable_bp.arrays import Array, Namespace
from portable_bp.backend import Batch, State
from portable_bp.backpropagation import Model

Place = tuple[int | None, str]
"""A layer's number, None for the loss, and an array: "y", "loss", "dy", "grads.weight", "optimizer.v.weight" …"""
StepArrays = dict[Place, Array]


def pass_arrays(xp: Namespace, model: Model, state: State, batch: Batch) -> StepArrays:
    """The layers' outputs, the loss, and from the last layer to the first that is trained dy and the gradients."""
    value, kept = model.every_array(xp, state["params"], batch, state["step"])
    arrays: StepArrays = {(n, "y"): own["y"] for n, own in enumerate(kept)}
    arrays[None, "loss"] = value
    first = next((n for n, own in enumerate(state["params"]) if own), len(kept))
    for n in reversed(range(first, len(kept))):  # in front of it a training carries no gradient
        arrays[n, "dy"] = kept[n]["dy"]
        arrays.update({(n, f"grads.{name}"): array for name, array in kept[n]["grads"].items()})
    return arrays


def state_arrays(state: State) -> StepArrays:
    """The optimizer's arrays that belong to layers, then the parameters."""
    return {**by_place("optimizer", state["optimizer"]), **by_place("params", state["params"])}


def by_place(name: str, tree: Any) -> StepArrays:
    """The arrays in nested dicts and lists, such as "grads.weight" of each layer; lists go by layer."""
    return dict(_by_place(name, tree, None))


def _by_place(name: str, tree: Any, layer: int | None) -> Iterator[tuple[Place, Array]]:
    if isinstance(tree, dict):
        for key, branch in tree.items():
            yield from _by_place(f"{name}.{key}", branch, layer)
    elif isinstance(tree, list):
        for number, branch in enumerate(tree):
            yield from _by_place(name, branch, number)
    elif layer is not None:  # else a counter, such as Adam's t
        yield (layer, name), tree
