"""The points of a sweep: run k's values as a function of the definition and k alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from portable_bp.errors import ConfigurationError
from portable_bp.streams import Stream
from portable_bp.sweeping.definition import Definition

Values = dict[str, Any]


@dataclass(frozen=True)
class Grid:
    """Every combination of the values; the last parameter changes fastest."""

    definition: Definition

    @property
    def runs(self) -> int:
        """Number of runs."""
        every = prod(len(parameter.values or ()) for parameter in self.definition.parameters)
        return min(every, self.definition.run_cap or every)

    def point(self, number: int) -> Values:
        """Values of run ``number``, by the names written."""
        found = {}
        for parameter in reversed(self.definition.parameters):
            values = parameter.values or ()
            number, place = divmod(number, len(values))
            found[parameter.written] = values[place]
        return {parameter.written: found[parameter.written] for parameter in self.definition.parameters}


@dataclass(frozen=True)
class Random:
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

    def point(self, number: int) -> Values:
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


Search = Grid | Random


def search_of(definition: Definition) -> Search:
    """The search that the definition's method names."""
    return Grid(definition) if definition.method == "grid" else Random(definition)
