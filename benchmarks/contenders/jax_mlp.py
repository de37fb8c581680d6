"""JAX: autodiff, and either one jitted step a call or a whole epoch in one lax.scan; the state is donated.

A scan needs equal batches: it takes the full ones, and the rest follows as one more step in the same compiled call.
On the CPU orders are drawn by NumPy, since jax.random.permutation of 60,000 takes 20 ms there, NumPy's 0.5 ms.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from problem import Array, Problem

from contenders.contender import Contender
from contenders.numpy_hand import BETA1, BETA2, EPSILON

jax.config.update("jax_default_matmul_precision", "highest")  # as all others: no TF32 on a GPU


def forward(params: Any, x: Any, activation: Any) -> Any:
    """Logits."""
    for weight, bias in params[:-1]:
        x = activation(x @ weight + bias)
    weight, bias = params[-1]
    return x @ weight + bias


def softmax_loss(params: Any, x: Any, y: Any) -> Any:
    """Mean over the batch."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(forward(params, x, jax.nn.relu)), y[:, None], axis=1)
    return -chosen.mean()


def sigmoid_loss(params: Any, x: Any, y: Any) -> Any:
    """Mean over the batch of the sum over the outputs."""
    logits = forward(params, x, jax.nn.sigmoid)
    return (jax.nn.softplus(logits) - y * logits).sum() / x.shape[0]


def adam(rate: float, state: Any, x: Any, y: Any) -> Any:
    """One step: the new state, and the loss before it."""
    params, m, v, t = state
    loss, grads = jax.value_and_grad(softmax_loss)(params, x, y)
    t = t + 1
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, grads)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, grads)
    c1, c2 = 1 - BETA1**t, 1 - BETA2**t
    params = jax.tree.map(lambda w, m, v: w - rate * (m / c1) / (jnp.sqrt(v / c2) + EPSILON), params, m, v)
    return (params, m, v, t), loss


def sgd(rate: float, state: Any, x: Any, y: Any) -> Any:
    """One step: the new state, and the loss before it."""
    params, *rest = state
    loss, grads = jax.value_and_grad(sigmoid_loss)(params, x, y)
    return (jax.tree.map(lambda w, g: w - rate * g, params, grads), *rest), loss


def gathered(array: Any, rows: Any) -> Any:
    """Rows that are known to exist, without JAX's checks."""
    return array.at[rows].get(mode="promise_in_bounds", unique_indices=True)


class JaxMLP(Contender):
    """What both ways share."""

    def __init__(self, problem: Problem, device: str) -> None:
        self.work, place = problem.work, jax.devices(device)[0]
        self.x, self.y = jax.device_put((problem.x, problem.y), place)
        zeros = jax.tree.map(np.zeros_like, problem.start)
        self.state = jax.device_put((problem.start, zeros, zeros, np.float32(0)), place)
        self.step = partial(adam if self.work.softmax else sgd, self.work.rate)
        self.noise, self.key = np.random.default_rng(1), jax.device_put(jax.random.key(1), place)
        self.on_gpu, self.place = device != "cpu", place

    def order(self) -> Any:
        """Row numbers of a new epoch, on the device."""
        if self.on_gpu:
            self.key, used = jax.random.split(self.key)
            return permutation(used, self.work.rows)
        return jax.device_put(self.noise.permutation(self.work.rows).astype(np.int32), self.place)

    def logits(self, x: Array) -> Array:
        activation = jax.nn.relu if self.work.softmax else jax.nn.sigmoid
        return np.asarray(forward(self.state[0], jax.device_put(x, self.place), activation))


@partial(jax.jit, static_argnums=1)
def permutation(key: Any, n: int) -> Any:
    """0 … n-1 in a random order."""
    return jax.random.permutation(key, n)


class Steps(JaxMLP):
    """One jitted step a call, the gather in it."""

    def __init__(self, problem: Problem, device: str) -> None:
        super().__init__(problem, device)
        self.full = jax.jit(self.step, donate_argnums=0)
        self.batch = jax.jit(self._batch, donate_argnums=0)

    def _batch(self, state: Any, x: Any, y: Any, rows: Any) -> Any:
        state, loss = self.step(state, gathered(x, rows), gathered(y, rows))
        return state, loss * len(rows)

    def epoch(self) -> float:
        losses = []
        for rows in self._batches():
            if rows is None:
                self.state, loss = self.full(self.state, self.x, self.y)
            else:
                self.state, loss = self.batch(self.state, self.x, self.y, rows)
            losses.append(loss)
        return float(sum(jax.device_get(losses))) / (self.work.steps or self.work.rows)

    def _batches(self) -> Any:
        if self.work.steps:
            return [None] * self.work.steps
        order = np.asarray(self.order())  # cut on the host: a slice of a JAX array is a call of its own
        return [order[first : first + self.work.batch] for first in range(0, self.work.rows, self.work.batch)]


class Scan(JaxMLP):
    """One call an epoch."""

    def __init__(self, problem: Problem, device: str) -> None:
        super().__init__(problem, device)
        self.whole = jax.jit(self._steps if self.work.steps else self._epoch, donate_argnums=0)

    def _steps(self, state: Any, x: Any, y: Any) -> Any:
        state, losses = jax.lax.scan(lambda state, _: self.step(state, x, y), state, length=self.work.steps)
        return state, losses.mean()

    def _epoch(self, state: Any, x: Any, y: Any, order: Any) -> Any:
        def batch(state: Any, rows: Any) -> Any:
            state, loss = self.step(state, gathered(x, rows), gathered(y, rows))
            return state, loss * len(rows)

        cut = self.work.rows - self.work.rows % self.work.batch
        state, losses = jax.lax.scan(batch, state, order[:cut].reshape(-1, self.work.batch))
        state, last = batch(state, order[cut:]) if cut < self.work.rows else (state, 0.0)
        return state, (losses.sum() + last) / self.work.rows

    def epoch(self) -> float:
        order = () if self.work.steps else (self.order(),)
        self.state, loss = self.whole(self.state, self.x, self.y, *order)
        return float(loss)
