"""portable_bp's pure core on K networks at once: parameters with a leading axis, a learning rate for each."""

from __future__ import annotations

from problem import Array, Problem

import portable_bp as bp
from contenders.contender import Contender
from portable_bp.backpropagation import Model, training_step


class Population(Contender):
    """All steps in one call of what the backend makes of the pure step."""

    def __init__(self, problem: Problem, device: str) -> None:
        backend = self.backend = bp.get_backend(device)
        self.shapes = [weight.shape[-2:] for weight, _ in problem.start]
        self.model = self._model()
        with backend.activate():
            params = [{"weight": backend.asarray(w), "bias": backend.asarray(b)} for w, b in problem.start]
            optimizer = bp.SGD(backend.asarray(problem.rates))
            tree = [params[0], {}, params[1]]
            step = backend.xp.zeros((), dtype=backend.xp.int64)
            self.state = {"params": tree, "optimizer": optimizer.init(backend.xp, tree), "step": step}
            self.data = (backend.asarray(problem.x), backend.asarray(problem.y))
            self.steps = problem.work.steps
            self.run = backend.compile(training_step(backend.xp, self.model, backend.lower(optimizer)))

    def _model(self) -> Model:
        lower, (first, last) = self.backend.lower, self.shapes
        layers = [bp.Dense(*first), bp.Sigmoid(), bp.Dense(*last)]
        return Model([lower(layer) for layer in layers], lower(bp.BinaryCrossEntropy()))

    def epoch(self) -> float:
        with self.backend.activate():
            self.state, losses = self.run(self.state, self.data, [self.steps])
            return float(self.backend.xp.mean(losses))  # to read them all takes longer than to train thousands

    @property
    def kinds(self) -> list[str]:
        """What the backend made of the step, where it tells."""
        return list(getattr(self.run, "kinds", []))

    def logits(self, x: Array) -> Array:
        with self.backend.activate():
            y, _ = self.model.forward(self.backend.xp, self.state["params"], self.backend.asarray(x))
            return self.backend.to_numpy(y)
