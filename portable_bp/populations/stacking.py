"""States of single networks put together along a leading axis, and taken apart again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable_bp.arrays import Array, Namespace
from portable_bp.params import mapped


def stacked(xp: Namespace, trees: Sequence[Any]) -> Any:
    """One tree for trees of the same form: arrays with a leading axis; single numbers, equal in all, as they are."""
    first = trees[0]
    if isinstance(first, dict):
        return {name: stacked(xp, [tree[name] for tree in trees]) for name in first}
    if isinstance(first, list):
        return [stacked(xp, branches) for branches in zip(*trees, strict=True)]
    return xp.stack(list(trees)) if first.ndim else first


def member_of(xp: Namespace, tree: Any, slot: int) -> Any:
    """One member's own tree, copied."""
    return mapped(lambda a: xp.astype(a[slot, ...], a.dtype, copy=True) if a.ndim else a, tree)


def chosen(xp: Namespace, tree: Any, slots: Array) -> Any:
    """The tree of some of the members; ``slots`` are their numbers, int64."""
    return mapped(lambda a: xp.take(a, slots, axis=0) if a.ndim else a, tree)
