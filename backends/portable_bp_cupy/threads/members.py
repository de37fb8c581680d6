"""What a thread has to do to train a member of a population: the recorded step without the axes of members and rows.

The step of a population is recorded as any other. Here each recorded array is followed: which of its axes are the
members', which the rows' of the batch. Where that is clear for all of them, and nothing is added up over the members, a
thread can train a member alone, row by row; what is added up over the rows is there once they have all been seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from portable_bp_cupy.expressions import TYPES, operands, pattern
from portable_bp_cupy.kernels import on_host
from portable_bp_cupy.recorded import Recording
from portable_bp_cupy.threads.axes import Axis, Unfit, Value, combined, cut, local, new, of, reshaped, stretched, turned
from portable_bp_numpy.recording import Node

REDUCTIONS = {np.sum: "sum", np.max: "max", np.min: "min"}
RESHAPING = (np.reshape, np.expand_dims, np.squeeze)
TURNING = (np.swapaxes, np.transpose, np.matrix_transpose, np.moveaxis)


@dataclass(frozen=True)
class Terms:
    """What is added up, or compared: ``factors`` over ``axes``, of which ``kept`` remain; two are multiplied first."""

    how: str
    factors: list[Value]
    axes: tuple[Axis, ...]
    kept: tuple[bool, ...]

    @property
    def result(self) -> tuple[Axis, ...]:
        """The axes that remain, with the others of length 1."""
        return tuple(axis if kept else () for axis, kept in zip(self.axes, self.kept, strict=True))

    @property
    def over_rows(self) -> bool:
        """Whether the rows are added up."""
        return any(
            part.of == "rows" for axis, kept in zip(self.axes, self.kept, strict=True) if not kept for part in axis
        )


class Members:
    """The recorded arrays as a thread sees them, `values`; what is added up, `terms`; when it is known, `levels`.

    ``joined``: the batch has one member's rows after the other's; else it is one for all. Level n + 1 is what is known
    when all rows have been seen with what is known at level n.
    """

    def __init__(self, recording: Recording, *, joined: bool) -> None:
        self.recording, self.count = recording, members_in(recording.leaves)
        sizes = {x.shape[0] // (self.count if joined else 1) for x in recording.rows}
        if len(sizes) != 1 or 0 in sizes or any(x.shape[0] % self.count for x in recording.rows if joined):
            raise Unfit("a batch that is not the members' in equal parts")
        (self.batch,) = sizes
        self.values, self.levels, self.terms = dict[Any, Value](), dict[Node, int](), dict[Node, Terms]()
        for leaf in recording.leaves.values():
            first = [of(self.count, "members")] if leaf.shape else []
            self._put(leaf, new([*first, *map(of, leaf.shape[1:])], leaf))
        for x in recording.rows:
            every = (*(of(self.count, "members") if joined else ()), *of(self.batch, "rows"))
            self._put(x, new([every, *map(of, x.shape[1:])], x))
        for node in recording.nodes:
            self._follow(node)
        self._require_state()

    def value(self, x: Any) -> Value:
        """A recorded array, or a constant, as a thread sees it."""
        if isinstance(x, Node):
            return self.values[x]
        host = np.asarray(x)
        if host.ndim > 2 and len(host) == self.count:  # as a population's own rates, which a step may close over
            own = new([of(self.count, "members"), *map(of, host.shape[1:])], host)
            return replace(own, member=own.index.size)
        return new([of(n) for n in host.shape], host if hasattr(x, "dtype") else x)

    def is_row(self, x: Any) -> bool:
        """Whether the array differs from row to row."""
        return isinstance(x, Node) and self.values[x].has("rows")

    def _put(self, node: Node, value: Value, level: int = 0) -> None:
        owners = [part.of for axis in value.axes for part in axis if part.of]
        if node.dtype not in TYPES or 0 in node.shape or len(set(owners)) < len(owners):
            raise Unfit(f"an array of {node.dtype} {node.shape}, or of members beside members or rows beside rows")
        self.values[node], self.levels[node] = value, level

    def _follow(self, node: Node) -> None:
        level = max((self.levels[x] for x in node.inputs), default=0)
        terms = self._terms(node)
        if terms is None:
            self._put(node, self._value(node), level)
            return
        self.terms[node] = terms
        axes = terms.result[:-1] if node.function is np.matmul else terms.result
        whole = new(axes, node)
        self._put(node, reshaped(whole, node.shape), level + terms.over_rows)

    def _value(self, node: Node) -> Value:
        function, args = node.function, node.args
        if pattern(node) is not None:
            return new(combined([self.value(x) for x in operands(node)]), node)
        x = self.value(args[0]) if args and isinstance(args[0], Node) else None
        if x is not None and function in RESHAPING:
            return reshaped(x, node.shape)
        if x is not None and function in TURNING:
            return turned(x, function, args[1:], node.kwargs)
        if x is not None and function is np.broadcast_to:
            return stretched(x, node.shape, self.count)
        if x is not None and getattr(function, "__name__", "") == "_getitem":
            return cut(x, args[1])
        if function is np.take and node.kwargs == {"axis": 0} and on_host(args[0]) and args[0].ndim == 1:
            return new(self.value(args[1]).axes, node)
        if function in (np.stack, np.concatenate):
            parts, axis = self.parts(node)
            common = combined([_without(part, axis) for part in parts])
            return new([*common[:axis], of(node.shape[axis]), *common[axis + 1 :]], node)
        raise Unfit(f"{getattr(function, '__name__', function)} of {[getattr(x, 'shape', x) for x in args]}")

    def parts(self, node: Node) -> tuple[list[Value], int]:
        """Arrays that are put one beside the other, all with the axis along which that is done."""
        if len(node.args) != 1 or set(node.kwargs) - {"axis"}:
            raise Unfit(f"{node.function.__name__} with {node.kwargs}")
        axis = node.kwargs.get("axis", 0) % len(node.shape)
        parts = [self.value(x) for x in node.args[0]]
        if node.function is np.stack:
            parts = [reshaped(part, _with_one(_shape(part), axis)) for part in parts]
        if any(part.of for value in parts for part in value.axes[axis]):
            raise Unfit("members or rows put one beside the other")
        return parts, axis

    def _terms(self, node: Node) -> Terms | None:
        if node.function is not np.matmul and node.function not in REDUCTIONS:
            return None
        if {getattr(x, "dtype", None) for x in node.args} != {node.dtype} or node.dtype.kind != "f":
            raise Unfit(f"{node.function.__name__} with other arguments than arrays of one floating dtype")
        if node.function is np.matmul:
            return _product(*map(self.value, node.args))
        if len(node.args) > 1 or set(node.kwargs) - {"axis", "keepdims"}:
            raise Unfit(f"{node.function.__name__} with {node.kwargs}")
        x, axis = self.value(node.args[0]), node.kwargs.get("axis")
        many = range(len(x.axes)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        gone = {one % len(x.axes) for one in many}
        return _over(REDUCTIONS[node.function], [x], x.axes, [number not in gone for number in range(len(x.axes))])

    def _require_state(self) -> None:
        """A step must leave every array as it is laid out, and have a loss for each member."""
        recording = self.recording
        for path, leaf in recording.leaves.items():
            result = recording.results[path]
            if not isinstance(result, Node) or not _fits(self.values[result], self.values[leaf]):
                raise Unfit(f"{path} changes whose it is")
        loss = self.values[recording.loss]
        if loss.has("rows") or not loss.has("members") or recording.loss.size != self.count:
            raise Unfit("the loss is not one number a member")


def members_in(leaves: Mapping[Any, Any]) -> int:
    """The number of members whose arrays a state has, with a leading axis in common."""
    counts = {leaf.shape[0] for leaf in leaves.values() if leaf.shape}
    if len(counts) != 1 or min(counts) < 2:
        raise Unfit("the arrays of the state have no leading axis in common")
    return int(counts.pop())


def _product(a: Value, b: Value) -> Terms:
    """A matrix product as a sum over a further axis, the last."""
    if min(len(a.axes), len(b.axes)) < 2:
        raise Unfit("a product of vectors")
    left = a.seen((*a.axes[:-1], (), a.axes[-1]), np.expand_dims(a.index, -2))
    right = b.seen((*b.axes[:-2], (), b.axes[-1], b.axes[-2]), np.expand_dims(b.index.swapaxes(-1, -2), -3))
    axes = combined([left, right])
    return _over("product", [left, right], axes, [True] * (len(axes) - 1) + [False])


def _over(how: str, factors: list[Value], axes: tuple[Axis, ...], kept: Sequence[bool]) -> Terms:
    lost = [part for axis, stays in zip(axes, kept, strict=True) if not stays for part in axis]
    if any(part.of == "members" for part in lost) or sum(part.of == "rows" for axis in axes for part in axis) > 1:
        raise Unfit("something over several members, or of one row with another")
    return Terms(how, factors, axes, tuple(kept))


def _fits(value: Value, leaf: Value) -> bool:
    return [_named(axis) for axis in value.axes] == [_named(axis) for axis in leaf.axes]


def _named(axis: Axis) -> Any:
    return [part for part in axis if part.of], local(axis)


def _without(value: Value, axis: int) -> Value:
    return value.seen((*value.axes[:axis], (), *value.axes[axis + 1 :]), value.index.take([0], axis))


def _shape(value: Value) -> list[int]:
    return [int(np.prod([part.length for part in axis], dtype=int)) for axis in value.axes]


def _with_one(shape: list[int], axis: int) -> list[int]:
    return [*shape[:axis], 1, *shape[axis:]]
