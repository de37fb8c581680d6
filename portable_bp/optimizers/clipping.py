"""Clipping of gradients."""

from __future__ import annotations

from dataclasses import dataclass

from portable_bp.arrays import Array, Namespace
from portable_bp.optimizers.optimizer import Optimizer, OptimizerState, Tree, dtype_of, each, require_inner
from portable_bp.schedules import Hyperparameter, require, value_at


@dataclass(frozen=True)
class ClipByGlobalNorm(Optimizer):
    """Clipping by the global norm: g ← g · min(1, c / ‖g‖), ‖g‖² = Σ g² over all parameters, then the ``inner`` rule.

    ``max_norm`` c. The direction is kept; in a population each network has its own norm.

    Source: Pascanu, Mikolov and Bengio, ICML 2013, algorithm 1.
    """

    inner: Optimizer
    max_norm: Hyperparameter

    def __post_init__(self) -> None:
        require_inner(self, self.inner)
        require(self, "max_norm", positive=True)

    def init(self, xp: Namespace, params: Tree) -> OptimizerState:
        return self.inner.init(xp, params)

    def update(self, xp: Namespace, params: Tree, grads: Tree, state: OptimizerState) -> tuple[Tree, OptimizerState]:
        norm = global_norm(xp, grads)
        limit = value_at(xp, self.max_norm, state["t"], dtype_of(params)) + xp.zeros_like(norm)
        scale = xp.divide(limit, xp.maximum(norm, limit))
        return self.inner.update(xp, params, each(lambda g: scale * g, grads), state)


def global_norm(xp: Namespace, tree: Tree) -> Array:
    """Euclidean norm over all arrays of the tree: shape (1, 1), or (K, 1, 1) for a population.

    Within a layer the arrays are added by name, whatever order its dict has, so that the rounding is always the same.
    """
    squares = [xp.sum(g * g, axis=(-2, -1), keepdims=True) for layer in tree for _, g in sorted(layer.items())]
    total = squares[0]
    for square in squares[1:]:
        total = total + square
    return xp.sqrt(total)
