"""Weights of examples and of classes, made one number an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from portable_bp.arrays import Array, HostArray, Shape
from portable_bp.backend import Backend
from portable_bp.errors import ConfigurationError, DataError, ShapeError
from portable_bp.inputs import move
from portable_bp.losses.loss import Loss


def weights(
    backend: Backend, sample_weight: Any, class_weight: Any, target: Array, loss: Loss, out: Shape | None, dtype: str
) -> Array | None:
    """Product of the examples' own weights and their classes' weights, shape (n,); None where neither is given."""
    if sample_weight is None and class_weight is None:
        return None
    n = target.shape[0]
    total = (
        np.ones(n) if sample_weight is None else backend.to_numpy(move(backend, sample_weight, "sample_weight", dtype))
    )
    if total.shape != (n,):
        raise ShapeError(f"sample_weight must have the shape ({n},); got {total.shape}: give one number per example")
    bad = ~(np.isfinite(total) & (total >= 0))
    if bad.any():
        raise DataError(
            f"sample_weight must be finite and not negative; got {total[bad][0]} at [{bad.argmax()}]: "
            "give 0 to leave an example out"
        )
    if class_weight is not None:
        total = total * _weight_of_each(_class_numbers(backend.to_numpy(target), loss), class_weight, out)
    return backend.asarray(total.astype(dtype))


def _class_numbers(target: HostArray, loss: Loss) -> HostArray:
    if loss.target_kind == "labels":
        return target
    if target.shape[-1] == 1:
        return (target[..., 0] > 0.5).astype(np.int64)
    unclear = (target == target.max(axis=-1, keepdims=True)).sum(axis=-1) != 1
    if unclear.any():
        raise DataError(
            f"class_weight needs one class per example; {int(unclear.sum())} rows of y have several ones or none, the "
            f"first at [{int(unclear.argmax())}]: give sample_weight"
        )
    return target.argmax(axis=-1)


def _weight_of_each(
    labels: HostArray, class_weight: str | Mapping[int, float] | Sequence[float], out: Shape | None
) -> HostArray:
    n_classes = max(int(labels.max()) + 1, 2, out[-1] if out else 0)
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(labels, minlength=n_classes)
        table = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    else:
        table = _given_weights(class_weight, n_classes)
    return table[labels]


def _given_weights(class_weight: Any, n_classes: int) -> HostArray:
    if isinstance(class_weight, str) or not isinstance(class_weight, (Mapping, Sequence, np.ndarray)):
        raise ConfigurationError(f"class_weight={class_weight!r}: write 'balanced', a dict or a list of numbers")
    table = np.ones(n_classes)
    items = class_weight.items() if isinstance(class_weight, Mapping) else enumerate(class_weight)
    for number, weight in items:
        if not isinstance(number, Integral) or isinstance(number, bool) or number not in range(n_classes):
            raise ConfigurationError(f"class_weight names class {number!r}: the classes are 0 to {n_classes - 1}")
        if not isinstance(weight, Real) or not 0.0 <= float(weight) < float("inf"):
            raise ConfigurationError(
                f"class_weight gives class {number} the weight {weight!r}: it must be a finite number of at least 0"
            )
        table[int(number)] = weight
    return table
