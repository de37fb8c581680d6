"""K encoders at once in NumPy by hand: products of stacks of matrices, a new array an operation."""

from __future__ import annotations

import numpy as np
from problem import Array, Problem

from contenders.contender import Contender
from contenders.numpy_losses import binary_cross_entropy, sigmoid


class Population(Contender):
    """Two layers, each network with its own rate."""

    def __init__(self, problem: Problem, device: str) -> None:
        self.x, self.steps, self.rates = problem.x, problem.work.steps, problem.rates
        (self.w1, self.b1), (self.w2, self.b2) = problem.start

    def epoch(self) -> float:
        return float(np.mean([self.step(self.x) for _ in range(self.steps)]))

    def step(self, x: Array) -> Array:
        h, y = self.forward(x)
        loss, dy = binary_cross_entropy(y, x)
        dh = (dy @ self.w2.swapaxes(1, 2)) * (h * (1 - h))
        self.w2 = self.w2 - self.rates * (h.swapaxes(1, 2) @ dy)
        self.b2 = self.b2 - self.rates * dy.sum(1, keepdims=True)
        self.w1 = self.w1 - self.rates * (x.T @ dh)
        self.b1 = self.b1 - self.rates * dh.sum(1, keepdims=True)
        return loss

    def forward(self, x: Array) -> tuple[Array, Array]:
        h = sigmoid(x @ self.w1 + self.b1)
        return h, h @ self.w2 + self.b2

    def logits(self, x: Array) -> Array:
        return self.forward(x)[1]
