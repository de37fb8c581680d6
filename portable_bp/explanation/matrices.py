"""The same derivatives in matrix form, as the layers' own backward passes compute them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from portable_bp.arrays import HostArray
from portable_bp.explanation.chain import Stage
from portable_bp.explanation.notation import Symbol, applied, function, joined, partial

HADAMARD, TIMES = Symbol("⊙", r"\odot"), Symbol("·", r"\,")


@dataclass(frozen=True, eq=False)
class MatrixEquation:
    """left = formula = parts with numbers = value; ``parts`` has matrices and operators in turn, or nothing."""

    left: Symbol
    formula: Symbol
    parts: tuple[HostArray | Symbol, ...]
    value: HostArray


def matrix_form(chain: Sequence[Stage], first: int) -> list[MatrixEquation]:
    """δ and the gradients of every Dense layer, from the last one back to layer ``first``::

    δᴸ = ∂J/∂a ⊙ f′(z)     δˡ = δˡ⁺¹ Θˡᵀ ⊙ f′(zˡ)     ∂J/∂Θˡ = (aˡ)ᵀ δˡ⁺¹     ∂J/∂bˡ = Σ_batch δˡ⁺¹
    """
    last = chain[-1]
    formula = partial(last.after.whole)
    parts: tuple[HostArray | Symbol, ...] = (last.dy,)
    equations: list[MatrixEquation] = []
    for stage in reversed(chain[first:]):
        if stage.slope is not None:
            f = applied(function(stage.layer), stage.before.whole, prime=True)
            formula, parts = joined([formula, HADAMARD, f], " "), (*parts, HADAMARD, stage.slope)
            continue
        equations += _of_dense(stage, formula, parts)
        weight = stage.params["weight"]
        formula = joined([stage.delta.whole, _transposed(stage.matrix.whole)], " ")
        parts = (stage.dy, TIMES, weight.T)
    return equations


def _of_dense(stage: Stage, formula: Symbol, parts: tuple[HostArray | Symbol, ...]) -> Iterator[MatrixEquation]:
    delta = stage.delta.whole
    yield MatrixEquation(delta, formula, parts, stage.dy)
    by_weight = joined([_transposed(stage.before.whole), delta], " ")
    yield MatrixEquation(partial(stage.matrix.whole), by_weight, (stage.x.T, TIMES, stage.dy), stage.grads["weight"])
    if "bias" in stage.grads:
        over = Symbol(f"Σ_batch {delta}", rf"\sum_{{\mathrm{{batch}}}} {delta.latex}")
        yield MatrixEquation(partial(stage.parameter("bias").whole), over, (), stage.grads["bias"])


def _transposed(matrix: Symbol) -> Symbol:
    if matrix.text == matrix.latex:  # x, without a number of its own above
        return Symbol(f"{matrix}ᵀ", rf"{matrix.latex}^{{\mathsf T}}")
    return Symbol(f"({matrix})ᵀ", rf"\left({matrix.latex}\right)^{{\mathsf T}}")
