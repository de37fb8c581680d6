"""States of single networks put together along a leading axis, and taken apart again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable_bp.arrays import Array, Namespace, Shape
from portable_bp.params import mapped


def common_shapes(trees: Sequence[Any]) -> Any:
    """The tree of the shapes into which every tree's arrays fit."""
    first = trees[0]
    if isinstance(first, dict):
        return {name: common_shapes([tree[name] for tree in trees]) for name in first}
    if isinstance(first, list):
        return [common_shapes(branches) for branches in zip(*trees, strict=True)]
    return tuple(max(lengths) for lengths in zip(*(array.shape for array in trees), strict=True))


def stacked(xp: Namespace, trees: Sequence[Any], shapes: Any) -> Any:
    """One tree for trees of the same form: arrays with a leading axis; single numbers, equal in all, as they are.

    Arrays that are smaller than the ``shapes`` say are filled up with zeros at their ends.
    """
    if isinstance(shapes, dict):
        return {name: stacked(xp, [tree[name] for tree in trees], shape) for name, shape in shapes.items()}
    if isinstance(shapes, list):
        branches = zip(*trees, strict=True)
        return [stacked(xp, branch, shape) for branch, shape in zip(branches, shapes, strict=True)]
    return xp.stack([_filled(xp, array, shapes) for array in trees]) if shapes else trees[0]


def _filled(xp: Namespace, array: Array, shape: Shape) -> Array:
    for axis, length in enumerate(shape):
        more = length - array.shape[axis]
        if more:
            zeros = xp.zeros((*array.shape[:axis], more, *array.shape[axis + 1 :]), dtype=array.dtype)
            array = xp.concat([array, zeros], axis=axis)
    return array


def member_of(xp: Namespace, tree: Any, slot: int, like: Any) -> Any:
    """One member's own tree, copied, and cut to the form of ``like``."""
    if isinstance(like, dict):
        return {name: member_of(xp, tree[name], slot, branch) for name, branch in like.items()}
    if isinstance(like, list):
        return [member_of(xp, one, slot, branch) for one, branch in zip(tree, like, strict=True)]
    own = tree[(slot, *(slice(length) for length in like.shape))] if tree.ndim else tree
    return xp.astype(own, own.dtype, copy=True)


def chosen(xp: Namespace, tree: Any, slots: Array) -> Any:
    """The tree of some of the members; ``slots`` are their numbers, int64."""
    return mapped(lambda a: xp.take(a, slots, axis=0) if a.ndim else a, tree)
