"""Where the runs of a sweep are carried out: one after the other, or spread over processes by joblib."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from portable_bp.arguments import whole_number
from portable_bp.errors import ConfigurationError
from portable_bp.sweeping.run import Result, run

MOST_JOBS = 10_000


def results(points: Iterable[Mapping[str, Any]], jobs: int = 1) -> Iterator[Result]:
    """Yield the result of every run, in the order of the points, as they come; a point is every option of `train`.

    This is the one place that decides how runs are carried out; points are taken from the iterable a few ahead.
    """
    jobs = whole_number("jobs", jobs, 1, MOST_JOBS)
    return map(run, points) if jobs == 1 else _in_processes(points, jobs)


def _in_processes(points: Iterable[Mapping[str, Any]], jobs: int) -> Iterator[Result]:
    """Spread over ``jobs`` processes of joblib's backend: loky, or what `joblib.parallel_config` chose (dask, ray)."""
    try:
        from joblib import Parallel, delayed
    except ImportError as error:
        raise ConfigurationError(f"jobs={jobs} needs joblib: pip install 'portable-bp[sweep]'") from error
    found: Iterator[Result] = Parallel(n_jobs=jobs, return_as="generator")(delayed(run)(point) for point in points)
    return found
