"""One network's part in a population."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from portable_bp.backend import State
from portable_bp.callbacks import Callback, EarlyStopping, checked, only_read_rows
from portable_bp.errors import ConfigurationError, NonFiniteError
from portable_bp.history import Columns, History, Rows
from portable_bp.optimizers.optimizer import Optimizer, Tree

if TYPE_CHECKING:
    from portable_bp.network import Network


@dataclass(eq=False)
class Member:
    """One network's part in a population; ``state`` is the network's own, before the training and after it."""

    network: Network
    epochs: int
    """Epochs that it is to be trained now, at most."""
    optimizer: Optimizer
    state: State
    callbacks: list[Callback]
    history: History = field(default_factory=History)
    finished: bool = False
    best: Tree | None = None
    """Its parameters after its best epoch, where something looks for that."""

    @property
    def stopping(self) -> EarlyStopping | None:
        """What may end its training early."""
        return next((one for one in self.callbacks if isinstance(one, EarlyStopping)), None)

    def begin(self, settings: dict[str, Any], stack: ExitStack) -> None:
        """Tell the callbacks, and once more when ``stack`` is closed."""
        self.network.settings = {"optimizer": self.optimizer, "epochs": self.epochs, **settings}
        for callback in self.callbacks:
            stack.callback(callback.on_fit_end, self.network)
            callback.on_fit_begin(self.network, self.epochs)

    def take(self, columns: Columns) -> bool:
        """Add epochs to the history, tell the callbacks, and say whether the last one was the best so far."""
        self.history.extend(columns)
        improved = False
        for row in Rows(columns) if self.callbacks else ():
            for callback in self.callbacks:
                if isinstance(callback, EarlyStopping):
                    improved = callback.improves(row)
                else:
                    callback.on_epoch_end(self.network, row)
        return improved

    def is_over(self, done: int) -> bool:
        """Whether it has had all its epochs after ``done`` of them, or enough."""
        stop = self.stopping
        return done == self.epochs or (stop is not None and stop.waited >= stop.patience)

    def end(self, state: State, best: Tree | None, error: NonFiniteError | None = None) -> None:
        """Its training is over; ``best`` is kept where an epoch was the best."""
        self.finished, self.state, self.history.error = True, state, error
        if self.stopping is not None and self.stopping.best_epoch:
            self.best = best

    def leave(self) -> None:
        """Give the network what came of its training; before that nothing in it has changed."""
        self.network.take_over(self.state, self.optimizer, self.history)
        if self.stopping is not None:
            self.stopping.best_params = self.best


def callbacks_for(given: Any, count: int, columns: list[str]) -> list[list[Callback]]:
    """The callbacks of each of ``count`` networks: a list of EarlyStopping for all, or a list of lists."""
    listed = list(given) if isinstance(given, Iterable) else given
    if isinstance(listed, list) and listed and all(isinstance(own, Sequence) for own in listed):
        if len(listed) != count:
            raise ConfigurationError(f"callbacks has {len(listed)} lists: give one for each of the {count} networks")
        each = [_checked(own, columns) for own in listed]
        stopping = [id(callback) for own in each for callback in own if isinstance(callback, EarlyStopping)]
        if len(set(stopping)) < len(stopping):
            raise ConfigurationError("callbacks has the same EarlyStopping in two lists: make one for each network")
        return each
    shared = _checked(listed, columns)
    for callback in shared:
        if not isinstance(callback, EarlyStopping):
            raise ConfigurationError(
                f"callbacks has one {type(callback).__name__} for all networks: give a list of lists, one a network, "
                "each with its own; EarlyStopping alone may be given once"
            )
    return [[copy(callback) for callback in shared] for _ in range(count)]


def _checked(given: Any, columns: list[str]) -> list[Callback]:
    found = checked(given, columns)
    for callback in found:
        if type(callback) is not EarlyStopping and not only_read_rows([callback]):
            raise ConfigurationError(
                f"{type(callback).__name__} may look at the network or stop it after an epoch, which members of a "
                "population can't do: give EarlyStopping and callbacks that only read rows, or train with fit"
            )
    if sum(isinstance(callback, EarlyStopping) for callback in found) > 1:
        raise ConfigurationError("callbacks has more than one EarlyStopping for a network: give one, or train with fit")
    return found
