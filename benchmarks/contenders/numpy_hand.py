"""NumPy by hand, as textbooks write it: a new array an operation."""

from __future__ import annotations

import numpy as np
from problem import Array, Problem

from contenders.contender import Contender
from contenders.numpy_losses import binary_cross_entropy, sigmoid, softmax_cross_entropy

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Hand(Contender):
    """Forward, backward and update in one place, for this one form of network."""

    def __init__(self, problem: Problem, device: str) -> None:
        self.work, self.x, self.y = problem.work, problem.x, problem.y
        self.params = [array.copy() for layer in problem.start for array in layer]
        self.m = [np.zeros_like(array) for array in self.params]
        self.v = [np.zeros_like(array) for array in self.params]
        self.t, self.noise = 0, np.random.default_rng(1)
        self.loss = softmax_cross_entropy if self.work.softmax else binary_cross_entropy

    def epoch(self) -> float:
        if self.work.steps:
            return float(np.mean([self.step(self.x, self.y) for _ in range(self.work.steps)]))
        order, batch, total = self.noise.permutation(self.work.rows), self.work.batch, 0.0
        for first in range(0, self.work.rows, batch):
            rows = order[first : first + batch]
            total += self.step(self.x[rows], self.y[rows]) * len(rows)
        return float(total / self.work.rows)

    def step(self, x: Array, y: Array) -> float:
        outputs = self.forward(x)
        loss, d = self.loss(outputs[-1], y)
        self.update(self.backward(outputs, d))
        return loss

    def forward(self, x: Array) -> list[Array]:
        outputs, last = [x], len(self.params) - 2
        for i in range(0, len(self.params), 2):
            x = x @ self.params[i] + self.params[i + 1]
            if i < last:
                x = np.maximum(x, 0) if self.work.softmax else sigmoid(x)
            outputs.append(x)
        return outputs

    def backward(self, outputs: list[Array], d: Array) -> list[Array]:
        grads: list[Array] = []
        for i in range(len(self.params) - 2, -1, -2):
            x = outputs[i // 2]
            grads = [x.T @ d, d.sum(axis=0), *grads]
            if i > 0:
                d = d @ self.params[i].T
                d = d * (x > 0) if self.work.softmax else d * (x * (1 - x))
        return grads

    def update(self, grads: list[Array]) -> None:
        if not self.work.softmax:
            self.params = [w - self.work.rate * g for w, g in zip(self.params, grads, strict=True)]
            return
        self.t += 1
        c1, c2 = 1 - BETA1**self.t, 1 - BETA2**self.t
        for i, g in enumerate(grads):
            self.m[i] = BETA1 * self.m[i] + (1 - BETA1) * g
            self.v[i] = BETA2 * self.v[i] + (1 - BETA2) * g * g
            self.params[i] = self.params[i] - self.work.rate * (self.m[i] / c1) / (np.sqrt(self.v[i] / c2) + EPSILON)

    def logits(self, x: Array) -> Array:
        return self.forward(x)[-1]
