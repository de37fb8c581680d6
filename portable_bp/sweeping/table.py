"""The table of a sweep's runs, in memory and, row by row as they come, in a folder."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

from portable_bp.errors import FileError, PortableBPError
from portable_bp.locking import LOCK, locked
from portable_bp.reading import require_regular
from portable_bp.sweeping.definition import Definition
from portable_bp.sweeping.metrics import final_and_best
from portable_bp.sweeping.rows import TableRow, Values
from portable_bp.sweeping.run import STATUSES, Result
from portable_bp.sweeping.search import Search
from portable_bp.writing import require_growable, write_whole

RESULTS, EPOCHS, DEFINITION = "results.csv", "epochs.csv", "sweep.json"
WORDS, WHOLE = ("status", "digest", "reason"), ("run", "epochs_done")


class Table:
    """One row a run, in the order of the points; numbers are those of the file, whether just made or read again.

    With a folder, a run's epochs are appended to epochs.csv first and its row to results.csv then, which makes it
    count: what a killed sweep left behind the last whole row is cut off when it goes on.
    """

    def __init__(self, definition: Definition, search: Search, figures: Sequence[str], folder: Path | None) -> None:
        self._search, self._folder = search, folder
        names = [parameter.written for parameter in definition.parameters]
        best = [f"best_{name}" for name in figures if not name.startswith("test_")]
        self.columns = ["run", *names, "status", "epochs_done", *(f"final_{name}" for name in figures), *best,
                        "seconds", "digest", "reason"]  # fmt: skip
        self._epoch_columns = [
            "run", "epoch", *(name for name in figures if not name.startswith("test_")), "seconds"
        ]  # fmt: skip
        self.rows: list[TableRow] = []
        self._files: tuple[TextIO, TextIO] | None = None
        self._open = ExitStack()
        if folder is not None:
            self._files = self._go_on(folder, definition)

    def add(self, values: Values, result: Result) -> TableRow:
        """Append a run's row, and its epochs beside it."""
        history, number = result.history, len(self.rows) + 1
        figures = final_and_best(history) | result.test if len(history) else {}
        row: TableRow = dict.fromkeys(self.columns) | {
            "run": number, **values, "status": result.status, "epochs_done": len(history), **figures,
            "seconds": result.seconds, "digest": result.digest, "reason": result.reason,
        }  # fmt: skip
        if self._files:
            epochs, results = self._files
            _append(epochs, self._epoch_columns, ({"run": number, **epoch} for epoch in history))
            _append(results, self.columns, [row])
        self.rows.append(row)
        return row

    def close(self) -> None:
        """Close the files, and give the folder free."""
        self._open.close()

    def _go_on(self, folder: Path, definition: Definition) -> tuple[TextIO, TextIO]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._open.enter_context(locked(folder))
            _claim(folder, definition)
            results = self._open.enter_context(_started(folder / RESULTS, self.columns))
            epochs = self._open.enter_context(_started(folder / EPOCHS, self._epoch_columns))
            _cut(folder / RESULTS, None)
            rows = self._read(folder / RESULTS)
            _cut(folder / EPOCHS, len(rows))
            self.rows = rows[: self._search.runs]  # more, where the run_cap was larger before
        except PortableBPError:
            self.close()
            raise
        except (OSError, ValueError) as error:
            self.close()
            said = getattr(error, "strerror", error)
            raise FileError(f"can't write to {str(folder)!r} ({said}): name another folder") from error
        return epochs, results

    def _read(self, path: Path) -> list[TableRow]:
        """The rows of a file that this sweep wrote, its parameters' values from the points themselves."""
        rows: list[TableRow] = []
        try:
            with path.open(newline="", encoding="utf-8") as file:
                lines = csv.reader(file)
                _require(next(lines) == self.columns)
                for number, line in enumerate(lines):
                    rows.append(self._row(number, line, rows))
        except (ValueError, StopIteration, csv.Error) as error:
            raise FileError(
                f"{str(path)!r} is not as this sweep wrote it: name another folder, or delete this one"
            ) from error
        return rows

    def _row(self, number: int, line: list[str], before: Sequence[TableRow]) -> TableRow:
        """One row; ValueError where it isn't the one of run ``number``, counted from 0; ``before``: the rows before."""
        point = self._search.point(number, before)
        found = dict(zip(self.columns, line, strict=True))
        _require(found["run"] == str(number + 1) and found["status"] in STATUSES)
        _require(all(found[name] == ("" if value is None else str(value)) for name, value in point.items()))
        return {name: point[name] if name in point else _value(name, text) for name, text in found.items()}


def _require(right: bool) -> None:
    if not right:
        raise ValueError


def _value(name: str, text: str) -> Any:
    if name in WORDS:
        return text
    if name in WHOLE:
        return int(text)
    return float(text) if text or name == "seconds" else None


def _claim(folder: Path, definition: Definition) -> None:
    """Make the folder the one of this sweep; refuse the folder of another one, or of something else."""
    path = folder / DEFINITION
    shown = {"sha256": definition.digest, "definition": definition.expanded()}
    content = (json.dumps(shown, indent=1, ensure_ascii=False) + "\n").encode()
    if not path.exists():
        if any(other.name != LOCK for other in folder.iterdir()):
            raise FileError(f"the folder {str(folder)!r} holds other files: a sweep needs one of its own; name another")
        write_whole(path, content)
    require_regular(path)
    with path.open("rb") as file:
        if file.read(len(content) + 1) != content:
            raise FileError(
                f"the folder {str(folder)!r} holds the results of another sweep: name another one as out, or delete it"
            )


def _started(path: Path, columns: list[str]) -> TextIO:
    """The file, open at its end; with its header, where it is new."""
    if not path.exists():
        write_whole(path, (",".join(columns) + "\n").encode())
    require_growable(path)
    require_regular(path)
    return path.open("a", newline="", encoding="utf-8")


def _append(file: TextIO, columns: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows in one piece."""
    text = StringIO(newline="")
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    file.write(text.getvalue())
    file.flush()


def _cut(path: Path, runs: int | None) -> None:
    """Cut a file off behind its last whole line, and behind the lines of the first ``runs`` runs."""
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file):
            whole = line.endswith(b"\n")
            if not whole or (runs is not None and number and _run_of(line, path) > runs):
                break
            end += len(line)
    if end < path.stat().st_size:
        os.truncate(path, end)


def _run_of(line: bytes, path: Path) -> int:
    """The number of the run to which a line of epochs.csv belongs."""
    try:
        return int(line.split(b",", 1)[0])
    except ValueError as error:
        raise FileError(
            f"{str(path)!r} is not as this sweep wrote it: name another folder, or delete this one"
        ) from error
