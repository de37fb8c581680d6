"""A derivation as Markdown with LaTeX, as GitHub, Jupyter and pandoc show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from portable_bp.arrays import HostArray
from portable_bp.explanation.forward import Step
from portable_bp.explanation.matrices import MatrixEquation
from portable_bp.explanation.notation import INDICES, Symbol, counted, number, partial
from portable_bp.explanation.paths import Partial
from portable_bp.explanation.text import MOST_COLUMNS, MOST_ROWS

if TYPE_CHECKING:
    from portable_bp.explanation.derivation import Explanation


def markdown(derivation: Explanation) -> str:
    """Write the derivation out: formulas as aligned equations, the paths as tables."""
    blocks = [
        f"{derivation.title}. {INDICES}",
        "## Forward",
        *_forward(derivation),
        "## Backward, path by path",
        *(block for one in derivation.partials for block in _partial(derivation, one)),
        "## Backward, in matrix form",
        aligned(_equation(equation) for equation in derivation.matrices),
        derivation.verdict,
    ]
    return "\n\n".join(blocks) + "\n"


def aligned(lines: Iterator[str]) -> str:
    """Equations under each other, aligned at their first sign of equality."""
    body = " \\\\\n".join(line.replace(" = ", " &= ", 1) for line in lines)
    return f"$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"


def _forward(derivation: Explanation) -> Iterator[str]:
    for example in derivation.shown:
        if derivation.examples > 1:
            yield f"Example {example + 1}:"
        yield aligned(_step(step) for step in derivation.forward(example))
    yield from _rest(derivation)
    yield f"$${derivation.cost.latex}$$"


def _rest(derivation: Explanation) -> list[str]:
    more = derivation.examples - len(derivation.shown)
    return [f"… and {counted(more, 'more example')}."] if more else []


def _step(step: Step) -> str:
    parts = (step.left, step.formula, step.filled, number(step.value))
    return " = ".join(part.latex for part in parts if part is not None)


def _partial(derivation: Explanation, one: Partial) -> Iterator[str]:
    yield f"### ${partial(one.symbol).latex}$, `{one.place}`"
    several = derivation.examples > 1
    header = [*(["example"] if several else []), "path", "numbers", "product"]
    rows = [header, ["---"] * len(header)]
    for example in derivation.shown:
        for row in derivation.rows(one, example):
            formulas = (f"${symbol.latex}$" for symbol in (row.factors, row.filled, row.product))
            rows.append([*([str(example + 1)] if several else []), *formulas])
    if len(rows) > 3 or several:
        over = "**sum** over all examples" if several else "**sum**"
        rows.append([*([""] * (len(header) - 2)), over, f"${number(one.value).latex}$"])
    yield "\n".join(f"| {' | '.join(row)} |" for row in rows)
    yield from _rest(derivation)


def _equation(equation: MatrixEquation) -> str:
    parts: Sequence[HostArray | Symbol] = equation.parts if len(equation.parts) > 1 else ()
    filled = [" ".join(part.latex if isinstance(part, Symbol) else matrix(part) for part in parts)] if parts else []
    return " = ".join([equation.left.latex, equation.formula.latex, *filled, matrix(equation.value)])


def matrix(values: HostArray) -> str:
    """A matrix; a large one as its shape."""
    if values.shape[0] > MOST_ROWS or values.shape[1] > MOST_COLUMNS:
        return rf"\left[{values.shape[0]} \times {values.shape[1]}\right]"
    rows = r" \\ ".join(" & ".join(number(float(value)).latex for value in row) for row in values)
    return rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}"
