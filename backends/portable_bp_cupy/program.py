"""A recorded step as a list of launches, with a place on the device for everything that is computed.

Up to the gradients the operations run in units; then one kernel a chain of the optimizer, over all parameters at once,
in place; at the end what is left of the new state is written over the old one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from portable_bp_cupy.expressions import pattern
from portable_bp_cupy.kernels import Kernel, on_host
from portable_bp_cupy.recorded import Recording
from portable_bp_cupy.units import Group, Unit, adds_columns, outside, parts, units
from portable_bp_cupy.workbench import Call, Workbench
from portable_bp_numpy.chains import Joined, chains
from portable_bp_numpy.planning import Places, Pool
from portable_bp_numpy.recording import Node, replaced

Pair = tuple[Any, Any]
"""Something read or computed, and the array in which it is to be stored."""


class Program:
    """The calls of a step, `calls`, and where state, batch and loss lie."""

    def __init__(self, bench: Workbench, recording: Recording) -> None:
        self._bench, self._kernels, self._planned = bench, list[Kernel](), list[Kernel | list[Call]]()
        self._constants: dict[int, Any] = {}
        self._kept_alive: list[Any] = [recording]  # constants are known by their id
        empty = bench.empty
        self.places: Places = {x: empty(x.shape, x.dtype) for x in recording.rows}
        joined = [group for group in _chains(recording) if all(map(pattern, group.members[0].nodes))]
        given = [pair for group in joined for pair in group.lay_out(self.places, empty)]
        for leaf in recording.leaves.values():
            if leaf not in self.places:
                self.places[leaf] = empty(leaf.shape, leaf.dtype)
        self._pinned = {x: place for x, place in given if x.function is not None and x.base is None}
        self._front(recording, joined)
        self._copy([(x, place) for x, place in given if self._pinned.get(x) is not place])
        ends = self._ends(recording, joined)
        for group in joined:
            self._chain(group)
        self._copy(ends)
        self._finish()

    @property
    def source(self) -> str:
        """The generated kernels."""
        return "\n\n".join(kernel.source for kernel in self._kernels)

    def _front(self, recording: Recording, joined: Sequence[Joined]) -> None:
        inside = {node for group in joined for chain in group.members for node in chain.nodes}
        read_later = {x for node in inside for x in node.inputs} - inside
        wanted = {x for x in recording.results.values() if isinstance(x, Node)}
        self._kept = {x.owner for x in (recording.loss, *read_later, *wanted)}
        found = units([node for node in recording.nodes if node not in inside])
        own = {node: number for number, unit in enumerate(found) for node in unit.nodes}
        last: dict[Node, int] = {}
        for number, unit in enumerate(found):
            for x in outside(unit):
                if isinstance(x, Node):
                    last[x.owner] = number
        self._pinned.update(self._in_place(recording, joined, found, last, read_later))
        escaping = set(last) | self._kept
        escaping |= {x for unit in found for x in outside(unit) if isinstance(x, Node)}
        pool, pooled = Pool(self._bench.empty), set[Node]()
        for number, unit in enumerate(found):
            outs = [node for node in unit.nodes if node in escaping or not isinstance(unit, Group)]
            for node in outs:
                self.places[node] = self._pinned[node] if node in self._pinned else pool.take(node.shape, node.dtype)
                if node not in self._pinned:
                    pooled.add(node)
            self._unit(unit, outs)
            for x in [x for x in pooled if last.get(x, own[x]) <= number and x not in self._kept]:
                pooled.discard(x)
                pool.give_back(self.places[x])

    def _in_place(
        self, recording: Recording, joined: Sequence[Joined], found: Sequence[Unit], last: Mapping[Node, int], kept: Any
    ) -> Places:
        """Results that may be written over the leaf that they replace: a group computes them, and reads it last.

        Within the group each thread reads the leaf's numbers at its own place only, before it writes there.
        """
        own = {node: number for number, unit in enumerate(found) for node in unit.nodes if isinstance(unit, Group)}
        results = [x for x in recording.results.values() if isinstance(x, Node)]
        others = {x.owner for x in (*kept, *results, *(x for group in joined for x in _given(group)))}
        places: Places = {}
        for path, leaf in recording.leaves.items():
            new = recording.results[path]
            if not isinstance(new, Node) or new not in own or new in {*self._pinned, *places} or leaf in others:
                continue
            last_read = last.get(leaf, -1)
            views = any(x is not leaf and x.owner is leaf for x in _nodes(outside(found[own[new]])))
            if new.shape == leaf.shape and (last_read < own[new] or (last_read == own[new] and not views)):
                places[new] = self.places[leaf]
        return places

    def _unit(self, unit: Unit, outs: Sequence[Node]) -> None:
        if isinstance(unit, Group):
            self._kernel(unit, self._placed, [(node, self.places[node]) for node in outs])
            return
        (node,) = unit.nodes
        out = self.places[node]
        if node.function in (np.stack, np.concatenate):
            self._copy([(x, out[key]) for x, key in parts(node)])
            return
        if adds_columns(node):
            self._planned.append([self._column_sums(self._placed(node.args[0]), out)])
            return
        said = self._argument if isinstance(node.function, np.ufunc) else self._placed
        args, kwargs = (replaced(said, tree) for tree in (node.args, node.kwargs))
        self._planned.append(self._bench.calls_into(out, node.function, args, kwargs))

    def _column_sums(self, x: Any, out: Any) -> Call:
        """Sums of columns as a product with ones, which takes half the time of a kernel that adds them up."""
        ones = self._bench.constant(np.ones((1, x.shape[-2]), np.dtype(x.dtype)))
        self._kept_alive.append(ones)
        return self._bench.products.call(ones, x, out.reshape((*x.shape[:-2], 1, x.shape[-1])), full=True)

    def _chain(self, group: Joined) -> None:
        first = group.members[0]
        long: Mapping[Any, Any] = {leaf: group.long[slot] for slot, leaf in first.slots.items()}
        long = {**long, **{x: group.long[number] for number, x in enumerate(first.given)}}
        changed = [(new, group.long[slot]) for slot, new in first.results.items() if new is not first.slots[slot]]
        whole = Group(first.nodes, (group.size,))
        self._kernel(whole, lambda x: long[x] if isinstance(x, Node) and x in long else self._placed(x), changed)

    def _ends(self, recording: Recording, joined: Sequence[Joined]) -> list[Pair]:
        """What is to be stored at the end; what a leaf holds that may change before is saved now."""
        chained = {leaf for group in joined for chain in group.members for leaf in chain.slots.values()}
        ends: list[Pair] = []
        for path, leaf in recording.leaves.items():
            new = recording.results[path]
            done = isinstance(new, Node) and self._pinned.get(new) is self.places[leaf]
            if leaf in chained or new is leaf or done:
                continue
            source = new
            if isinstance(new, Node) and new.owner.function is None:
                source = self._bench.empty(new.shape, new.dtype)
                self._copy([(new, source)])
            ends.append((source, self.places[leaf]))
        return ends

    def _copy(self, pairs: Sequence[Pair]) -> None:
        """Store things that are there already: one kernel for all of a shape."""
        by_shape: defaultdict[tuple[int, ...], list[Pair]] = defaultdict(list)
        for x, out in pairs:
            by_shape[tuple(out.shape)].append((x, out))
        for shape, some in by_shape.items():
            self._kernel(Group([], shape), self._placed, some)

    def _kernel(self, group: Group, place: Any, stores: Sequence[Pair]) -> None:
        self._kernels.append(Kernel(f"k{len(self._kernels)}", group, place, stores))
        self._planned.append(self._kernels[-1])

    def _argument(self, x: Any) -> Any:
        """An argument for CuPy's functions, which take no NumPy arrays, but numbers of NumPy's."""
        if on_host(x) and x.shape == ():
            return x[()]
        return self._placed(x)

    def _placed(self, x: Any) -> Any:
        """Where a recorded array or a constant lies on the device."""
        if isinstance(x, Node):
            if x not in self.places:
                args, kwargs = (replaced(self._argument, tree) for tree in (x.args, x.kwargs))
                self.places[x] = self._bench.view(x.function, args, kwargs, [self._placed(own) for own in x.inputs])
            return self.places[x]
        if not on_host(x):
            return x
        if id(x) not in self._constants:
            self._constants[id(x)] = self._bench.constant(x)
            self._kept_alive.append(x)
        return self._constants[id(x)]

    def _finish(self) -> None:
        """Compile all kernels together, and turn them into launches."""
        self.functions = self._bench.compiled(self._kernels)
        self.calls: list[Call] = []
        for planned in self._planned:
            if isinstance(planned, Kernel):
                blocks, block = planned.grid
                call = partial(self.functions[planned.name], (blocks,), (block,), tuple(planned.arguments))
                self.calls.append(call)
            else:
                self.calls += planned


def _given(group: Joined) -> list[Node]:
    return [x for chain in group.members for x in chain.given]


def _nodes(arrays: Sequence[Any]) -> list[Node]:
    return [x for x in arrays if isinstance(x, Node)]


def _chains(recording: Recording) -> list[Joined]:
    return chains(recording.nodes, recording.leaves, recording.results, recording.loss)
