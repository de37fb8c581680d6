"""portable_bp as its users call it: one `fit` for all epochs of a turn; the images are on the device before."""

from __future__ import annotations

from time import perf_counter

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
            self.data = self.net.preparation.batch(problem.x, problem.y)

    def epoch(self) -> float:
        return self._fit(1)

    def epochs(self, number: int) -> tuple[float, float]:
        """Seconds an epoch, with an equal share of what `fit` does before the first one, and the last one's loss."""
        started = perf_counter()
        loss = self._fit(number)
        return (perf_counter() - started) / number, loss

    def _fit(self, epochs: int) -> float:
        """Train; the last epoch's loss. A full-batch step is an epoch to `fit`: then the mean of the last ones."""
        steps = self.work.steps or 1
        history = self.net.fit(
            *self.data,
            optimizer=self.optimizer,
            epochs=epochs * steps,
            batch_size=self.work.batch,
            progress=False,
        )
        return sum(history["loss"][-steps:]) / steps

    def logits(self, x: Array) -> Array:
        return self.net.backend.to_numpy(self.net.forward(x))


class FitWithNumba(Fit):
    """The same where Numba is installed, with which the NumPy backend compiles the optimizer after half a second."""

    def __init__(self, problem: Problem, device: str) -> None:
        import numba  # noqa: F401 (missing, it is named as missing)

        super().__init__(problem, device)
