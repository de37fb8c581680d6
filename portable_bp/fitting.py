"""One call of `fit`: epochs, who is told of them, and where it begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portable_bp.backend import Epoch, State
from portable_bp.callbacks import Callback, keeps_state, only_read_rows
from portable_bp.errors import NonFiniteError
from portable_bp.history import Columns, History, Row, Rows
from portable_bp.optimizers import Optimizer
from portable_bp.training import Run
from portable_bp.tripwire.locating import Locator

if TYPE_CHECKING:
    from portable_bp.checkpoints.resuming import Resumed
    from portable_bp.network import Network


@dataclass(eq=False)
class Fit:
    """A `fit` that was checked and may begin.

    ``epochs`` are those of the whole fit, also of one that was interrupted and is resumed.
    """

    net: Network
    run: Run
    epochs: int
    callbacks: list[Callback]
    history: History = field(default_factory=History)
    stopped: bool = False
    """Whether a callback asked to stop."""
    resumed: Resumed | None = None
    """The checkpoint from which it goes on."""
    state: State = field(default_factory=dict)
    """From which the next epoch goes on, whatever a callback may do to the network meanwhile."""

    def __post_init__(self) -> None:
        self.begun = self.net.epoch
        """Epochs that the network had been trained before the first one of this fit."""

    @property
    def done(self) -> int:
        """Epochs of this fit that are trained."""
        return self.net.epoch - self.begun

    @property
    def ended(self) -> bool:
        """Whether no epoch is left to train."""
        return self.stopped or self.done >= self.epochs

    @property
    def with_state(self) -> list[Callback]:
        """The callbacks whose state belongs into a checkpoint."""
        return [callback for callback in self.callbacks if keeps_state(callback)]

    @cached_property
    def conditions(self) -> dict[str, Any]:
        """What a checkpoint of this fit and a fit that goes on from it must have in common."""
        from portable_bp.checkpoints.agreement import conditions

        return conditions(self)

    def resume(self, source: bool | str | Path, optimizer: Optimizer | None) -> Optimizer | None:
        """Go on from a checkpoint, where ``source`` has one; give the optimizer to train with."""
        from portable_bp.checkpoints.resuming import resume  # it reads NumPy arrays, which the core must do without

        return resume(self, source, optimizer)

    def train(self, epoch: Epoch) -> History:
        """Train what is left and return what was measured, by the whole fit."""
        net = self.net
        net.history, self.state = self.history, net.state
        net.settings = {"optimizer": net.optimizer, "epochs": self.epochs, **self.run.settings}
        epoch = self.run.reaching(epoch)
        numbers = range(net.epoch + 1, net.epoch + 1 if self.ended else self.begun + self.epochs + 1)
        with self._told_of_begin_and_end(len(numbers)):
            at_once = self.run.at_once(net.state["params"]) if only_read_rows(self.callbacks) else 1
            for state, columns in self._epochs(epoch, numbers, at_once):
                self.state = state
                net.arrive(state, int(columns["epoch"][-1]))
                self.history.extend(columns)
                for row in Rows(columns) if self.callbacks else ():
                    self._tell(row)
                if self.stopped:
                    break
        return self.history

    def _epochs(self, epoch: Epoch, numbers: range, at_once: int) -> Iterator[tuple[State, Columns]]:
        """What `Run.epochs` gives; a NonFiniteError names the place where it began."""
        try:
            yield from self.run.epochs(epoch, self.state, numbers, at_once)
        except NonFiniteError as error:
            raise Locator(self.run, epoch).located(self.state, self.history, error) from None

    @contextmanager
    def _told_of_begin_and_end(self, epochs: int) -> Iterator[None]:
        """Those told last begin first and end last, so that all others are between."""
        numbers = {id(callback): number for number, callback in enumerate(self.with_state)}
        self.net.fitting = self
        with ExitStack() as stack:
            stack.callback(setattr, self.net, "fitting", None)
            for callback in sorted(self.callbacks, key=lambda callback: not callback.told_last):
                stack.callback(callback.on_fit_end, self.net)
                if self.resumed and id(callback) in numbers:
                    self.resumed.hand_over(numbers[id(callback)], callback, self.net, epochs)
                else:
                    callback.on_fit_begin(self.net, epochs)
            yield

    def _tell(self, row: Row) -> None:
        for callback in sorted(self.callbacks, key=lambda callback: callback.told_last):
            if callback.on_epoch_end(self.net, row):
                self.stopped = True
