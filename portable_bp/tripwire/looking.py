"""A look now and then at every array of a step: what neither a loss nor a parameter shows is found here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portable_bp.arrays import Array, Namespace
from portable_bp.backend import Backend, Batch, Order, State, Step
from portable_bp.backpropagation import Model
from portable_bp.step_arrays import pass_arrays, state_arrays

if TYPE_CHECKING:
    from portable_bp.training import Run

ROWS = 128
"""Examples that are looked at, at most."""
EVERY = 512
"""Steps on so many examples between two looks, which cost a few steps each: less than 1 % of the time together."""


class Look:
    """All arrays of a forward and a backward pass, and of the optimizer's state, held to be finite.

    An infinity can be lost before it reaches the loss or a parameter: σ(∞) = 1, max(-∞, 0) = 0, and Adam's m/√∞ = 0.
    To ask every array at every step would cost a small network more than 1 % of its time, on a GPU most of all.
    """

    def __init__(self, backend: Backend, model: Model) -> None:
        self.epoch, self._examples = backend.compile(looking(backend.xp, model)), 0
        """Its losses are 0 where everything in a batch is finite, else NaN."""

    def due(self, examples: int, batch: int) -> bool:
        """Count ``examples`` that have been trained in batches of ``batch``; say whether it is time for a look."""
        self._examples += examples
        if self._examples < EVERY * min(batch, ROWS):
            return False
        self._examples = 0
        return True

    def flag(self, run: Run, state: State, order: Order) -> Array:
        """0 where everything in the first step of this order is finite, else NaN, of shape (1,)."""
        return run.reaching(self.epoch)(state, *looked_at(run.data, order))[1]


def looked_at(data: Batch, order: Order) -> tuple[Batch, list[Order]]:
    """The rows that a look takes of an order's first step, as data and order of an epoch of one step."""
    if isinstance(order, int):
        return tuple(array[: min(ROWS, array.shape[0]), ...] for array in data), [1]
    return data, [order[:1, : min(ROWS, order.shape[1])]]


def looking(xp: Namespace, model: Model) -> Step:
    """A step that changes nothing; in the place of the loss it gives 0, or NaN where a number isn't finite."""

    def step(state: State, batch: Batch) -> tuple[State, Array]:
        seen = {**pass_arrays(xp, model, state, batch), **state_arrays(state)}
        flags = [0 * xp.max(xp.abs(array)) for array in seen.values()]  # 0 · ∞ is NaN
        return state, sum(flags[1:], flags[0])

    return step
