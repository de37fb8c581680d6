"""The same gradients on several backends, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from portable_bp.arrays import HostArray
from portable_bp.backend import Backend, get_backend
from portable_bp.checking.differences import INPUT, named
from portable_bp.checking.report import Check, Report
from portable_bp.errors import ConfigurationError
from portable_bp.reproducible import with_arithmetic

if TYPE_CHECKING:
    from portable_bp.network import Network

TOLERANCE = {"float64": 1e-11, "float32": 1e-5}
"""Largest difference that rounding explains, relative to the array's largest element where that is above 1."""


def tolerance(backend: Backend, dtype: str) -> float:
    """Largest difference allowed: none at all in reproducible arithmetic."""
    return TOLERANCE[dtype] if backend.arithmetic == "native" else 0.0


def compare_backends(net: Network, x: Any, y: Any, backends: Sequence[str | Backend]) -> Report:
    """Hold the gradients of one network on several backends to those on the first.

    Compared are the loss, every parameter's gradient and the input's, in the network's dtype, with dropout drawing as
    in step 0. x and y are NumPy arrays. Raises GradientError, with the table, where a difference is larger than
    1e-11 (float64) or 1e-5 (float32), in reproducible arithmetic than 0; BackendError where a backend can't run.
    """
    if not backends:
        raise ConfigurationError("compare_backends got no backends: name at least one, say ['numpy', 'cupy']")
    reference, *others = [
        (spec, gradients_on(net, x, y, with_arithmetic(get_backend(spec), net.backend.arithmetic))) for spec in backends
    ]
    rows = []
    for spec, found in others:
        for name, array in found.items():
            size = difference(array, reference[1][name])
            ok = size <= tolerance(net.backend, net.dtype)
            rows.append(
                Check({"backend": str(spec), "against": str(reference[0]), "array": name, "difference": size}, ok)
            )
    return Report(f"gradients on {len(backends)} backends, {net.dtype}", rows).require()


def difference(array: HostArray, reference: HostArray) -> float:
    """Largest |array - reference|, relative to the largest |reference| where that is above 1; NaN where either is."""
    if array.shape != reference.shape or array.dtype != reference.dtype:
        return float("inf")
    scale = max(1.0, float(np.max(np.abs(reference), initial=0.0)))
    return float(np.max(np.abs(array - reference), initial=0.0)) / scale


def gradients_on(net: Network, x: HostArray, y: HostArray, backend: Backend) -> dict[str, HostArray]:
    """Loss, parameters' gradients and the input's, computed on ``backend``, as NumPy arrays by name."""
    from portable_bp.network import Network

    params = [{name: net.backend.to_numpy(array) for name, array in layer.items()} for layer in net.params]
    moved = Network(
        net.layers,
        net.loss,
        backend=backend,
        dtype=net.dtype,
        seed=net.seed,
        input_shape=net.architecture.input_shape,
        params=params,
    )
    xp, model = backend.xp, moved.model
    with backend.activate():
        batch = moved.preparation.batch(x, y)
        output, caches = model.forward(xp, moved.params, batch[0], xp.zeros((), dtype=xp.int64))
        value, cache = model.loss.forward(xp, output, *batch[1:])
        dx, grads = model.backward(xp, moved.params, caches, model.loss.backward(xp, cache))
        return {name: backend.to_numpy(array) for name, array in {"loss": value, **named(grads), INPUT: dx}.items()}
