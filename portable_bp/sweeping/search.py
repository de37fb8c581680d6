"""The points of a sweep: run k's values as a function of the definition and k alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

from portable_bp.errors import ConfigurationError
from portable_bp.streams import Stream
from portable_bp.sweeping.bayes import Bayes
from portable_bp.sweeping.definition import Definition
from portable_bp.sweeping.rows import TableRow, Values


class Search(Protocol):
    """The points of a sweep, by the numbers of their runs."""

    @property
    def runs(self) -> int:
        """Number of runs."""

    @property
    def ahead(self) -> int:
        """Number of runs whose values are known at a time."""

    def tried(self, most: int) -> Iterator[Values]:
        """At most so many points whose options are to be checked before the first run."""

    def point(self, number: int, rows: Sequence[TableRow] = ()) -> Values:
        """Values of run ``number``, by the names written; ``rows`` are those of the runs before it."""


class Known(ABC):
    """A search whose points are all known from the start."""

    @property
    @abstractmethod
    def runs(self) -> int:
        """Number of runs."""

    @property
    def ahead(self) -> int:
        """Number of runs whose values are known at a time."""
        return self.runs

    def tried(self, most: int) -> Iterator[Values]:
        """At most so many points whose options are to be checked before the first run."""
        return (self.point(number) for number in range(most))

    @abstractmethod
    def point(self, number: int, rows: Sequence[TableRow] = ()) -> Values:
        """Values of run ``number``, by the names written."""


@dataclass(frozen=True)
class Grid(Known):
    """Every combination of the values; the last parameter changes fastest."""

    definition: Definition

    @property
    def runs(self) -> int:
        """Number of runs."""
        every = prod(len(parameter.values or ()) for parameter in self.definition.parameters)
        return min(every, self.definition.run_cap or every)

    def point(self, number: int, rows: Sequence[TableRow] = ()) -> Values:
        """Values of run ``number``, by the names written."""
        found = {}
        for parameter in reversed(self.definition.parameters):
            values = parameter.values or ()
            number, place = divmod(number, len(values))
            found[parameter.written] = values[place]
        return {parameter.written: found[parameter.written] for parameter in self.definition.parameters}


@dataclass(frozen=True)
class Random(Known):
    """Points drawn one by one, each from (sweep's seed, number of the point); all listed seeds run at each point."""

    definition: Definition

    @property
    def runs(self) -> int:
        """Number of runs."""
        if self.definition.run_cap is None:
            raise ConfigurationError(
                "a random search has no end of its own: write run_cap: N in the sweep, or --runs N"
            )
        return self.definition.run_cap

    def point(self, number: int, rows: Sequence[TableRow] = ()) -> Values:
        """Values of run ``number``, by the names written."""
        listed = [p for p in self.definition.parameters if p.option.name == "seed" and p.values is not None]
        seeds = listed[0].values or () if listed else (None,)
        drawn, place = divmod(number, len(seeds))
        return {
            parameter.written: seeds[place]
            if parameter in listed
            else parameter.draw(Stream(self.definition.seed, f"sweep/{parameter.option.name}", step=drawn))
            for parameter in self.definition.parameters
        }


def search_of(definition: Definition) -> Search:
    """The search that the definition's method names."""
    kinds: dict[str, Callable[[Definition], Search]] = {"grid": Grid, "random": Random, "bayes": Bayes}
    return kinds[definition.method](definition)
