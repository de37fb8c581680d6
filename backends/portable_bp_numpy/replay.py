"""The compiled epoch: a recorded step with planned memory, replayed for each row of the order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from portable_bp.backend import Batch, Epoch, Order, State, Step
from portable_bp_numpy.calls import Call
from portable_bp_numpy.chains import Path, chains
from portable_bp_numpy.planning import Places, Plan, Pool, needed
from portable_bp_numpy.recording import Node, NotRecordable, Recorded, Tape

Leaves = dict[Path, Any]
KEPT = 4
"""Recordings kept of a step, for batches of as many sizes: each has the memory of a whole step."""
PATIENCE = 0.5
"""Seconds of training before the chains are compiled, which takes as long."""


class CompiledEpoch:
    """An epoch that replays recordings of ``step``; where the step can't be recorded, the ``plain`` epoch."""

    def __init__(self, step: Step, plain: Epoch) -> None:
        self._step, self._plain = step, plain
        self._recordings: dict[Any, Replayed] = {}
        self._recordable, self._seconds = True, 0.0

    def __call__(self, state: State, data: Batch, orders: Sequence[Order]) -> tuple[State, Any]:
        """Train, as `portable_bp.Backend.compile` describes."""
        started, replayed = perf_counter(), self._replayed(state, data, orders)
        if not self._recordable:
            return self._plain(state, data, orders)
        now, losses = dict(leaves_of(state)), []
        for one, order in zip(replayed, orders, strict=True):
            losses.append(one(now, data, order))
            now = one.state
        self._seconds += perf_counter() - started
        return rebuilt(state, lambda path, _: now[path].copy()), np.concatenate(losses)

    def _replayed(self, state: State, data: Batch, orders: Sequence[Order]) -> list[Replayed]:
        """A recording for each order; none where the step can't be recorded."""
        try:
            replayed = [self._recording(state, data, order) for order in orders] if self._recordable else []
        except Exception:  # a branch on a value; or an error of the step's own, which the plain loop will raise
            self._recordable, replayed = False, []
        if self._seconds > PATIENCE:
            for one in replayed:
                one.compile_chains()
        return replayed

    def _recording(self, state: State, data: Batch, order: Order) -> Replayed:
        form = _form(state, data, order)
        if form not in self._recordings:
            batch = data if isinstance(order, int) else tuple(array[order[0]] for array in data)
            while len(self._recordings) >= KEPT:
                self._recordings.pop(next(iter(self._recordings)))
            self._recordings[form] = Replayed(self._step, state, batch)
        return self._recordings[form]


def _form(state: State, data: Batch, order: Order) -> Any:
    """What a recording depends on: paths, dtypes and shapes of the state's and a batch's arrays."""
    leaves = tuple((path, array.dtype, array.shape) for path, array in leaves_of(state))
    batch = len(data[0]) if isinstance(order, int) else order.shape[1]
    return leaves, tuple((array.dtype, array.shape[1:]) for array in data), batch


