"""AdaGrad."""

from __future__ import annotations

from dataclasses import dataclass

from portable_bp.arrays import Namespace
from portable_bp.optimizers.optimizer import Optimizer, OptimizerState, Tree, dtype_of, each, no_updates, root, zeros
from portable_bp.schedules import Hyperparameter, require, value_at


@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """AdaGrad: G ← G + g², θ ← θ - η g / (√G + ε).

    ``learning_rate`` η, ``epsilon`` ε; state G (the diagonal of the paper's G_t).

    Source: Duchi, Hazan and Singer, JMLR 12 (2011), figure 1 with δ = ε.
    """

    learning_rate: Hyperparameter = 0.01
    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        require(self, "learning_rate")
        require(self, "epsilon", positive=True)

    def init(self, xp: Namespace, params: Tree) -> OptimizerState:
        return {"t": no_updates(xp), "G": zeros(xp, params)}

    def update(self, xp: Namespace, params: Tree, grads: Tree, state: OptimizerState) -> tuple[Tree, OptimizerState]:
        rate = value_at(xp, self.learning_rate, state["t"], dtype_of(params))
        G = each(lambda G, g: G + g * g, state["G"], grads)
        new = each(lambda w, g, G: w - rate * xp.divide(g, root(xp, G, self.epsilon)), params, grads, G)
        return new, {"t": state["t"] + 1, "G": G}
