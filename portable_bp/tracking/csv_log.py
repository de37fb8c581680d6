"""A CSV file that grows with the training."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portable_bp.callbacks import Callback
from portable_bp.errors import FileError
from portable_bp.history import Row
from portable_bp.tracking.configuration import configuration
from portable_bp.tracking.json_lines import line_of
from portable_bp.tracking.lines import Lines, as_path

if TYPE_CHECKING:
    from portable_bp.network import Network


class CSVLog(Callback):
    """Append every row to a CSV file as it comes, in the bytes of `History.to_csv`.

    The configuration goes beside it, so that the CSV is plain: for "run.csv" to "run.configuration.jsonl", one line a
    fit. A fit into files that are there is refused, unless ``append``; then the columns must be the same.
    """

    only_reads_rows = True

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self.path = as_path("CSVLog", path)
        self._rows = Lines(self.path, append)
        self._configurations = Lines(Path(f"{str(self.path).removesuffix('.csv')}.configuration.jsonl"), append)

    def on_fit_begin(self, net: Network, epochs: int) -> None:
        self._configurations.require_free()  # before the other file is made
        header, first = _line(net.settings["columns"]), self._rows.open().decode(errors="replace")
        if first not in ("", header):
            raise FileError(
                f"{str(self.path)!r} begins with {first.strip()[:200]!r} and this fit's columns are "
                f"{header.strip()!r}: name another file"
            )
        self._configurations.open()
        self._configurations.write(line_of(configuration(net)))
        self._rows.write(header if first == "" else "")

    def state(self) -> dict[str, Any]:
        return {"bytes": self._rows.size, "bytes of configurations": self._configurations.size}

    def on_fit_resume(self, net: Network, epochs: int, state: dict[str, Any] | None) -> None:
        if state is None:
            for lines in (self._rows, self._configurations):
                lines.forget()
            self.on_fit_begin(net, epochs)
        else:
            self._rows.open_again(state["bytes"])
            self._configurations.open_again(state["bytes of configurations"])

    def on_epoch_end(self, net: Network, row: Row) -> None:
        self._rows.write(_line(row.values()))

    def on_fit_end(self, net: Network) -> None:
        self._rows.close()
        self._configurations.close()


def _line(entries: Iterable[Any]) -> str:
    text = StringIO(newline="")
    csv.writer(text).writerow(entries)
    return text.getvalue()
