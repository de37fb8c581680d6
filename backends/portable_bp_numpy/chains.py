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
from portable_bp_numpy.planning import Places, Plan, Pool
from portable_bp_numpy.recording import Recorded

STRETCH = 65536
"""Numbers in one stretch: Adam's five arrays of float32 are then 160 kB, well inside a second-level cache."""
Path = tuple[Any, ...]


@dataclass
class Chain:
    """The elementwise operations that turn the arrays of one place, (layer, name), into their successors.

    ``slots``: the place's own arrays by the rest of their path; ``results``: what they become; ``given``: the arrays of
    the same shape that come from elsewhere, which are gradients.
    """

    slots: dict[Path, Recorded]
    results: dict[Path, Recorded]
    nodes: list[Recorded] = field(default_factory=list)
    given: list[Recorded] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Number of elements of each array."""
        return next(iter(self.slots.values())).size

    def key(self) -> Any:
        """Equal for chains that do the same."""
        names: dict[Recorded, Any] = {leaf: slot for slot, leaf in self.slots.items()}
        names.update({x: ("given", i) for i, x in enumerate(self.given)})
        names.update({x: ("operation", i) for i, x in enumerate(self.nodes)})
        did = tuple((node.function, tuple(_name(names, x) for x in node.args)) for node in self.nodes)
        became = tuple((slot, _name(names, x)) for slot, x in self.results.items())
        return did, became, tuple((slot, leaf.dtype) for slot, leaf in self.slots.items())


def _name(names: dict[Recorded, Any], x: Any) -> Any:
    return names.get(x, x) if isinstance(x, Recorded) else (x.dtype, x.tobytes())


def chains(tape: Sequence[Recorded], leaves: Mapping[Path, Recorded], results: Mapping[Path, Any]) -> list[list[Chain]]:
    """The chains of a recording, equal ones together."""
    users: defaultdict[Recorded, set[Recorded]] = defaultdict(set)
    for node in tape:
        for x in node.inputs:
            users[x].add(node)
    found: defaultdict[Any, list[Chain]] = defaultdict(list)
    for places in _by_place(leaves).values():
        slots = {path[:-2]: leaves[path] for path in places}
        became = {path[:-2]: results[path] for path in places}
        if len({leaf.shape for leaf in slots.values()}) == 1 and all(isinstance(x, Recorded) for x in became.values()):
            chain = _chain(Chain(slots, became), tape, users)
            if chain.nodes:
                found[chain.key()].append(chain)
    return list(found.values())


def _by_place(leaves: Mapping[Path, Recorded]) -> dict[Path, list[Path]]:
    """Paths such as ("optimizer", "m", 0, "weight") by their ends (0, "weight")."""
    found: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in leaves:
        if len(path) > 2 and isinstance(path[-2], int):
            found[path[-2:]].append(path)
    return found


def _chain(chain: Chain, tape: Sequence[Recorded], users: Mapping[Recorded, set[Recorded]]) -> Chain:
    """Fill in the operations between the place's arrays and their successors, and what comes in from outside."""
    shape, leaves, inside = next(iter(chain.slots.values())).shape, set(chain.slots.values()), set[Recorded]()
    results = set(chain.results.values())
    for node in reversed(tape):
        fits = node.elementwise and node.shape == shape and all(_simple(x, shape) for x in node.args)
        if fits and users[node] <= inside and (users[node] or node in results):
            inside.add(node)
    chain.nodes = [node for node in tape if node in inside]
    read = dict.fromkeys(x for node in chain.nodes for x in node.inputs)
    chain.given = [x for x in read if x.shape == shape and x not in inside and x not in leaves]
    if not results <= inside | leaves | set(chain.given):  # what they become is computed otherwise
        chain.nodes = []
    return chain


def _simple(x: Any, shape: tuple[int, ...]) -> bool:
    """Whether an argument is the same for all elements, or a recorded array with an element for each."""
    return x.shape == () or (isinstance(x, Recorded) and x.shape == shape)


@dataclass
class Joined:
    """Equal chains, laid out one behind the other."""

    members: list[Chain]
    long: dict[Any, Any] = field(default_factory=dict)

    def lay_out(self, places: Places) -> dict[Recorded, Any]:
        """Give every array its part of a long one; returns the places of what the chains are given."""
        first, size = self.members[0], sum(chain.size for chain in self.members)
        for slot, leaf in first.slots.items():
            self.long[slot] = np.empty(size, leaf.dtype)
        for number, x in enumerate(first.given):
            self.long[number] = np.empty(size, x.dtype)
        start, given = 0, {}
        for chain in self.members:
            part = slice(start, start + chain.size)
            places.update({leaf: self.long[slot][part].reshape(leaf.shape) for slot, leaf in chain.slots.items()})
            given.update({x: self.long[i][part].reshape(x.shape) for i, x in enumerate(chain.given)})
            start = part.stop
        return given

    def calls(self, places: Places) -> list[Call]:
        """The chain's calls on one stretch after the other."""
        pool, size, calls = Pool(), sum(chain.size for chain in self.members), []
        for start in range(0, size, STRETCH):
            calls += self._stretch(slice(start, min(start + STRETCH, size)), places, pool)
        return calls

    def _stretch(self, part: slice, everywhere: Places, pool: Pool) -> list[Call]:
        chain = self.members[0]
        places = {leaf: self.long[slot][part] for slot, leaf in chain.slots.items()}
        places.update({x: self.long[number][part] for number, x in enumerate(chain.given)})
        others = {x for node in chain.nodes for x in node.inputs} - set(places) - set(chain.nodes)
        places.update({x: everywhere[x] for x in others})
        return Plan(places, pool, shape=(part.stop - part.start,)).calls(chain.nodes, chain.slots, chain.results)
