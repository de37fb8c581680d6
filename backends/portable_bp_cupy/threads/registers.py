"""CUDA C for a thread that trains one member: parameters and averages stay in its registers from step to step.

All sizes are constants and short loops are unrolled, so that the compiler can put arrays into registers. What is the
same for all members each computes for itself. Where members are few, several threads of a warp, its lanes, share the
rows of one; what is no row's they all compute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from portable_bp_cupy.expressions import LARGER, SMALLER, TYPES, expression, literal
from portable_bp_cupy.threads.axes import Value, local, new, read
from portable_bp_cupy.threads.members import Members
from portable_bp_cupy.threads.schedule import (
    Group,
    Loop,
    Stage,
    escaping,
    over_rows,
    reads,
    rows_read,
    squeezed,
    stages,
)
from portable_bp_cupy.threads.words import Words, indented, position
from portable_bp_numpy.recording import Node

Rows = Literal["whole", "shared", "own"]
"""Batches that are the whole set, the same rows for all members, or each member's own."""
TAKEN = {"sum": "{0} + {1}", "max": LARGER, "min": SMALLER, "product": "fma({1}, {2}, {0})"}
FIRST = {"sum": 0.0, "max": -np.inf, "min": np.inf, "product": 0.0}
STRAIGHT = {(np.log1p, np.dtype(np.float32)): "log1p_straight({0})"}
"""Functions of threads.cu for CUDA's own, where the arithmetic isn't defined to the last bit."""
EXCHANGED = {"max": LARGER, "min": SMALLER}
NAME = "train_members"


