"""The steps of an epoch again, with the largest number in every array that they compute, in the order of computing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import isfinite

from portable_bp.backend import Backend, Batch, Epoch, Order, State
from portable_bp.batches import one_by_one
from portable_bp.optimizers.optimizer import each
from portable_bp.step_arrays import Place, StepArrays, by_place, pass_arrays, state_arrays
from portable_bp.training import Run
from portable_bp.tripwire.looking import looked_at

BEFORE = 4
"""Steps that are shown before the one that failed: enough to see numbers grow."""


@dataclass(frozen=True, eq=False)
class Replayed:
    """One step: its arrays by place, and the largest |number| of each; NaN or infinite where one of them is."""

    number: int
    """Within the epoch, from 1; 0 for the state from before the epoch, and one more than there are for a look."""
    arrays: StepArrays
    largest: dict[Place, float]

    @property
    def bad(self) -> Place | None:
        """The first array that isn't finite."""
        return next((place for place, value in self.largest.items() if not isfinite(value)), None)


def replay(
    run: Run, epoch: Epoch, state: State, number: int, suspect: int | None, *, thorough: bool = True
) -> list[Replayed]:
    """The steps of epoch ``number`` up to the first with a number that isn't finite, with some before it.

    Behind the last step comes what a look sees.

    ``state`` is that from before the epoch, ``suspect`` the step whose loss wasn't finite, None where all were. Each
    step is taken by the compiled ``epoch``, as in the training, and computed array by array beside that. Where nothing
    is found in the last steps, a ``thorough`` search goes through all of them.
    """
    orders = run.orders(run.model.seed, number)
    steps = len(run.batches.sizes)
    late = max(0, (suspect or steps) - 1 - BEFORE)
    for skipped in dict.fromkeys((late, 0) if thorough else (late,)):
        begun = state if skipped == 0 else epoch(state, run.data, [orders[0][:skipped, ...]])[0]  # type: ignore[index]
        shown, after = _until_bad(run, epoch, begun, orders, skipped)
        if shown[-1].bad and len(shown) > 2:  # else the first bad number came before
            return shown
    data, (order,) = looked_at(run.data, orders[0])
    return shown if shown[-1].bad else [*shown, _seen(run.backend, steps + 1, _pass(run, after, data, order))]


def _until_bad(
    run: Run, epoch: Epoch, state: State, orders: Sequence[Order], skipped: int
) -> tuple[list[Replayed], State]:
    """The steps of `replay`, from a state that ``skipped`` steps have led to, and the state behind them."""
    shown = [_seen(run.backend, skipped, state_arrays(state))]
    for step, order in enumerate(islice(one_by_one(orders), skipped, None), start=skipped + 1):
        if shown[-1].bad:
            break
        after, _ = epoch(state, run.data, [order])
        moved = each(lambda new, old: new - old, after["params"], state["params"])
        arrays = {**_pass(run, state, run.data, order), **state_arrays(after), **by_place("update", moved)}
        earlier = [replace(one, arrays={}) for one in shown[-BEFORE:]]  # whose figures suffice
        shown, state = [*earlier, _seen(run.backend, step, arrays)], after
    return shown, state


def _pass(run: Run, state: State, data: Batch, order: Order) -> StepArrays:
    batch, xp = run.gathered(data, order), run.backend.xp
    given: StepArrays = {(0, "x"): run.model.numbers(xp, batch[0]), (None, "target"): batch[1]}
    return {**given, **pass_arrays(xp, run.model, state, batch)}


def _seen(backend: Backend, step: int, arrays: StepArrays) -> Replayed:
    """Measure the arrays, in one transfer."""
    xp = backend.xp
    largest = xp.stack([xp.astype(xp.max(xp.abs(array)), xp.float64) for array in arrays.values()])
    return Replayed(step, arrays, dict(zip(arrays, backend.to_numpy(largest).tolist(), strict=True)))
