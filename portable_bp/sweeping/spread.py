"""Where the runs of a sweep are carried out: as populations or one by one, here or spread over processes by joblib."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import takewhile

from portable_bp.arguments import whole_number
from portable_bp.errors import ConfigurationError
from portable_bp.sweeping.batches import Options, batches, run_together
from portable_bp.sweeping.run import Result

MOST_JOBS = 10_000


def results(points: Sequence[Options], jobs: int = 1, *, batch: bool = True, done: int = 0) -> Iterator[list[Result]]:
    """Yield the results of all runs but the first ``done``, in the order of the points, as many at a time as are there.

    A point is all options of `train`.

    This is the one place that decides how runs are carried out. With ``batch`` those that may be are trained together;
    with whom doesn't depend on what is done, since in native arithmetic the last bits may depend on the company: where
    a run is missing, its whole batch is trained again.
    """
    jobs = whole_number("jobs", jobs, 1, MOST_JOBS)
    every = batches(points) if batch else [[number] for number in range(len(points))]
    wanted = [(numbers, [n for n in numbers if n >= done]) for numbers in every if numbers[-1] >= done]
    wanted.sort(key=lambda pair: pair[1])  # the row that is missing first is wanted first
    made = _carried_out([[points[n] for n in numbers] for numbers, _ in wanted], jobs)
    return _in_order(range(done, len(points)), zip((numbers for numbers, _ in wanted), made, strict=True))


def _in_order(numbers: range, batches: Iterable[tuple[list[int], list[Result]]]) -> Iterator[list[Result]]:
    """The results of the runs of these ``numbers``, each as soon as those before it are there."""
    found: dict[int, Result] = {}
    wanted = numbers.start
    for own, made in batches:
        found.update(zip(own, made, strict=True))
        ready = list(takewhile(found.__contains__, range(wanted, numbers.stop)))
        wanted += len(ready)
        if ready:
            yield [found.pop(number) for number in ready]


def _carried_out(tasks: Sequence[Sequence[Options]], jobs: int) -> Iterator[list[Result]]:
    return map(run_together, tasks) if jobs == 1 else _in_processes(tasks, jobs)


def _in_processes(tasks: Sequence[Sequence[Options]], jobs: int) -> Iterator[list[Result]]:
    """Spread over ``jobs`` processes of joblib's backend: loky, or what `joblib.parallel_config` chose (dask, ray)."""
    try:
        from joblib import Parallel, delayed
    except ImportError as error:
        raise ConfigurationError(f"jobs={jobs} needs joblib: pip install 'portable-bp[sweep]'") from error
    spread = Parallel(n_jobs=jobs, return_as="generator")
    return _left_quietly(spread(delayed(run_together)(task) for task in tasks))


def _left_quietly(found: Generator[list[Result], None, None]) -> Iterator[list[Result]]:
    """What joblib finds, without its advice to whoever interrupts it."""
    try:
        for result in found:  # noqa: UP028 - `yield from` would close it before the warning is ignored
            yield result
    finally:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*adjusting the input task iterator", UserWarning)
            found.close()
