"""A finished derivation: what was found, and its three ways to be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from portable_bp.arrays import HostArray
from portable_bp.checking.report import Report
from portable_bp.explanation.chain import Stage
from portable_bp.explanation.forward import Step, forward_steps, needed, target_steps
from portable_bp.explanation.markdown import markdown
from portable_bp.explanation.matrices import MatrixEquation
from portable_bp.explanation.notation import Symbol, counted, joined, number, numbers, product, upright
from portable_bp.explanation.paths import Key, Partial
from portable_bp.explanation.tables import tables
from portable_bp.explanation.text import text
from portable_bp.layers import Dense, Layer
from portable_bp.losses import Loss

EXAMPLES_SHOWN = 3
"""Examples of a batch that are written out one by one; sums and matrices always take all."""


@dataclass(frozen=True)
class PathRow:
    """One path in one example: the factors' names, their numbers and the product."""

    factors: Symbol
    filled: Symbol
    product: Symbol


@dataclass(frozen=True, eq=False)
class Explanation:
    """The derivation of a network's gradients; ``str()``, `markdown`, ``rich.print`` and notebooks show it.

    ``partials`` holds, for each parameter, its paths with all factors, their sum (``value``) and what backpropagation
    gave; ``matrices`` the matrix form; ``differences`` the report of the central differences.
    """

    layers: Sequence[Layer]
    loss: Loss
    value: float
    """J."""
    target: HostArray
    chain: Sequence[Stage]
    only: Sequence[Key] | None
    partials: Sequence[Partial]
    matrices: Sequence[MatrixEquation]
    differences: Report

    @property
    def factors(self) -> int:
        """Number of factors of all the sums, for one example: 8 for a network 1-1-1, 52 for 2-2-2 without biases."""
        return sum(len(path.factors) for one in self.partials for path in one.paths)

    @property
    def difference(self) -> float:
        """Largest difference between a sum over paths and backpropagation, over all the partial derivatives."""
        return max(one.difference for one in self.partials)

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(self.chain[0].x)

    @property
    def shown(self) -> range:
        """The examples that are written out one by one."""
        return range(min(self.examples, EXAMPLES_SHOWN))

    @property
    def title(self) -> str:
        """Widths, layers and loss."""
        dense = [layer for layer in self.layers if isinstance(layer, Dense)]
        widths = "-".join(str(n) for n in [dense[0].n_in, *(layer.n_out for layer in dense)])
        kinds = ", ".join(type(layer).__name__ for layer in self.layers)
        return f"Network {widths}: {kinds}; {type(self.loss).__name__}; {counted(self.examples, 'example')}"

    @cached_property
    def _needed(self) -> list[list[int]]:
        return needed(self.chain, self.only)

    def forward(self, example: int) -> list[Step]:
        """The forward pass of one example, an equation a neuron."""
        return [
            *forward_steps(self.chain, self._needed, example),
            *target_steps(self.target[example], self._needed[-1]),
        ]

    @property
    def cost(self) -> Symbol:
        """J = loss(output; y) = value."""
        out, kind = self.chain[-1].after.whole, type(self.loss).__name__
        named = Symbol(f"{kind}({out}; y)", rf"{upright(kind).latex}({out.latex}; y)")
        return joined([Symbol("J", "J"), named, number(self.value)], " = ")

    def rows(self, one: Partial, example: int) -> list[PathRow]:
        """The paths of a partial derivative in one example."""
        return [
            PathRow(
                product(factor.symbol for factor in path.factors),
                numbers(float(factor.values[example]) for factor in path.factors),
                number(float(path.values[example])),
            )
            for path in one.paths
        ]

    @property
    def verdict(self) -> str:
        """That both forms agree, and how well."""
        worst = max(row.cells["error ÷ tolerance"] for row in self.differences.rows)
        found = f"{counted(len(self.partials), 'partial derivative')}, {counted(self.factors, 'factor')}"
        return (
            f"The sums over paths and the matrix form agree: {found}{' an example' * (self.examples > 1)}, largest "
            f"difference {self.difference:.1g} in float64. So do central differences, within {worst:.1g} of their "
            "tolerance."
        )

    def markdown(self) -> str:
        """Give the derivation as Markdown with LaTeX formulas."""
        return markdown(self)

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.markdown()

    def __str__(self) -> str:
        return text(self)

    def __repr__(self) -> str:
        return f"<explanation of {len(self.partials)} partial derivatives, {self.factors} factors>"

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        return tables(self, options.max_width)
