"""A recording with a place in memory for every result: planned once, then only calls that write into those places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from portable_bp_numpy.calls import Call, calls_into
from portable_bp_numpy.recording import NotRecordable, Recorded, replaced

SMALL = 4096
"""Up to so many elements NumPy takes an array faster than a single number, which it must first stretch to the shape."""
Places = dict[Recorded, Any]
"""Where the recorded arrays lie."""


class Pool:
    """Memory that is used again as soon as nobody reads it any more, the latest first, while the cache has it."""

    def __init__(self) -> None:
        self._free: defaultdict[int, list[Any]] = defaultdict(list)

    def take(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array with anything in it."""
        size = int(np.prod(shape)) * dtype.itemsize
        memory = self._free[size].pop() if self._free[size] else np.empty(size, np.uint8)
        return memory.view(dtype).reshape(shape)

    def give_back(self, array: Any) -> None:
        """Take the memory of an array given by `take` back."""
        memory = array.reshape(-1).view(np.uint8)
        self._free[memory.size].append(memory)


class Plan:
    """The calls of a list of recorded operations, each result in the place that suits it.

    ``places`` holds where the inputs lie and receives where everything else does; ``pinned`` says where some results
    must go, ``kept`` what must stay readable to the end. ``shape`` replaces the recorded shape of all elementwise
    results, for a stretch of longer arrays.
    """

    def __init__(
        self,
        places: Places,
        pool: Pool,
        pinned: Places | None = None,
        kept: Iterable[Recorded] = (),
        shape: tuple[int, ...] | None = None,
    ) -> None:
        self.places, self.pool, self.pinned, self.shape = places, pool, dict(pinned or {}), shape
        self._kept = {owner(node) for node in kept}
        self._pooled: set[Recorded] = set()

    def calls(self, nodes: Sequence[Recorded], leaves: Mapping[Any, Recorded], results: Mapping[Any, Any]) -> list[Call]:
        """The operations' calls in order, and at the end each of the results is in the place of its leaf."""
        in_place = writable_in_place(nodes, leaves, results)
        self.pinned |= {new: self.places[leaf] for new, leaf in in_place.items() if new not in self.pinned}
        ends = {leaf: results[path] for path, leaf in leaves.items() if results[path] is not leaf}
        self._kept |= {owner(new) for new in ends.values() if isinstance(new, Recorded)}
        calls = [call for number, node in enumerate(nodes) for call in self._operation(number, node, last_uses(nodes))]
        return calls + self._copies({leaf: new for leaf, new in ends.items() if in_place.get(new) is not leaf})

    def _copies(self, ends: Mapping[Recorded, Any]) -> list[Call]:
        """Copies of results to their leaves; those that are other leaves are saved before anything is overwritten."""
        saved, copied = [], []
        for leaf, new in ends.items():
            source = self.places[new] if isinstance(new, Recorded) else new
            if isinstance(new, Recorded) and owner(new).function is None:
                between = np.empty_like(source)
                saved.append(partial(np.copyto, between, source))
                source = between
            copied.append(partial(np.copyto, self.places[leaf], source))
        return saved + copied

    def _operation(self, number: int, node: Recorded, last: Mapping[Recorded, int]) -> list[Call]:
        args, kwargs = (
            replaced(lambda leaf: self.places[leaf] if isinstance(leaf, Recorded) else leaf, tree)
            for tree in (node.args, node.kwargs)
        )
        if node.base is not None:
            self.places[node] = self._view(node, args, kwargs)
            return []
        ending = [x for x in dict.fromkeys(map(owner, node.inputs)) if last[x] == number and self._is_free(x)]
        out = self._place(node, ending)
        if node.elementwise and out.size <= SMALL:
            args = [arg if isinstance(x, Recorded) else np.full(out.shape, arg) for x, arg in zip(node.args, args, strict=True)]
        for x in ending:
            self._pooled.discard(x)
            self.pool.give_back(self.places[x])
        return calls_into(out, node.function, args, kwargs)

    def _is_free(self, node: Recorded) -> bool:
        return node in self._pooled and node not in self._kept

    def _view(self, node: Recorded, args: Any, kwargs: Any) -> Any:
        view = node.function(*args, **kwargs)
        if not np.may_share_memory(view, self.places[node.base]):
            raise NotRecordable(f"{node.function} looks at its argument's memory in one layout and copies another")
        return view

    def _place(self, node: Recorded, ending: list[Recorded]) -> Any:
        if node in self.pinned:
            out = self.pinned[node]
        else:
            shape = self.shape if self.shape and node.elementwise else node.shape
            taken = next((x for x in ending if self._fits(node, x, shape)), None)
            if taken is not None:
                ending.remove(taken)
                self._pooled.discard(taken)
            out = self.pool.take(shape, node.dtype) if taken is None else self.places[taken]
            self._pooled.add(node)
        self.places[node] = out
        return out

    def _fits(self, node: Recorded, old: Recorded, shape: tuple[int, ...]) -> bool:
        """Whether the result may take the memory of an argument that nobody reads later."""
        place = self.places[old]
        whole = all(x is old for x in node.inputs if owner(x) is old)
        return node.may_overwrite and whole and place.shape == shape and place.dtype == node.dtype and place.size > 1


def owner(node: Recorded) -> Recorded:
    """The array whose memory ``node`` looks at."""
    while node.base is not None:
        node = node.base
    return node


def last_uses(nodes: Sequence[Recorded]) -> dict[Recorded, int]:
    """Number of the last operation that reads each array's memory."""
    return {owner(x): number for number, node in enumerate(nodes) if node.base is None for x in node.inputs}


def needed(tape: Sequence[Recorded], results: Iterable[Any]) -> list[Recorded]:
    """Those operations of the tape on which the results depend, in order."""
    wanted = {x for x in results if isinstance(x, Recorded)}
    for node in reversed(tape):
        if node in wanted:
            wanted.update(node.inputs)
    return [node for node in tape if node in wanted]


def writable_in_place(
    nodes: Sequence[Recorded], leaves: Mapping[Any, Recorded], results: Mapping[Any, Any]
) -> dict[Recorded, Recorded]:
    """Results that may overwrite the leaf that they replace, since nobody reads the leaf after them."""
    last, found = last_uses(nodes), {}
    numbers = {node: number for number, node in enumerate(nodes)}
    for new in results.values():  # copied at the end, where they must still be what they are
        if isinstance(new, Recorded) and (new.base is not None or new.function is None):
            last[owner(new)] = len(nodes)
    for path, leaf in leaves.items():
        new = results[path]
        if not isinstance(new, Recorded) or new in found or new.base is not None or new not in numbers:
            continue
        reads = [x for x in new.inputs if owner(x) is leaf]
        own = new.may_overwrite and all(x is leaf for x in reads) and leaf.shape == new.shape and leaf.size > 1
        if leaf.dtype == new.dtype and last.get(leaf, -1) <= numbers[new] and (own or not reads):
            found[new] = leaf
    return found
