"""A handful of trainings in reproducible arithmetic, whose digests are known and are the same on every device.

`python -m portable_bp.checking.golden FOLDER` (with MNIST's files) runs them anew on NumPy and records their digests.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portable_bp.arrays import HostArray
from portable_bp.backend import Backend, get_backend
from portable_bp.backpropagation import training_step
from portable_bp.batches import Batches, one_by_one
from portable_bp.checking.differences import named
from portable_bp.datasets import mnist, one_hot, xor
from portable_bp.digest import digest
from portable_bp.initializers import Normal
from portable_bp.layers import Dense, Dropout, Layer, ReLU, Sigmoid, Tanh
from portable_bp.losses import BinaryCrossEntropy, HalfMeanSquaredError, Loss, SoftmaxCrossEntropy
from portable_bp.network import Network
from portable_bp.optimizers import SGD, Adam, Optimizer
from portable_bp.reproducible import with_arithmetic

MNIST_IMAGES, MNIST_BATCH = 2560, 128
RECORD = Path(__file__).with_name("golden.json")


@dataclass(frozen=True)
class Training:
    """A network, its data and its optimizer, and for how many epochs they are trained."""

    layers: tuple[Layer, ...]
    loss: Loss
    optimizer: Optimizer
    dtype: str
    epochs: int
    data: str

    def network(self, backend: Backend) -> Network:
        """The network before its first step, in reproducible arithmetic."""
        return Network(self.layers, self.loss, backend=with_arithmetic(backend, "reproducible"), dtype=self.dtype)

    def examples(self, folder: str | Path | None) -> tuple[HostArray, HostArray]:
        """Inputs and targets; ``folder`` holds MNIST's files."""
        if self.data == "mnist":
            train = mnist(folder).train
            return train.x[:MNIST_IMAGES], train.y[:MNIST_IMAGES]
        return {"encoder": one_hot, "xor": xor}[self.data]()

    @property
    def batch_size(self) -> int | None:
        """Images a step; the small sets are taken whole."""
        return MNIST_BATCH if self.data == "mnist" else None

    def digest(self, backend: Backend, folder: str | Path | None = None) -> str:
        """Train on a backend and return the digest of the parameters."""
        net, (x, y) = self.network(backend), self.examples(folder)
        net.fit(x, y, optimizer=self.optimizer, epochs=self.epochs, batch_size=self.batch_size, progress=False)
        return net.digest()

    def steps(self, backend: Backend, folder: str | Path | None = None) -> Iterator[dict[str, HostArray]]:
        """Train step by step: after each one yield the parameters and the optimizer's state, as named NumPy arrays.

        The backend is active within the steps only: its context is the thread's, which goes on elsewhere between them.
        """
        net = self.network(backend)
        place = net.backend
        with place.activate():
            data = net.preparation.batch(*self.examples(folder))
            batches = Batches.of(data[0].shape[0], self.batch_size, True)
            state = net.start(self.optimizer)
            run = place.compile(training_step(place.xp, net.model, self.optimizer))
        for epoch in range(1, self.epochs + 1):
            with place.activate():
                orders = list(one_by_one(batches.orders(place, net.seed, epoch)))
            for order in orders:
                with place.activate():
                    state, _ = run(state, data, [order])
                    found = _on_host(place, state)
                yield found


def _on_host(backend: Backend, state: dict[str, Any]) -> dict[str, HostArray]:
    trees = {"": state["params"], **{f"{s} of ": tree for s, tree in state["optimizer"].items() if s != "t"}}
    return {f"{of}{name}": backend.to_numpy(a) for of, tree in trees.items() for name, a in named(tree).items()}


def _mlp(n_hidden: int, activation: Layer, *more: Layer) -> tuple[Layer, ...]:
    return (Dense(784, n_hidden), activation, *more, Dense(n_hidden, 10))


_ENCODER = (Dense(8, 3, weight_init=Normal()), Sigmoid(), Dense(3, 8, weight_init=Normal()))
_XOR = (Dense(2, 8), Tanh(), Dense(8, 8), Tanh(), Dense(8, 1))

TRAININGS: dict[str, Training] = {
    "encoder, SGD, float64": Training(_ENCODER, BinaryCrossEntropy(), SGD(0.5), "float64", 300, "encoder"),
    "encoder, Adam, float32": Training(_ENCODER, BinaryCrossEntropy(), Adam(0.02), "float32", 300, "encoder"),
    "xor, SGD, float32": Training(_XOR, HalfMeanSquaredError(), SGD(0.5), "float32", 300, "xor"),
    "xor, Adam, float64": Training(_XOR, HalfMeanSquaredError(), Adam(0.02), "float64", 300, "xor"),
    "MNIST 784-32-10, SGD, float32": Training(
        _mlp(32, Sigmoid()), SoftmaxCrossEntropy(), SGD(0.5), "float32", 2, "mnist"
    ),
    "MNIST 784-128-10, Adam, float32": Training(
        _mlp(128, ReLU()), SoftmaxCrossEntropy(), Adam(1e-3), "float32", 2, "mnist"
    ),
    "MNIST 784-128-10 with dropout, Adam, float32": Training(
        _mlp(128, ReLU(), Dropout(0.2)), SoftmaxCrossEntropy(), Adam(1e-3), "float32", 1, "mnist"
    ),
    "MNIST 784-32-10, Adam, float64": Training(
        _mlp(32, Sigmoid()), SoftmaxCrossEntropy(), Adam(1e-3), "float64", 1, "mnist"
    ),
}
"""The trainings by name."""


def _known() -> dict[str, str]:
    digests: dict[str, str] = json.loads(RECORD.read_text())["digests"] if RECORD.exists() else {}
    return digests


GOLDEN = _known()
"""Digest of each training by its name, as recorded."""


def record(folder: str | Path) -> dict[str, Any]:
    """Run every training on NumPy and write its digest, with machine and versions, into the package."""
    import numpy as np

    made = {"processor": platform.machine(), "system": platform.system(), "python": platform.python_version()}
    digests = {name: training.digest(get_backend("numpy"), folder) for name, training in TRAININGS.items()}
    content = {"made": {**made, "numpy": np.__version__, "backend": "numpy"}, "digests": digests}
    RECORD.write_text(json.dumps(content, indent=1) + "\n")
    return content


def first_difference(
    training: Training, backend: Backend, reference: Backend, folder: str | Path | None = None
) -> str | None:
    """Name the first step and array in which a training on two backends differs, and its largest difference."""
    both = zip(training.steps(backend, folder), training.steps(reference, folder), strict=True)
    for number, (found, expected) in enumerate(both, start=1):
        for name, array in expected.items():
            if digest([{name: found[name]}]) != digest([{name: array}]):
                size = float(abs(found[name] - array).max())
                return f"step {number}, {name}: differs by up to {size:.3g}"
    return None


if __name__ == "__main__":
    print(json.dumps(record(sys.argv[1]), indent=1))
