"""Two ways to keep weights small; each wraps an optimizer, and neither changes the loss that is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portable_bp.arrays import Namespace
from portable_bp.errors import ConfigurationError
from portable_bp.optimizers.optimizer import Optimizer, OptimizerState, Tree, dtype_of, require_inner
from portable_bp.schedules import Hyperparameter, require, value_at

DECAYED = "weight"
"""Name of the arrays that are decayed; biases are not."""


@dataclass(frozen=True)
class L2(Optimizer):
    """L2 penalty: the gradient of J + (λ/2) Σ W², so g ← g + λ W for weights, then the ``inner`` rule.

    ``strength`` λ. The loss that is reported stays J without the penalty. With adaptive rules such as Adam this is not
    the same as `DecoupledWeightDecay`.

    Source: Krogh and Hertz, NIPS 1991.
    """

    inner: Optimizer
    strength: Hyperparameter

    def __post_init__(self) -> None:
        require_inner(self, self.inner)
        require(self, "strength")

    def init(self, xp: Namespace, params: Tree) -> OptimizerState:
        return self.inner.init(xp, params)

    def update(self, xp: Namespace, params: Tree, grads: Tree, state: OptimizerState) -> tuple[Tree, OptimizerState]:
        strength = value_at(xp, self.strength, state["t"], dtype_of(params))
        penalised = [
            {name: g + strength * layer[name] if name == DECAYED else g for name, g in layer_grads.items()}
            for layer, layer_grads in zip(params, grads, strict=True)
        ]
        return self.inner.update(xp, params, penalised, state)


@dataclass(frozen=True)
class DecoupledWeightDecay(Optimizer):
    """Decoupled decay: the ``inner`` rule, and for weights also W ← … - η λ W, from the W before the update.

    ``strength`` λ; η is the inner optimizer's learning rate.

    Source: Loshchilov and Hutter, ICLR 2019, algorithm 1.
    """

    inner: Any  # an Optimizer with a learning_rate
    strength: Hyperparameter

    def __post_init__(self) -> None:
        require_inner(self, self.inner)
        if not hasattr(self.inner, "learning_rate"):
            raise ConfigurationError(
                f"DecoupledWeightDecay got inner={self.inner!r}, which has no learning_rate: put the decay "
                "inside, around the rule, and the other wrapper outside"
            )
        require(self, "strength")

    def init(self, xp: Namespace, params: Tree) -> OptimizerState:
        return self.inner.init(xp, params)  # type: ignore[no-any-return]

    def update(self, xp: Namespace, params: Tree, grads: Tree, state: OptimizerState) -> tuple[Tree, OptimizerState]:
        moved, new_state = self.inner.update(xp, params, grads, state)
        dtype = dtype_of(params)
        rate, decay = (value_at(xp, h, state["t"], dtype) for h in (self.inner.learning_rate, self.strength))
        return decay_weights(moved, params, rate * decay), new_state


def decay_weights(moved: Tree, before: Tree, share: Any) -> Tree:
    """Subtract ``share`` of the weights before the update from the weights after it."""
    return [
        {name: array - share * old[name] if name == DECAYED else array for name, array in new.items()}
        for new, old in zip(moved, before, strict=True)
    ]
