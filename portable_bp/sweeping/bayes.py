"""Points that are proposed from the figures of those before them, by optuna."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from portable_bp.errors import ConfigurationError
from portable_bp.sweeping.definition import Definition
from portable_bp.sweeping.metrics import choose_metric
from portable_bp.sweeping.parameter import Parameter
from portable_bp.sweeping.rows import TableRow, Values
from portable_bp.sweeping.summary import points

BELOW_ONE = 1 - 2.0**-53
LEAST = 2.0**-53


class Bayes:
    """Tree-structured Parzen estimator: all listed seeds run at each point, and its figure is their mean.

    A point is a function of the definition, the sweep's seed and the figures before it, so a sweep that goes on
    proposes what it would have proposed. Distributions are searched in the share of them that lies below a value:
    a logarithmic one, say, evenly in the logarithm.

    Source: Bergstra, Bardenet, Bengio and Kégl, NIPS 2011; optuna's TPESampler.
    """

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        listed = (p for p in definition.parameters if p.option.name == "seed" and p.values is not None)
        self._seeded = next(listed, None)
        self._seeds = [None] if self._seeded is None else list(self._seeded.values or ())
        self._searched = [parameter for parameter in definition.parameters if parameter is not self._seeded]
        self._study, self._optuna = _study(definition)
        self._trials: list[Any] = []
        self._proposed: list[Values] = []

    @property
    def runs(self) -> int:
        """Number of runs."""
        if self.definition.run_cap is None:
            raise ConfigurationError("method: bayes has no end of its own: write run_cap: N in the sweep, or --runs N")
        return self.definition.run_cap

    @property
    def ahead(self) -> int:
        """Number of runs whose values are known at a time: those of one point."""
        return len(self._seeds)

    def tried(self, most: int) -> Iterator[Values]:
        """Points that have every listed value once."""
        middle = {parameter.written: parameter.draw(_Place(0.5)) for parameter in self.definition.parameters}
        yield middle
        for parameter in self.definition.parameters:
            yield from ({**middle, parameter.written: value} for value in (parameter.values or ())[:most])

    def point(self, number: int, rows: Sequence[TableRow] = ()) -> Values:
        """Values of run ``number``, by the names written; ``rows`` has the runs of all the points before it."""
        of, seed = divmod(number, len(self._seeds))
        while len(self._proposed) <= of:
            self._learn(rows)
            self._trials.append(self._study.ask())
            self._proposed.append({p.written: self._suggested(self._trials[-1], p) for p in self._searched})
        own = {} if self._seeded is None else {self._seeded.written: self._seeds[seed]}
        found = {**self._proposed[of], **own}
        return {parameter.written: found[parameter.written] for parameter in self.definition.parameters}

    def _suggested(self, trial: Any, parameter: Parameter) -> Any:
        name, values = parameter.option.name, parameter.values
        if values is None or parameter.probabilities is not None:
            return parameter.draw(_Place(trial.suggest_float(name, 0.0, BELOW_ONE)))
        if len(values) == 1:
            return values[0]
        return values[trial.suggest_categorical(name, list(range(len(values))))]

    def _learn(self, rows: Sequence[TableRow]) -> None:
        """Tell the study of the last point: its mean, or that a run failed."""
        if not self._proposed:
            return
        start = (len(self._proposed) - 1) * len(self._seeds)
        own = rows[start : start + len(self._seeds)]
        figures = [name.removeprefix("final_") for name in own[0] if name.startswith("final_")]
        [point] = points(own, [], choose_metric(self.definition.metric, figures))
        if point.mean is None:
            self._study.tell(self._trials[-1], state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(self._trials[-1], point.mean)


@dataclass(frozen=True)
class _Place:
    """Stands for a stream whose next number has this share of all possible ones below it."""

    share: float

    def uniform(self, _: Any) -> list[float]:
        return [2 * self.share - 1]

    def normal(self, _: Any) -> list[float]:
        return [NormalDist().inv_cdf(max(self.share, LEAST))]


def _study(definition: Definition) -> tuple[Any, Any]:
    try:
        import optuna
    except ImportError as error:
        raise ConfigurationError(
            "method: bayes needs optuna: pip install 'portable-bp[bayes]', or write method: random"
        ) from error
    goal: Any = definition.metric[1] if definition.metric else None
    with _quiet(optuna):
        sampler = optuna.samplers.TPESampler(seed=definition.seed % 2**32)  # NumPy takes no larger seeds
        return optuna.create_study(sampler=sampler, direction=goal), optuna


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without the line about a new study."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
