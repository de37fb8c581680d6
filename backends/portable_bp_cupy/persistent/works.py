"""The works of a step: what one loop of a block, or one product by tiles, computes of a recording."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from portable_bp_cupy.expressions import operands
from portable_bp_cupy.units import Group, threads
from portable_bp_numpy.recording import Node


@dataclass(frozen=True)
class Store:
    """A copy of something read to a leaf, named by its path, or to the part of a node's memory at an index."""

    x: Any
    to: Any
    part: Any = ...


@dataclass(eq=False)
class Work:
    """What is computed in one go: the operations of ``group``, and ``stores``."""

    group: Group
    stores: list[Store] = field(default_factory=list)

    @property
    def nodes(self) -> list[Node]:
        """The operations."""
        return self.group.nodes

    @property
    def made(self) -> list[Node]:
        """Arrays that are there, or there in part, when it is done."""
        return [*self.nodes, *(store.to for store in self.stores if isinstance(store.to, Node))]

    @property
    def read(self) -> list[Node]:
        """Recorded arrays that come from elsewhere."""
        own = set(self.nodes)
        found = [x for node in self.group.nodes for x in operands(node)] + [store.x for store in self.stores]
        return [x for x in dict.fromkeys(x for x in found if isinstance(x, Node)) if x not in own]

    @property
    def amount(self) -> int:
        """About how many numbers are computed."""
        return threads(self.group) * self.group.width * (len(self.group.nodes) + len(self.stores))


@dataclass(eq=False)
class Product(Work):
    """A product of a (…, m, k) and b (…, k, n), of which None has ones everywhere; ``group`` works on its result."""

    node: Node = field(kw_only=True)
    a: Any = field(kw_only=True)
    b: Any = field(kw_only=True)
    shape: tuple[int, int, int, int] = field(kw_only=True)
    """Number of products, m, n, k."""

    @property
    def nodes(self) -> list[Node]:
        return [self.node, *self.group.nodes]

    @property
    def operands(self) -> list[Node]:
        """Those of a and b that are recorded arrays."""
        return [x for x in (self.a, self.b) if isinstance(x, Node)]

    @property
    def read(self) -> list[Node]:
        return list(dict.fromkeys([*self.operands, *(x for x in super().read if x is not self.node)]))

    @property
    def amount(self) -> int:
        return prod(self.shape)


@dataclass(eq=False)
class Single(Work):
    """A single operation."""

    node: Node = field(kw_only=True)

    @property
    def nodes(self) -> list[Node]:
        return [self.node]

    @property
    def read(self) -> list[Node]:
        return self.node.inputs


@dataclass(eq=False)
class Extreme(Single):
    """The largest or smallest numbers along an axis; ``group`` has the shape without it."""

    axis: int = field(kw_only=True)

    @property
    def amount(self) -> int:
        return int(self.node.inputs[0].size)


@dataclass(eq=False)
class Taken(Single):
    """Numbers of a table, by an array of indices."""

    table: Any = field(kw_only=True)
    index: Node = field(kw_only=True)


def makers(some: Sequence[Work]) -> Mapping[Node, list[Work]]:
    """The works that make each array."""
    found: defaultdict[Node, list[Work]] = defaultdict(list)
    for work in some:
        for node in work.made:
            found[node].append(work)
    return found


def needs(some: Sequence[Work]) -> dict[Work, list[Work]]:
    """The works that must be done before each."""
    made = makers(some)
    return {
        work: [own for own in dict.fromkeys(own for x in work.read for own in made.get(x.owner, ())) if own is not work]
        for work in some
    }


def ordered(some: Sequence[Work]) -> list[Work]:
    """The works, each behind those that it needs."""
    before, done = needs(some), dict[Work, None]()

    def put(work: Work) -> None:
        if work not in done:
            for own in before[work]:
                put(own)
            done[work] = None

    for work in some:
        put(work)
    return list(done)
