"""Which part of an array's axis is whose: the members' of a population, the rows' of a batch, or a thread's own.

A thread trains one member and takes one row after the other, so it neither has an axis of members nor one of rows: it
computes with what is left of each array. An axis is a product of parts, the slowest first, since a reshape may join the
axes of members, rows and numbers to one, and part them again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

import numpy as np

Owner = Literal["members", "rows"]


class Unfit(Exception):
    """The step can't be done, or not well, by one thread a member."""


@dataclass(frozen=True)
class Part:
    """A factor of an axis: ``of`` members or rows, else the thread's own. None has the length 1."""

    length: int
    of: Owner | None = None


Axis = tuple[Part, ...]


@dataclass(frozen=True)
class Value:
    """What a thread sees of an array: the numbers of ``index``, by axis, in what is stored as ``stored``.

    Where that is all members' in one, it has ``member`` numbers of each.
    """

    axes: tuple[Axis, ...]
    stored: Any
    index: Any
    member: int = 0

    def seen(self, axes: Sequence[Axis], index: Any) -> Value:
        """The same numbers, or some of them, in another way."""
        return replace(self, axes=tuple(axes), index=index)

    def has(self, owner: Owner) -> bool:
        """Whether the array has an axis of theirs."""
        return any(part.of == owner for axis in self.axes for part in axis)


@dataclass(frozen=True)
class Read:
    """How a thread reads an array where an operation wants it: at ``index``, which is added to what r and k step."""

    stored: Any
    index: Any
    row: int = 0
    member: int = 0


def of(length: int, owner: Owner | None = None) -> Axis:
    """An axis of one part."""
    return (Part(length, owner),) if length > 1 else ()


def local(axis: Axis) -> int:
    """The length that a thread sees."""
    return prod(part.length for part in axis if part.of is None)


def new(axes: Sequence[Axis], stored: Any) -> Value:
    """An array of its own in a thread's memory."""
    shape = tuple(map(local, axes))
    return Value(tuple(axes), stored, np.arange(prod(shape)).reshape(shape))


def met(axes: Sequence[Axis]) -> Axis:
    """The axis that arrays have in common which are combined along these; those of length 1 are stretched."""
    waiting = [list(axis) for axis in axes if axis]
    found = list[Part]()
    while any(waiting):
        parts = [left.pop(0) for left in waiting]
        length = min(part.length for part in parts)
        owners = {part.of for part in parts} - {None}
        if len(owners) > 1 or any(part.length % length or (part.of and part.length > length) for part in parts):
            raise Unfit("axes are combined of which a thread has different parts")
        for left, part in zip(waiting, parts, strict=True):
            left[:0] = of(part.length // length)
        found.append(Part(length, owners.pop() if owners else None))
    return tuple(found)


def combined(values: Sequence[Value]) -> tuple[Axis, ...]:
    """The axes of an elementwise operation's result."""
    most = max(len(value.axes) for value in values)
    aligned = [((),) * (most - len(value.axes)) + value.axes for value in values]
    return tuple(met(axes) for axes in zip(*aligned, strict=True))


def reshaped(value: Value, shape: Sequence[int]) -> Value:
    """The array with other axes over the same parts."""
    waiting = [part for axis in value.axes for part in axis]
    axes = []
    for length in shape:
        axis = list[Part]()
        while length > 1:
            part = waiting.pop(0)
            taken = part.length if length % part.length == 0 else length
            if part.length % taken or (part.of and taken < part.length):
                raise Unfit("a reshape cuts the axis of members or rows")
            waiting[:0] = of(part.length // taken)
            axis.append(Part(taken, part.of))
            length //= taken
        axes.append(tuple(axis))
    return value.seen(axes, value.index.reshape([local(axis) for axis in axes]))


def turned(value: Value, function: Callable[..., Any], args: Any, kwargs: Any) -> Value:
    """The array with its axes in another order."""
    numbered = np.broadcast_to(0, range(2, 2 + len(value.axes)))
    order = [n - 2 for n in function(numbered, *args, **kwargs).shape]
    return value.seen([value.axes[axis] for axis in order], value.index.transpose(order))


def stretched(value: Value, shape: tuple[int, ...], members: int) -> Value:
    """The array broadcast to a shape, a new first axis of so many being that of the members."""
    aligned = ((),) * (len(shape) - len(value.axes)) + value.axes
    axes = tuple(
        axis or of(n, "members" if number == 0 and n == members else None)
        for number, (axis, n) in enumerate(zip(aligned, shape, strict=True))
    )
    return value.seen(axes, np.broadcast_to(value.index, tuple(map(local, axes))))


def cut(value: Value, key: Any) -> Value:
    """The array with whole numbers and slices for its axes; of axes of members and rows, all is taken."""
    given = key if isinstance(key, tuple) else (key,)
    if any(not isinstance(one, (int, slice, type(Ellipsis))) or isinstance(one, bool) for one in given):
        raise Unfit("an index that is no whole number and no slice")
    some = given.index(...) if ... in given else len(given)
    missing = len(value.axes) - sum(one is not ... for one in given)
    every = [*given[:some], *[slice(None)] * missing, *given[some + 1 :]]
    axes, own = list[Axis](), list[Any]()
    for axis, one in zip(value.axes, every, strict=True):
        length = prod(part.length for part in axis)
        whole = isinstance(one, slice) and range(length)[one] == range(length)
        if not whole and any(part.of for part in axis):
            raise Unfit("a part of the members or rows")
        own.append(slice(None) if whole else one)
        axes += [axis] if whole else [of(len(range(length)[one]))] if isinstance(one, slice) else []
    return value.seen(axes, value.index[tuple(own)])


def read(value: Value, axes: Sequence[Axis]) -> Read:
    """How the array is read by an operation over ``axes``, for every number that the thread computes."""
    aligned = ((),) * (len(axes) - len(value.axes)) + value.axes
    parts = list[tuple[int, int, Owner | None]]()  # length, axis, and whose it is of those it meets
    for number, (own, common) in enumerate(zip(aligned, axes, strict=True)):
        owners = _owners(own, common)
        parts += [(part.length, number, part.of) for part, mine in zip(common, owners, strict=False) if mine is None]
    index = value.index.reshape([length for length, _, _ in parts])
    steps = {"rows": 0, "members": 0}
    for place in reversed(range(len(parts))):
        owner = parts[place][2]
        if owner is not None:
            steps[owner], index = step_along(index, place), index.take(0, place)
    kept = [prod([length for length, at, owner in parts if at == number and not owner]) for number in range(len(axes))]
    whole = np.broadcast_to(index.reshape(kept), tuple(map(local, axes)))
    return Read(value.stored, whole, steps["rows"], steps["members"] + value.member)


def _owners(own: Axis, common: Axis) -> list[Owner | None]:
    """Whose in one array the parts are that it has in common with others; none for an axis of length 1."""
    owners, waiting = list[Owner | None](), list(own)
    for part in common if own else ():
        first = waiting.pop(0)
        owners.append(first.of)
        waiting[:0] = of(first.length // part.length)
    return owners


def step_along(index: Any, axis: int) -> int:
    """By how much the index grows from place to place along an axis."""
    steps = np.diff(index, axis=axis).reshape(-1)
    if not steps.size:
        return 0
    if (steps != steps[0]).any():
        raise Unfit("numbers that don't lie at equal distances")
    return int(steps[0])
