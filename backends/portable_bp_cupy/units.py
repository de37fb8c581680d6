"""Which operations of a recording are computed together in one kernel.

An elementwise operation costs a GPU little but its launch. So the operations are gathered in units: all elementwise
ones of one shape that may run at one time; or, where rows are short, all that go over the rows, with the sums and
maxima along them. Such a unit is a group; everything else, a product or a sum of columns, is a unit of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from portable_bp_cupy.expressions import TYPES, operands, pattern
from portable_bp_numpy.recording import Node, NotRecordable

NARROW = 32
"""Rows up to so many numbers are worked on by one thread each, which can hold them in its registers."""
REDUCTIONS = {np.sum: "sum", np.max: "max", np.min: "min"}


@dataclass(eq=False)
class Unit:
    """Operations computed by one call, in order; ``ends`` where no other unit reads the first one found, the last."""

    nodes: list[Node] = field(default_factory=list)
    ends: bool = field(default=False, kw_only=True)

    def takes(self, node: Node) -> bool:
        """Whether a further operation can be computed by the same call."""
        return False


@dataclass(eq=False)
class Group(Unit):
    """Elementwise operations: a thread for each index of shape ``lead``, which works on ``width`` numbers.

    Wide arrays are their own ``lead``, with width 1 and no further axis; of ``narrow`` ones, it is the shape of all
    axes but the last.
    """

    lead: tuple[int, ...] = ()
    width: int = 1
    narrow: bool = False

    @classmethod
    def around(cls, node: Node) -> Group:
        """The group that a first operation founds."""
        narrow = bool(node.shape) and node.shape[-1] <= NARROW
        group = cls([], node.shape[:-1] if narrow else node.shape, 1, narrow)
        group.widen(node)
        return group

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the largest arrays."""
        return (*self.lead, self.width) if self.narrow else self.lead

    def takes(self, node: Node) -> bool:
        if not self.narrow:
            return node.shape == self.lead and pattern(node) is not None
        if not node.shape or node.shape[:-1] != self.lead or not founds(node):
            return False
        width = _width(node)
        return width <= NARROW and (width in (1, self.width) or self.width == 1)

    def widen(self, node: Node) -> None:
        """Give each thread as many numbers as the operation has in a row."""
        if self.narrow:
            self.width = max(self.width, _width(node))


def _width(node: Node) -> int:
    return int(node.inputs[0].shape[-1] if reduces(node) else node.shape[-1])


def reduces(node: Node) -> bool:
    """Whether the operation adds up, or compares, the numbers of each row."""
    if node.function not in REDUCTIONS or len(node.args) != 1 or not isinstance(node.args[0], Node):
        return False
    x = node.args[0]
    last = node.kwargs.get("axis") in (-1, len(x.shape) - 1) and node.kwargs.get("keepdims") is True
    return last and set(node.kwargs) == {"axis", "keepdims"} and x.dtype == node.dtype and x.dtype in TYPES


def adds_columns(node: Node) -> bool:
    """Whether the operation adds up the columns of matrices, or a single column's numbers, which is a product."""
    x, axis = node.args[0] if node.args else None, node.kwargs.get("axis")
    if node.function is not np.sum or not isinstance(x, Node) or len(x.shape) not in (2, 3):
        return False
    columns = axis == -2 or (axis == (-2, -1) and x.shape[-1] == 1)
    given = len(node.args) == 1 and set(node.kwargs) <= {"axis", "keepdims"}
    return columns and given and x.dtype == node.dtype and x.dtype.kind == "f" and x.base is None


def founds(node: Node) -> bool:
    """Whether the operation can be the first of a group."""
    return pattern(node) is not None or (reduces(node) and 0 < node.args[0].shape[-1] <= NARROW)


def units(nodes: Sequence[Node]) -> list[Unit]:
    """The operations in as few calls as this finds: each as late as those that read it allow.

    It goes backwards, so the list of units begins with the last. A group may read what it computes itself; whoever
    reads another way, through a view or in another kind of call, must come after.
    """
    found: list[Unit] = []
    direct: defaultdict[Node, list[Unit]] = defaultdict(list)
    strict: defaultdict[Node, list[Unit]] = defaultdict(list)
    for node in reversed(nodes):
        readers, later = direct[node], strict[node]
        if node.base is not None:
            _add(strict, node.inputs, [*readers, *later])
            continue
        together = max((found.index(unit) for unit in readers), default=0)
        before = max((found.index(unit) + 1 for unit in later), default=0)
        unit = _joined(found, node, max(together, before)) or _founded(found, node, [*readers, *later])
        unit.nodes.insert(0, node)
        _add(direct if isinstance(unit, Group) else strict, node.inputs, [unit])
    return found[::-1]


def _joined(found: Sequence[Unit], node: Node, first: int) -> Unit | None:
    """The group that takes the operation, of those from number ``first`` on the latest in time."""
    for unit in found[first:]:
        if unit.takes(node):
            assert isinstance(unit, Group)
            unit.widen(node)
            return unit
    return None


def _founded(found: list[Unit], node: Node, readers: Sequence[Unit]) -> Unit:
    """A new unit, right before all those that read the operation's result.

    What no other unit reads, since an optimizer's chain does or the state, keeps its place among its like.
    """
    made = Group.around(node) if founds(node) else Unit()
    made.ends = not readers
    endings = sum(unit.ends for unit in found)
    found.insert(max((found.index(unit) + 1 for unit in readers), default=endings), made)
    return made


def _add(readers: dict[Node, list[Unit]], nodes: Iterable[Node], units: Sequence[Unit]) -> None:
    for node in nodes:
        readers[node] += [unit for unit in units if unit not in readers[node]]


def threads(group: Group) -> int:
    """Number of threads that the group needs."""
    return int(prod(group.lead))


def outside(unit: Unit) -> list[Any]:
    """Arrays that the unit reads and doesn't compute: recorded ones, and constants that are no single numbers."""
    read = [x for node in unit.nodes for x in (operands(node) if isinstance(unit, Group) else node.inputs)]
    known = set(map(id, unit.nodes))
    return [x for x in read if hasattr(x, "shape") and id(x) not in known and (isinstance(x, Node) or x.shape != ())]


def parts(node: Node) -> list[tuple[Any, Any]]:
    """Arrays that are stacked or put one behind the other, each with the index of its part of the result."""
    arrays, axis = node.args[0], node.kwargs.get("axis", 0)
    if len(node.args) != 1 or set(node.kwargs) - {"axis"} or not isinstance(axis, int):
        raise NotRecordable(f"{node.function.__name__} with {node.kwargs}")
    axis %= len(node.shape)
    stacked = node.function is np.stack
    sizes = [1 if stacked else x.shape[axis] for x in arrays]
    ends = list(accumulate(sizes))
    before = (slice(None),) * axis
    cuts = [end - 1 if stacked else slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    return [(x, (*before, cut, ...)) for x, cut in zip(arrays, cuts, strict=True)]
