"""The arrays of one training step, by layer and name, in the order in which they are computed."""

from __future__ import annotations

from portable_bp.arrays import Array, Namespace
from portable_bp.backend import Batch, State
from portable_bp.backpropagation import Model
from portable_bp.optimizers.optimizer import Tree

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
    """The optimizer's arrays, then the parameters."""
    kept = {f"optimizer.{symbol}": tree for symbol, tree in state["optimizer"].items() if isinstance(tree, list)}
    trees = [by_place(name, tree) for name, tree in {**kept, "params": state["params"]}.items()]
    return {place: array for tree in trees for place, array in tree.items()}


def by_place(name: str, tree: Tree) -> StepArrays:
    """A tree's arrays, such as "grads.weight" of each layer."""
    return {(number, f"{name}.{key}"): array for number, own in enumerate(tree) for key, array in own.items()}
