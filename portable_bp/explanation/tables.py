"""A derivation as rich tables, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from portable_bp.explanation.notation import number
from portable_bp.explanation.text import matrix_lines

if TYPE_CHECKING:
    from portable_bp.explanation.derivation import Explanation


def tables(derivation: Explanation, width: int) -> Iterator[Any]:
    """Forward pass and paths as tables, the matrix form as text, for a terminal of ``width`` columns."""
    from rich.text import Text

    yield Text(derivation.title, style="bold")
    yield _forward(derivation)
    yield _paths(derivation)
    yield Text("Backward, in matrix form", style="italic")
    yield Text("\n".join(matrix_lines(derivation.matrices, width)), no_wrap=True)
    yield Text(f"\n{derivation.verdict}")


def _forward(derivation: Explanation) -> Any:
    table = _table("Forward", *(["example"] if derivation.examples > 1 else []), "", "formula", "numbers", "value")
    for example in derivation.shown:
        for step in derivation.forward(example):
            cells = (step.left, step.formula or "", step.filled or "", number(step.value))
            table.add_row(*_first(derivation, example), *map(str, cells))
        table.add_section()
    table.add_row(*_first(derivation, None), "J", type(derivation.loss).__name__, "", str(number(derivation.value)))
    return table


def _paths(derivation: Explanation) -> Any:
    example_column = ["example"] if derivation.examples > 1 else []
    table = _table("Backward, path by path", "∂J/∂", *example_column, "path", "numbers", "product")
    for one in derivation.partials:
        name = f"{one.symbol}  {one.place}"
        for example in derivation.shown:
            for row in derivation.rows(one, example):
                cells = (row.factors, row.filled, row.product)
                table.add_row(name, *_first(derivation, example), *map(str, cells))
                name = ""
        if len(one.paths) * derivation.examples > 1:
            table.add_row("", *_first(derivation, None), "", "sum", str(number(one.value)), style="bold")
        table.add_section()
    return table


def _table(title: str, *columns: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in ("value", "product") else "left")
    return table


def _first(derivation: Explanation, example: int | None) -> list[str]:
    """The cell of the column of examples, where there is one."""
    if derivation.examples == 1:
        return []
    return ["" if example is None else str(example + 1)]
