"""Thinc: a chain of its layers, its Adam or SGD, its shuffled batches; the losses by hand, for it has none of its own.

Its CategoricalCrossentropy.get_loss is a sum of squares, no cross-entropy. Clipping and averaging, on by default, are
off.
"""

from __future__ import annotations

from typing import Any

from problem import Array, Problem
from thinc.api import SGD, Adam, Linear, Relu, chain, get_current_ops, require_cpu, require_gpu, sigmoid_activation

from contenders.contender import Contender


class ThincMLP(Contender):
    """Targets are one-hot rows, gathered with the images."""

    def __init__(self, problem: Problem, device: str) -> None:
        require_gpu() if device == "gpu" else require_cpu()
        self.work, self.ops = problem.work, get_current_ops()
        self.x = self.ops.asarray2f(problem.x)
        self.hot = self.ops.asarray2f(
            self.ops.xp.eye(problem.work.widths[-1], dtype="f")[self.ops.asarray(problem.y)]
            if self.work.softmax
            else problem.y
        )
        self.model = self._model(problem)
        rule = Adam if self.work.softmax else SGD
        self.optimizer = rule(self.work.rate, L2=0.0, grad_clip=0.0, use_averages=False)

    def _model(self, problem: Problem) -> Any:
        layers = []
        for weight, bias in problem.start:
            n_in, n_out = weight.shape
            last = len(layers) >= len(problem.start) - 1
            layer = Relu(n_out, n_in) if self.work.softmax and not last else Linear(n_out, n_in)
            layer.initialize()
            layer.set_param("W", self.ops.asarray2f(weight.T.copy()))
            layer.set_param("b", self.ops.asarray1f(bias))
            layers.append(layer if self.work.softmax or last else chain(layer, sigmoid_activation()))
        return chain(*layers)

    def epoch(self) -> float:
        if self.work.steps:
            return float(sum(self.step(self.x, self.hot) for _ in range(self.work.steps)) / self.work.steps)
        batches = self.ops.multibatch(self.work.batch, self.x, self.hot, shuffle=True)
        return float(sum(self.step(x, hot) * len(x) for x, hot in batches) / self.work.rows)

    def step(self, x: Any, hot: Any) -> Any:
        y, back = self.model.begin_update(x)
        loss, d = self.softmax_loss(y, hot) if self.work.softmax else self.sigmoid_loss(y, hot)
        back(d)
        self.model.finish_update(self.optimizer)
        return loss

    def softmax_loss(self, y: Any, hot: Any) -> tuple[Any, Any]:
        p = self.ops.softmax(y)
        return -self.ops.xp.log((p * hot).sum(axis=1)).mean(), (p - hot) / len(y)

    def sigmoid_loss(self, y: Any, target: Any) -> tuple[Any, Any]:
        loss = (self.ops.xp.logaddexp(0, y) - target * y).sum() / len(y)
        return loss, (self.ops.sigmoid(y) - target) / len(y)

    def logits(self, x: Array) -> Array:
        return self.ops.to_numpy(self.model.predict(self.ops.asarray2f(x)))
