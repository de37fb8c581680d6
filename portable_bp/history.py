"""What a training run measured: one row an epoch, one column a quantity."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, overload

from portable_bp.errors import ConfigurationError, NonFiniteError
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
        self.error: NonFiniteError | None = None
        """What ended the training of a diverged member of `fit_together`, which goes on with the others."""

    def append(self, row: Row) -> None:
        """Add an epoch's row."""
        self.extend({name: [number] for name, number in row.items()})

    def extend(self, new: Columns) -> None:
        """Add the columns of further epochs."""
        for name, numbers in new.items():
            self.columns.setdefault(name, []).extend(numbers)

    @property
    def rows(self) -> Rows:
        """All rows, one an epoch; to read."""
        return Rows(self.columns)

    def __getitem__(self, name: str) -> list[float]:
        try:
            return self.columns[name]
        except KeyError:
            has = ", ".join(self.columns) or "no rows yet: train first"
            raise ConfigurationError(f"history has no column {name!r}; it has {has}") from None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

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


class Rows(Sequence[Row]):
    """The rows of columns, each made when it is asked for."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> list[Row]: ...
    def __getitem__(self, number: int | slice) -> Row | list[Row]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        if not self._columns:  # without a column nothing below would raise, and iteration would never end
            raise IndexError(number)
        return {name: numbers[number] for name, numbers in self._columns.items()}
