"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portable_bp.arrays import Array, Namespace
from portable_bp.optimizers.optimizer import Optimizer, OptimizerState, Tree, dtype_of, each, no_updates, zeros
from portable_bp.optimizers.weight_decay import decay_weights
from portable_bp.schedules import Hyperparameter, require, value_at


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam::

        t ← t + 1
        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        θ ← θ - η (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)

    ``learning_rate`` η, ``beta1`` β₁, ``beta2`` β₂, ``epsilon`` ε; state m, v, t. The last line is computed in the
    paper's cheaper order, θ ← θ - η_t m / (√v + ε_t) with η_t = η √(1 - β₂ᵗ) / (1 - β₁ᵗ) and ε_t = ε √(1 - β₂ᵗ), which
    is the same number. These two are computed in float64: at t = 1 most digits of 1 - β₂ are lost in float32.

    Source: Kingma and Ba, ICLR 2015, algorithm 1 and the end of section 2.
    """

    learning_rate: Hyperparameter = 0.001
    beta1: Hyperparameter = 0.9
    beta2: Hyperparameter = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        require(self, "learning_rate")
        require(self, "beta1", 1.0)
        require(self, "beta2", 1.0)
        require(self, "epsilon", positive=True)

    def init(self, xp: Namespace, params: Tree) -> OptimizerState:
        return {"t": no_updates(xp), "m": zeros(xp, params), "v": zeros(xp, params)}

    def update(self, xp: Namespace, params: Tree, grads: Tree, state: OptimizerState) -> tuple[Tree, OptimizerState]:
        dtype, t = dtype_of(params), state["t"] + 1
        rate, beta1, beta2 = (value_at(xp, h, state["t"], dtype) for h in (self.learning_rate, self.beta1, self.beta2))
        m = each(lambda m, g: beta1 * m + (1 - beta1) * g, state["m"], grads)
        v = each(lambda v, g: beta2 * v + (1 - beta2) * (g * g), state["v"], grads)
        rate_t, epsilon_t = corrected(xp, rate, self.epsilon, (beta1, beta2), t, dtype)
        new = each(lambda w, m, v: w - rate_t * xp.divide(m, xp.sqrt(v) + epsilon_t), params, m, v)
        return new, {"t": t, "m": m, "v": v}


@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay: Adam's θ - η(…), and for weights also - η λ θ, both from the old θ.

    ``weight_decay`` λ shrinks the arrays named ``weight``, not biases (PyTorch's default shrinks both); the paper's
    schedule multiplier η_t and its rate α are one here, ``learning_rate``, as in PyTorch.

    Source: Loshchilov and Hutter, ICLR 2019, algorithm 2.
    """

    learning_rate: Hyperparameter = 0.001
    beta1: Hyperparameter = 0.9
    beta2: Hyperparameter = 0.999
    epsilon: float = 1e-8
    weight_decay: Hyperparameter = 0.01

    def __post_init__(self) -> None:
        require(self, "weight_decay")
        self._adam()  # checks the others

    def _adam(self) -> Adam:
        return Adam(self.learning_rate, self.beta1, self.beta2, self.epsilon)

    def init(self, xp: Namespace, params: Tree) -> OptimizerState:
        return self._adam().init(xp, params)

    def update(self, xp: Namespace, params: Tree, grads: Tree, state: OptimizerState) -> tuple[Tree, OptimizerState]:
        moved, new_state = self._adam().update(xp, params, grads, state)
        dtype = dtype_of(params)
        rate, decay = (value_at(xp, h, state["t"], dtype) for h in (self.learning_rate, self.weight_decay))
        return decay_weights(moved, params, rate * decay), new_state


def corrected(
    xp: Namespace, rate: Any, epsilon: float, betas: tuple[Any, Any], t: Array, dtype: Any
) -> tuple[Array, Array]:
    """η √(1 - β₂ᵗ) / (1 - β₁ᵗ) and ε √(1 - β₂ᵗ), which undo the start of both averages at 0; given in ``dtype``."""
    exponent = xp.astype(t, xp.float64)
    rate, *bases = (
        xp.astype(h, xp.float64) if hasattr(h, "dtype") else h + xp.zeros_like(exponent) for h in (rate, *betas)
    )
    together = xp.stack(xp.broadcast_arrays(*bases, exponent))  # one call for both: each is some dozens of operations
    c = 1 - xp.pow(together[:-1, ...], together[-1, ...])
    root = xp.sqrt(c[1, ...])
    return xp.astype(xp.divide(rate * root, c[0, ...]), dtype), xp.astype(epsilon * root, dtype)
