"""CUDA C for a group of operations: each number is read once, kept in registers, and written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from portable_bp_cupy.expressions import LARGER, SMALLER, TYPES, expression, literal, operands
from portable_bp_cupy.units import REDUCTIONS, Group, reduces, threads
from portable_bp_numpy.recording import Node

STEP = {"sum": "{0} + {1}", "max": LARGER, "min": SMALLER}
"""How a reduction takes in a further number."""
BLOCK, NARROW_BLOCK = 256, 64
"""Threads of a block; fewer where each works on a row, so that more multiprocessors have some."""


class Kernel:
    """One kernel: its source, its arguments, and how many threads it takes.

    ``place`` gives the array in which something lies that the group reads. ``stores`` says what goes where: something
    read or computed, and an array of its shape for it. Everything is read before anything is written, so that a thread
    may write over what it alone has read. ``known``: names of numbers that are there already, by the ids of their
    nodes.
    """

    def __init__(
        self,
        name: str,
        group: Group,
        place: Callable[[Any], Any],
        stores: Sequence[tuple[Any, Any]],
        known: Mapping[int, str] | None = None,
    ) -> None:
        self.name, self.arguments = name, list[Any]()
        self._group, self._place = group, place
        self._names = dict(known or {})
        self._rows = set[str]()  # names of those that hold a whole row
        self._parameters, self._body = list[str](), list[str]()
        self._reach = threads(group) * group.width  # how far an index may have to count
        computed = set(map(id, group.nodes))
        for x in [x for node in group.nodes for x in operands(node)] + [x for x, _ in stores]:
            if id(x) not in computed and id(x) not in self._names:
                self._read(x, group)
        for node in group.nodes:
            self._compute(node)
        for x, out in stores:
            self._store(x, out)

    @property
    def grid(self) -> tuple[int, int]:
        """Number of blocks, and of threads in each."""
        block = NARROW_BLOCK if self._group.narrow else BLOCK
        return -(-threads(self._group) // block), block

    @property
    def source(self) -> str:
        """The kernel as CUDA C."""
        index = "int" if self._reach < 2**30 else "long long"
        lines = [
            f'extern "C" __global__ void {self.name}({", ".join(self._parameters)}) {{',
            f"    const {index} i = blockIdx.x * ({index})blockDim.x + threadIdx.x;",
            f"    if (i >= {threads(self._group)}) return;",
            *(f"    {line}" for line in self._body),
            "}",
        ]
        return "\n".join(lines)

    def _read(self, x: Any, group: Group) -> None:
        if not hasattr(x, "dtype") or (on_host(x) and x.shape == ()):
            self._names[id(x)] = literal(self._typed(x))
            return
        array = self._place(x)
        name, source = f"v{len(self._names)}", self._parameter(array, "const ")
        self._names[id(x)] = name
        offset, step = self._offset(array, group), _steps(array)[-1] if array.shape else 0
        kind = TYPES[np.dtype(array.dtype)]
        if group.narrow and array.shape and array.shape[-1] == group.width > 1:
            self._rows.add(name)
            self._body.append(f"{kind} {name}[{group.width}];")
            self._loop(f"{name}[j] = {self._element(array, source, f'{offset} + j * {step}')};")
        else:
            self._body.append(f"const {kind} {name} = {self._element(array, source, offset)};")

    def _element(self, array: Any, source: str, index: str) -> str:
        """A number that is read, by its index."""
        return f"{source}[{index}]"

    def _typed(self, number: Any) -> Any:
        """A Python number in the dtype of the operation that takes it."""
        if hasattr(number, "dtype"):
            return number
        node = next(node for node in self._group.nodes if any(x is number for x in operands(node)))
        return np.asarray(number, node.dtype)

    def _parameter(self, array: Any, constant: str = "") -> str:
        name = f"{'p' if constant else 'q'}{len(self.arguments)}"
        self.arguments.append(array)
        self._parameters.append(f"{constant}{TYPES[np.dtype(array.dtype)]}* {name}")
        return name

    def _offset(self, array: Any, group: Group) -> str:
        """Where thread i finds its number, or the first of its row, in an array that is broadcast to the group's."""
        self._reach = max(self._reach, sum((n - 1) * abs(s) for n, s in zip(array.shape, _steps(array), strict=True)))
        missing = len(group.shape) - len(array.shape)
        lengths, steps = (1,) * missing + tuple(array.shape), (0,) * missing + _steps(array)
        return _index(group.lead, [0 if n == 1 else step for n, step in zip(lengths, steps, strict=True)])

    def _loop(self, statement: str) -> None:
        """Do a statement for each number of a row; consecutive ones share a loop."""
        if self._body and self._body[-1].startswith("for (int j = 0;"):
            self._body[-1] = f"{self._body[-1][:-1]} {statement}}}"
        else:
            self._body += ["#pragma unroll", f"for (int j = 0; j < {self._group.width}; ++j) {{{statement}}}"]

    def _compute(self, node: Node) -> None:
        name, kind = f"v{len(self._names)}", TYPES[node.dtype]
        given = [self._names[id(x)] for x in operands(node)]
        self._names[id(node)] = name
        if reduces(node):
            self._reduce(node, name, given[0])
        elif self._group.narrow and node.shape[-1] == self._group.width > 1:
            self._rows.add(name)
            value = expression(node, [f"{x}[j]" if x in self._rows else x for x in given])
            self._declare(f"{kind} {name}[{self._group.width}];")
            self._loop(f"{name}[j] = {value};")
        else:
            self._body.append(f"const {kind} {name} = {expression(node, given)};")

    def _declare(self, declaration: str) -> None:
        """Declare a row before the loop that the next statement may join."""
        if self._body and self._body[-1].startswith("for (int j = 0;"):
            self._body.insert(len(self._body) - 2, declaration)
        else:
            self._body.append(declaration)

    def _reduce(self, node: Node, name: str, row: str) -> None:
        kind = TYPES[node.dtype]
        if row not in self._rows:
            self._body.append(f"const {kind} {name} = {row};")
            return
        taken = STEP[REDUCTIONS[node.function]].format(name, f"{row}[j]")
        self._body += [
            f"{kind} {name} = {row}[0];",
            "#pragma unroll",
            f"for (int j = 1; j < {self._group.width}; ++j) {name} = {taken};",
        ]

    def _store(self, x: Any, out: Any) -> None:
        name, to, offset = self._names[id(x)], self._parameter(out), self._offset(out, self._group)
        if name in self._rows:
            self._loop(f"{to}[{offset} + j * {_steps(out)[-1]}] = {name}[j];")
        else:
            self._body.append(f"{to}[{offset}] = {name};")


def on_host(x: Any) -> bool:
    """Whether x is a constant of the recording, NumPy's and no device's."""
    return type(x) is np.ndarray or isinstance(x, np.generic)


def _steps(array: Any) -> tuple[int, ...]:
    """Strides in elements."""
    return tuple(stride // array.itemsize for stride in array.strides)


def _index(lead: tuple[int, ...], steps: Sequence[int]) -> str:
    """The sum of coordinate times step over the axes of ``lead``, from the number i of the thread."""
    inner = [prod(lead[axis + 1 :]) for axis in range(len(lead))]
    axes = [axis for axis, length in enumerate(lead) if length > 1]
    unit = next((steps[axis] // inner[axis] for axis in reversed(axes)), 0)
    if all(steps[axis] == unit * inner[axis] for axis in axes):
        return f"i * {unit}" if unit else "0"
    terms = [f"i / {inner[axis]} % {lead[axis]} * {steps[axis]}" for axis in axes if steps[axis]]
    return " + ".join(terms)
