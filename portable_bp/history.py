"""What a training run measured: one row an epoch, one column a quantity."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from portable_bp.errors import ConfigurationError
from portable_bp.writing import write_whole

Row = dict[str, float]
Columns = dict[str, list[float]]


class History:
    """Columns of numbers, one entry an epoch.

    ``epoch`` counts from 1 over the network's life; ``loss`` is the mean per example of the batches' losses while the
    parameters moved; ``training_loss``, ``training_accuracy``, ``validation_loss`` and ``validation_accuracy`` are
    measured after the epoch; ``seconds`` is the epoch's duration. All losses are per example, whether the loss averages
    or sums.
    """

    def __init__(self) -> None:
        self.columns: Columns = {}
        """All columns by name."""

    def append(self, row: Row) -> None:
        """Add an epoch's row."""
        self.extend({name: [number] for name, number in row.items()})

    def extend(self, new: Columns) -> None:
        """Add the columns of further epochs."""
        for name, numbers in new.items():
            self.columns.setdefault(name, []).extend(numbers)

    @property
    def rows(self) -> list[Row]:
        """All rows, one an epoch."""
        return list(rows_of(self.columns))

    def __getitem__(self, name: str) -> list[float]:
        try:
            return self.columns[name]
        except KeyError:
            has = ", ".join(self.columns) or "no rows yet: train first"
            raise ConfigurationError(f"history has no column {name!r}; it has {has}") from None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __iter__(self) -> Iterator[Row]:
        return rows_of(self.columns)

    def to_csv(self, path: str | Path) -> None:
        """Write the columns as CSV with a header; numbers in full precision; FileError where it can't be written."""
        text = StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=list(self.columns))
        writer.writeheader()
        writer.writerows(self)
        write_whole(Path(path), text.getvalue().encode())

    def to_dataframe(self) -> Any:
        """Give the columns as a pandas DataFrame."""
        try:
            import pandas
        except ImportError as error:
            raise ConfigurationError("to_dataframe() needs pandas: pip install 'portable-bp[table]'") from error
        return pandas.DataFrame(self.columns)

    def __repr__(self) -> str:
        return f"<history of {len(self)} epochs: {', '.join(self.columns)}>"


def rows_of(columns: Columns) -> Iterator[Row]:
    """The columns' rows, one an epoch."""
    for numbers in zip(*columns.values(), strict=True):
        yield dict(zip(columns, numbers, strict=True))
