"""What may happen between epochs."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from portable_bp.arguments import real_number, whole_number
from portable_bp.errors import ConfigurationError
from portable_bp.history import Row

if TYPE_CHECKING:
    from portable_bp.network import Network


class Callback:
    """Is told of the beginning, of each epoch and of the end of a `fit`; override what you need.

    It may set the network's parameters at the end; the next epoch would go on without what is set before.
    """

    needs: tuple[str, ...] = ()
    """Columns of the history that it reads; `fit` refuses it where they aren't measured."""
    only_reads_rows: bool = False
    """Whether it neither looks at the network nor stops the training; tiny epochs may then run many at once. It counts
    for the very class that says so: what is derived from it may do more."""
    told_last: bool = False
    """Whether it is told of an epoch after all others, and of beginning and end around them."""

    def on_fit_begin(self, net: Network, epochs: int) -> None:
        """Do something before the first of at most ``epochs`` epochs; `net.settings` says how they are trained."""

    def on_epoch_end(self, net: Network, row: Row) -> bool | None:
        """Do something after an epoch, with its row of the history; return True to stop the training."""

    def on_fit_end(self, net: Network) -> None:
        """Do something at the end, also when the training failed or was interrupted."""

    def state(self) -> dict[str, Any]:
        """Everything that its next call depends on, to be kept in checkpoints: JSON values, and arrays anywhere.

        A callback that overrides this and `restore` goes on after a resume as if nothing had happened; one that doesn't
        begins anew.
        """
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` gave, with lists for its tuples and NumPy arrays for its arrays, after `on_fit_begin`."""

    def on_fit_resume(self, net: Network, epochs: int, state: dict[str, Any] | None) -> None:
        """Take the place of `on_fit_begin` where a fit goes on from a checkpoint, for a callback with a state.

        At most ``epochs`` epochs are left. ``state`` is None where the checkpoint is from before the first epoch.
        """
        self.on_fit_begin(net, epochs)
        if state is not None:
            self.restore(state)


class EarlyStopping(Callback):
    """Stop when ``monitor`` hasn't improved by more than ``min_delta`` for ``patience`` epochs.

    A column that ends in "accuracy" is to rise, any other to fall. ``restore_best`` gives the network back the
    parameters of its best epoch; as after any setting of `params`, the next `fit` starts its optimizer afresh.

    Source: Prechelt, "Early stopping: but when?" (1998), criterion UP.
    """

    def __init__(
        self, patience: int = 5, *, monitor: str = "validation_loss", min_delta: float = 0.0, restore_best: bool = True
    ) -> None:
        self.patience = whole_number("EarlyStopping got patience", patience, 1)
        self.min_delta = real_number("EarlyStopping got min_delta", min_delta)
        if not isinstance(monitor, str):
            raise ConfigurationError(f"EarlyStopping got monitor={monitor!r}: name a column such as 'validation_loss'")
        self.monitor, self.restore_best, self.needs = monitor, restore_best, (monitor,)
        self.sign = sign(monitor)

    def on_fit_begin(self, net: Network, epochs: int) -> None:
        self.best, self.best_epoch, self.waited = float("inf"), 0, 0
        self.best_params: Any = None

    def on_epoch_end(self, net: Network, row: Row) -> bool:
        if self.improves(row):
            self.best_params = net.params
        return self.waited >= self.patience

    def improves(self, row: Row) -> bool:
        """Take note of an epoch, and say whether it is the best so far."""
        value = self.sign * row[self.monitor]
        if value < self.best - self.min_delta:
            self.best, self.best_epoch, self.waited = value, int(row["epoch"]), 0
            return True
        self.waited += 1
        return False

    def state(self) -> dict[str, Any]:
        names = ("monitor", "best", "best_epoch", "waited")
        return {**{name: getattr(self, name) for name in names}, "params": self.best_params}

    def restore(self, state: dict[str, Any]) -> None:
        if state["monitor"] != self.monitor:
            raise ConfigurationError(
                f"EarlyStopping monitors {self.monitor!r}, and monitored {state['monitor']!r} when the checkpoint was "
                "made: give the same monitor"
            )
        self.best, self.best_epoch, self.waited = float(state["best"]), int(state["best_epoch"]), int(state["waited"])
        self.best_params = state["params"]

    def on_fit_end(self, net: Network) -> None:
        if self.restore_best and self.best_params is not None:
            net.params = self.best_params


class ProgressBar(Callback):
    """A bar with the last row's figures and the time left, on a terminal."""

    only_reads_rows = True

    def on_fit_begin(self, net: Network, epochs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=epochs)
        self._progress.start()

    def on_epoch_end(self, net: Network, row: Row) -> None:
        self._progress.update(self._task, advance=1, description=describe(row))

    def on_fit_end(self, net: Network) -> None:
        self._progress.stop()


class PrintRows(Callback):
    """A plain line after every ``every``-th epoch."""

    only_reads_rows = True

    def __init__(self, every: int = 1, file: TextIO | None = None) -> None:
        self.every = whole_number("PrintRows got every", every, 1)
        self.file = file

    def on_epoch_end(self, net: Network, row: Row) -> None:
        if int(row["epoch"]) % self.every == 0:
            print(f"epoch {int(row['epoch']):>4}  {describe(row)}", file=self.file or sys.stdout, flush=True)


def sign(column: str) -> float:
    """-1 for a column that is to rise, an accuracy; 1 for one that is to fall."""
    return -1.0 if column.endswith("accuracy") else 1.0


def keeps_state(callback: Callback) -> bool:
    """Whether it has a state that belongs into a checkpoint."""
    return type(callback).state is not Callback.state


def only_read_rows(callbacks: Iterable[Callback]) -> bool:
    """Whether all of them say of themselves that they only read rows."""
    return all(vars(type(callback)).get("only_reads_rows", False) for callback in callbacks)


def describe(row: Row) -> str:
    """One line of a row's figures: losses to 4 digits, accuracies in per cent, the duration in s or, below 0.01, ms."""
    words = []
    for name, value in row.items():
        label = name.replace("_", " ")
        if name.endswith("accuracy"):
            words.append(f"{label} {100 * value:.2f} %")
        elif name == "seconds":
            words.append(f"{value:.2f} s" if value >= 0.01 else f"{1000 * value:.2f} ms")
        elif name != "epoch":
            words.append(f"{label} {value:.4g}")
    return "  ".join(words)


def checked(given: Any, columns: list[str]) -> list[Callback]:
    """Refuse what are no callbacks, and those that need what isn't among the ``columns``."""
    listed = list(given) if isinstance(given, Iterable) else given
    if not isinstance(listed, list) or not all(isinstance(callback, Callback) for callback in listed):
        raise ConfigurationError(f"callbacks={listed!r}: give a list of instances such as [EarlyStopping()]")
    for callback in listed:
        for name in callback.needs:
            if name not in columns:
                raise ConfigurationError(
                    f"{type(callback).__name__} monitors {name!r}; the columns are {', '.join(columns)}: name one of "
                    "them, or give fit a validation set"
                )
    return listed
