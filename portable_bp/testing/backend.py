"""The check of a backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_bp.backend import Backend, Batch, State, get_backend
from portable_bp.checking.cases import LAYERS, LOSSES, OPTIMIZERS
from portable_bp.errors import ConfigurationError, GradientError
from portable_bp.testing.layer import check_layer
from portable_bp.testing.loss import check_loss
from portable_bp.testing.optimizer import check_optimizer
from portable_bp.testing.requirements import DTYPES, require_same


def check_backend(backend: str | Backend) -> None:
    """Check a backend: moving, creating and owning arrays, the compiled epoch, and every layer, loss and optimizer."""
    if isinstance(backend, type):
        raise ConfigurationError(f"check_backend got the class {backend.__name__}: give an instance, or a name")
    place = get_backend(backend)
    with place.activate():
        check_arrays(place)
        check_epoch(place)
    for layer, shape in LAYERS.values():
        check_layer(layer, shape, backend=place)
    for loss in LOSSES.values():
        check_loss(loss, backend=place)
    for rule in OPTIMIZERS.values():
        check_optimizer(rule, backend=place)


def check_arrays(backend: Backend) -> None:
    """Check moving, creating and owning arrays."""
    xp = backend.xp
    for dtype in (*DTYPES, "int64", "bool"):
        host = np.asarray([[0, 1, 2]]).astype(dtype)
        array = backend.asarray(host)
        require_same(backend, f"to_numpy(asarray({dtype}))", backend.to_numpy(array), host)
        host[0, 0] = 1
        if not backend.owns(array) or backend.to_numpy(array)[0, 0] != 0:
            raise GradientError(f"{backend}: asarray({dtype}) must give a copy that the backend owns")
    created = {"zeros": xp.zeros((2,), dtype=xp.float32), "arange": xp.arange(3, dtype=xp.int64)}
    for name, array in created.items():
        if not backend.owns(array):
            raise GradientError(f"{backend}: xp.{name} without device must create on the backend's device")
    if backend.owns(object()):
        raise GradientError(f"{backend} says that it owns what is no array")
    backend.synchronize()


def check_epoch(backend: Backend) -> None:
    """Check `compile` against the plain loop that the contract describes."""
    xp = backend.xp

    def step(state: State, batch: Batch) -> tuple[State, Any]:
        total = xp.sum(batch[0])
        return {"sum": state["sum"] + total, "n": state["n"] + 1}, total

    rows = np.arange(12.0).reshape(6, 2)
    first = np.asarray([[5, 0], [1, 1], [3, 4]])
    state = {"sum": xp.zeros((), dtype=xp.float64), "n": xp.zeros((), dtype=xp.int64)}
    orders = [backend.asarray(first), backend.asarray(np.asarray([[2]])), 2]
    final, losses = backend.compile(step)(state, (backend.asarray(rows),), orders)
    expected = np.asarray([*rows[first].sum(axis=(1, 2)), rows[2].sum(), rows.sum(), rows.sum()])
    found = {"losses": losses, **final}
    wanted = {"losses": expected, "sum": np.asarray(expected.sum()), "n": np.asarray(len(expected))}
    for name, array in {**wanted, "n before": np.asarray(0)}.items():
        require_same(backend, f"compile: {name}", backend.to_numpy({**found, "n before": state["n"]}[name]), array)
