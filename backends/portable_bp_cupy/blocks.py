"""CUDA C for what a block does: its piece of a strand of works, number by number or tile by tile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from portable_bp_cupy.expressions import TYPES
from portable_bp_cupy.factors import Operand, operand
from portable_bp_cupy.kernels import STEP, Kernel
from portable_bp_cupy.layout import Layout, Place
from portable_bp_cupy.phases import Phase, Split, Strand, shares
from portable_bp_cupy.tiling import Machine, Shape, Tiling, tiling
from portable_bp_cupy.units import REDUCTIONS, threads
from portable_bp_cupy.works import Extreme, Product, Taken, Work

Lines = list[str]


class Body(Kernel):
    """What is done for one index ``i`` of a group, or for one number of a product, whose ``known`` name is "sum"."""

    def __init__(self, layout: Layout, work: Work) -> None:
        known = {id(work.node): "sum"} if isinstance(work, Product) else {}
        super().__init__("", work.group, layout.of, layout.stored(work), known)

    @property
    def lines(self) -> Lines:
        """The statements."""
        return self._body

    def _parameter(self, array: Any, constant: str = "") -> str:
        return str(array.pointer(constant))

    def _element(self, array: Any, source: str, index: str) -> str:
        return f"{source}[{array.index(index)}]"


class Blocks:
    """The pieces of phases for the blocks of a machine, in C."""

    def __init__(self, layout: Layout, machine: Machine) -> None:
        self._layout, self._machine = layout, machine
        self.shared = 16
        """Bytes of shared memory that a block needs."""
        self.most = 1
        """The largest number of pieces of a phase."""

    def phase(self, phase: Phase) -> Lines:
        """What the blocks do between two barriers, each one piece after the other."""
        pieces = [self._strand(strand, share) for strand, share in shares(phase, self._machine.blocks)]
        ends = list(accumulate(count for count, _ in pieces))
        self.most = max(self.most, ends[-1])
        branches = Lines()
        for (count, lines), end in zip(pieces, ends, strict=True):
            start = end - count
            condition = f"if (piece < {end}) " if end < ends[-1] else ""
            own = f"const int own = piece - {start}; (void)own;"
            branches += [f"{'else ' if start else ''}{condition}{{", own, *lines, "}"]
        return [f"for (int piece = blockIdx.x; piece < {ends[-1]}; piece += gridDim.x) {{", *branches, "}"]

    def _strand(self, strand: Strand, share: int) -> tuple[int, Lines]:
        """The number of pieces of a strand, and what is done for the piece number ``own``."""
        if strand.split is Split.APART:
            (work,) = strand.works
            return self._tiles(work, share) if isinstance(work, Product) else self._numbers(work, share)
        if strand.split is Split.ALONE:
            return 1, _in_turn((level, self._alone(level)) for level in strand.levels)
        rows = -(-strand.rows // share)
        head = f"const int first = own * {rows}, last = {_least(f'first + {rows}', strand.rows)};"
        lines = _in_turn((level, self._level(level, rows, strand.rows)) for level in strand.levels)
        return -(-strand.rows // rows), [head, *lines]

    def _level(self, level: Sequence[Work], rows: int, of: int) -> Iterator[str]:
        for work in level:
            own = self._own_rows(work, rows) if isinstance(work, Product) else self._some(work, of)
            yield from ("{", *own, "}")

    def _alone(self, level: Sequence[Work]) -> Iterator[str]:
        for work in level:
            if isinstance(work, Product):
                tile = self._tiling(self._shape(work), 1, splits=False)
                count = tile.items(self._shape(work))
                yield from (f"for (int tile = 0; tile < {count}; ++tile) {{", *self._tile(work, tile), "}")
            else:
                yield from self._loop(work, "0", str(threads(work.group)))

    def _numbers(self, work: Work, share: int) -> tuple[int, Lines]:
        """Work number by number, each piece some that lie side by side."""
        count = threads(work.group)
        per = -(-count // min(share, -(-count // self._machine.threads)))
        return -(-count // per), self._loop(work, f"own * {per}", _least(f"own * {per} + {per}", count))

    def _some(self, work: Work, rows: int) -> Lines:
        """The numbers of the strand's own rows."""
        per = threads(work.group) // rows
        return self._loop(work, f"first * {per}", f"last * {per}")

    def _loop(self, work: Work, start: str, end: str) -> Lines:
        if isinstance(work, Extreme):
            body = self._extreme(work)
        else:
            body = self._taken(work) if isinstance(work, Taken) else Body(self._layout, work).lines
        return [f"for (int i = {start} + threadIdx.x; i < {end}; i += THREADS) {{", *body, "}"]

    def _extreme(self, work: Extreme) -> Lines:
        x, ((_, out),) = self._layout.of(work.read[0]), self._layout.stored(work)
        moved = x.looking(np.moveaxis(x.form, work.axis, -1))
        number = f"{x.pointer()}[{moved.index(f'{_at(moved)} + j * {moved.strides[-1] // x.itemsize}')}]"
        kind, taken = TYPES[x.dtype], STEP[REDUCTIONS[work.node.function]].format("best", "one")
        return [
            f"{kind} best; {{ const int j = 0; best = {number}; }}",
            f"for (int j = 1; j < {moved.shape[-1]}; ++j) {{ const {kind} one = {number}; best = {taken}; }}",
            f"{out.pointer('')}[i] = best;",
        ]

    def _taken(self, work: Taken) -> Lines:
        table, index = self._layout.of(work.table), self._layout.of(work.index)
        ((_, out),) = self._layout.stored(work)
        which = f"{index.pointer()}[{index.index(_at(index[..., None]))}]"
        at = table.index(f"{which} * {table.strides[0] // table.itemsize}")
        return [f"{out.pointer('')}[i] = {table.pointer()}[{at}];"]

    def _tiles(self, work: Product, share: int) -> tuple[int, Lines]:
        """A product with a piece for each tile, or for each part of one."""
        tile = self._tiling(self._shape(work), share)
        lines = [f"const int tile = own / {tile.splits}, split = own % {tile.splits}; (void)split;"]
        return tile.items(self._shape(work)), lines + self._tile(work, tile)

    def _tile(self, work: Product, tile: Tiling) -> Lines:
        """The tile number ``tile``, summed over all its depths or those of the part number ``split``."""
        _, m, n, k = work.shape
        down, across = -(-m // tile.m), -(-n // tile.n)
        lines = [f"const int z = tile / {down * across}; (void)z;"]
        lines += [f"const int m0 = tile / {across} % {down} * {tile.m}, n0 = tile % {across} * {tile.n};"]
        end = self._end(work)
        if tile.splits == 1:
            return [*lines, *self._product(work, tile, str(m), "0", str(k), end)]
        kind, size = TYPES[work.node.dtype], work.node.dtype.itemsize
        count, span = tile.items(self._shape(work)), tile.span(k)
        parts = self._layout.scratch.take(count * tile.m * tile.n * size)
        arrived = self._layout.scratch.take(count // tile.splits * 8)
        sizes = f"{kind}, {tile.m}, {tile.n}"
        return [
            *lines,
            f"{kind}* const parts = ({kind}*)(scratch + {parts}) + tile * {tile.splits * tile.m * tile.n};",
            *self._product(
                work,
                tile,
                str(m),
                f"split * {span}",
                _least(f"split * {span} + {span}", k),
                [f"parts[split * {tile.m * tile.n} + at] = sum; (void)m; (void)n;"],
            ),
            f"if (last_of((tickets*)(scratch + {arrived}) + tile, {tile.splits}, shared)) {{",
            f"together<{sizes}, {tile.splits}>(parts, m0, {m}, n0, {n}, {_function(kind, end)});",
            "}",
        ]

    def _own_rows(self, work: Product, rows: int) -> Lines:
        """A product's rows first .. last, which may be those of several of the matrices."""
        _, m, n, k = work.shape
        tile = self._tiling(replace(self._shape(work), many=1, m=min(rows, m)), 1, splits=False)
        return [
            f"for (int row = first; row < last;) {{ const int z = row / {m}, m0 = row % {m}; (void)z;",
            f"const int m1 = {_least('m0 + last - row', m)};",
            f"for (int n0 = 0; n0 < {n}; n0 += {tile.n}) {{",
            *self._product(work, tile, "m1", "0", str(k), self._end(work)),
            "}",
            f"row += {_least('m1 - m0', tile.m)};",
            "}",
        ]

    def _end(self, work: Product) -> Lines:
        """What is done with a number of the result."""
        _, m, n, _ = work.shape
        return [f"const int i = (z * {m} + m) * {n} + n; (void)i; (void)at;", *Body(self._layout, work).lines]

    def _product(self, work: Product, tile: Tiling, m1: str, k0: str, k1: str, end: Lines) -> Lines:
        kind = TYPES[work.node.dtype]
        a, b = self._factors(work)
        by_rows = m1 == "m1"
        n = work.shape[2]
        sizes: list[Any] = [tile.m, tile.n, tile.depth, tile.stages]
        for one in (a, b):
            sizes += [str(one.along).lower(), one.together(any_edge=by_rows and one is a)]
        numbers = ", ".join(map(str, [kind, *sizes]))
        va, vb = sizes[5], sizes[7]
        return [
            f"product<{numbers}>(shared, m0, {m1}, n0, {n}, {k0}, {k1},",
            f"{_fetching(a, kind, 'm', va)},",
            f"{_fetching(b, kind, 'n', vb)},",
            f"{_function(kind, end)});",
        ]

    def _factors(self, work: Product) -> tuple[Operand, Operand]:
        many, m, n, k = work.shape
        a, b = (None if x is None else self._layout.of(x) for x in (work.a, work.b))
        return operand(a, (many, m, k), turned=False), operand(b, (many, k, n), turned=True)

    def _shape(self, work: Product) -> Shape:
        a, b = self._factors(work)
        return Shape(*work.shape, work.node.dtype.itemsize, (a.along, b.along))

    def _tiling(self, shape: Shape, share: int, *, splits: bool = True) -> Tiling:
        found = tiling(shape, self._machine, share, splits=splits)
        self.shared = max(self.shared, found.bytes(shape, self._machine.threads))
        return found


def _at(x: Place) -> str:
    """Where the numbers along the last axis begin, for the number i of all places along the others."""
    steps = [stride // x.itemsize for stride in x.strides]
    terms = [f"i / {prod(x.shape[axis + 1 : -1])} % {n} * {steps[axis]}" for axis, n in enumerate(x.shape[:-1])]
    return " + ".join(terms) or "0"


def _in_turn(levels: Iterable[tuple[Sequence[Work], Iterable[str]]]) -> Lines:
    """What the levels do, with a barrier of the block between two of them.

    A product ends with one of its own, and single numbers are all computed by the first thread.
    """
    lines, before = Lines(), list[Work]()
    for level, own in levels:
        single = all(threads(work.group) == 1 and not isinstance(work, Product) for work in (*before, *level))
        if before and not single and not isinstance(before[-1], Product):
            lines.append("__syncthreads();")
        lines += own
        before = [*level]
    return lines


def _fetching(one: Operand, kind: str, edge: str, v: int) -> str:
    """A function that fetches numbers of a factor."""
    head = f"[&]({kind}* to, int {edge}, int k) {{ "
    if one.place is None:
        return f"{head}(void){edge}; (void)k; *to = 1; }}"
    return f"{head}(void){edge}; (void)k; fetch<{v}>(to, &{one.place.pointer()}[{one.index(edge)}]); }}"


def _function(kind: str, lines: Lines) -> str:
    """A function that is given a number of a product."""
    return "\n".join([f"[&](int m, int n, int at, {kind} sum) {{", *lines, "}"])


def _least(a: str, b: int) -> str:
    return f"({a} < {b} ? {a} : {b})"


__all__ = ["Blocks", "Place"]
