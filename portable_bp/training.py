"""The loop around the pure step: epochs of shuffled mini-batches, measured without waiting for the device between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, prod
from time import perf_counter
from typing import TYPE_CHECKING, Any

from portable_bp.arrays import Array, Namespace
from portable_bp.backend import Backend, Batch, Epoch, Order, State
from portable_bp.backpropagation import Model
from portable_bp.batches import Batches
from portable_bp.errors import NonFiniteError
from portable_bp.history import Columns
from portable_bp.optimizers.optimizer import Tree
from portable_bp.streaming import host, streamed

if TYPE_CHECKING:
    from portable_bp.tripwire.looking import Look

STEPS_AT_ONCE, NUMBERS_AT_ONCE, PRODUCTS_AT_ONCE = 2**13, 2**22, 2**27
"""Limits of epochs run in one call, in steps, numbers of their inputs, and products: tenths of a second at most."""
MOST_EPOCHS = 2**31 - 1
"""Of one fit: a range that can be counted on every machine; years of training."""
EVALUATED_AT_ONCE = 8192
"""Rows of one forward pass in an evaluation: some tens of MB for MNIST, so that large sets don't exhaust a GPU."""


def parts(backend: Backend, data: Batch) -> Iterator[Batch]:
    """The rows of data in parts, on the device; what lies on the host is moved part by part."""
    n = data[0].shape[0]
    cuts = [(start, min(start + EVALUATED_AT_ONCE, n)) for start in range(0, n, EVALUATED_AT_ONCE)]
    if backend.owns(data[0]):
        return (tuple(array[start:stop, ...] for array in data) for start, stop in cuts)
    return backend.feed(data, [host().xp.arange(start, stop) for start, stop in cuts])


def measure(backend: Backend, model: Model, params: Tree, data: Batch, *, accuracy: bool) -> list[Array]:
    """Sum of the examples' losses, and number of correct classes if asked for: arrays of shape (1,) on the device.

    For a population of K networks they have the shape (K,).
    """
    xp = backend.xp
    loss, correct = [], []
    for part in parts(backend, data):
        y, _ = model.forward(xp, params, part[0])
        value, _ = model.loss.forward(xp, y, *part[1:])
        loss.append(value * (part[0].shape[0] if model.loss.averages else 1))
        if accuracy:
            correct.append(xp.sum(xp.astype(model.loss.correct(xp, y, part[1]), y.dtype), axis=-1))
    return [xp.reshape(sum(values[1:], values[0]), (-1,)) for values in (loss, correct) if values]


