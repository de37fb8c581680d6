"""A file of JSON lines that grows with the training."""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portable_bp.callbacks import Callback
from portable_bp.errors import FileError
from portable_bp.history import Row
from portable_bp.tracking.configuration import configuration
from portable_bp.tracking.lines import Lines, as_path

if TYPE_CHECKING:
    from portable_bp.network import Network


class JSONLines(Callback):
    """Append every row to a file as it comes, one JSON object a line.

    A fit's first line is {"configuration": {…}}. A fit into a file that is there is refused, unless ``append``.
    """

    only_reads_rows = True

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self.path = as_path("JSONLines", path)
        self._lines = Lines(self.path, append)

    def on_fit_begin(self, net: Network, epochs: int) -> None:
        first = self._lines.open()
        if first and not first.startswith(b'{"'):
            raise FileError(f"{str(self.path)!r} begins with {first[:80]!r} and holds no JSON lines: name another file")
        self._lines.write(line_of({"configuration": configuration(net)}))

    def state(self) -> dict[str, Any]:
        return {"bytes": self._lines.size}

    def on_fit_resume(self, net: Network, epochs: int, state: dict[str, Any] | None) -> None:
        if state is None:
            self._lines.forget()
            self.on_fit_begin(net, epochs)
        else:
            self._lines.open_again(state["bytes"])

    def on_epoch_end(self, net: Network, row: Row) -> None:
        self._lines.write(line_of({name: value if isfinite(value) else None for name, value in row.items()}))

    def on_fit_end(self, net: Network) -> None:
        self._lines.close()


def line_of(entry: dict[str, Any]) -> str:
    """One line of JSON, with its end."""
    return json.dumps(entry, ensure_ascii=False) + "\n"
