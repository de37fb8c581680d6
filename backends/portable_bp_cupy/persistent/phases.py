"""The works of a step in phases: all works of a phase run side by side, and all blocks wait between two phases.

Waiting for every block takes about as long as a small product. So works that follow each other share a phase where
each block goes on with what it has itself computed: with its own rows of a batch, through products with narrow weights,
a softmax and back; or alone, with works so small that one block does them as fast as all. Such a chain is a strand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import prod

from portable_bp_cupy.persistent.works import Product, Work, needs
from portable_bp_numpy.recording import Node


class Split(Enum):
    """How a strand is shared among blocks."""

    ALONE = "one block does all of it"
    ROWS = "each block has some rows of its arrays"
    APART = "each block has some numbers, or a tile, of its only work"


@dataclass(frozen=True)
class Limits:
    """Sizes that decide how works are shared; orders of magnitude, from how long a barrier takes (1 to 2 µs)."""

    alone: int = 2048
    """Numbers, or multiplications, that one block does at once: each thread some ten."""
    alone_after: int = 32768
    """The same where it saves a barrier to go on with a block's own results."""
    factor: int = 128 * 1024
    """Bytes of a right factor which every block may read for itself: all of them together 17 MB, some 3 µs."""


@dataclass(eq=False)
class Strand:
    """Works of one phase that follow each other within each block; ``lead``: shape of the rows."""

    split: Split
    works: list[Work]
    lead: tuple[int, ...] = ()
    levels: list[list[Work]] = field(default_factory=list)
    """The works once more, those that don't need each other together."""

    @property
    def amount(self) -> int:
        """About how many numbers are computed."""
        return sum(work.amount for work in self.works)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return prod(self.lead)


Phase = list[Strand]


def phases(some: Sequence[Work], limits: Limits = Limits()) -> list[Phase]:
    """The works, each as early as its strand or its phase allows."""
    plan = _Plan(some, limits)
    for work in some:
        plan.put(work)
    found = [list(dict.fromkeys(plan.strands[work] for work in some if plan.when[work] == i)) for i in plan.numbers]
    alone = all(strand.split is Split.ALONE for strand in found[0])
    if len(found) == 1 and alone and sum(strand.amount for strand in found[0]) <= limits.alone_after:
        found = [[_merged(found[0], some)]]  # a single block needs no barrier at all
    for strand in [strand for phase in found for strand in phase]:
        strand.levels = _levels(strand.works, plan.before)
    return found


class _Plan:
    """Which strand and phase each work has been put in."""

    def __init__(self, some: Sequence[Work], limits: Limits) -> None:
        self.order, self.limits, self.before = list(some), limits, needs(some)
        self.strands: dict[Work, Strand] = {}
        self.when: dict[Work, int] = {}

    @property
    def numbers(self) -> range:
        """Numbers of the phases."""
        return range(max(self.when.values()) + 1)

    def put(self, work: Work) -> None:
        """Put a work into the strand of those that it needs, or into a phase behind them."""
        phase = max((self.when[own] for own in self.before[work]), default=0)
        same = [own for own in self.before[work] if self.when[own] == phase]
        strand = self._continued(work, same) if same else None
        self.when[work] = phase if strand or not same else phase + 1
        strand = strand or self._new(work)
        self.strands[work] = strand
        if work not in strand.works:
            strand.works.append(work)

    def _continued(self, work: Work, same: Sequence[Work]) -> Strand | None:
        """The strand that can take the work in, where all that it needs of this phase is there."""
        found = list(dict.fromkeys(self.strands[own] for own in same))
        if all(strand.split is Split.ALONE for strand in found):
            return self._joined(found) if work.amount <= self.limits.alone_after else None
        if len(found) > 1 or found[0].split is not Split.ROWS:
            return None
        return found[0] if goes_on(work, found[0].lead, found[0].works, self.limits) else None

    def _joined(self, found: Sequence[Strand]) -> Strand:
        if len(found) == 1:
            return found[0]
        whole = _merged(found, self.order)
        self.strands.update(dict.fromkeys(whole.works, whole))
        return whole

    def _new(self, work: Work) -> Strand:
        if work.amount <= self.limits.alone:
            return Strand(Split.ALONE, [work])
        lead = _lead(work)
        followers = [own for own in self.order if work in self.before[own]]
        wanted = lead and goes_on(work, lead, [], self.limits)
        if wanted and any(goes_on(own, lead, [work], self.limits) for own in followers):
            return Strand(Split.ROWS, [work], lead)
        return Strand(Split.APART, [work])