class Registers:
    """The kernel's `source`, what it must be given, and how much a member's step is."""

    def __init__(self, members: Members, rows: Rows, *, lanes: int, exact: bool) -> None:
        self._members, self._order, self._exact, self.lanes = members, rows, exact, lanes
        self._words = Words(members)
        steps = stages(members)
        self._escaping = escaping(members, steps)
        body = [line for number, stage in enumerate(steps) for line in self._stage(stage, first=number == 0)]
        body += self._ending()
        loads, stores = list(self._loads()), list(self._stores())
        for name in ("members", "steps"):
            self._words.parameter(name, None, np.dtype(np.int64))
        self.arguments, self.work, self.bytes = self._words.arguments, self._words.work, self._words.bytes
        lines = [
            functions(),
            f'extern "C" __global__ void {NAME}({", ".join(self._words.parameters)}) {{',
            "    const whole thread = blockIdx.x * (whole)blockDim.x + threadIdx.x;",
            f"    const whole k = thread / {lanes};",
            f"    const int lane = thread % {lanes};",
            "    if (k >= members) return;",
            *indented([*self._words.constants, *loads, "for (whole step = 0; step < steps; ++step) {"]),
            *indented(body, 2),
            *indented(["}", *stores]),
            "}",
        ]
        self.source = "\n".join(lines)

    def _stage(self, stage: Stage, *, first: bool) -> Iterator[str]:
        words, batch = self._words, self._members.batch
        if batch == 1 and first:
            yield from self._rows(set(map(id, self._members.recording.rows)))
        yield from self._computed(stage.once)
        if not stage.sums:
            return
        for node in stage.sums:
            yield from self._nothing(node)
        before = words.work
        computed = list(self._computed(stage.by_row))
        words.work += (words.work - before) * (-(-batch // self.lanes) - 1)
        yield from ["#pragma unroll 1", f"for (int r = lane; r < {batch}; r += {self.lanes}) {{"]
        yield from indented([*self._rows(rows_read(self._members, stage.by_row)), *computed])
        yield "}"
        for node in stage.sums if self.lanes > 1 else ():
            yield from self._exchanged(node)

    def _rows(self, read_here: set[int]) -> Iterator[str]:
        """What a thread reads of the row that it works on."""
        words, values = self._words, self._members.values
        found = [(n, x) for n, x in enumerate(self._members.recording.rows) if id(x) in read_here]
        if found:
            yield f"const whole row = {self._row()};"
        for number, x in found:
            data = words.parameter("data", number, x.dtype)
            yield words.declared(x)
            yield from words.copied(new(values[x].axes, x), f"{data}[row * {words.size(x)} + {{}}]")

    def _row(self) -> str:
        """Which row of the data it is."""
        batch, r = self._members.batch, "r" if self._members.batch > 1 else "0"
        if self._order == "whole":
            return r
        order = self._words.parameter("order", None, np.dtype(np.int64))
        one = "(step * members + k)" if self._order == "own" else "step"
        return f"{order}[{one} * {batch} + {r}]"

    def _computed(self, groups: Sequence[Group]) -> Iterator[str]:
        for group in groups:
            if isinstance(group, Loop):
                yield from self._loop(group)
            elif group in self._members.terms:
                yield from self._added_up(group)
            else:
                yield from self._put_together(group)

    def _loop(self, loop: Loop) -> Iterator[str]:
        words, values = self._words, self._members.values
        arrays = [node for node in loop.nodes if loop.shape and id(node) in self._escaping]
        yield from map(words.declared, arrays)
        words.within([node for node in loop.nodes if node not in arrays])
        statements = []
        for node in loop.nodes:
            value = self._value(node)
            own = words.text(read(new(values[node].axes, node), values[node].axes), node.dtype)
            statements.append(f"{own} = {value};" if node in arrays else f"const {TYPES[node.dtype]} {own} = {value};")
        yield from words.nested(loop.shape, statements)

    def _value(self, node: Node) -> str:
        """What an elementwise operation gives."""
        texts = [self._words.text(one, node.dtype) for one in reads(self._members, node)]
        if node.function is np.take:
            return self._words.looked_up(node.args[0], *texts)
        straight = None if self._exact else STRAIGHT.get((node.function, node.dtype))
        return straight.format(*texts) if straight else expression(node, texts)

    def _nothing(self, node: Node) -> Iterator[str]:
        """A sum to which nothing has been added yet."""
        first = literal(np.asarray(FIRST[self._members.terms[node].how]).astype(node.dtype))
        yield self._words.declared(node)
        whole = new(self._members.values[node].axes, node)
        yield from self._words.copied(whole, first)

    def _added_up(self, node: Node) -> Iterator[str]:
        terms, words = self._members.terms[node], self._words
        if not over_rows(self._members, node):
            yield from self._nothing(node)
        out = words.text(read(new(terms.result, node), terms.axes), node.dtype)
        factors = [words.text(read(value, terms.axes), node.dtype) for value in terms.factors]
        statement = f"{out} = {TAKEN[terms.how].format(out, *factors)};"
        yield from words.nested(squeezed(map(local, terms.axes)), [statement])

    def _exchanged(self, node: Node) -> Iterator[str]:
        """The lanes' sums added up, in each of them to the same bits."""
        values, how = self._members.values, self._members.terms[node].how
        own = self._words.text(read(new(values[node].axes, node), values[node].axes), node.dtype)
        distances = [1 << n for n in range(self.lanes.bit_length() - 1)]
        others = [f"__shfl_xor_sync(0xffffffffu, {own}, {distance})" for distance in distances]
        statements = [
            f"other = {other}; {own} = {EXCHANGED.get(how, '{0} + {1}').format(own, 'other')};" for other in others
        ]
        if how in EXCHANGED:  # 0 and -0 are equal: of two such each lane takes another
            statements.append(f"{own} = __shfl_sync(0xffffffffu, {own}, 0, {self.lanes});")
        shape = squeezed(map(local, values[node].axes))
        yield from self._words.nested(shape, [f"{{ {TYPES[node.dtype]} other; {' '.join(statements)} }}"])

    def _put_together(self, node: Node) -> Iterator[str]:
        """Arrays one beside the other, each copied to its part."""
        parts, axis = self._members.parts(node)
        yield self._words.declared(node)
        whole, start = self._members.values[node], 0
        for part in parts:
            length = part.index.shape[axis]
            axes = (*whole.axes[:axis], part.axes[axis], *whole.axes[axis + 1 :])
            to = whole.seen(axes, whole.index.take(range(start, start + length), axis))
            yield from self._words.copied(to, self._words.text(read(part, axes), node.dtype))
            start += length

    def _ending(self) -> Iterator[str]:
        """Keep the loss, and put the new state in the place of the old one."""
        words, values, recording = self._words, self._members.values, self._members.recording
        loss, leaves = recording.loss, set(map(id, recording.leaves.values()))
        losses = words.parameter("losses", None, loss.dtype, written=True)
        number = words.text(read(values[loss], values[loss].axes), loss.dtype)
        yield f"if (lane == 0) {losses}[step * members + k] = {number};"
        last = list[str]()
        for leaf, result in self._changed():
            source = words.text(read(result, values[leaf].axes), leaf.dtype)
            if id(result.stored) in leaves:  # which may change before it is read
                saved = f"t{words.name(leaf)}"
                yield words.declared(leaf, saved)
                yield from words.copied(values[leaf], source, saved)
                source = f"{saved}[{{}}]" if words.size(leaf) > 1 else saved
            last += words.copied(values[leaf], source)
        yield from last

    def _changed(self) -> list[tuple[Node, Value]]:
        """The arrays of the state that a step changes, with what they become."""
        recording, values = self._members.recording, self._members.values
        pairs = [(leaf, values[recording.results[path]]) for path, leaf in recording.leaves.items()]
        return [(leaf, to) for leaf, to in pairs if to.stored is not leaf or (to.index != values[leaf].index).any()]

    def _loads(self) -> Iterator[str]:
        """The state before the first step."""
        words, changed = self._words, {leaf for leaf, _ in self._changed()}
        for path, leaf in self._members.recording.leaves.items():
            if leaf in changed or words.name(leaf) in words.used:
                yield words.declared(leaf)
                old = words.parameter("old", path, leaf.dtype)
                yield from words.copied(self._members.values[leaf], f"{old}[{self._own(leaf)}{{}}]")

    def _stores(self) -> Iterator[str]:
        """The state after the last step; what is one for all, the first thread stores."""
        words, recording = self._words, self._members.recording
        paths: dict[Any, Any] = {leaf: path for path, leaf in recording.leaves.items()}
        for leaf, _ in self._changed():
            whole = self._members.values[leaf]
            one = read(whole, whole.axes)
            place = f"{words.parameter('new', paths[leaf], leaf.dtype, written=True)}[{self._own(leaf)}{position(one)}]"
            where = "lane == 0" if leaf.shape else "thread == 0"
            statement = f"if ({where}) {place} = {words.text(one, leaf.dtype)};"
            yield from words.nested(squeezed(whole.index.shape), [statement], counted=False)

    def _own(self, leaf: Node) -> str:
        return f"k * {self._words.size(leaf)} + " if leaf.shape else ""


@cache
def functions() -> str:
    """What is written by hand."""
    return (files(__package__) / "threads.cu").read_text(encoding="utf-8")
