"""One run of a sweep, from its options to its figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import portable_bp as bp
from portable_bp.cli.recipe import resolve
from portable_bp.cli.tasks import Data, load
from portable_bp.cli.training_run import carry_out
from portable_bp.errors import ConfigurationError, DataError, NonFiniteError, ShapeError
from portable_bp.history import History, Row

FINISHED, DIVERGED, REFUSED = "finished", "diverged", "refused"
STATUSES = (FINISHED, DIVERGED, REFUSED)
"""Of a run that ended as planned; that met a NaN or an infinity; whose options don't fit the data."""
PARTS = {"train": "training", "validation": "validation", "test": "test"}
"""A dataset's parts, with the first words of their figures."""


@dataclass(frozen=True)
class Result:
    """What came of one run."""

    status: str
    history: History
    """Of the finite epochs, also where the run diverged."""
    test: dict[str, float] = field(default_factory=dict)
    """Columns of the test part, where there is one."""
    digest: str = ""
    reason: str = ""

    @property
    def seconds(self) -> float:
        """Duration of all epochs, with their measurements."""
        return sum(self.history["seconds"]) if len(self.history) else 0.0


class _Recorder(bp.Callback):
    """Keeps the rows of a training that may yet fail."""

    only_reads_rows = True

    def __init__(self) -> None:
        self.history = History()

    def on_epoch_end(self, net: bp.Network, row: Row) -> None:
        self.history.append(row)


@lru_cache(maxsize=2)
def data_of(dataset: str, folder: str | None) -> Data:
    """Load a dataset once for all runs of this process that follow each other."""
    return load(dataset, None if folder is None else Path(folder))


def run(options: Mapping[str, Any]) -> Result:
    """Train with these options of `train`; also a run that diverges, or that the data doesn't fit, has a result."""
    recorder = _Recorder()
    try:
        recipe = resolve(options)
        done = carry_out(recipe, quiet=True, data=data_of(recipe.dataset, recipe.data), callbacks=[recorder])
    except NonFiniteError as error:
        return Result(DIVERGED, recorder.history, reason=_line(error))
    except (ConfigurationError, DataError, ShapeError) as error:
        return Result(REFUSED, recorder.history, reason=_line(error))
    test = {f"final_test_{word}": value for word, value in done.measured.items()} if done.part == "test" else {}
    return Result(FINISHED, done.history, test, done.digest)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def columns_of(datasets: Iterable[tuple[str, str | None]]) -> list[str]:
    """Names of the figures that runs on these datasets have."""
    parts = {part for dataset in datasets for part in data_of(*dataset).parts}
    named = [name for part, name in PARTS.items() if part in parts]
    return ["loss", *(f"{name}_{word}" for name in named for word in ("loss", "accuracy"))]