def _merged(strands: Sequence[Strand], order: Sequence[Work]) -> Strand:
    inside = {work for strand in strands for work in strand.works}
    return Strand(Split.ALONE, [work for work in order if work in inside])


def _lead(work: Work) -> tuple[int, ...]:
    """Shape of the rows that the work could be shared by."""
    if isinstance(work, Product):
        return work.node.shape[:-1]
    return work.group.lead if work.group.narrow else work.group.lead[:-1]


def goes_on(work: Work, lead: tuple[int, ...], earlier: Sequence[Work], limits: Limits) -> bool:
    """Whether a block can do its rows of the work after its own rows of the ``earlier`` ones, knowing no others'."""
    if type(work) not in (Work, Product) or not lead:
        return False
    made = {node for own in earlier for node in own.made}
    shape = work.node.shape if isinstance(work, Product) else work.group.shape
    if not _has_rows(shape, lead) or any(isinstance(store.to, Node) for store in work.stores):
        return False
    if isinstance(work, Product):
        _, _, n, k = work.shape
        apart = not isinstance(work.b, Node) or work.b.owner not in made
        if work.a is None or work.node.shape[:-1] != lead or not apart:
            return False
        if work.b is not None and n * k * work.node.dtype.itemsize > limits.factor:
            return False
    return all(_own_row(x, shape, lead) for x in work.read if x.owner in made)


def _own_row(x: Node, shape: tuple[int, ...], lead: tuple[int, ...]) -> bool:
    """Whether each row of a work of this shape reads the row of ``x`` with its own number, and no other.

    ``x`` may be another shape of the same memory in the same order.
    """
    aligned = len(x.shape) == len(shape) and _has_rows(x.shape, lead) and _has_rows(x.owner.shape, lead)
    same_order = x.base is None or (x.size == x.owner.size and _in_order(x))
    return aligned and same_order


def _in_order(x: Node) -> bool:
    """Whether a view has its owner's numbers in their order: only axes of length 1 have come or gone."""
    y = x
    while y.base is not None:
        if [n for n in y.shape if n > 1] != [n for n in y.base.shape if n > 1] or _turns(y):
            return False
        y = y.base
    return True


def _turns(x: Node) -> bool:
    return getattr(x.function, "__name__", "") not in ("expand_dims", "reshape", "squeeze")


def _has_rows(shape: tuple[int, ...], lead: tuple[int, ...]) -> bool:
    return shape[: len(lead)] == lead


def _levels(some: Sequence[Work], before: Mapping[Work, Sequence[Work]]) -> list[list[Work]]:
    level: dict[Work, int] = {}
    for work in some:
        level[work] = max((level[own] + 1 for own in before[work] if own in level), default=0)
    return [[work for work in some if level[work] == i] for i in range(max(level.values()) + 1)]


def shares(phase: Phase, blocks: int) -> Iterator[tuple[Strand, int]]:
    """About how many blocks each strand of the phase has for itself, by its amount of work."""
    alone = sum(strand.split is Split.ALONE for strand in phase)
    total = sum(strand.amount for strand in phase if strand.split is not Split.ALONE)
    for strand in phase:
        part = strand.amount * max(blocks - alone, 1) // max(total, 1)
        yield strand, 1 if strand.split is Split.ALONE else max(1, part)
