"""Gradient descent with momentum, in Polyak's and in Nesterov's form."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from portable_bp.arrays import Array, Namespace
from portable_bp.optimizers.optimizer import Optimizer, OptimizerState, Tree, dtype_of, each, no_updates, zeros
from portable_bp.schedules import Hyperparameter, require, value_at


@dataclass(frozen=True)
class VelocityRule(Optimizer):
    """v ← μ v + g, θ ← θ - η d(g, v), with a direction d of its own; state v."""

    learning_rate: Hyperparameter = 0.01
    momentum: Hyperparameter = 0.9

    def __post_init__(self) -> None:
        require(self, "learning_rate")
        require(self, "momentum", 1.0)

    @abstractmethod
    def direction(self, g: Array, v: Array, mu: Array) -> Array:
        """The direction d in which θ is moved back."""

    def init(self, xp: Namespace, params: Tree) -> OptimizerState:
        return {"t": no_updates(xp), "v": zeros(xp, params)}

    def update(self, xp: Namespace, params: Tree, grads: Tree, state: OptimizerState) -> tuple[Tree, OptimizerState]:
        dtype = dtype_of(params)
        rate = value_at(xp, self.learning_rate, state["t"], dtype)
        mu = value_at(xp, self.momentum, state["t"], dtype)
        v = each(lambda v, g: mu * v + g, state["v"], grads)
        new = each(lambda w, g, v: w - rate * self.direction(g, v, mu), params, grads, v)
        return new, {"t": state["t"] + 1, "v": v}


@dataclass(frozen=True)
class Momentum(VelocityRule):
    """Heavy ball: v ← μ v + g, θ ← θ - η v.

    ``learning_rate`` η, ``momentum`` μ; state v. PyTorch writes it so; Polyak and Sutskever put η inside v, which
    differs only while η changes.

    Source: Polyak, USSR Comput. Math. Math. Phys. 4 (1964).
    """

    def direction(self, g: Array, v: Array, mu: Array) -> Array:
        return v


@dataclass(frozen=True)
class Nesterov(VelocityRule):
    """Nesterov's momentum, written at the point looked ahead to: v ← μ v + g, θ ← θ - η (g + μ v).

    ``learning_rate`` η, ``momentum`` μ; state v. This is PyTorch's and Keras's form: θ here is Sutskever's θ + μ v.

    Source: Nesterov, Soviet Math. Dokl. 27 (1983); Sutskever, Martens, Dahl and Hinton, ICML 2013, eqs. 3 and 4.
    """

    def direction(self, g: Array, v: Array, mu: Array) -> Array:
        return g + mu * v
