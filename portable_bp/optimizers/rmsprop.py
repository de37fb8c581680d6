"""RMSProp."""

from __future__ import annotations

from dataclasses import dataclass

from portable_bp.arrays import Namespace
from portable_bp.optimizers.optimizer import Optimizer, OptimizerState, Tree, dtype_of, each, no_updates, root, zeros
from portable_bp.schedules import Hyperparameter, require, value_at


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """RMSProp: r ← ρ r + (1 - ρ) g², θ ← θ - η g / (√r + ε).

    ``learning_rate`` η, ``rho`` ρ, ``epsilon`` ε; state r, which starts at 0 and is not corrected for it.
    ε stands outside the root as in PyTorch; Keras puts it inside.

    Source: Tieleman and Hinton, Coursera "Neural networks for machine learning" (2012), lecture 6.5 (ρ = 0.9).
    """

    learning_rate: Hyperparameter = 0.001
    rho: Hyperparameter = 0.9
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        require(self, "learning_rate")
        require(self, "rho", 1.0)
        require(self, "epsilon", positive=True)

    def init(self, xp: Namespace, params: Tree) -> OptimizerState:
        return {"t": no_updates(xp), "r": zeros(xp, params)}

    def update(self, xp: Namespace, params: Tree, grads: Tree, state: OptimizerState) -> tuple[Tree, OptimizerState]:
        dtype = dtype_of(params)
        rate = value_at(xp, self.learning_rate, state["t"], dtype)
        rho = value_at(xp, self.rho, state["t"], dtype)
        r = each(lambda r, g: rho * r + (1 - rho) * (g * g), state["r"], grads)
        new = each(lambda w, g, r: w - rate * xp.divide(g, root(xp, r, self.epsilon)), params, grads, r)
        return new, {"t": state["t"] + 1, "r": r}
