"""The check of a captured step against the plain one, before it is trusted with a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from portable_bp.backend import Batch, Epoch, Order, State
from portable_bp_cupy.choice import Way
from portable_bp_numpy.replay import leaves_of, rebuilt

FLOAT32 = np.dtype(np.float32)
TOLERANCES = {FLOAT32: (1e-4, 5e-2), np.dtype(np.float64): (1e-10, 1e-6)}
"""Of a number relative to the largest in its array, and of what a step changes relative to the largest change. A
product rounded otherwise may turn a unit on or off at the kink of a ReLU, which changes a gradient in its percents."""
IN_TF32 = 4e-3, 5e-2
"""The same of float32 in TF32, where one way may round a product's factors to 11 bits and the other, for which cuBLAS
takes another kernel, not: 2⁻¹¹ of each factor, and a number goes through some four products, forward and back."""
LIFT = 0.01
"""Added to an optimizer's averages: where they are 0, as at the start, Adam's step is the sign of the gradient, and
rounding decides the sign of what ought to be 0."""


class Differs(Exception):
    """The captured step is not the plain one."""


def check(way: Way, plain: Epoch, state: State, data: Batch, order: Order, *, exact: bool, tf32: bool = False) -> None:
    """Run one step both ways from the same state; raises Differs where the results do.

    ``exact`` asks for equal bits, else rounding may differ: that of float32, or of TF32's products.
    """
    before = state if exact else _lifted(state)
    one = 1 if isinstance(order, int) else order[:1]
    after, losses = plain(before, data, [one])
    old = dict(leaves_of(before))
    (found_loss,) = way(old, data, one)
    expected = {**dict(leaves_of(after)), ("loss",): losses}
    tolerances = {} if exact else {**TOLERANCES, FLOAT32: IN_TF32} if tf32 else TOLERANCES
    _compare({**way.state, ("loss",): found_loss}, expected, old, tolerances)


def _compare(
    found: Mapping[Any, Any], expected: Mapping[Any, Any], before: Mapping[Any, Any], tolerances: Mapping[Any, Any]
) -> None:
    for path, array in expected.items():
        name = ".".join(map(str, path))
        if array.dtype != found[path].dtype or array.shape != found[path].shape:
            raise Differs(f"{name} is {found[path].dtype} {found[path].shape} and not {array.dtype} {array.shape}")
        dtype = np.dtype(array.dtype)
        error = _excess(found[path], array, before.get(path), tolerances.get(dtype, (0.0, 0.0)))
        if not error <= 0:
            raise Differs(f"{name} is wrong by {error:.1e} more than rounding explains")


def _excess(found: Any, expected: Any, before: Any, tolerances: tuple[float, float]) -> float:
    """By how much the largest difference is above what is allowed; not a number where one isn't finite there alone."""
    equal = (found == expected) | ((found != found) & (expected != expected))
    if bool(equal.all()) or expected.size == 0:
        return 0.0
    if expected.dtype.kind != "f" or tolerances == (0.0, 0.0):
        return float(abs(found * 1.0 - expected).max())
    of_value, of_change = tolerances
    largest = _largest(expected)
    allowed = of_value * largest
    if before is not None:
        rounding = 8 * float(np.finfo(np.dtype(expected.dtype)).eps) * largest
        allowed = min(allowed, of_change * _largest(expected - before) + rounding)
    return float(abs(found - expected)[~equal].max()) - allowed


def _largest(array: Any) -> float:
    """Largest magnitude of the finite numbers."""
    finite = array[array - array == 0]
    return float(abs(finite).max()) if finite.size else 0.0


def _lifted(state: State) -> State:
    def lifted(path: Any, array: Any) -> Any:
        return array + LIFT if path[0] == "optimizer" and array.dtype.kind == "f" else array

    raised: State = rebuilt(state, lifted)
    return raised
