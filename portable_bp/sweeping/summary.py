"""The points of a sweep by their figure: mean and spread over the seeds, best first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from portable_bp.sweeping.metrics import Metric
from portable_bp.sweeping.rows import TableRow
from portable_bp.sweeping.run import FINISHED


@dataclass(frozen=True)
class Point:
    """The runs that differ in their seed alone."""

    values: dict[str, Any]
    runs: tuple[int, ...]
    """Numbers of all runs."""
    figures: tuple[float, ...]
    """Of those that finished."""

    @property
    def mean(self) -> float | None:
        """Mean over the seeds; None where a run didn't finish, for the others don't speak for the point."""
        return fmean(self.figures) if len(self.figures) == len(self.runs) else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds (n - 1); None for fewer than two."""
        return stdev(self.figures) if len(self.figures) > 1 else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.values, "runs": len(self.runs), "finished": len(self.figures), "mean": self.mean,
                "spread": self.spread}  # fmt: skip


def points(rows: Iterable[TableRow], names: Sequence[str], metric: Metric) -> list[Point]:
    """The points by the parameters ``names``, best mean first; then, in their order, those with runs that failed."""
    groups: dict[str, list[TableRow]] = {}
    for row in rows:
        groups.setdefault(repr([row[name] for name in names]), []).append(row)
    found = [_point(group, names, metric) for group in groups.values()]
    sign = -1.0 if metric.rises else 1.0
    return sorted(found, key=lambda point: (point.mean is None, sign * (point.mean or 0.0)))


def _point(group: list[TableRow], names: Sequence[str], metric: Metric) -> Point:
    figures = [row[metric.column] for row in group if row["status"] == FINISHED]
    return Point(
        {name: group[0][name] for name in names},
        tuple(row["run"] for row in group),
        tuple(figure for figure in figures if figure is not None),
    )
