"""The contract of an optimizer, and the one way in which a rule is applied to every parameter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from portable_bp.arguments import require_fields
from portable_bp.arrays import Array, Namespace, Params
from portable_bp.errors import ConfigurationError

Tree: TypeAlias = list[Params]
"""One dict of arrays a layer: parameters, gradients, or an optimizer's averages of them."""
OptimizerState: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Optimizer(ABC):
    """A rule that turns parameters θ and gradients g into new parameters.

    Every array has at least two axes, (…, n_in, n_out) or (…, 1, n_out); with a leading axis of K networks the
    hyper-parameters may be arrays of shape (K, 1, 1). The state is named by the paper's symbols; it always holds ``t``,
    the number of updates made, int64 of shape ().
    """

    @abstractmethod
    def init(self, xp: Namespace, params: Tree) -> OptimizerState:
        """State before the first update."""

    @abstractmethod
    def update(self, xp: Namespace, params: Tree, grads: Tree, state: OptimizerState) -> tuple[Tree, OptimizerState]:
        """Return the parameters and the state after one update."""


def require_inner(wrapper: Optimizer, inner: object) -> None:
    """Refuse a wrapper around what is no optimizer."""
    if not isinstance(inner, Optimizer):
        raise ConfigurationError(f"{type(wrapper).__name__} got inner={inner!r}: give an optimizer such as SGD(0.1)")
    require_fields(inner)


def each(rule: Callable[..., Array], *trees: Tree) -> Tree:
    """Apply ``rule`` to the corresponding arrays of trees of the same form."""
    return [
        {name: rule(*(layer[name] for layer in layers)) for name in layers[0]} for layers in zip(*trees, strict=True)
    ]


def zeros(xp: Namespace, params: Tree) -> Tree:
    """Zeros in the form of the parameters."""
    return each(xp.zeros_like, params)


def dtype_of(params: Tree) -> Any:
    """The dtype that all the parameters share; None where there are none."""
    return next((array.dtype for layer in params for array in layer.values()), None)


def no_updates(xp: Namespace) -> Array:
    """The count t before the first update."""
    return xp.zeros((), dtype=xp.int64)


def root(xp: Namespace, square: Array, epsilon: float) -> Array:
    """√square + ε, the denominator of the adaptive rules."""
    return epsilon + xp.sqrt(square)
