"""The forward pass, one equation a neuron, with the numbers filled in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from portable_bp.arrays import HostArray
from portable_bp.explanation.chain import Stage
from portable_bp.explanation.notation import Symbol, Y, applied, function, joined, number, numbers, product
from portable_bp.explanation.paths import Key

FEW = 6
"""Terms of a sum that are written out; a longer one is written with Σ."""


@dataclass(frozen=True)
class Step:
    """left = formula = numbers = value; None where there is nothing to compute or to fill in."""

    left: Symbol
    formula: Symbol | None
    filled: Symbol | None
    value: float


def needed(chain: Sequence[Stage], keys: Collection[Key] | None) -> list[list[int]]:
    """Neurons to show, of the inputs and then of every stage's outputs: those on the keys' paths, or all."""
    if keys is None:
        return [list(range(chain[0].x.shape[-1])), *(list(range(stage.y.shape[-1])) for stage in chain)]
    shown: list[set[int]] = [set() for _ in range(len(chain) + 1)]
    for layer, name, index in keys:
        if name == "weight":
            shown[layer].add(index[0])
        shown[layer + 1].add(index[-1])
        on = {index[-1]}
        for place, stage in enumerate(chain[layer + 1 :], start=layer + 2):
            on = on if stage.slope is not None else set(range(stage.y.shape[-1]))
            shown[place] |= on
    return [sorted(neurons) for neurons in shown]


def forward_steps(chain: Sequence[Stage], shown: Sequence[Sequence[int]], example: int) -> Iterator[Step]:
    """The equations of one example, from the inputs to the outputs."""
    for i in shown[0]:
        yield Step(chain[0].before[i], None, None, float(chain[0].x[example, i]))
    for stage, neurons in zip(chain, shown[1:], strict=True):
        for j in neurons:
            make = _activation if stage.slope is not None else _dense
            yield make(stage, j, stage.x[example], float(stage.y[example, j]))


def target_steps(target: HostArray, neurons: Sequence[int]) -> Iterator[Step]:
    """What the outputs of one example are to be: its class number, or a number for each output."""
    if target.ndim == 0:
        yield Step(Y.whole, None, None, float(target))
    else:
        yield from (Step(Y[j], None, None, float(target[j])) for j in neurons)


def _activation(stage: Stage, j: int, x: HostArray, value: float) -> Step:
    f = function(stage.layer)
    return Step(stage.after[j], applied(f, stage.before[j]), applied(f, number(float(x[j]))), value)


def _dense(stage: Stage, j: int, x: HostArray, value: float) -> Step:
    theta, own = stage.parameter("weight"), stage.params
    bias = [stage.parameter("bias")[j]] if "bias" in own else []
    if len(x) > FEW:
        return Step(stage.after[j], _sum([_long_sum(stage, j), *bias]), None, value)
    formula = [product([stage.before[i], theta[i, j]]) for i in range(len(x))]
    filled = [numbers([x[i], own["weight"][i, j]]) for i in range(len(x))]
    if bias:
        filled.append(number(own["bias"][0, j], in_product=True))
    return Step(stage.after[j], _sum([*formula, *bias]), _sum(filled), value)


def _long_sum(stage: Stage, j: int) -> Symbol:
    """Σᵢ a²ᵢ θ²ᵢⱼ with the number of the neuron for j."""
    a, column = stage.before.whole, stage.parameter("weight")[j]
    theta = column.text.removeprefix(stage.parameter("weight").whole.text)
    return Symbol(
        f"Σᵢ {a}ᵢ · {stage.parameter('weight').whole}ᵢ,{theta}",
        rf"\sum_i {a.latex}_{{i}} \cdot {stage.parameter('weight').whole.latex}_{{i,{j + 1}}}",
    )


def _sum(terms: list[Symbol]) -> Symbol:
    return joined(terms, " + ")
