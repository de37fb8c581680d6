"""CUDA C for what the blocks do between two barriers: the pieces of a phase's strands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from portable_bp_cupy.persistent.bodies import Lines, body
from portable_bp_cupy.persistent.layout import Layout
from portable_bp_cupy.persistent.phases import Phase, Split, Strand, shares
from portable_bp_cupy.persistent.tiled import Tiled, least
from portable_bp_cupy.persistent.tiling import Machine
from portable_bp_cupy.persistent.works import Product, Work
from portable_bp_cupy.units import threads


class Blocks:
    """The pieces of phases for the blocks of a machine, in C."""

    def __init__(self, layout: Layout, machine: Machine) -> None:
        self._layout, self._machine = layout, machine
        self.products = Tiled(layout, machine)
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
            return self.products.pieces(work, share) if isinstance(work, Product) else self._numbers(work, share)
        if strand.split is Split.ALONE:
            return 1, _in_turn((level, self._alone(level)) for level in strand.levels)
        rows = -(-strand.rows // share)
        head = f"const int first = own * {rows}, last = {least(f'first + {rows}', strand.rows)};"
        lines = _in_turn((level, self._level(level, rows, strand.rows)) for level in strand.levels)
        return -(-strand.rows // rows), [head, *lines]

    def _level(self, level: Sequence[Work], rows: int, of: int) -> Iterator[str]:
        for work in level:
            own = self.products.rows(work, rows) if isinstance(work, Product) else self._some(work, of)
            yield from ("{", *own, "}")

    def _alone(self, level: Sequence[Work]) -> Iterator[str]:
        for work in level:
            if isinstance(work, Product):
                yield from self.products.whole(work)
            else:
                yield from self._loop(work, "0", str(threads(work.group)))

    def _numbers(self, work: Work, share: int) -> tuple[int, Lines]:
        """Work number by number, each piece some that lie side by side."""
        count = threads(work.group)
        per = -(-count // min(share, -(-count // self._machine.threads)))
        return -(-count // per), self._loop(work, f"own * {per}", least(f"own * {per} + {per}", count))

    def _some(self, work: Work, rows: int) -> Lines:
        """The numbers of the strand's own rows."""
        per = threads(work.group) // rows
        return self._loop(work, f"first * {per}", f"last * {per}")

    def _loop(self, work: Work, start: str, end: str) -> Lines:
        return [f"for (int i = {start} + threadIdx.x; i < {end}; i += THREADS) {{", *body(self._layout, work), "}"]


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
