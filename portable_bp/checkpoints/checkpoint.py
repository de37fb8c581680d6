"""The callback that keeps checkpoints while a network trains."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from portable_bp import archive
from portable_bp.arguments import real_number, whole_number
from portable_bp.callbacks import Callback, sign
from portable_bp.checkpoints.ring import clear, epochs_in, path_of, prune
from portable_bp.checkpoints.snapshot import Snapshot
from portable_bp.errors import ConfigurationError, FileError
from portable_bp.history import Row
from portable_bp.locking import locked

if TYPE_CHECKING:
    from portable_bp.network import Network


class Checkpoint(Callback):
    """Keep in ``folder`` what it takes to go on with the training: ``fit(…, resume=folder)``.

    A checkpoint is written before the first epoch, after every ``every``-th, at the end of the first epoch that ends
    ``seconds`` after the last one was written, after the last, and when the training is interrupted or fails, then of
    the last whole epoch. Without ``every`` and ``seconds`` it is every epoch. The last ``keep`` remain, and the one
    with the best ``monitor``, by default the validation loss where it is measured, else the loss; None keeps all.
    ``note`` is JSON of your own that goes into each. A folder belongs to one fit, and to one process at a time.

    Raises FileError, which ends the training, where a checkpoint can't be written; earlier ones stay as they are.
    """

    told_last = True

    def __init__(
        self,
        folder: str | Path,
        *,
        every: int | None = None,
        seconds: float | None = None,
        keep: int | None = 3,
        monitor: str | None = None,
        note: Any = None,
    ) -> None:
        if not isinstance(folder, (str, Path)) or not str(folder):
            raise ConfigurationError(f"Checkpoint got folder={folder!r}: give the path of a folder of its own")
        self.folder, self.note = Path(folder), note
        by_time = every is None and seconds is not None
        self.every = None if by_time else whole_number("Checkpoint got every", 1 if every is None else every, 1)
        self.seconds = None if seconds is None else real_number("Checkpoint got seconds", seconds, above=True)
        self.keep = None if keep is None else whole_number("Checkpoint got keep", keep, 1)
        self.monitor = monitor
        self.needs = () if monitor is None else (monitor,)

    def on_fit_begin(self, net: Network, epochs: int) -> None:
        assert net.fitting is not None, "a fit is under way"
        self._fit, self._open = net.fitting, ExitStack()
        self._pending: Snapshot | None = None
        self._take_folder()
        columns, resumed = net.settings["columns"], self._fit.resumed
        self._column = self.monitor or ("validation_loss" if "validation_loss" in columns else "loss")
        self._best = resumed.best if resumed and resumed.best and resumed.best["column"] == self._column else None
        self._written = monotonic()
        if self._fit.done == 0 and resumed is None:
            self._pending = Snapshot.of(self._fit, begun=False)
            self._write()

    def on_epoch_end(self, net: Network, row: Row) -> None:
        self._pending = Snapshot.of(self._fit, begun=True)
        by_epochs = self.every is not None and self._fit.done % self.every == 0
        by_time = self.seconds is not None and monotonic() - self._written >= self.seconds
        if by_epochs or by_time:
            self._write()

    def on_fit_end(self, net: Network) -> None:
        with self._open:
            if self._pending is not None:
                self._write()
            del self._fit  # and with it the data

    def _take_folder(self) -> None:
        """Make the folder and lock it; refuse one with checkpoints of another fit."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # ValueError: a null character in the name
            said = getattr(error, "strerror", error)
            raise FileError(
                f"can't make the folder {str(self.folder)!r} ({said}): name another one for the checkpoints"
            ) from error
        self._open.enter_context(locked(self.folder))
        clear(self.folder)
        resumed = self._fit.resumed
        if epochs_in(self.folder) and not (resumed and resumed.path.parent.samefile(self.folder)):
            raise FileError(
                f"{str(self.folder)!r} holds the checkpoints of another fit: go on with it by resume=True, or name "
                "another folder"
            )

    def _write(self) -> None:
        """Write what is pending; it stays so where that is interrupted or fails, and is tried once more at the end."""
        snapshot = self._pending
        assert snapshot is not None, "an epoch has ended"
        best = self._best_with(snapshot)
        archive.write(path_of(self.folder, snapshot.epoch), *snapshot.contents(best, self.note))
        self._best, self._pending, self._written = best, None, monotonic()
        prune(self.folder, snapshot.epoch, self.keep, best["epoch"] if best else None)

    def _best_with(self, snapshot: Snapshot) -> dict[str, Any] | None:
        """The best of the checkpoints written, with this one."""
        if self._column not in snapshot.row:
            return self._best
        value = snapshot.row[self._column]
        if self._best and sign(self._column) * value >= sign(self._column) * self._best["value"]:
            return self._best
        return {"column": self._column, "value": value, "epoch": snapshot.epoch}
