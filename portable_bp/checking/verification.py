"""The cross-backend matrix: every layer, loss and optimizer on every backend that can run here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from portable_bp.arrays import HostArray
from portable_bp.backend import Backend, get_backend, installed_backends
from portable_bp.backpropagation import Model, training_step
from portable_bp.checking.cases import LAYERS, LOSSES, OPTIMIZERS
from portable_bp.checking.comparison import difference, gradients_on, tolerance
from portable_bp.errors import BackendError
from portable_bp.layers import Dense, Flatten, Layer, Tanh
from portable_bp.losses import HalfMeanSquaredError, Loss, SoftmaxCrossEntropy
from portable_bp.optimizers import ClipByGlobalNorm, DecoupledWeightDecay, Optimizer, RMSProp
from portable_bp.reproducible import with_arithmetic
from portable_bp.schedules import CosineDecay, WarmUp
from portable_bp.streams import Stream

REFERENCE = "numpy"
BATCH = 5
STEPS = 4  # enough for momentum, bias correction and schedules to have changed
Arrays = dict[str, HostArray]


def verify_backends(
    backends: Sequence[str] | None = None,
    *,
    dtypes: Sequence[str] = ("float64", "float32"),
    arithmetic: str = "native",
) -> list[dict[str, Any]]:
    """Compute every case on every backend and hold it to NumPy's result.

    ``backends`` None takes all that are installed. One dict a case, backend and dtype, with the keys case, backend,
    dtype, difference (largest from NumPy's arrays, or None), tolerance, ok and message. A backend that can't run gives
    one row, with its message. Gradients for layers and losses; the parameters after 4 steps for optimizers. In
    "reproducible" ``arithmetic`` no difference at all is allowed.
    """
    rows: list[dict[str, Any]] = []
    for spec in sorted(installed_backends()) if backends is None else backends:
        try:
            rows += [
                row for dtype in dtypes for row in _verify(spec, with_arithmetic(get_backend(spec), arithmetic), dtype)
            ]
        except BackendError as error:
            rows.append(_row("all", spec, "", None, 0.0, str(error)))
    return rows


def _row(case: str, spec: str, dtype: str, found: float | None, tolerance: float, message: str = "") -> dict[str, Any]:
    ok = found is not None and found <= tolerance
    return {
        "case": case,
        "backend": spec,
        "dtype": dtype,
        "difference": found,
        "tolerance": tolerance,
        "ok": ok,
        "message": message,
    }


def _verify(spec: str, backend: Backend, dtype: str) -> Iterator[dict[str, Any]]:
    reference = with_arithmetic(get_backend(REFERENCE), backend.arithmetic)
    for name, compute in cases().items():
        found, expected = compute(backend, dtype), compute(reference, dtype)
        worst = max(difference(found[key], expected[key]) for key in expected)
        yield _row(name, spec, dtype, worst, tolerance(backend, dtype))


def cases() -> dict[str, Callable[[Backend, str], Arrays]]:
    """All cases by name, each a function of backend and dtype that gives named NumPy arrays."""
    layers = {f"layer {name}": _layer_case(layer, shape) for name, (layer, shape) in LAYERS.items()}
    losses = {f"loss {name}": _loss_case(loss) for name, loss in LOSSES.items()}
    everything = {"training of every layer": _training_case()}
    return {
        **layers,
        **losses,
        **everything,
        **{f"optimizer {name}": _optimizer_case(rule) for name, rule in OPTIMIZERS.items()},
    }


def _layer_case(layer: Layer, shape: tuple[int, ...]) -> Callable[[Backend, str], Arrays]:
    def compute(backend: Backend, dtype: str) -> Arrays:
        before: list[Layer] = [Tanh()] if len(shape) > 1 else [Dense(shape[0], shape[0])]
        after: list[Layer] = [layer] if len(shape) == 1 else [layer, Flatten()]
        return _gradients([*before, *after], HalfMeanSquaredError(), shape, backend, dtype)

    return compute


def _loss_case(loss: Loss) -> Callable[[Backend, str], Arrays]:
    return lambda backend, dtype: _gradients([Dense(6, 4), Tanh(), Dense(4, 3)], loss, (6,), backend, dtype)


def _gradients(layers: list[Layer], loss: Loss, shape: tuple[int, ...], backend: Backend, dtype: str) -> Arrays:
    from portable_bp.network import Network

    net = Network(layers, loss, dtype=dtype, input_shape=shape)
    out = net.architecture.shapes()[-1]
    assert out is not None
    return gradients_on(net, Stream(0, "x").normal((BATCH, *shape)), targets_for(loss, out[-1]), backend)


def targets_for(loss: Loss, n_out: int, batch: int = BATCH) -> HostArray:
    """Draw targets that suit a loss: class numbers, numbers in [0, 1], or any numbers."""
    draws: HostArray = Stream(0, "target").uniform((batch, n_out))
    if loss.target_kind == "labels":
        return np.argmax(draws, axis=-1)
    return (draws + 1) / 2 if loss.target_kind == "probabilities" else draws


def _optimizer_case(rule: Optimizer) -> Callable[[Backend, str], Arrays]:
    def compute(backend: Backend, dtype: str) -> Arrays:
        from portable_bp.network import Network

        net = Network([Dense(6, 4), Tanh(), Dense(4, 3)], HalfMeanSquaredError(), backend=backend, dtype=dtype)
        with backend.activate():
            batch = net.preparation.batch(Stream(0, "x").normal((BATCH, 6)), targets_for(net.loss, 3))
            step = training_step(backend.xp, Model(net.layers, net.loss), backend.lower(rule))
            state = net.start(backend.lower(rule))
            for _ in range(STEPS):
                state, _ = step(state, batch)
            return {
                f"{i}.{n}": backend.to_numpy(a) for i, layer in enumerate(state["params"]) for n, a in layer.items()
            }

    return compute


def _training_case() -> Callable[[Backend, str], Arrays]:
    """Steps of a network of all elementwise layers, compiled as in `fit`, with decay, clipping and a schedule."""
    between: list[Layer] = [layer for layer, shape in LAYERS.values() if len(shape) == 1 and not layer.input_shape]
    rule = ClipByGlobalNorm(DecoupledWeightDecay(RMSProp(WarmUp(2, then=CosineDecay(0.01, steps=6))), 0.01), 0.5)

    def compute(backend: Backend, dtype: str) -> Arrays:
        from portable_bp.network import Network

        layers = [part for layer in between for part in (Dense(6, 6), layer)]
        net = Network([*layers, Dense(6, 3)], SoftmaxCrossEntropy(), backend=backend, dtype=dtype)
        with backend.activate():
            data = net.preparation.batch(Stream(0, "x").normal((BATCH, 6)), targets_for(net.loss, 3))
            order = backend.asarray(np.asarray([[0, 1, 2], [3, 4, 0], [2, 1, 4]]))
            epoch = backend.compile(training_step(backend.xp, net.model, backend.lower(rule)))
            state, _ = epoch(net.start(rule), data, [order])
            return {
                f"{i}.{n}": backend.to_numpy(a) for i, layer in enumerate(state["params"]) for n, a in layer.items()
            }

    return compute
