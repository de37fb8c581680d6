"""The compiled epoch: a recorded step with planned memory, replayed for each row of the order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from portable_bp.backend import Batch, Epoch, Order, State, Step
from portable_bp_numpy.calls import Call
from portable_bp_numpy.chains import Joined, Path, chains
from portable_bp_numpy.planning import Places, Plan, Pool, needed
from portable_bp_numpy.recording import Recorded, Tape

Leaves = dict[Path, Any]


def compiled(step: Step, plain: Epoch) -> Epoch:
    """Give an epoch that replays a recording of ``step``; where the step can't be recorded, the ``plain`` epoch."""
    recordings: dict[Any, Epoch] = {}

    def epoch(state: State, data: Batch, order: Order) -> tuple[State, Any]:
        form = _form(state, data, order)
        if form not in recordings:
            try:
                first = data if isinstance(order, int) else tuple(array[order[0]] for array in data)
                recordings[form] = Replayed(step, state, first)
            except Exception:  # a branch on a value; or an error of the step's own, which the plain loop will raise
                recordings[form] = plain
        return recordings[form](state, data, order)

    return epoch


def _form(state: State, data: Batch, order: Order) -> Any:
    """What a recording depends on: paths, dtypes and shapes of the state's and a batch's arrays."""
    leaves = tuple((path, array.dtype, array.shape) for path, array in leaves_of(state))
    batch = len(data[0]) if isinstance(order, int) else order.shape[1]
    return leaves, tuple((array.dtype, array.shape[1:]) for array in data), batch


class Replayed:
    """A step's recording: its calls in order, and the arrays in which state, batch and loss lie."""

    def __init__(self, step: Step, state: State, batch: Batch) -> None:
        tape = Tape()
        stands = rebuilt(state, lambda path, array: Recorded(tape, array))
        rows = tuple(Recorded(tape, array) for array in batch)
        after, loss = step(stands, rows)
        leaves, results = dict(leaves_of(stands)), dict(leaves_of(after))
        if set(leaves) != set(results):
            raise ValueError("a step must return a state of the form that it was given")
        places: Places = {x: np.empty_like(x.value, order="C") for x in rows}
        self._calls = _calls(needed(tape.nodes, [*results.values(), loss]), leaves, results, places, loss)
        self._state = {path: places[leaf] for path, leaf in leaves.items()}
        self._batch = [places[x] for x in rows]
        self._loss = places[loss]

    def __call__(self, state: State, data: Batch, order: Order) -> tuple[State, Any]:
        """Run a step for each row of ``order``, or that number of steps on all of the data."""
        for path, array in leaves_of(state):
            np.copyto(self._state[path], array)
        steps = order if isinstance(order, int) else len(order)
        losses = np.empty((steps, *self._loss.shape), self._loss.dtype)
        self._run(data, order, losses)
        return rebuilt(state, lambda path, _: self._state[path].copy()), losses

    def _run(self, data: Batch, order: Order, losses: Any) -> None:
        calls, loss, gathered = self._calls, self._loss, list(zip(data, self._batch, strict=True))
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


def _calls(nodes: list[Recorded], leaves: Leaves, results: Leaves, places: Places, loss: Recorded) -> list[Call]:
    """Plan the calls: first everything up to the gradients, then the equal chains behind them, stretch by stretch."""
    joined = [Joined(members) for members in chains(nodes, leaves, results)]
    given: Places = {}
    for group in joined:
        given |= group.lay_out(places)
    for leaf in leaves.values():
        if leaf not in places:
            places[leaf] = np.empty_like(leaf.value, order="C")
    inside = {node for group in joined for chain in group.members for node in chain.nodes}
    front = [node for node in nodes if node not in inside]
    chained = {leaf for group in joined for chain in group.members for leaf in chain.slots.values()}
    own = {path: leaf for path, leaf in leaves.items() if leaf not in chained}
    pinned = {x: place for x, place in given.items() if x.function is not None and x.base is None}
    read_later = {x for node in inside for x in node.inputs} - inside - chained
    plan = Plan(places, Pool(), pinned, [loss, *read_later])
    calls = plan.calls(front, own, results)
    calls += [_copy(place, places[x]) for x, place in given.items() if x not in pinned]
    return calls + [call for group in joined for call in group.calls(places)]


def _copy(to: Any, source: Any) -> Call:
    return lambda: np.copyto(to, source)


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
