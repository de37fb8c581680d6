"""CUDA C for products: tiles, and what is done with their numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from portable_bp_cupy.expressions import TYPES
from portable_bp_cupy.persistent.bodies import Lines, body
from portable_bp_cupy.persistent.layout import Layout, Place
from portable_bp_cupy.persistent.tiling import Machine, Shape, Tiling, tiling
from portable_bp_cupy.persistent.works import Product


@dataclass(frozen=True)
class Operand:
    """A factor as the kernel reads it: number (z, edge, depth) lies ``steps`` numbers apart along these."""

    place: Place | None
    shape: tuple[int, int, int] = (1, 1, 1)
    steps: tuple[int, int, int] = (0, 0, 0)

    @property
    def along(self) -> bool:
        """Whether its lines lie along the depth."""
        return self.steps[2] == 1 or self.steps[1] != 1

    def index(self, edge: str) -> str:
        """The index of number (z, edge, k) in C."""
        assert self.place is not None
        start, row, names = self.place.start // self.place.itemsize, self.place.row, ("z", edge, "k")
        for own, other in ((1, 2), (2, 1)):
            inside = start + self.steps[other] * (self.shape[other] - 1) < row
            if row > 1 and self.steps[own] == row and not self.steps[0] and inside:
                return f"rows[{names[own]}] * {row} + {names[other]} * {self.steps[other]} + {start}"
        found = (f"{name} * {step}" for name, step in zip(names, self.steps, strict=True) if step)
        return self.place.index(" + ".join(found) or "0")

    def together(self, *, any_edge: bool) -> int:
        """How many numbers can be fetched at once, up to 16 bytes."""
        if self.place is None or (self.steps[2] if self.along else self.steps[1]) != 1:
            return 1
        if not self.along and any_edge:
            return 1
        start, size = self.place.start // self.place.itemsize, self.place.itemsize
        across = self.steps[1] if self.along else self.steps[2]
        numbers = (self.steps[0], across, start, self.place.row, self.shape[2 if self.along else 1])
        return next(v for v in (16 // size, 8 // size, 1) if all(n % v == 0 for n in numbers))


def operand(place: Place | None, shape: tuple[int, int, int], *, turned: bool) -> Operand:
    """The factor of a shape (z, edge, depth), or, turned, (z, depth, edge)."""
    if place is None:
        return Operand(None)
    size = shape[0] * shape[1] * shape[2]
    form = place.form.reshape(shape) if place.form.size == size else np.broadcast_to(place.form, shape)
    place = place.looking(form)
    z, first, second = (stride // place.itemsize for stride in form.strides)
    z = z if shape[0] > 1 else 0
    if turned:
        return Operand(place, (shape[0], shape[2], shape[1]), (z, second, first))
    return Operand(place, shape, (z, first, second))


class Tiled:
    """Products in C: shared among blocks, all of one by one block, or a block's own rows."""

    def __init__(self, layout: Layout, machine: Machine) -> None:
        self._layout, self._machine = layout, machine
        self.shared = 16
        """Bytes of shared memory that the products so far need."""

    def pieces(self, work: Product, share: int) -> tuple[int, Lines]:
        """A product with a piece for each tile, or for each part of one."""
        tile = self._tiling(self._shape(work), share)
        lines = [f"const int tile = own / {tile.splits}, split = own % {tile.splits}; (void)split;"]
        return tile.items(self._shape(work)), lines + self._tile(work, tile)

    def whole(self, work: Product) -> Lines:
        """A product that one block does alone."""
        tile = self._tiling(self._shape(work), 1, splits=False)
        count = tile.items(self._shape(work))
        return [f"for (int tile = 0; tile < {count}; ++tile) {{", *self._tile(work, tile), "}"]

    def _tile(self, work: Product, tile: Tiling) -> Lines:
        """The tile number ``tile``, summed over all its depths or those of the part number ``split``."""
        _, m, n, k = work.shape
        down, across = -(-m // tile.m), -(-n // tile.n)
        lines = [f"const int z = tile / {down * across}; (void)z;"]
        lines += [f"const int m0 = tile / {across} % {down} * {tile.m}, n0 = tile % {across} * {tile.n};"]
        if tile.splits == 1:
            return [*lines, *self._product(work, tile, str(m), ("0", str(k)), self._end(work))]
        return lines + self._split(work, tile)

    def _split(self, work: Product, tile: Tiling) -> Lines:
        """A part of a tile's depths, and for the last of its blocks the sums."""
        _, m, n, k = work.shape
        kind, count, size = TYPES[work.node.dtype], tile.items(self._shape(work)), tile.m * tile.n
        parts = self._layout.scratch.take(count * size * work.node.dtype.itemsize)
        arrived = self._layout.scratch.take(count // tile.splits * 8)
        first = f"split * {tile.span(k)}"
        kept = [f"parts[split * {size} + at] = sum; (void)m; (void)n;"]
        sizes = f"{kind}, {tile.m}, {tile.n}, {tile.splits}"
        return [
            f"{kind}* const parts = ({kind}*)(scratch + {parts}) + tile * {tile.splits * size};",
            *self._product(work, tile, str(m), (first, least(f"{first} + {tile.span(k)}", k)), kept),
            f"if (last_of((tickets*)(scratch + {arrived}) + tile, {tile.splits}, shared)) {{",
            f"together<{sizes}>(parts, m0, {m}, n0, {n}, {_function(kind, self._end(work))});",
            "}",
        ]

    def rows(self, work: Product, rows: int) -> Lines:
        """A product's rows first .. last, which may be those of several of the matrices."""
        _, m, n, k = work.shape
        tile = self._tiling(replace(self._shape(work), many=1, m=min(rows, m)), 1, splits=False)
        return [
            f"for (int row = first; row < last;) {{ const int z = row / {m}, m0 = row % {m}; (void)z;",
            f"const int m1 = {least('m0 + last - row', m)};",
            f"for (int n0 = 0; n0 < {n}; n0 += {tile.n}) {{",
            *self._product(work, tile, "m1", ("0", str(k)), self._end(work)),
            "}",
            f"row += {least('m1 - m0', tile.m)};",
            "}",
        ]

    def _end(self, work: Product) -> Lines:
        """What is done with a number of the result."""
        _, m, n, _ = work.shape
        return [f"const int i = (z * {m} + m) * {n} + n; (void)i; (void)at;", *body(self._layout, work)]

    def _product(self, work: Product, tile: Tiling, m1: str, ks: tuple[str, str], end: Lines) -> Lines:
        """The call for a tile: up to row ``m1``, over the depths ``ks``."""
        kind, (a, b) = TYPES[work.node.dtype], self._factors(work)
        va, vb = a.together(any_edge=m1 == "m1"), b.together(any_edge=False)
        layouts = [str(a.along).lower(), va, str(b.along).lower(), vb]
        numbers = ", ".join(map(str, [kind, tile.m, tile.n, tile.depth, tile.stages, *layouts]))
        return [
            f"product<{numbers}>(shared, m0, {m1}, n0, {work.shape[2]}, {', '.join(ks)},",
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


def _fetching(one: Operand, kind: str, edge: str, v: int) -> str:
    """A function that fetches numbers of a factor."""
    head = f"[&]({kind}* to, int {edge}, int k) {{ "
    if one.place is None:
        return f"{head}(void){edge}; (void)k; *to = 1; }}"
    return f"{head}(void){edge}; (void)k; fetch<{v}>(to, &{one.place.pointer()}[{one.index(edge)}]); }}"


def _function(kind: str, lines: Lines) -> str:
    """A function that is given a number of a product."""
    return "\n".join([f"[&](int m, int n, int at, {kind} sum) {{", *lines, "}"])


def least(a: str, b: int) -> str:
    """The smaller of two numbers in C."""
    return f"({a} < {b} ? {a} : {b})"
