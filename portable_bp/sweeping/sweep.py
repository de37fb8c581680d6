"""A sweep: from its definition to the table of all its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from portable_bp.arguments import whole_number
from portable_bp.errors import ConfigurationError
from portable_bp.sweeping.batches import WINDOW
from portable_bp.sweeping.definition import Definition, read_definition
from portable_bp.sweeping.metrics import Metric, choose_metric
from portable_bp.sweeping.progress import Told, bar, duration, show_on_terminal, silence
from portable_bp.sweeping.rows import TableRow
from portable_bp.sweeping.run import columns_of
from portable_bp.sweeping.search import search_of
from portable_bp.sweeping.spread import results
from portable_bp.sweeping.summary import Point, points
from portable_bp.sweeping.table import Table
from portable_bp.writing import write_whole

MANY = 10_000
"""Runs above which a sweep is not started without being asked for twice: hours, even of the smallest ones."""
TRIED = 1_000
"""Points whose options are checked before the first run: a fraction of a second."""

Progress = Callable[[int, int, list[str], Metric], AbstractContextManager[Told]]


class Results(list[TableRow]):
    """The rows of a sweep, one dict a run."""

    def __init__(
        self, rows: list[TableRow], columns: list[str], names: list[str], metric: Metric, batched: int = 0
    ) -> None:
        super().__init__(rows)
        self.columns, self.names, self.metric = columns, names, metric
        self.batched = batched
        """Number of runs that were now trained together with others."""

    def points(self) -> list[Point]:
        """The points, best first: mean and spread of the metric over the seeds."""
        return points(self, self.names, self.metric)

    def to_dataframe(self) -> Any:
        """Give the rows as a pandas DataFrame."""
        try:
            import pandas
        except ImportError as error:
            raise ConfigurationError("to_dataframe() needs pandas: pip install 'portable-bp[table]'") from error
        return pandas.DataFrame(list(self), columns=self.columns)

    def to_parquet(self, path: str | Path) -> None:
        """Write the rows as a Parquet file."""
        require_parquet(Path(path))
        write_whole(Path(path), self.to_dataframe().to_parquet(index=False, engine="pyarrow"))


def require_parquet(path: Path) -> None:
    """Refuse, before hours of training, a table that couldn't be written."""
    if path.suffix != ".parquet" or not path.parent.is_dir():
        raise ConfigurationError(
            f"can't write the table {str(path)!r}: name a file that ends in .parquet, in a folder that is there; "
            "results.csv is written in any case"
        )
    if any(find_spec(name) is None for name in ("pandas", "pyarrow")):
        raise ConfigurationError("a Parquet file needs pandas and pyarrow: pip install 'portable-bp[parquet]'")


