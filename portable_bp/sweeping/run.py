"""One run of a sweep, from its options to its figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from portable_bp.cli.planned_run import PlannedRun, plan
from portable_bp.cli.recipe import resolve
from portable_bp.cli.tasks import Data, load
from portable_bp.errors import ConfigurationError, DataError, NonFiniteError, ShapeError
from portable_bp.history import History

FINISHED, DIVERGED, REFUSED = "finished", "diverged", "refused"
STATUSES = (FINISHED, DIVERGED, REFUSED)
"""Of a run that ended as planned; that met a NaN or an infinity; whose options don't fit the data."""
REFUSALS = (ConfigurationError, DataError, ShapeError)
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
    together: int = 1
    """Number of runs that were trained as one population with it, itself included."""

    @property
    def seconds(self) -> float:
        """Duration of all epochs, with their measurements."""
        return sum(self.history["seconds"]) if len(self.history) else 0.0


@lru_cache(maxsize=2)
def data_of(dataset: str, folder: str | None) -> Data:
    """Load a dataset once for all runs of this process that follow each other."""
    return load(dataset, None if folder is None else Path(folder))


def run(options: Mapping[str, Any]) -> Result:
    """Train with these options of `train`; also a run that diverges, or that the data doesn't fit, has a result."""
    try:
        recipe = resolve(options)
        planned = plan(recipe, data_of(recipe.dataset, recipe.data))
        history = _trained(planned)
    except REFUSALS as error:
        return Result(REFUSED, History(), reason=_line(error))
    return ended(planned, history)


def _trained(planned: PlannedRun) -> History:
    recipe, net = planned.recipe, planned.net
    rule, stop = recipe.make_optimizer(), planned.stopping()
    try:
        net.fit(**planned.arguments(), optimizer=rule, epochs=recipe.epochs, callbacks=stop, progress=False)
    except NonFiniteError as error:
        net.history.error = error
    return net.history


def ended(planned: PlannedRun, history: History, together: int = 1) -> Result:
    """The result of a training, whether it went to its end or diverged; ``together``: with how many others."""
    if history.error is not None:
        return Result(DIVERGED, history, reason=_line(history.error), together=together)
    is_tested = planned.source.reported == "test"
    measured = planned.measured() if is_tested else {}
    test = {f"final_test_{word}": value for word, value in measured.items()}
    return Result(FINISHED, history, test, planned.net.digest(), together=together)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def columns_of(datasets: Iterable[tuple[str, str | None]]) -> list[str]:
    """Names of the figures that runs on these datasets have."""
    parts = {part for dataset in datasets for part in data_of(*dataset).parts}
    named = [name for part, name in PARTS.items() if part in parts]
    return ["loss", *(f"{name}_{word}" for name in named for word in ("loss", "accuracy"))]
