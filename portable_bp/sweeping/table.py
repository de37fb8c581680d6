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

from portable_bp.errors import FileError
from portable_bp.sweeping.definition import Definition
from portable_bp.sweeping.metrics import final_and_best
from portable_bp.sweeping.rows import TableRow, Values
from portable_bp.sweeping.run import Result
from portable_bp.sweeping.search import Search
from portable_bp.writing import write_whole

RESULTS, EPOCHS, DEFINITION = "results.csv", "epochs.csv", "sweep.json"
WORDS = ("status", "digest", "reason")


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
        """Close the files."""
        self._open.close()

    def _go_on(self, folder: Path, definition: Definition) -> tuple[TextIO, TextIO]:
        try:
            claim(folder, definition)
            results = self._open.enter_context(_started(folder / RESULTS, self.columns))
            _lock(results, folder)
            epochs = self._open.enter_context(_started(folder / EPOCHS, self._epoch_columns))
            _cut(folder / RESULTS, None)
            rows = self._read(folder / RESULTS)
            _cut(folder / EPOCHS, len(rows))
            self.rows = rows[: self._search.runs]  # more, where the run_cap was larger before
        except OSError as error:
            self.close()
            if isinstance(error, FileError):
                raise
            raise FileError(f"can't write to {str(folder)!r} ({error.strerror}): name another folder") from error
        return epochs, results

    def _read(self, path: Path) -> list[TableRow]:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            found = [row for row in reader if reader.fieldnames == self.columns]
        rows: list[TableRow] = []
        for number, row in enumerate(found):
            own = {"run": number + 1, **self._search.point(number, rows)}
            if any(row[name] != ("" if value is None else str(value)) for name, value in own.items()):
                break
            rows.append({name: _value(name, text) for name, text in row.items()} | own)
        if reader.fieldnames != self.columns or len(rows) < len(found):
            raise FileError(f"{str(path)!r} is not as this sweep wrote it: name another folder, or delete this one")
        return rows


def _value(name: str, text: str) -> Any:
    if name in WORDS:
        return text
    if name == "epochs_done":
        return int(text)
    try:
        return float(text) if text else None
    except ValueError:  # a parameter's; it is known from the point itself
        return text


def claim(folder: Path, definition: Definition) -> None:
    """Make the folder the one of this sweep; refuse the folder of another one, or of something else."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / DEFINITION
    if not path.exists():
        if any(folder.iterdir()):
            raise FileError(f"the folder {str(folder)!r} holds other files: a sweep needs one of its own; name another")
        content = {"sha256": definition.digest, "definition": definition.expanded()}
        write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("sha256") != definition.digest:
        raise FileError(
            f"the folder {str(folder)!r} holds the results of another sweep: name another one as out, or delete it"
        )


def _started(path: Path, columns: list[str]) -> TextIO:
    """The file, open at its end; with its header, where it is new."""
    if not path.exists():
        write_whole(path, (",".join(columns) + "\n").encode())
    return path.open("a", newline="", encoding="utf-8")


def _lock(file: TextIO, folder: Path) -> None:
    """Keep a second sweep out while this process lives; without effect on systems that lack POSIX locks."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FileError(
            f"another process is writing to {str(folder)!r}: wait for it, or name another folder"
        ) from error


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
            if not whole or (runs is not None and number and int(line.split(b",", 1)[0]) > runs):
                break
            end += len(line)
    if end < path.stat().st_size:
        os.truncate(path, end)
