"""Names of what a thread holds, and the numbers that it reads, in C."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from portable_bp_cupy.expressions import TYPES, literal
from portable_bp_cupy.threads.axes import Read, Unfit, Value, local, read, step_along
from portable_bp_cupy.threads.members import Members
from portable_bp_cupy.threads.schedule import squeezed
from portable_bp_numpy.recording import Node

UNROLLED, STATEMENTS = 256, 4096
"""Loops of at most so many turns are unrolled, unless that gave more statements; the arrays of longer ones can't be in
registers, whose numbers are fixed."""
WRITTEN_OUT = 64
"""Constants of at most so many numbers are written into the source."""


class Words:
    """The names, and the parameters and constants that are found to be needed on the way.

    ``arguments`` are (what, which): "old" and "new" with a path of the state, "data" with a number, "constant" with an
    array, "order", "losses", "members" and "steps" with None. ``work`` counts operations, ``bytes`` is what it holds.
    """

    def __init__(self, members: Members) -> None:
        self.members = members
        self.arguments, self.parameters = list[tuple[str, Any]](), list[str]()
        self.constants, self.used = list[str](), set[str]()
        self.work = self.bytes = 0
        self._in_loop = set[str]()
        self._written = dict[
            int, tuple[str, Any]
        ]()  # constants by their ids, and themselves, so that these stay theirs
        recording = members.recording
        named = {"s": recording.leaves.values(), "x": recording.rows, "v": recording.nodes}
        self._names = {id(x): f"{letter}{n}" for letter, arrays in named.items() for n, x in enumerate(arrays)}

    def name(self, node: Node) -> str:
        """Of an array's or number's variable."""
        return self._names[id(node)]

    def size(self, node: Node) -> int:
        """Numbers that a thread holds of an array."""
        return prod(map(local, self.members.values[node].axes))

    def declared(self, node: Node, name: str = "") -> str:
        """A variable."""
        size = self.size(node)
        self.bytes += size * node.dtype.itemsize
        return f"{TYPES[node.dtype]} {name or self.name(node)}{f'[{size}]' if size > 1 else ''};"

    def within(self, nodes: Sequence[Node]) -> None:
        """From now on these are single numbers, of the turn of a loop."""
        self._in_loop = set(map(self.name, nodes))

    def text(self, one: Read, dtype: Any) -> str:
        """The number that is read; of a Python number, as ``dtype``."""
        stored = one.stored
        if isinstance(stored, Node):
            if one.member:
                raise Unfit("an array with a number for each member that is computed for all of them")
            self.used.add(self.name(stored))
            single = self.size(stored) == 1 or self.name(stored) in self._in_loop
            return self.name(stored) if single else f"{self.name(stored)}[{position(one)}]"
        if not hasattr(stored, "dtype"):
            return literal(np.asarray(stored, dtype))
        if stored.size == 1:
            return literal(stored.reshape(()))
        return f"{self._constant(stored, inside=stored.size <= WRITTEN_OUT and not one.member)}[{position(one)}]"

    def looked_up(self, table: Any, index: str) -> str:
        """The number at a place of a table, the nearest one where there is none."""
        last = table.size - 1
        return f"{self._constant(table, inside=False)}[{index} < 0 ? 0 : {index} > {last} ? {last} : {index}]"

    def _constant(self, host: Any, *, inside: bool) -> str:
        if not inside:
            return self.parameter("constant", host, host.dtype)
        if id(host) not in self._written:
            name = f"c{len(self.constants)}"
            self._written[id(host)] = name, host
            numbers = ", ".join(map(literal, host.reshape(-1)))
            self.constants.append(f"const {TYPES[host.dtype]} {name}[{host.size}] = {{{numbers}}};")
        return self._written[id(host)][0]

    def parameter(self, what: str, which: Any, dtype: Any, *, written: bool = False) -> str:
        """The name of a parameter, which is made when it is first asked for."""
        for name, (known, one) in zip(self.parameters, self.arguments, strict=True):
            if known == what and (one is which or (what != "constant" and one == which)):
                return name.split()[-1]
        name = what if which is None else f"{what}{len(self.arguments)}"
        pointer = f"{'' if written else 'const '}{TYPES[dtype]}* __restrict__ {name}"
        self.arguments.append((what, which))
        self.parameters.append(f"whole {name}" if what in ("members", "steps") else pointer)
        return name

    def copied(self, to: Value, source: str, name: str = "") -> Iterator[str]:
        """Statements that fill a variable; ``{}`` in the source stands for the place."""
        place = position(read(to, to.axes))
        name = name or self.name(to.stored)
        out = f"{name}[{place}]" if self.size(to.stored) > 1 else name
        return self.nested(squeezed(to.index.shape), [f"{out} = {source.replace('{}', place)};"], counted=False)

    def nested(self, shape: tuple[int, ...], statements: list[str], *, counted: bool = True) -> Iterator[str]:
        """Statements for every place of a shape."""
        turns = prod(shape)
        self.work += turns * len(statements) * counted
        short = turns <= UNROLLED and turns * len(statements) <= STATEMENTS
        for axis, length in enumerate(shape):
            yield "#pragma unroll" if short else "#pragma unroll 1"
            yield f"for (int i{axis} = 0; i{axis} < {length}; ++i{axis})" + " {" * (axis == len(shape) - 1)
        yield from indented(statements) if shape else statements
        yield from ["}"] if shape else []


def position(one: Read) -> str:
    """The place in an array, from the loops' counters, the row and the member."""
    index = one.index.reshape(squeezed(one.index.shape))
    steps = [(f"i{axis}", step_along(index, axis)) for axis in range(index.ndim)]
    words = [
        name if step == 1 else f"{name} * {step}" for name, step in [*steps, ("r", one.row), ("k", one.member)] if step
    ]
    first = int(index.reshape(-1)[0])
    return " + ".join(words + [str(first)] * (first > 0 or not words))


def indented(lines: Sequence[str], depth: int = 1) -> list[str]:
    """Lines of C inside of something."""
    return ["    " * depth + line for line in lines]
