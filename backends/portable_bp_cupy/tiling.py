"""How a product is cut in tiles, one a block at a time: by an estimate of what each size costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from portable_bp_cupy.layout import Place

SHARED = 46 * 1024
"""Bytes of a block's shared memory that its two buffers for tiles may take; 48 KiB is what every GPU gives unasked."""
EDGES = (4, 8, 16, 32, 64)
SPLITS = (1, 2, 4, 8, 16)
SHALLOW = 64
"""Depths that are not split any further."""
LATENCY, BYTES, GATHERED = 1500, 32, 2000
"""Cycles to get a tile's first numbers; bytes a cycle that a block gets from the cache of all; cycles that adding up
the parts of a split product takes. Orders of magnitude, as known of a Hopper GPU."""


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


@dataclass(frozen=True)
class Tiling:
    """Tiles of m × n, in steps of ``depth`` numbers, the depths shared among ``splits`` blocks."""

    m: int
    n: int
    depth: int
    splits: int = 1

    def items(self, shape: tuple[int, int, int, int]) -> int:
        """Number of pieces of work."""
        return shape[0] * -(-shape[1] // self.m) * -(-shape[2] // self.n) * self.splits

    def span(self, k: int) -> int:
        """Depths of one split."""
        return _up(-(-k // self.splits), 4)

    def cost(self, shape: tuple[int, int, int, int], blocks: int, threads: int, size: int) -> float:
        """Cycles, about."""
        k = self.span(shape[3])
        waves = -(-self.items(shape) // blocks)
        computing = self.m * self.n * k / 64 * size / 4
        fetching = (self.m + self.n) * k * size / BYTES
        adding = 16 * threads * size / BYTES + (GATHERED if self.splits > 1 else 0)
        return waves * (max(computing, fetching) + LATENCY + adding)


def tiling(
    shape: tuple[int, int, int, int],
    blocks: int,
    threads: int,
    size: int,
    along: tuple[bool, bool],
    rows: int = 0,
    *,
    splits: bool = True,
) -> Tiling:
    """The tiling that seems to cost least; ``rows``: each block has so many rows of its own."""
    possible = _possible(shape, threads, size, along, splits=splits)
    mine = (1, rows, *shape[2:]) if rows else shape
    return min(possible, key=lambda one: one.cost(mine, 1 if rows else blocks, threads, size))


def _possible(
    shape: tuple[int, int, int, int], threads: int, size: int, along: tuple[bool, bool], *, splits: bool
) -> Iterator[Tiling]:
    for m in EDGES:
        for n in EDGES:
            if not 64 <= m * n * 256 // threads <= 16 * 256:
                continue
            for parts in SPLITS if splits else (1,):
                if parts == 1 or shape[3] // parts >= SHALLOW:
                    yield Tiling(m, n, _depth(m, n, -(-shape[3] // parts), size, along), parts)


def _depth(m: int, n: int, k: int, size: int, along: tuple[bool, bool]) -> int:
    """Depths that are in shared memory at once: as few even steps as fit in."""
    largest = max(d for d in range(4, 1025, 4) if d == 4 or 2 * size * _numbers(m, n, d, size, along) <= SHARED)
    steps = -(-k // largest)
    return min(largest, _up(-(-k // steps), 4))


def _numbers(m: int, n: int, depth: int, size: int, along: tuple[bool, bool]) -> int:
    lines = ((edge, depth) if own else (depth, edge) for edge, own in zip((m, n), along, strict=True))
    return sum(count * _pitch(length, size) for count, length in lines)


def _pitch(length: int, size: int) -> int:
    """As `pitch` in tiles.cu."""
    return (-(-length * size // 16) | 1) * 16 // size


def shared_bytes(tile: Tiling, threads: int, size: int, along: tuple[bool, bool]) -> int:
    """Shared memory that a product of this tiling takes."""
    return max(2 * size * _numbers(tile.m, tile.n, tile.depth, size, along), 16 * threads * size)


def _up(n: int, to: int) -> int:
    return -(-n // to) * to