@dataclass(frozen=True)
class Run:
    """Everything that one call of `fit` needs, checked, and on the device unless that has no room for it."""

    backend: Backend
    model: Model
    data: Batch
    batches: Batches
    measured: dict[str, Batch]
    """Sets to measure after each epoch, by the first word of their columns."""
    accuracy: bool
    on_host: bool = False
    """Whether the data that is trained on stays on the host."""
    look: Look | None = None
    """What looks at every array now and then; None leaves it out."""
    names: Sequence[str] = ()
    """Of the layers, as errors call them."""

    @property
    def place(self) -> Backend:
        """Whose arrays the data that is trained on, and the orders, are."""
        return host() if self.on_host else self.backend

    def orders(self, seed: int, epoch: int) -> list[Order]:
        """Row numbers of an epoch's batches, where the data lie."""
        return self.batches.orders(self.place, seed, epoch)

    def gathered(self, data: Batch, order: Order) -> Batch:
        """The examples of an order of one step, on the device; ``data``: those that are trained on, or some of them."""
        if isinstance(order, int):
            return data
        if self.on_host:
            return next(self.backend.feed(data, [order[0, ...]]))
        return tuple(self.backend.xp.take(array, order[0, ...], axis=0) for array in data)

    def reaching(self, epoch: Epoch) -> Epoch:
        """The compiled epoch in a form that takes the data from where they lie."""
        return streamed(self.backend, epoch) if self.on_host else epoch

    def at_once(self, params: Tree) -> int:
        """Number of epochs that may run in one call of the compiled epoch: many, where each is one small step.

        The call itself and the reading of its losses would else take longer than the step.
        """
        if self.batches.size < self.batches.n or self.measured:
            return 1
        numbers: int = prod(self.data[0].shape)
        products: int = self.batches.n * sum(prod(array.shape) for layer in params for array in layer.values())
        return max(1, min(STEPS_AT_ONCE, NUMBERS_AT_ONCE // numbers, PRODUCTS_AT_ONCE // max(1, products)))

    def epochs(
        self, epoch: Epoch, state: State, numbers: range, at_once: int = 1, *, doubtful: bool = False
    ) -> Iterator[tuple[State, Columns]]:
        """Train the epochs of these ``numbers``; after ``at_once`` of them yield the state and their columns.

        ``epoch`` takes the data from where they lie, as `reaching` makes it.

        Raises NonFiniteError where a number was not finite; the state yielded last is then the last good one. All
        arrays of a batch are looked at after some of the epochs; if ``doubtful``, after each of them.
        """
        orders = self.orders(self.model.seed, numbers.start)
        for some in (numbers[i : i + at_once] for i in range(0, len(numbers), at_once)):
            started = perf_counter()
            after, losses = epoch(state, self.data, [len(some)] if len(some) > 1 else orders)
            flag = self._flag(after, orders, len(some), doubtful)
            if self.batches.shuffle and some.stop < numbers.stop:  # drawn while the device still computes
                orders = self.orders(self.model.seed, some.stop)
            try:
                columns = self._read(some, after["params"], losses, flag)
            except NonFiniteError as error:
                if len(some) > 1:  # one by one, to find the last good one
                    yield from self.epochs(epoch, state, some, doubtful=error.step is None)
                raise
            state, seconds = after, (perf_counter() - started) / len(some)
            yield state, {**columns, "seconds": [seconds] * len(some)}

    @property
    def settings(self) -> dict[str, Any]:
        """How it trains, for `Network.settings`."""
        cut = self.batches
        return {"examples": cut.n, "batch_size": cut.size, "shuffle": cut.shuffle, "columns": self.columns}

    @cached_property
    def measures(self) -> list[tuple[str, int]]:
        """Columns measured after each epoch, each with the number of examples that it is a mean over."""
        words = ["loss", "accuracy"] if self.accuracy else ["loss"]
        return [(f"{name}_{word}", data[0].shape[0]) for name, data in self.measured.items() for word in words]

    @property
    def columns(self) -> list[str]:
        """Names of a row's entries."""
        return ["epoch", "loss", *(name for name, _ in self.measures), "seconds"]

    def _flag(self, state: State, orders: Sequence[Order], epochs: int, doubtful: bool) -> Array | int:
        """0, or NaN where a look was due and met a number that isn't finite."""
        if self.look is None or not (self.look.due(epochs * self.batches.n, self.batches.size) or doubtful):
            return 0
        return self.look.flag(self, state, orders[0])

    def _read(self, epochs: range, params: Tree, losses: Array, flag: Array | int) -> Columns:
        """Read everything that these epochs measured from the device, in one transfer."""
        values = [losses, flag + _finite(self.backend.xp, params, losses)]
        for data in self.measured.values():
            values += measure(self.backend, self.model, params, data, accuracy=self.accuracy)
        numbers = self.backend.to_numpy(self.backend.xp.concat(values)).tolist()
        return self.columns_of(epochs, numbers)

    def columns_of(self, epochs: range, numbers: list[float]) -> Columns:
        """The columns of these epochs, from the steps' losses, the share of finite parameters, and measured totals.

        Raises NonFiniteError where one of them isn't finite.
        """
        steps = len(numbers) - 1 - len(self.measures)
        share, *totals = numbers[steps:]
        means = {name: total / n for (name, n), total in zip(self.measures, totals, strict=True)}
        self._require_finite(epochs, numbers[:steps], share, means)
        measured = {name: [mean] for name, mean in means.items()}
        return {"epoch": list(epochs), "loss": self._mean_losses(numbers[:steps]), **measured}

    def _mean_losses(self, losses: list[float]) -> list[float]:
        """Mean per example of the batches' losses: of one epoch, or of several of one step each."""
        n, averages, sizes = self.batches.n, self.model.loss.averages, self.batches.sizes
        if len(sizes) == 1:
            return losses if averages else [loss / n for loss in losses]
        totals = [loss * size for loss, size in zip(losses, sizes, strict=True)] if averages else losses
        return [sum(totals) / n]

    def _require_finite(self, epochs: range, losses: list[float], share: float, means: dict[str, float]) -> None:
        """Refuse numbers that are not finite; ``share`` is the share of the parameters that are, NaN after a look."""
        if share == 1.0 and isfinite(sum(losses, sum(means.values()))):
            return
        number, one = epochs.start, len(losses) == len(self.batches.sizes)
        for i, loss in enumerate(losses, start=1):
            if not isfinite(loss):
                epoch, step = (number, i) if one else (number + i - 1, 1)
                raise NonFiniteError(f"the loss of step {step} in epoch {epoch} is {loss:g}", epoch=epoch, step=step)
        measured = {name: value for name, value in means.items() if not isfinite(value)}
        for name, value in measured.items():
            raise NonFiniteError(
                f"{name.replace('_', ' ')} after epoch {number} is {value:g}", epoch=number, array=name
            )
        if share < 1.0:
            raise NonFiniteError(f"the share of finite parameters after epoch {number} is {share:g}", epoch=number)
        if share != 1.0:
            raise NonFiniteError(f"an array of a batch after epoch {number} is not finite", epoch=number)


def _finite(xp: Namespace, params: Tree, like: Array) -> Array:
    """Share of the parameter arrays that hold only finite numbers, of shape (1,) and the dtype of ``like``."""
    flags = [xp.all(xp.isfinite(array)) for layer in params for array in layer.values()]
    return xp.mean(xp.astype(xp.stack(flags), like.dtype), keepdims=True) if flags else xp.ones_like(like[:1])
