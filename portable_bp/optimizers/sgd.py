"""Gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

from portable_bp.arrays import Namespace
from portable_bp.optimizers.optimizer import Optimizer, OptimizerState, Tree, dtype_of, each, no_updates
from portable_bp.schedules import Hyperparameter, require, value_at


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: θ ← θ - η g.

    ``learning_rate`` η. Source: Robbins and Monro, Ann. Math. Statist. 22 (1951).
    """

    learning_rate: Hyperparameter = 0.01

    def __post_init__(self) -> None:
        require(self, "learning_rate")

    def init(self, xp: Namespace, params: Tree) -> OptimizerState:
        return {"t": no_updates(xp)}

    def update(self, xp: Namespace, params: Tree, grads: Tree, state: OptimizerState) -> tuple[Tree, OptimizerState]:
        rate = value_at(xp, self.learning_rate, state["t"], dtype_of(params))
        return each(lambda w, g: w - rate * g, params, grads), {"t": state["t"] + 1}
