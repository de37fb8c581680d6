"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portable_bp.arrays import Array, Namespace
from portable_bp.optimizers.optimizer import Optimizer, OptimizerState, Tree, dtype_of, each, no_updates, root, zeros
from portable_bp.optimizers.weight_decay import decay_weights
from portable_bp.schedules import Hyperparameter, require, value_at


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam::

        t ← t + 1
        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        θ ← θ - η (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)

    ``learning_rate`` η, ``beta1`` β₁, ``beta2`` β₂, ``epsilon`` ε; state m, v, t. The corrections 1 - βᵗ are computed
    in float64, since at t = 1 most digits of 1 - β₂ are lost in float32.

    Source: Kingma and Ba, ICLR 2015, algorithm 1.
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
        c1, c2 = corrections(xp, (beta1, beta2), t, dtype)

        def moved(w: Array, m: Array, v: Array) -> Array:
            return w - rate * xp.divide(xp.divide(m, c1), root(xp, xp.divide(v, c2), self.epsilon))

        return each(moved, params, m, v), {"t": t, "m": m, "v": v}


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


def corrections(xp: Namespace, betas: Sequence[Any], t: Array, dtype: Any) -> list[Array]:
    """1 - βᵗ for each β, which undoes the start of an average at 0; computed in float64, given in ``dtype``."""
    exponent = xp.astype(t, xp.float64)
    bases = [xp.astype(b, xp.float64) if hasattr(b, "dtype") else xp.full_like(exponent, b) for b in betas]
    together = xp.stack(xp.broadcast_arrays(*bases, exponent))  # one call for all: each is some dozens of operations
    found = xp.astype(1 - xp.pow(together[:-1, ...], together[-1, ...]), dtype)
    return [found[i, ...] for i in range(len(betas))]