class Replayed:
    """A step's recording: its calls in order, and the arrays in which state, batch and loss lie."""

    def __init__(self, step: Step, state: State, batch: Batch) -> None:
        tape = Tape()
        leaves = {path: Node(array) for path, array in leaves_of(state)}
        rows = [Node(array) for array in batch]
        stands = rebuilt(state, lambda path, _: Recorded(tape, leaves[path]))
        after, loss = step(stands, tuple(Recorded(tape, node) for node in rows))
        results = {path: _node_or_constant(leaf) for path, leaf in leaves_of(after)}
        form, new_form = ({path: (x.shape, x.dtype) for path, x in tree.items()} for tree in (leaves, results))
        if form != new_form or loss.node.function is None or loss.node.base is not None:
            raise NotRecordable("the state changes its form, or the loss is no result of its own")
        places: Places = {x: np.empty_like(x.value, order="C") for x in rows}
        self._program = Program(needed(tape.nodes, [*results.values(), loss.node]), leaves, results, places, loss.node)
        self.state = {path: places[leaf] for path, leaf in leaves.items()}
        self._batch, self._loss = [places[x] for x in rows], places[loss.node]
        self.compile_chains = self._program.compile_chains
        self._try(state, batch, {path: getattr(x, "value", x) for path, x in results.items()}, loss.node.value)
        for node in (*tape.nodes, *leaves.values(), *rows):
            node.value = None

    def _try(self, state: State, batch: Batch, expected: Leaves, loss: Any) -> None:
        """Replay the recorded run: what goes wrong goes wrong now, while there is the plain loop to turn to."""
        found = self(dict(leaves_of(state)), batch, 1)[0]
        for array, wanted in ((found, loss), *((self.state[path], array) for path, array in expected.items())):
            tolerance = 1e-4 if wanted.dtype == np.float32 else 1e-10
            if not np.allclose(array, wanted, tolerance, tolerance, equal_nan=True):
                raise NotRecordable("the replay differs from the recorded run")

    def __call__(self, state: Leaves, data: Batch, order: Order) -> Any:
        """Go on from a state for each row of ``order``, or that number of steps on all of the data; give the losses."""
        for path, array in state.items():
            np.copyto(self.state[path], array)
        losses = np.empty((order if isinstance(order, int) else len(order), *self._loss.shape), self._loss.dtype)
        self.run(data, order, losses)
        return losses

    def run(self, data: Batch, order: Order, losses: Any) -> None:
        """The steps; all that is left to do for each of them is to gather its batch and to call."""
        calls, loss, gathered = self._program.calls, self._loss, list(zip(data, self._batch, strict=True))
        if isinstance(order, int):
            for array, place in gathered:
                np.copyto(place, array)
            gathered, order = [], range(order)
        for i, rows in enumerate(order):
            for array, place in gathered:
                array.take(rows, 0, place, "clip")  # "raise" would copy by way of a buffer
            for call in calls:
                call()
            losses[i] = loss


class Program:
    """A recording's calls: everything up to the gradients, the equal chains behind them, and copies at the end."""

    def __init__(self, nodes: list[Node], leaves: Leaves, results: Leaves, places: Places, loss: Node) -> None:
        self._joined, self._places, self._compiled = chains(nodes, leaves, results, loss), places, False
        given = [one for group in self._joined for one in group.lay_out(places)]
        for leaf in leaves.values():
            if leaf not in places:
                places[leaf] = np.empty_like(leaf.value, order="C")
        inside = {node for group in self._joined for chain in group.members for node in chain.nodes}
        chained = {leaf for group in self._joined for chain in group.members for leaf in chain.slots.values()}
        pinned = {x: place for x, place in given if x.function is not None and x.base is None}
        read_later = {x for node in inside for x in node.inputs} - inside - chained
        plan = Plan(places, Pool(), pinned, [loss, *read_later])
        own = {path: leaf for path, leaf in leaves.items() if leaf not in chained}
        self._front, self._ends = plan.calls([node for node in nodes if node not in inside], own, results)
        self._front += [partial(np.copyto, place, places[x]) for x, place in given if pinned.get(x) is not place]
        self.calls = self._with([group.calls(places) for group in self._joined])

    def compile_chains(self) -> None:
        """From now on compute each chain in one compiled loop, where that is possible: the bits stay the same."""
        if not self._compiled:
            self._compiled = True
            self.calls = self._with(
                [group.compiled(self._places) or group.calls(self._places) for group in self._joined]
            )

    def _with(self, chained: list[list[Call]]) -> list[Call]:
        return [*self._front, *(call for calls in chained for call in calls), *self._ends]


def _node_or_constant(leaf: Any) -> Any:
    return leaf.node if isinstance(leaf, Recorded) else np.asarray(leaf)


def leaves_of(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The arrays in nested dicts and lists, with their paths."""
    if isinstance(tree, (dict, list)):
        for key, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves_of(branch, (*path, key))
    else:
        yield path, tree


def rebuilt(tree: Any, new: Callable[[Path, Any], Any], path: Path = ()) -> Any:
    """The tree of dicts and lists with ``new(path, leaf)`` for every leaf."""
    if isinstance(tree, dict):
        return {key: rebuilt(branch, new, (*path, key)) for key, branch in tree.items()}
    if isinstance(tree, list):
        return [rebuilt(branch, new, (*path, i)) for i, branch in enumerate(tree)]
    return new(path, tree)
