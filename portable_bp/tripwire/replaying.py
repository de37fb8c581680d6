"""The steps of an epoch again, with the largest number in every array that they compute, in the order of computing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from portable_bp.arrays import Array
from portable_bp.backend import Backend, Batch, Epoch, Order, State
from portable_bp.optimizers.optimizer import Tree, each
from portable_bp.training import Run, one_by_one
from portable_bp.tripwire.looking import first_trained, looked_at

BEFORE = 4
"""Steps that are shown before the one that failed: enough to see numbers grow."""

Place = tuple[int | None, str]
"""A layer's number, None for the loss, and an array: "y", "loss", "dy", "grads.weight", "optimizer.v.weight" …"""


@dataclass(frozen=True, eq=False)
class Replayed:
    """One step: its arrays by place, and the largest |number| of each; NaN or infinite where one of them is."""

    number: int
    """Within the epoch, from 1; 0 for the state from before the epoch, and one more than there are for a look."""
    arrays: dict[Place, Array]
    largest: dict[Place, float]

    @property
    def bad(self) -> Place | None:
        """The first array that isn't finite."""
        return next((place for place, value in self.largest.items() if not isfinite(value)), None)


def replay(run: Run, epoch: Epoch, state: State, number: int, suspect: int | None) -> list[Replayed]:
    """The steps of epoch ``number`` up to the first with a number that isn't finite, with some before it.

    Behind the last step comes what a look sees.

    ``state`` is that from before the epoch, ``suspect`` the step whose loss wasn't finite, None where all were. Each
    step is taken by the compiled ``epoch``, as in the training, and computed array by array beside that.
    """
    orders, steps = run.batches.orders(run.backend, run.model.seed, number), len(run.batches.sizes)
    for skipped in dict.fromkeys((max(0, (suspect or steps) - 1 - BEFORE), 0)):
        begun = state if skipped == 0 else epoch(state, run.data, [orders[0][:skipped, ...]])[0]  # type: ignore[index]
        shown, after = _until_bad(run, epoch, begun, [*one_by_one(orders)][skipped:], skipped)
        if shown[-1].bad and len(shown) > 2:  # else the first bad number came before
            return shown
    data, (order,) = looked_at(run.data, orders[0])
    return shown if shown[-1].bad else [*shown, _seen(run.backend, steps + 1, _pass(run, after, data, order))]


def _until_bad(run: Run, epoch: Epoch, state: State, orders: list[Order], skipped: int) -> tuple[list[Replayed], State]:
    """The steps of `replay`, from a state that ``skipped`` steps have led to, and the state behind them."""
    shown = [_seen(run.backend, skipped, dict(_state_arrays(state)))]
    for step, order in enumerate(orders, start=skipped + 1):
        if shown[-1].bad:
            break
        after, _ = epoch(state, run.data, [order])
        earlier = [replace(one, arrays={}) for one in shown[-BEFORE:]]  # whose figures suffice
        arrays = {**_pass(run, state, run.data, order), **_made(run, state, after)}
        shown, state = [*earlier, _seen(run.backend, step, arrays)], after
    return shown, state


def _seen(backend: Backend, step: int, arrays: dict[Place, Array]) -> Replayed:
    """Measure the arrays, in one transfer."""
    xp = backend.xp
    largest = xp.stack([xp.astype(xp.max(xp.abs(array)), xp.float64) for array in arrays.values()])
    return Replayed(step, arrays, dict(zip(arrays, backend.to_numpy(largest).tolist(), strict=True)))


def _pass(run: Run, state: State, data: Batch, order: Order) -> dict[Place, Array]:
    """The arrays of a step's forward and backward pass, in the order in which they are computed."""
    batch, params = gathered(run.backend, data, order), state["params"]
    value, kept = run.model.every_array(run.backend.xp, params, batch, state["step"])
    arrays: dict[Place, Array] = {(0, "x"): batch[0], (None, "target"): batch[1]}
    arrays.update({(n, "y"): own["y"] for n, own in enumerate(kept)})
    arrays[None, "loss"] = value
    for n in reversed(range(first_trained(params), len(kept))):
        arrays[n, "dy"] = kept[n]["dy"]
        arrays.update({(n, f"grads.{name}"): array for name, array in kept[n]["grads"].items()})
    return arrays


def _made(run: Run, state: State, after: State) -> dict[Place, Array]:
    """What the step made of the state: its arrays, and how far it moved the parameters."""
    moved = each(lambda new, old: new - old, after["params"], state["params"])
    return {**dict(_state_arrays(after)), **dict(_named("update", moved))}


def gathered(backend: Backend, data: Batch, order: Order) -> Batch:
    """The examples of one step."""
    if isinstance(order, int):
        return data
    return tuple(backend.xp.take(array, order[0, ...], axis=0) for array in data)


def _state_arrays(state: State) -> Iterator[tuple[Place, Array]]:
    """The optimizer's arrays, then the parameters."""
    for symbol, tree in state["optimizer"].items():
        if isinstance(tree, list):
            yield from _named(f"optimizer.{symbol}", tree)
    yield from _named("params", state["params"])


def _named(tree: str, layers: Tree | list[Any]) -> Iterator[tuple[Place, Array]]:
    for number, own in enumerate(layers):
        yield from (((number, f"{tree}.{name}"), array) for name, array in own.items())
