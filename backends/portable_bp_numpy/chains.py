"""Equal chains of elementwise operations on many arrays, to be computed once on one long array.

An optimizer does the same with every weight and bias. Where the recording shows that, parameters, gradients and
averages are laid one behind the other, and each operation is called for all of them at once; or rather for one stretch
after the other, each short enough to stay in the processor's cache from operation to operation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from portable_bp_numpy.calls import Call
from portable_bp_numpy.fused import LEAST, fused
from portable_bp_numpy.planning import Places, Plan, Pool
from portable_bp_numpy.recording import Node

STRETCH = 65536
"""Numbers in one stretch. Shorter ones lie nearer to the processor, but each call costs as much as 4,000 numbers."""
Path = tuple[Any, ...]


@dataclass
class Chain:
    """The elementwise operations that turn the arrays of one place, (layer, name), into their successors.

    ``slots``: the place's own arrays by the rest of their path; ``results``: what they become; ``given``: the arrays of
    the same shape that come from elsewhere, which are gradients.
    """

    slots: dict[Path, Node]
    results: dict[Path, Node]
    nodes: list[Node] = field(default_factory=list)
    given: list[Node] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Number of elements of each array."""
        return next(iter(self.slots.values())).size

    def key(self) -> Any:
        """Equal for chains that do the same."""
        names: dict[Node, Any] = {leaf: slot for slot, leaf in self.slots.items()}
        names.update({x: ("given", i) for i, x in enumerate(self.given)})
        names.update({x: ("operation", i) for i, x in enumerate(self.nodes)})
        did = tuple((node.function, tuple(_name(names, x) for x in node.args)) for node in self.nodes)
        became = tuple((slot, _name(names, x)) for slot, x in self.results.items())
        return did, became, tuple((slot, leaf.dtype) for slot, leaf in self.slots.items())


def _name(names: dict[Node, Any], x: Any) -> Any:
    return (x.dtype, x.tobytes()) if isinstance(x, np.ndarray) else names.get(x, x)


def chains(tape: Sequence[Node], leaves: Mapping[Path, Node], results: Mapping[Path, Any], loss: Node) -> list[Joined]:
    """The chains of a recording, equal ones together."""
    users: defaultdict[Node, set[Node]] = defaultdict(set)
    for node in tape:
        for x in node.inputs:
            users[x].add(node)
    found: defaultdict[Any, list[Chain]] = defaultdict(list)
    for paths in _by_place(leaves).values():
        chain = Chain({path[:-2]: leaves[path] for path in paths}, {path[:-2]: results[path] for path in paths})
        shapes = {leaf.shape for leaf in chain.slots.values()}
        if len(shapes) == 1 and shapes != {()}:  # single numbers may be read by other chains
            wanted = {x for path, x in results.items() if path not in paths and isinstance(x, Node)}
            _fill(chain, tape, users, {loss, *wanted})
        if chain.nodes:
            found[chain.key()].append(chain)
    return [Joined(members) for members in found.values()]


def _by_place(leaves: Mapping[Path, Node]) -> dict[Path, list[Path]]:
    """Paths such as ("optimizer", "m", 0, "weight") by their ends (0, "weight")."""
    found: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in leaves:
        if len(path) > 2 and isinstance(path[-2], int):
            found[path[-2:]].append(path)
    return found


def _fill(chain: Chain, tape: Sequence[Node], users: Mapping[Node, set[Node]], elsewhere: set[Node]) -> None:
    """Find the operations between the place's arrays and their successors, and what comes in from outside.

    No operation is among them whose result is read by others, or wanted ``elsewhere``.
    """
    leaves, inside = set(chain.slots.values()), set[Node]()
    results = {x for x in chain.results.values() if isinstance(x, Node)}
    shape = next(iter(leaves)).shape
    for node in reversed(tape):
        fits = node.elementwise and node.shape == shape and all(_simple(x, shape) for x in node.args)
        own = users[node] <= inside and (users[node] or node in results) and node not in elsewhere
        if fits and own:
            inside.add(node)
    nodes = [node for node in tape if node in inside]
    read = dict.fromkeys(x for node in nodes for x in node.inputs)
    given = [x for x in read if x.shape == shape and x not in inside and x not in leaves]
    if results <= inside | leaves | set(given) and all(isinstance(x, Node) for x in chain.results.values()):
        chain.nodes, chain.given = nodes, given


def _simple(x: Any, shape: tuple[int, ...]) -> bool:
    """Whether an argument is one number or dtype for all elements, or a recorded array with an element for each."""
    return x.shape == () or (isinstance(x, Node) and x.shape == shape)


@dataclass
class Joined:
    """Equal chains, laid out one behind the other."""

    members: list[Chain]
    long: dict[Any, Any] = field(default_factory=dict)

    def lay_out(self, places: Places, empty: Callable[[Any, Any], Any] = np.empty) -> list[tuple[Node, Any]]:
        """Give every array its part of a long one; returns where what the chains are given must go."""
        first, size = self.members[0], self.size
        for slot, leaf in first.slots.items():
            self.long[slot] = empty(size, leaf.dtype)
        for number, x in enumerate(first.given):
            self.long[number] = empty(size, x.dtype)
        start = 0
        given: list[tuple[Node, Any]] = []
        for chain in self.members:
            part = slice(start, start + chain.size)
            places.update({leaf: self.long[slot][part].reshape(leaf.shape) for slot, leaf in chain.slots.items()})
            given += [(x, self.long[i][part].reshape(x.shape)) for i, x in enumerate(chain.given)]
            start = part.stop
        return given

    @property
    def size(self) -> int:
        """Number of elements of all the members' arrays together."""
        return sum(chain.size for chain in self.members)

    def calls(self, places: Places) -> list[Call]:
        """The chain's calls on one stretch after the other."""
        pool, calls = Pool(), []
        for start in range(0, self.size, STRETCH):
            part = slice(start, min(start + STRETCH, self.size))
            plan = Plan(self._read(part, places), pool, shape=(part.stop - part.start,))
            first = self.members[0]
            own, ends = plan.calls(first.nodes, first.slots, first.results)
            calls += own + ends
        return calls

    def compiled(self, places: Places) -> list[Call] | None:
        """The chain as one compiled loop, None where that is not possible or not worth it."""
        first = self.members[0]
        changed = [(first.slots[slot], new) for slot, new in first.results.items() if new is not first.slots[slot]]
        worth = self.size >= LEAST and len(first.nodes) > 1  # a single operation is one loop already
        loop = fused(first.nodes, changed, self._read(slice(None), places)) if worth else None
        return None if loop is None else [loop]

    def _read(self, part: slice, everywhere: Places) -> Places:
        """Where the arrays lie that the first member reads: a part of the long ones, and single numbers."""
        chain = self.members[0]
        places = {leaf: self.long[slot][part] for slot, leaf in chain.slots.items()}
        places.update({x: self.long[number][part] for number, x in enumerate(chain.given)})
        others = {x: None for node in chain.nodes for x in node.inputs if x not in places and x not in chain.nodes}
        return {**places, **{x: everywhere[x] for x in others}}
