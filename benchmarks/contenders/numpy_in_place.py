"""NumPy by hand for speed: everything is written into arrays made beforehand, all parameters lie in one buffer."""

from __future__ import annotations

from math import sqrt

import numpy as np
from problem import Array, Problem

from contenders.contender import Contender
from contenders.numpy_hand import BETA1, BETA2, EPSILON


def views(flat: Array, start: list[tuple[Array, Array]]) -> list[tuple[Array, Array]]:
    """The flat buffer cut into (W, b) of every layer."""
    sizes = [array.size for layer in start for array in layer]
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return [(parts[2 * i].reshape(w.shape), parts[2 * i + 1]) for i, (w, _) in enumerate(start)]


class InPlace(Contender):
    """``a[i]`` are the outputs of layer i for a batch, ``d[i]`` the loss's gradient by its sums; a[0] is the batch."""

    def __init__(self, problem: Problem, device: str) -> None:
        work = self.work = problem.work
        self.x, self.y, self.noise, self.t = problem.x, problem.y, np.random.default_rng(1), 0
        self.flat = np.concatenate([array.ravel() for layer in problem.start for array in layer])
        self.grad, self.m, self.v, self.scratch = (np.zeros_like(self.flat) for _ in range(4))
        self.params, self.grads = views(self.flat, problem.start), views(self.grad, problem.start)
        self.a = [np.empty((work.batch, n), np.float32) for n in work.widths]
        self.d = [np.empty((work.batch, n), np.float32) for n in work.widths]
        self.numbers = np.arange(work.batch)

    def epoch(self) -> float:
        if self.work.steps:
            self.a[0][:] = self.x
            return float(np.mean([self.step(self.x, len(self.x)) for _ in range(self.work.steps)]))
        order, batch, total = self.noise.permutation(self.work.rows), self.work.batch, 0.0
        for first in range(0, self.work.rows, batch):
            rows = order[first : first + batch]
            # mode="raise", the default, would gather into a hidden array and copy
            np.take(self.x, rows, axis=0, out=self.a[0][: len(rows)], mode="clip")
            total += self.step(self.y[rows], len(rows)) * len(rows)
        return float(total / self.work.rows)

    def step(self, y: Array, n: int) -> float:
        a, d = ([array[:n] for array in arrays] for arrays in (self.a, self.d))
        self.forward(a)
        loss = self.softmax_loss(a[-1], y, d[-1]) if self.work.softmax else self.sigmoid_loss(a[-1], y, d[-1])
        self.backward(a, d)
        self.adam() if self.work.softmax else self.sgd()
        return loss

    def forward(self, a: list[Array]) -> None:
        for i, (weight, bias) in enumerate(self.params):
            x, y = a[i], a[i + 1]
            np.matmul(x, weight, out=y)
            np.add(y, bias, out=y)
            if i < len(self.params) - 1:
                np.maximum(y, 0, out=y) if self.work.softmax else into_sigmoid(y, y)

    def softmax_loss(self, y: Array, labels: Array, d: Array) -> float:
        rows = self.numbers[: len(labels)]
        np.subtract(y, y.max(axis=1, keepdims=True), out=y)
        np.exp(y, out=d)
        total = d.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - y[rows, labels]).mean()
        np.divide(d, total, out=d)
        d[rows, labels] -= 1
        np.multiply(d, 1 / len(labels), out=d)
        return loss

    def sigmoid_loss(self, y: Array, target: Array, d: Array) -> float:
        np.logaddexp(0, y, out=d)
        loss = (d.sum() - np.vdot(target, y)) / len(y)
        into_sigmoid(y, d)
        np.subtract(d, target, out=d)
        np.multiply(d, 1 / len(y), out=d)
        return loss

    def backward(self, a: list[Array], d: list[Array]) -> None:
        for i in range(len(self.params) - 1, -1, -1):
            weight, bias = self.grads[i]
            np.matmul(a[i].T, d[i + 1], out=weight)
            np.sum(d[i + 1], axis=0, out=bias)
            if i > 0:
                np.matmul(d[i + 1], self.params[i][0].T, out=d[i])
                self.through_activation(a[i], d[i])

    def through_activation(self, y: Array, d: Array) -> None:
        if self.work.softmax:
            np.multiply(d, y > 0, out=d)
        else:
            np.multiply(d, y, out=d)
            np.subtract(1, y, out=y)
            np.multiply(d, y, out=d)

    def sgd(self) -> None:
        np.multiply(self.grad, self.work.rate, out=self.grad)
        np.subtract(self.flat, self.grad, out=self.flat)

    def adam(self) -> None:
        self.t += 1
        c1, c2 = 1 - BETA1**self.t, 1 - BETA2**self.t
        g, s = self.grad, self.scratch
        self.m *= BETA1
        self.m += np.multiply(g, 1 - BETA1, out=s)
        self.v *= BETA2
        np.multiply(g, g, out=s)
        self.v += np.multiply(s, 1 - BETA2, out=s)
        np.sqrt(self.v, out=s)
        s += EPSILON * sqrt(c2)  # m/c1 / (√(v/c2) + ε) = (√c2/c1) · m / (√v + ε√c2)
        np.divide(self.m, s, out=s)
        s *= self.work.rate * sqrt(c2) / c1
        self.flat -= s

    def logits(self, x: Array) -> Array:
        a = [x, *(np.empty((len(x), n), np.float32) for n in self.work.widths[1:])]
        self.forward(a)
        return a[-1]


def into_sigmoid(x: Array, out: Array) -> None:
    """1 / (1 + e⁻ˣ)."""
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    np.reciprocal(out, out=out)
