"""K encoders at once in JAX: the gradient step of one network under vmap, all steps in one scan."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from problem import Array, Problem

from contenders.contender import Contender
from contenders.jax_mlp import forward, sigmoid_loss


def step(params: Any, rate: Any, x: Any) -> Any:
    """One network's step and its loss before it."""
    loss, grads = jax.value_and_grad(sigmoid_loss)(params, x, x)
    return jax.tree.map(lambda w, g: w - rate * g, params, grads), loss


class Population(Contender):
    """The parameters are donated."""

    def __init__(self, problem: Problem, device: str) -> None:
        place = jax.devices(device)[0]
        self.params, self.rates, self.x = jax.device_put((problem.start, problem.rates, problem.x), place)
        self.steps = problem.work.steps
        self.run = jax.jit(self._run, donate_argnums=0)

    def _run(self, params: Any, rates: Any, x: Any) -> Any:
        together = jax.vmap(step, in_axes=(0, 0, None))
        params, losses = jax.lax.scan(lambda own, _: together(own, rates, x), params, length=self.steps)
        return params, losses.mean()

    def epoch(self) -> float:
        self.params, loss = self.run(self.params, self.rates, self.x)
        return float(loss)

    def logits(self, x: Array) -> Array:
        return np.asarray(jax.vmap(lambda own: forward(own, x, jax.nn.sigmoid))(self.params))
