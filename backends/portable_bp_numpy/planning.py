"""A recording with a place in memory for every result: planned once, then only calls that write into those places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from portable_bp_numpy.calls import Call, calls_into
from portable_bp_numpy.recording import Node, NotRecordable, replaced

SMALL = 4096
"""Up to so many elements NumPy takes an array faster than a single number, which it must first stretch to the shape."""
Places = dict[Node, Any]
"""Where the recorded arrays lie."""


class Pool:
    """Memory that is used again as soon as nobody reads it any more, the latest first, while the cache has it."""

    def __init__(self, empty: Callable[[Any, Any], Any] = np.empty) -> None:
        self._empty = empty
        self._free: defaultdict[int, list[Any]] = defaultdict(list)

    def take(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array with anything in it."""
        size = int(np.prod(shape)) * dtype.itemsize
        memory = self._free[size].pop() if self._free[size] else self._empty(size, np.uint8)
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
        kept: Iterable[Node] = (),
        shape: tuple[int, ...] | None = None,
    ) -> None:
        self.places, self.pool, self.pinned, self.shape = places, pool, dict(pinned or {}), shape
        self._kept = {node.owner for node in kept}
        self._pooled: set[Node] = set()

    def calls(
        self, nodes: Sequence[Node], leaves: Mapping[Any, Node], results: Mapping[Any, Any]
    ) -> tuple[list[Call], list[Call]]:
        """The operations' calls in order, and copies after which each of the results is in the place of its leaf."""
        possible = writable_in_place(nodes, leaves, results, self._kept)
        in_place = {new: leaf for new, leaf in possible.items() if new not in self.pinned}
        self.pinned.update({new: self.places[leaf] for new, leaf in in_place.items()})
        self._kept |= {new.owner for new in results.values() if isinstance(new, Node)}
        last = last_uses(nodes)
        copies: list[Call] = []
        calls = [call for number, node in enumerate(nodes) for call in self._operation(number, node, last)]
        ends = [(leaf, results[path]) for path, leaf in leaves.items()]
        for leaf, new in ends:
            if new is leaf or (isinstance(new, Node) and in_place.get(new) is leaf):
                continue
            source = self._placed(new)
            if isinstance(new, Node) and new.owner.function is None:  # another leaf, to be saved before it changes
                source = np.empty_like(source)
                calls.append(partial(np.copyto, source, self._placed(new)))
            copies.append(partial(np.copyto, self.places[leaf], source))
        return calls, copies

    def _operation(self, number: int, node: Node, last: Mapping[Node, int]) -> list[Call]:
        args, kwargs = (replaced(self._placed, tree) for tree in (node.args, node.kwargs))
        if node.base is not None:
            self.places[node] = self._view(node, args, kwargs)
            return []
        ending = [x for x in dict.fromkeys(x.owner for x in node.inputs) if last[x] == number and self._is_free(x)]
        out = self._place(node, ending)
        for x in ending:
            self._pooled.discard(x)
            self.pool.give_back(self.places[x])
        if node.elementwise and out.size <= SMALL and node.function is not np.power:  # it looks at a single exponent
            constants = [isinstance(x, np.ndarray) for x in node.args]
            args = [np.full(out.shape, x) if constant else x for x, constant in zip(args, constants, strict=True)]
        return calls_into(out, node.function, args, kwargs)

    def _placed(self, leaf: Any) -> Any:
        return self.places[leaf] if isinstance(leaf, Node) else leaf

    def _is_free(self, node: Node) -> bool:
        return node in self._pooled and node not in self._kept

    def _view(self, node: Node, args: Any, kwargs: Any) -> Any:
        view = node.function(*args, **kwargs)
        if not any(np.may_share_memory(view, self.places[x]) for x in node.inputs):
            raise NotRecordable(f"{node.function} looks at its argument's memory in one layout and copies another")
        return view

    def _place(self, node: Node, ending: list[Node]) -> Any:
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

    def _fits(self, node: Node, old: Node, shape: tuple[int, ...]) -> bool:
        """Whether the result may take the memory of an argument that nobody reads later."""
        place = self.places[old]
        whole = all(x is old for x in node.inputs if x.owner is old)
        return node.may_overwrite and whole and place.shape == shape and place.dtype == node.dtype and place.size > 1


def last_uses(nodes: Sequence[Node]) -> dict[Node, int]:
    """Number of the last operation that reads each array's memory."""
    return {x.owner: number for number, node in enumerate(nodes) if node.base is None for x in node.inputs}


def needed(tape: Sequence[Node], results: Iterable[Any]) -> list[Node]:
    """Those operations of the tape on which the results depend, in order."""
    wanted = {x for x in results if isinstance(x, Node)}
    for node in reversed(tape):
        if node in wanted:
            wanted.update(node.inputs)
    return [node for node in tape if node in wanted]


def writable_in_place(
    nodes: Sequence[Node],
    leaves: Mapping[Any, Node],
    results: Mapping[Any, Any],
    kept: Iterable[Node] = (),
) -> dict[Node, Node]:
    """Results that may overwrite the leaf that they replace, since nobody reads the leaf after them."""
    last, found = last_uses(nodes), {}
    numbers = {node: number for number, node in enumerate(nodes)}
    views = [
        new for new in results.values() if isinstance(new, Node) and (new.base is not None or new.function is None)
    ]
    last.update({new.owner: len(nodes) for new in (*views, *kept)})  # read at the end
    for path, leaf in leaves.items():
        new = results[path]
        if not isinstance(new, Node) or new in found or new.base is not None or new not in numbers:
            continue
        reads = [x for x in new.inputs if x.owner is leaf]
        own = new.may_overwrite and all(x is leaf for x in reads) and leaf.shape == new.shape and leaf.size > 1
        if leaf.dtype == new.dtype and last.get(leaf, -1) <= numbers[new] and (own or not reads):
            found[new] = leaf
    return found
