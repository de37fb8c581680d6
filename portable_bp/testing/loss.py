"""The check of a loss."""

from __future__ import annotations

import numpy as np

from portable_bp.arrays import HostArray
from portable_bp.backend import Backend, get_backend
from portable_bp.backpropagation import Model
from portable_bp.checking.differences import INPUT, Objective, compare_with_differences
from portable_bp.checking.verification import targets_for
from portable_bp.errors import GradientError
from portable_bp.losses import Loss
from portable_bp.streams import Stream
from portable_bp.testing.contract import networks_in_front, pair, require_part, trying
from portable_bp.testing.requirements import (
    ATOL,
    BATCH,
    DTYPES,
    NETWORKS,
    RTOL,
    Arrays,
    read,
    require_close,
    require_right,
    require_same_form,
    require_separate,
    require_untouched,
)

N_OUT = 3


def check_loss(loss: Loss, *, backend: str | Backend = "numpy", seed: int = 0) -> None:
    """Check a loss on a backend.

    Its gradient against central differences of its value (float64), with and without weights; both against NumPy's;
    that a weight of 2 counts a row twice; that K networks at once are K separate ones; that no argument is changed.
    """
    require_part(loss, Loss, "MeanSquaredError()")
    place = get_backend(backend)
    with place.activate():
        _check_against_differences(_Call(loss, place, "float64"), seed)
        for dtype in DTYPES:
            call, plain = (_Call(loss, at, dtype) for at in (place, get_backend("numpy")))
            y, target, weight = call.arguments(seed)
            for batch in ((y, target), (y, target, weight)):
                found = call.everything(*batch)
                require_close(found, plain.everything(*batch), dtype, f"{loss} on {place}")
                require_same_form(loss, "dy", found["dy"], y)
            _check_weight_two(call, y, target)
            _check_population(call)


class _Call:
    """Calls of one loss with NumPy arrays, on one backend in one dtype."""

    def __init__(self, loss: Loss, backend: Backend, dtype: str) -> None:
        self.loss, self.backend, self.dtype = backend.lower(loss), backend, dtype

    def arguments(self, seed: int) -> tuple[HostArray, HostArray, HostArray]:
        """Random outputs, targets and weights."""
        y = Stream(seed, "test/y").normal((BATCH, N_OUT)).astype(self.dtype)
        target = targets_for(self.loss, N_OUT, BATCH)
        weight = (Stream(seed, "test/weight").uniform((BATCH,)) + 2).astype(self.dtype)
        return y, target if self.loss.target_kind == "labels" else target.astype(self.dtype), weight

    def everything(self, y: HostArray, target: HostArray, weight: HostArray | None = None) -> Arrays:
        """The value and dy, having checked that the arguments stayed and where the results are."""
        given = {"y": y, "target": target, **({} if weight is None else {"weight": weight})}
        moved = {name: self.backend.asarray(array) for name, array in given.items()}
        answer = self.loss.forward(self.backend.xp, *moved.values())
        value, cache = pair(self.loss, "forward", "(value, cache)", answer)
        dy = self.loss.backward(self.backend.xp, cache)
        require_untouched(self.loss, self.backend, moved, given)
        return read(self.loss, self.backend, {"value": value, "dy": dy})


def _check_against_differences(call: _Call, seed: int) -> None:
    y, target, weight = call.arguments(seed)
    _require_a_number(call.loss, call.everything(y, target)["value"])
    cure = "let forward take weight=None last, and multiply each example's share of the value by it"
    with trying(call.loss, f"with a weight of shape {weight.shape}", cure):
        call.everything(y, target, weight)
    for batch in ((target,), (target, weight)):
        moved = tuple(call.backend.asarray(array) for array in batch)
        objective = Objective(call.backend, Model((), call.loss), np.zeros_like(y), moved)
        result = compare_with_differences(objective, {INPUT: y}, RTOL, ATOL, seed)[INPUT]
        whose = f"{call.loss} on {call.backend}: its gradient differs from central differences of its value"
        require_right(whose, result)


def _require_a_number(loss: Loss, value: HostArray) -> None:
    if value.shape != ():
        raise GradientError(
            f"{loss}: value must be one number, of shape (), for a batch; it has the shape {value.shape}: add or "
            "average over axis=(-2, -1)"
        )


def _check_weight_two(call: _Call, y: HostArray, target: HostArray) -> None:
    twice = np.ones(BATCH, dtype=call.dtype)
    twice[0] = 2
    value = call.everything(y, target, twice)["value"]
    both = call.everything(np.concatenate([y, y[:1]]), np.concatenate([target, target[:1]]))["value"]
    expected = both * np.asarray((BATCH + 1) / BATCH, both.dtype) if call.loss.averages else both
    require_close({"value": value}, {"value": expected}, call.dtype, f"{call.loss}: a weight of 2 against a row twice")


def _check_population(call: _Call) -> None:
    members = [call.arguments(seed) for seed in range(NETWORKS)]
    target = members[0][1]
    y = np.stack([y for y, _, _ in members])
    with networks_in_front(call.loss, y.shape):
        together = call.everything(y, target)
    alone = [call.everything(y, target) for y, _, _ in members]
    separate = {name: np.stack([one[name] for one in alone]) for name in together}
    require_separate(call.loss, together, separate, call.dtype)
