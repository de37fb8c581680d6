"""Two trainings in lockstep, and the first array in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from portable_bp.arguments import real_number, whole_number
from portable_bp.arrays import HostArray
from portable_bp.backend import Backend
from portable_bp.errors import ConfigurationError
from portable_bp.lockstep.report import Difference, Differences
from portable_bp.lockstep.side import HostArrays, Side, network_on
from portable_bp.lockstep.ulps import first_bit, ulps
from portable_bp.network import Network
from portable_bp.optimizers.optimizer import Optimizer
from portable_bp.step_arrays import Place

TOLERANCE = {"float64": 1e-11, "float32": 1e-4}
"""Difference that rounding explains in some tens of steps of native arithmetic."""


def diff(
    networks: Network | Sequence[Network],
    x: Any,
    y: Any,
    sides: Sequence[str | Backend] | None = None,
    *,
    optimizer: Optimizer | None = None,
    steps: int = 20,
    batch_size: int | Literal["auto"] | None = "auto",
    shuffle: bool = True,
    tolerance: float | None = None,
) -> Differences:
    """Train the same network on two sides and name the first step, layer and array in which they differ.

    ``networks`` is one network, which is taken to two ``sides`` such as ["numpy", "torch:cuda:0@float64"] or
    ["numpy@reproducible", "jax@reproducible"], or Backends; or two networks with the same layers, which are compared as
    they are. Both get the same batches and masks. What is held together after every step, in the lower of the two
    precisions: outputs, loss, δ and gradients of its pass, computed array by array, and the optimizer's state and the
    parameters that the compiled step made. A difference is relative to the array's largest number; ``tolerance``
    defaults to 1e-4 (float32) and 1e-11 (float64), and to 0, which is the same bits, where both sides compute
    reproducibly in one dtype. NaNs count as equal. The networks given are not changed.

    Raises ConfigurationError, ShapeError, DataError for what can't be trained or compared, BackendError where a side
    can't run.
    """
    pair = _two(networks, sides)
    steps = whole_number("steps", steps, 1)
    dtype = "float32" if "float32" in (net.dtype for net in pair) else "float64"
    allowed = _default(pair, dtype) if tolerance is None else real_number("tolerance", tolerance)
    x, y = (_in_precision(array, dtype) if len({net.dtype for net in pair}) > 1 else array for array in (x, y))
    both = [Side(net, x, y, optimizer, (batch_size, shuffle)) for net in pair]
    taken, first, rows = 0, None, tuple[Difference, ...]()
    while first is None and taken < steps:
        taken += 1
        rows = _compared(both[0].step(), both[1].step(), pair[0].architecture.names, dtype, allowed)
        first = next((row for row in rows if _exceeds(row, allowed)), None)
    return Differences(_names(pair, sides), dtype, allowed, taken, first, rows)


def _two(networks: Any, sides: Any) -> tuple[Network, Network]:
    """The networks of both sides."""
    if isinstance(networks, Network):
        if isinstance(sides, str) or not isinstance(sides, Sequence) or len(sides) != 2:
            raise ConfigurationError(f"sides={sides!r}: name the two to compare, such as ['numpy', 'torch@float64']")
        return network_on(networks, sides[0]), network_on(networks, sides[1])
    pair = tuple(networks) if isinstance(networks, Sequence) else ()
    if len(pair) != 2 or not all(isinstance(net, Network) for net in pair) or sides is not None:
        raise ConfigurationError("diff takes one Network and two sides, or two Networks and no sides")
    _require_comparable(*pair)
    return pair[0], pair[1]


def _require_comparable(one: Network, other: Network) -> None:
    """Refuse networks whose arrays, batches or masks are not each other's."""
    for what, mine, its in (
        ("layers", one.architecture.names, other.architecture.names),
        ("parameters", one.architecture.param_shapes(), other.architecture.param_shapes()),
        ("seed", one.seed, other.seed),
        ("number of epochs trained", one.epoch, other.epoch),
        ("number of steps taken", one.step, other.step),
    ):
        if mine != its:
            raise ConfigurationError(f"the networks differ in their {what}, {mine} and {its}: give equal ones")


def _default(pair: tuple[Network, Network], dtype: str) -> float:
    exact = pair[0].dtype == pair[1].dtype and all(net.backend.arithmetic == "reproducible" for net in pair)
    return 0.0 if exact else TOLERANCE[dtype]


def _in_precision(array: Any, dtype: str) -> Any:
    """Numbers as the lower precision has them, so that both sides begin with the same."""
    host = np.asarray(array)
    return host.astype(dtype) if host.dtype.kind == "f" else host


def _names(pair: tuple[Network, Network], sides: Sequence[str | Backend] | None) -> tuple[str, str]:
    if sides is not None:
        one, other = (side if isinstance(side, str) else side.spec for side in sides)
        return one, other
    one, other = (f"{net.backend.spec}@{net.dtype}@{net.backend.arithmetic}" for net in pair)
    return one, other


def _compared(
    one: HostArrays, other: HostArrays, names: Sequence[str], dtype: str, tolerance: float
) -> tuple[Difference, ...]:
    if one.keys() != other.keys():
        raise ConfigurationError("the sides compute different arrays: give both the same kind of optimizer")
    with np.errstate(all="ignore"):  # what the lower precision can't hold becomes infinite on both sides
        return tuple(
            compared(place, one[place].astype(dtype), other[place].astype(dtype), names, tolerance) for place in one
        )


def compared(place: Place, a: HostArray, b: HostArray, names: Sequence[str], tolerance: float) -> Difference:
    """How far two arrays of one dtype are apart: where they are farthest, or with tolerance 0 where they first are."""
    apart = _apart(a, b)
    differ = (a.view(f"u{a.itemsize}") != b.view(f"u{b.itemsize}")) & ~(np.isnan(a) & np.isnan(b))
    flat = int(np.argmax(differ if tolerance == 0 else apart))
    at = tuple(map(int, np.unravel_index(flat, a.shape))) if a.ndim else ()
    scale = max(float(np.max(np.abs(each), where=np.isfinite(each), initial=0.0)) for each in (a, b))
    largest = float(np.max(apart))
    relative = largest / scale if scale and largest else largest
    layer = None if place[0] is None else names[place[0]]
    shown = a[at], b[at]
    values = float(shown[0]), float(shown[1])
    bit = first_bit(*shown) if differ[at] else None
    return Difference(layer, place[1], relative, int(ulps(a, b)[at]), at, values, bit)


def _apart(a: HostArray, b: HostArray) -> HostArray:
    """|a - b| in float64; 0 where both are NaN or the same infinity, infinite where only one is."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    distance = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


def _exceeds(row: Difference, tolerance: float) -> bool:
    return row.bit is not None if tolerance == 0 else row.difference > tolerance
