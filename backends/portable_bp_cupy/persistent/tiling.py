"""How a product is cut in tiles, one a block at a time: by an estimate of what each size costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

EDGES = (4, 8, 16, 32, 64)
SPLITS = (1, 2, 4, 8, 16)
SHALLOW = 64
"""Depths that are not split any further, among blocks or in time."""
STAGES = 4
"""Parts of a tile that are on their way, or being worked on, at a time."""
LATENCY, BYTES, GATHERED = 1500, 32, 2000
"""Cycles to get a tile's first numbers; bytes a cycle that a block gets from the cache of all; cycles that adding up
the parts of a split product takes. Orders of magnitude, as known of a Hopper GPU."""


@dataclass(frozen=True)
class Machine:
    """What the kernel runs on: blocks at a time, threads of a block, bytes of a block's shared memory."""

    blocks: int
    threads: int
    shared: int


@dataclass(frozen=True)
class Shape:
    """A product: how many, m × n, k deep, of numbers of so many bytes; whether the factors' lines lie along k."""

    many: int
    m: int
    n: int
    k: int
    size: int
    along: tuple[bool, bool]


@dataclass(frozen=True)
class Tiling:
    """Tiles of m × n, the depths shared among ``splits`` blocks, and ``depth`` of them fetched at a time."""

    m: int
    n: int
    splits: int
    depth: int
    stages: int

    def items(self, shape: Shape) -> int:
        """Number of pieces of work."""
        return shape.many * -(-shape.m // self.m) * -(-shape.n // self.n) * self.splits

    def span(self, k: int) -> int:
        """Depths of one split."""
        return _up(-(-k // self.splits), 4)

    def cost(self, shape: Shape, blocks: int, threads: int) -> float:
        """Cycles, about."""
        k = self.span(shape.k)
        computing = self.m * self.n * k / 64 * shape.size / 4
        fetching = (self.m + self.n) * k * shape.size / BYTES
        adding = 16 * threads * shape.size / BYTES + (GATHERED if self.splits > 1 else 0)
        return -(-self.items(shape) // blocks) * (max(computing, fetching) + LATENCY + adding)

    def bytes(self, shape: Shape, threads: int) -> int:
        """Shared memory that it takes: for the parts of the factors, then for the sums of all threads."""
        return max(self.stages * _part(self.m, self.n, self.depth, shape), 16 * threads * shape.size)


def tiling(shape: Shape, machine: Machine, share: int, *, splits: bool = True) -> Tiling:
    """The tiling that seems to cost least on a ``share`` of the blocks."""
    possible = _possible(shape, machine, splits=splits)
    return min(possible, key=lambda one: one.cost(shape, share, machine.threads))


def _possible(shape: Shape, machine: Machine, *, splits: bool) -> Iterator[Tiling]:
    for m in EDGES:
        for n in EDGES:
            if not 64 <= m * n * 256 // machine.threads <= 16 * 256:
                continue
            for parts in SPLITS if splits else (1,):
                if parts == 1 or shape.k // parts >= SHALLOW:
                    depth, stages = _stages(m, n, _up(-(-shape.k // parts), 4), shape, machine.shared)
                    yield Tiling(m, n, parts, depth, stages)


def _stages(m: int, n: int, k: int, shape: Shape, shared: int) -> tuple[int, int]:
    """Depths of a part, and how many parts are in shared memory: some, so that one comes while another is used."""
    parts = max(1, min(STAGES, k // SHALLOW))
    while min(parts, STAGES) * _part(m, n, _up(-(-k // parts), 4), shape) > shared:
        parts += 1
    return _up(-(-k // parts), 4), min(parts, STAGES)


def _part(m: int, n: int, depth: int, shape: Shape) -> int:
    """Bytes of a part of both factors."""
    lines = ((edge, depth) if own else (depth, edge) for edge, own in zip((m, n), shape.along, strict=True))
    return shape.size * sum(count * _pitch(length, shape.size) for count, length in lines)


def _pitch(length: int, size: int) -> int:
    """As `pitch` in tiles.cu."""
    return (-(-length * size // 16) | 1) * 16 // size


def _up(n: int, to: int) -> int:
    return -(-n // to) * to
