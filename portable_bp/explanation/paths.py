"""Every partial derivative as the sum, over all paths from the parameter to J, of the products along the path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from portable_bp.arrays import HostArray
from portable_bp.explanation.chain import Stage
from portable_bp.explanation.notation import Symbol, applied, function, number, partial
from portable_bp.layers import Dense, Layer

Key = tuple[int, str, tuple[int, ...]]
"""One parameter: number of its layer, name, index, as in ``net.params[0]["weight"][1, 0]``."""


@dataclass(frozen=True, eq=False)
class Factor:
    """One derivative along a path, such as f′(z³₁): its symbol and its value in every example, (batch,)."""

    symbol: Symbol
    values: HostArray


@dataclass(frozen=True, eq=False)
class Path:
    """The product of the factors from J back to the parameter."""

    factors: tuple[Factor, ...]

    @cached_property
    def values(self) -> HostArray:
        """The product in every example, (batch,)."""
        return np.prod([factor.values for factor in self.factors], axis=0)


@dataclass(frozen=True, eq=False)
class Partial:
    """∂J/∂θ of one parameter: the paths, and what the network's own backpropagation says."""

    key: Key
    symbol: Symbol
    paths: tuple[Path, ...]
    backpropagation: float

    @cached_property
    def value(self) -> float:
        """The sum over paths and examples."""
        return float(sum(np.sum(path.values) for path in self.paths))

    @cached_property
    def size(self) -> float:
        """The sum of the terms' absolute values, against which rounding is to be measured."""
        return float(sum(np.sum(np.abs(path.values)) for path in self.paths))

    @property
    def difference(self) -> float:
        """|sum over paths - backpropagation|."""
        return abs(self.value - self.backpropagation)

    @property
    def place(self) -> str:
        """Where it is in Python: ``0.weight[1, 0]``."""
        layer, name, index = self.key
        return f"{layer}.{name}[{', '.join(map(str, index))}]"


def count(layers: Sequence[Layer], number: int) -> tuple[int, int]:
    """Number of paths from one parameter of layer ``number`` to J, and of factors on each.

    A path passes one neuron of every later Dense layer, so the paths are the product of those layers' widths. Its
    factors are ∂J/∂(output), one for each later layer, and ∂z/∂θ.
    """
    later = layers[number + 1 :]
    return prod(layer.n_out for layer in later if isinstance(layer, Dense)), len(later) + 2


def partials(chain: Sequence[Stage], keys: Sequence[Key]) -> list[Partial]:
    """Write out the derivative by each of these parameters."""
    return [_partial(chain, key) for key in keys]


def _partial(chain: Sequence[Stage], key: Key) -> Partial:
    layer, name, index = key
    stage = chain[layer]
    last = _by_weight(stage, index[0]) if name == "weight" else Factor(number(1), np.ones(len(stage.x)))
    paths = tuple(Path((*route, last)) for route in _routes(chain[layer:], index[-1]))
    return Partial(key, stage.parameter(name)[_written(name, index)], paths, float(stage.grads[name][index]))


def _written(name: str, index: tuple[int, ...]) -> tuple[int, ...]:
    """Indices as formulas have them: a bias of shape (1, n) has one."""
    return index if name == "weight" else index[-1:]


def _by_weight(stage: Stage, i: int) -> Factor:
    """∂z_j/∂θ_ij = the i-th input."""
    return Factor(stage.before[i], stage.x[:, i])


def _routes(chain: Sequence[Stage], neuron: int) -> Iterator[tuple[Factor, ...]]:
    """Factors of every way from J back to output ``neuron`` of the chain's first stage."""
    stage, later = chain[0], chain[1:]
    if not later:
        yield (Factor(partial(stage.after[neuron]), stage.dy[:, neuron]),)
        return
    following = later[0]
    if following.slope is not None:
        f = applied(function(following.layer), following.before[neuron], prime=True)
        for route in _routes(later, neuron):
            yield (*route, Factor(f, following.slope[:, neuron]))
        return
    for k in range(following.y.shape[-1]):
        weight = following.params["weight"][neuron, k]
        factor = Factor(following.parameter("weight")[neuron, k], np.full(len(stage.x), weight))
        for route in _routes(later, k):
            yield (*route, factor)
