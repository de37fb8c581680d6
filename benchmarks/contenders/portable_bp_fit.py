"""portable_bp as its users call it: `fit`, an epoch a call; the images are on the device before."""

from __future__ import annotations

from problem import Array, Problem

import portable_bp as bp
from contenders.contender import Contender


class Fit(Contender):
    """A further fit with an equal optimizer goes on where the last one stopped."""

    def __init__(self, problem: Problem, device: str) -> None:
        work = problem.work
        self.work, self.optimizer = work, bp.Adam(work.rate) if work.softmax else bp.SGD(work.rate)
        layers, params = [], []
        for weight, bias in problem.start:
            layers += [bp.Dense(*weight.shape), bp.ReLU() if work.softmax else bp.Sigmoid()]
            params += [{"weight": weight, "bias": bias[None]}, {}]
        loss = bp.SoftmaxCrossEntropy() if work.softmax else bp.BinaryCrossEntropy()
        self.net = bp.Network(layers[:-1], loss, backend=device, params=params[:-1])
        with self.net.backend.activate():
            self.data = self.net.batch(problem.x, problem.y)

    def epoch(self) -> float:
        history = self.net.fit(
            *self.data,
            optimizer=self.optimizer,
            epochs=self.work.steps or 1,
            batch_size=self.work.batch,
            progress=False,
        )
        return sum(history["loss"]) / len(history["loss"])

    def logits(self, x: Array) -> Array:
        return self.net.backend.to_numpy(self.net.forward(x))
