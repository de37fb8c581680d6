"""How far a sweep has come: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol

from portable_bp.sweeping.metrics import Metric
from portable_bp.sweeping.rows import TableRow


class Told(Protocol):
    """Is told of each row."""

    def __call__(self, row: TableRow, behind: int = 0) -> None:
        """Show the row; so many runs ``behind`` it have ended too."""


@contextmanager
def bar(runs: int, done: int, names: list[str], metric: Metric) -> Iterator[Told]:
    """A bar on stderr, of which nothing stays."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("run"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn(elapsed_when_finished=True))
    console = Console(stderr=True)
    with Progress(*columns, TextColumn("{task.description}", markup=False), console=console, transient=True) as shown:
        task = shown.add_task("", total=runs, completed=done)

        def told(row: TableRow, behind: int = 0) -> None:
            shown.update(task, completed=row["run"] + behind, description=describe(row, names, metric))

        yield told


@contextmanager
def lines(runs: int, done: int, names: list[str], metric: Metric) -> Iterator[Told]:
    """A line a run on stdout, with the time left."""
    started = perf_counter()

    def told(row: TableRow, behind: int = 0) -> None:
        ended = row["run"] + behind
        left = (perf_counter() - started) * (runs - ended) / (ended - done)
        end = f"  about {duration(left)} left" if ended < runs else ""
        print(f"run {row['run']}/{runs}  {describe(row, names, metric)}{end}", flush=True)

    yield told


@contextmanager
def silence(runs: int, done: int, names: list[str], metric: Metric) -> Iterator[Told]:
    """Nothing."""
    yield lambda row, behind=0: None


def show_on_terminal() -> bool:
    """Whether stderr is one."""
    return sys.stderr.isatty()


def describe(row: TableRow, names: list[str], metric: Metric) -> str:
    """One line of a run: its parameters, and its figure or what became of it."""
    values = " ".join(f"{name}={plain(row[name])}" for name in names)
    figure = row[metric.column]
    if row["status"] != "finished" or figure is None:
        return f"{values}  {row['status']} after {row['epochs_done']} epochs"
    return f"{values}  {metric.name.replace('_', ' ')} {plain(figure)}  {duration(row['seconds'])}"


def plain(value: object) -> str:
    """A value as people read it: numbers to 4 digits, no hidden layers as none."""
    return f"{value:.4g}" if isinstance(value, float) else str(value) or "none"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for limit, unit, name in ((0.1, 1e-3, "ms"), (120, 1, "s"), (7200, 60, "min"), (172800, 3600, "hours")):
        if seconds < limit:
            return f"{seconds / unit:.{0 if seconds / unit >= 10 else 1}f} {name}"
    return f"{seconds / 86400:,.0f} days"
