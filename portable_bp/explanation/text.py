"""A derivation as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from portable_bp.arrays import HostArray
from portable_bp.explanation.forward import Step
from portable_bp.explanation.matrices import MatrixEquation
from portable_bp.explanation.notation import INDICES, Symbol, counted, number
from portable_bp.explanation.paths import Partial

if TYPE_CHECKING:
    from portable_bp.explanation.derivation import Explanation

MOST_ROWS, MOST_COLUMNS = 8, 8
"""Size up to which a matrix is written out; of a larger one the shape is named."""
WIDTH = 120
Block: TypeAlias = str | list[str]
TALL = ("⎡", "⎢", "⎣"), ("⎤", "⎥", "⎦")


def text(derivation: Explanation) -> str:
    """Write the derivation out."""
    return "\n".join(
        [
            f"{derivation.title}. {INDICES}",
            *("", "Forward"),
            *_forward(derivation),
            *("", "Backward, path by path"),
            *(line for one in derivation.partials for line in _partial(derivation, one)),
            *("", "Backward, in matrix form"),
            *matrix_lines(derivation.matrices),
            *("", derivation.verdict),
        ]
    )


def _forward(derivation: Explanation) -> Iterator[str]:
    for example in derivation.shown:
        if derivation.examples > 1:
            yield f"  example {example + 1}"
        yield from (f"  {step_line(step)}" for step in derivation.forward(example))
    yield from _rest(derivation)
    yield f"  {derivation.cost}"


def _rest(derivation: Explanation) -> list[str]:
    more = derivation.examples - len(derivation.shown)
    return [f"  … and {counted(more, 'more example')}"] if more else []


def step_line(step: Step) -> str:
    """z²₁ = x₁ · θ¹₁₁ + b¹₁ = 0.7 · (-1.3) + 0.1 = -0.81"""
    parts = (step.left, step.formula, step.filled, number(step.value))
    return " = ".join(str(part) for part in parts if part is not None)


def _partial(derivation: Explanation, one: Partial) -> Iterator[str]:
    yield f"  ∂J/∂{one.symbol}, {one.place}"
    rows = [(example, row) for example in derivation.shown for row in derivation.rows(one, example)]
    widths = [max(len(str(getattr(row, part))) for _, row in rows) for part in ("factors", "filled")]
    spoken = -1
    for place, (example, row) in enumerate(rows):
        if derivation.examples > 1 and example != spoken:
            yield f"      example {example + 1}"
        spoken = example
        sign = "+" if place else "="
        yield f"    {sign} {row.factors!s:<{widths[0]}} = {row.filled!s:<{widths[1]}} = {row.product}"
    yield from (f"    {line.strip()}" for line in _rest(derivation))
    if len(rows) > 1 or derivation.examples > 1:
        yield f"    = {number(one.value)}"


def matrix_lines(equations: Sequence[MatrixEquation], width: int = WIDTH) -> Iterator[str]:
    """Each equation, its matrices side by side; one that is too wide begins a new line at each sign of equality."""
    for equation in equations:
        formula = f"  {equation.left} = {equation.formula}"
        parts = equation.parts if len(equation.parts) > 1 else ()
        sides: list[list[Block]] = [[formula], *(["= ", *_spaced(side)] for side in (parts, (equation.value,)) if side)]
        whole = beside([block for side in sides for block in (*side, " ")])
        if len(whole[0]) <= width:
            yield from (line.rstrip() for line in whole)
        else:
            yield from (line.rstrip() for n, side in enumerate(sides) for line in beside(["    " * (n > 0), *side]))


def _spaced(parts: Sequence[HostArray | Symbol]) -> list[Block]:
    return [f" {part} " if isinstance(part, Symbol) else matrix(part) for part in parts]


def beside(blocks: Sequence[Block]) -> list[str]:
    """Set blocks of lines next to each other, each in the middle of the height of all."""
    height = max(1 if isinstance(block, str) else len(block) for block in blocks)
    columns = []
    for block in blocks:
        lines = [block] if isinstance(block, str) else block
        above = (height - len(lines)) // 2
        filled = [""] * above + lines + [""] * (height - len(lines) - above)
        width = max(map(len, filled))
        columns.append([line.ljust(width) for line in filled])
    return ["".join(line) for line in zip(*columns, strict=True)]


def matrix(values: HostArray) -> list[str]:
    """A matrix in brackets, its columns aligned; a large one as its shape."""
    if values.shape[0] > MOST_ROWS or values.shape[1] > MOST_COLUMNS:
        return [f"({values.shape[0]} × {values.shape[1]})"]
    cells = [[str(number(float(value))) for value in row] for row in values]
    widths = [max(len(row[column]) for row in cells) for column in range(values.shape[1])]
    rows = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    if len(rows) == 1:
        return [f"[{rows[0]}]"]
    places = [0, *([1] * (len(rows) - 2)), 2]
    return [f"{TALL[0][place]} {row} {TALL[1][place]}" for place, row in zip(places, rows, strict=True)]