class Sweep:
    """A definition that was checked: its points, its metric, and the columns of its table."""

    def __init__(self, definition: Definition) -> None:
        self.definition, self.search = definition, search_of(definition)
        for values in self.search.tried(min(self.search.runs, TRIED)):
            definition.recipe(values)
        self.figures = columns_of(self._datasets())
        self.metric = choose_metric(definition.metric, self.figures)

    @cached_property
    def names(self) -> list[str]:
        """Parameters that tell the points apart: those with several values, but the seed."""
        swept = [parameter for parameter in self.definition.parameters if parameter.is_swept]
        return [parameter.written for parameter in swept if parameter.option.name != "seed"]

    def carry_out(
        self, out: Path | None, jobs: int, confirm: Callable[[str], None], progress: Progress, *, batch: bool = True
    ) -> Results:
        """Do the runs that the folder ``out`` doesn't hold yet; ``confirm`` raises where many are not wanted."""
        table = Table(self.definition, self.search, self.figures, out)
        with closing(table):
            batched = 0
            if self.search.runs > MANY:
                batched += self._ask(table, jobs, confirm, batch=batch)
            with progress(self.search.runs, len(table.rows), self._shown, self.metric) as told:
                for row, together, behind in self._added(table, jobs, batch=batch):
                    batched += together > 1
                    told(row, behind)
        return Results(table.rows, table.columns, self.names, self.metric, batched)

    def _added(self, table: Table, jobs: int, *, batch: bool) -> Iterator[tuple[TableRow, int, int]]:
        """The rows that are missing, as they come.

        Each with the number of runs that were trained together with it, and of those behind it that have ended too.
        """
        window = min(WINDOW, self.search.ahead)
        while len(table.rows) < self.search.runs:
            done = len(table.rows) % window
            start = len(table.rows) - done
            numbers = range(start, min(start + window, self.search.runs))
            points = [self.search.point(number, table.rows) for number in numbers]
            options = [self.definition.options(values) for values in points]
            for some in results(options, jobs, batch=batch, done=done):
                for behind, result in zip(reversed(range(len(some))), some, strict=True):
                    yield table.add(points[len(table.rows) - start], result), result.together, behind

    def _ask(self, table: Table, jobs: int, confirm: Callable[[str], None], *, batch: bool) -> bool:
        """Do the first run, tell from it how long the others take, and let ``confirm`` stop the sweep.

        Gives whether there was one to do, and others with it.
        """
        together = 1
        if not table.rows:
            _, together, _ = next(self._added(table, 1, batch=batch))
        left = self.search.runs - len(table.rows)
        seconds = table.rows[0]["seconds"]
        confirm(
            f"the sweep has {self.search.runs:,} runs; the first took {duration(seconds)}, so the other {left:,} would "
            f"take about {duration(seconds * left / jobs)}"
        )
        return together > 1

    @property
    def _shown(self) -> list[str]:
        return [parameter.written for parameter in self.definition.parameters if parameter.is_swept]

    def _datasets(self) -> set[tuple[str, str | None]]:
        """The datasets that runs may take, each with its folder."""
        taken = {p.option.name: p.values for p in self.definition.parameters if p.option.name in ("dataset", "data")}
        fixed = self.definition.fixed
        names = taken.get("dataset") or [fixed.get("dataset")]
        folders = taken.get("data") or [fixed.get("data")]
        return {(name, folder) for name in names for folder in folders}


def sweep(
    definition: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    jobs: int = 1,
    batch: bool = True,
    runs: int | None = None,
    sweep_seed: int = 0,
    yes: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> Results:
    """Run a sweep and return its table, a list with one dict a run.

    ``definition`` is a Weights & Biases sweep file, or the same as a dict; its parameters are options of
    ``portable-bp train``, and ``options`` sets further ones for all runs, such as dataset="xor", backend="cupy".
    ``out`` is the folder in which results.csv and epochs.csv grow; the same call goes on where it stopped. ``jobs``
    processes share the runs. With ``batch`` runs that differ only in rates, seeds, hidden widths, epochs and the like
    are trained together as one population (`fit_together`), without it one by one. ``runs`` replaces the definition's
    run_cap. Random search draws from (``sweep_seed``, number of the run). ``yes`` allows more than 10,000 runs.
    ``progress`` None shows a bar where stderr is a terminal.
    """
    made = Sweep(with_cap(read_definition(definition, options, sweep_seed), runs))
    shown = show_on_terminal() if progress is None else progress
    return made.carry_out(
        None if out is None else Path(out), whole_number("jobs", jobs, 1), approve if yes else _refuse,
        bar if shown else silence, batch=batch,
    )  # fmt: skip


def with_cap(definition: Definition, runs: int | None) -> Definition:
    """The definition with another run_cap, where one is given."""
    return definition if runs is None else replace(definition, run_cap=whole_number("runs", runs, 1))


def approve(_: str) -> None:
    """Let the sweep go on."""


def _refuse(what: str) -> None:
    raise ConfigurationError(f"{what}: write fewer values, a run_cap, or yes=True")
