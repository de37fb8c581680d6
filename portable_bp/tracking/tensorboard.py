"""TensorBoard's event files, through tensorboardX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portable_bp.callbacks import Callback
from portable_bp.errors import ConfigurationError, FileError
from portable_bp.history import Row
from portable_bp.tracking.configuration import configuration
from portable_bp.tracking.lines import as_path

if TYPE_CHECKING:
    from portable_bp.network import Network

FLUSHED_EVERY = 1
"""Seconds after which rows are in the file at the latest; a flush a row would cost more than a small epoch."""


class TensorBoard(Callback):
    """Write every row as scalars of its step, the epoch, into a folder for ``tensorboard --logdir``.

    The configuration is the text "configuration". TensorBoard's scalars are float32, so 7 digits of a number remain.
    A fit into a folder with event files is refused, unless ``append``: TensorBoard then joins them into one curve.
    """

    only_reads_rows = True

    def __init__(self, folder: str | Path, *, append: bool = False) -> None:
        self.folder, self.append = as_path("TensorBoard", folder), append
        self._writer: Any = None
        try:
            import tensorboardX  # noqa: F401 (asked for now, not when the data is loaded)
        except ImportError as error:
            raise ConfigurationError(
                "TensorBoard needs tensorboardX: pip install 'portable-bp[tensorboard]'"
            ) from error

    def on_fit_begin(self, net: Network, epochs: int) -> None:
        self._begin(net, self._number_of_fits(), None)

    def state(self) -> dict[str, Any]:
        return {"folder": str(self.folder)}  # all there is to keep lies there

    def on_fit_resume(self, net: Network, epochs: int, state: dict[str, Any] | None) -> None:
        self._begin(net, self._number_of_files(), net.epoch + 1)

    def _begin(self, net: Network, number: int, forgotten_from: int | None) -> None:
        """Open a file of its own; TensorBoard forgets what earlier ones say about the epochs from this one on."""
        from tensorboardX import SummaryWriter

        how = {"flush_secs": FLUSHED_EVERY, "filename_suffix": f".{number}", "purge_step": forgotten_from}
        try:  # tensorboardX names files by the second, so that two fits within one would share a file
            self._writer = SummaryWriter(str(self.folder), **how)
        except OSError as error:
            raise FileError(
                f"can't write into {str(self.folder)!r} ({error.strerror}): name a folder that is writable"
            ) from error
        text = json.dumps(configuration(net), indent=2, ensure_ascii=False)
        self._writer.add_text("configuration", f"```json\n{text}\n```", net.epoch)

    def on_epoch_end(self, net: Network, row: Row) -> None:
        for name, value in row.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, row["epoch"])

    def on_fit_end(self, net: Network) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _number_of_fits(self) -> int:
        """Number of event files in the folder; refused, unless more are to be added."""
        number = self._number_of_files()
        if number and not self.append:
            raise FileError(
                f"{str(self.folder)!r} holds the events of another fit: name another folder, or add to them with "
                "append=True"
            )
        return number

    def _number_of_files(self) -> int:
        return len(list(self.folder.glob("events.out.tfevents.*")))
