"""What users hand in, checked once and moved to the device once."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import array_api_compat
import numpy as np

from portable_bp.arrays import Array, HostArray, Shape
from portable_bp.backend import Backend
from portable_bp.errors import ConfigurationError, DataError, ShapeError
from portable_bp.losses.loss import Loss

LIBRARIES = {
    "cupy": array_api_compat.is_cupy_array,
    "torch": array_api_compat.is_torch_array,
    "jax": array_api_compat.is_jax_array,
}
TO_NUMPY = {"cupy": "cupy.asnumpy({0})", "torch": "{0}.numpy(force=True)", "jax": "numpy.asarray({0})"}
LOOKED_AT = 2**25
"""Numbers checked at a time: a file that is mapped into memory may be larger than it."""
VALIDATION = "validation "
"""How the names of the validation set's x and y begin."""


def move(backend: Backend, value: Any, name: str, dtype: str, *, copy: bool = False) -> Array:
    """Give ``value`` as an array of the backend: what NumPy can read is moved once, an own array is cast.

    An own array of the right dtype is taken as it is, so is a NumPy array where the backend computes with NumPy's;
    ``copy`` copies it, for what must outlive a write into it. Raises DataError for an array of another library or
    device, and for values that aren't numbers.
    """
    if _on_device(backend, value, name):
        return backend.xp.astype(value, getattr(backend.xp, dtype), copy=copy)
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and is refused by name
        host = _host(value, name).astype(dtype, order="C", copy=False)  # batches are gathered row by row
    return host if backend.owns(host) and not copy else backend.asarray(host)


def exceed(backend: Backend, x: Any, others: Sequence[Any], dtype: str) -> bool:
    """Whether x and what goes with it stay on the host: NumPy arrays that take more than the device has room for.

    Where one of them lies on a device already, all are to be there.
    """
    given = (x, *others)
    if any(array_api_compat.is_array_api_obj(one) and not isinstance(one, (np.ndarray, np.generic)) for one in given):
        return False
    sizes = [one.size if isinstance(one, np.ndarray) else 0 for one in given]
    itemsize = np.dtype(dtype).itemsize  # of all but bytes, which x alone may stay
    return (1 if _are_bytes(backend, x) else itemsize) * sizes[0] + itemsize * sum(sizes[1:]) > backend.room()


def _on_device(backend: Backend, value: Any, name: str) -> bool:
    """Whether ``value`` is on the device already; False for what NumPy can read; DataError for other libraries'."""
    if isinstance(value, (np.ndarray, np.generic)):
        return False
    if backend.owns(value):
        _require_real(bool(backend.xp.isdtype(value.dtype, ("bool", "integral", "real floating"))), value, name)
        return True
    if array_api_compat.is_array_api_obj(value):
        raise DataError(_foreign(backend, value, name))
    return False


def _foreign(backend: Backend, value: Any, name: str) -> str:
    module = type(value).__module__.partition(".")[0]
    library = next((known for known, is_array in LIBRARIES.items() if is_array(value)), module)
    cure = _give(name, TO_NUMPY.get(library, "numpy.from_dlpack({0})"))
    if library in LIBRARIES:
        cure += ", or move it there" if library == backend.name else f", or build the network with backend={library!r}"
    device = array_api_compat.device(value)
    return f"{name} is an array of {library} on {device} and the network computes on {backend.spec!r}: {cure}"


def _give(name: str, cure: str, value: Any = None) -> str:
    """Say in Python what to give instead; a ``value`` that is no array is to be made one first."""
    variable = name.removeprefix(VALIDATION)
    array = variable if value is None or array_api_compat.is_array_api_obj(value) else f"np.asarray({variable})"
    return f"give {cure.format(array)}" + (" for the validation set" if name != variable else "")


def _give_one(name: str, value: Any) -> str:
    """Say how a single example becomes a batch of one."""
    is_array = array_api_compat.is_array_api_obj(value) and not isinstance(value, np.generic)
    return _give(name, "{0}[None]" if is_array else "[{0}]")


def _host(value: Any, name: str) -> HostArray:
    if np.ma.isMaskedArray(value):
        cure = _give(name, "{0}.filled(…)")
        raise DataError(f"{name} is a masked array, whose mask would be lost: {cure}, or leave rows out")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} can't be read as an array ({error}): give rows of equal length") from error
    if _holds_words(array) and name.removeprefix(VALIDATION) == "y":
        new = name == "y"  # the validation set's numbers must be those of the training set
        cure = "names, y = np.unique(y, return_inverse=True)" if new else "y = np.searchsorted(names, y)"
        raise DataError(f"{name} has the dtype {array.dtype}, words: give numbers: {cure}")
    _require_real(array.dtype.kind in "biuf", array, name)
    return array


def _holds_words(array: HostArray) -> bool:
    return array.dtype.kind in "SUT" or (array.dtype.kind == "O" and array.size > 0 and isinstance(array.flat[0], str))


def _require_real(real: bool, array: Array, name: str) -> None:
    if not real:
        raise DataError(f"{name} has the dtype {array.dtype}: it must hold real numbers; convert it first")


def require_finite(backend: Backend, array: Array, name: str) -> Array:
    """Refuse NaN and infinities, and say where the first one is."""
    xp = backend.xp
    rows = array if array.ndim else xp.reshape(array, (1,))
    n, step = rows.shape[0], max(1, LOOKED_AT // max(1, prod(rows.shape[1:])))
    if all(bool(xp.all(xp.isfinite(rows[i : min(i + step, n), ...]))) for i in range(0, n, step)):
        return array
    host = backend.to_numpy(array)
    bad = ~np.isfinite(host)
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    raise DataError(
        f"{name} has {int(bad.sum())} values that are NaN or infinite in {host.dtype}, the first, {host[first]}, at "
        f"{list(first)}: remove those rows or fill them in"
    )


def inputs(backend: Backend, x: Any, shape: Shape | None, dtype: str, name: str = "x") -> Array:
    """Check and move inputs of shape (n, *shape); bytes stay bytes, since a step makes numbers of those it needs."""
    array = move(backend, x, name, "uint8" if _are_bytes(backend, x) else dtype)
    wanted = "(n, …)" if shape is None else "(" + ", ".join(str(n) for n in ("n", *shape)) + ")"
    got = tuple(array.shape)
    if shape is not None and got == shape:
        raise ShapeError(f"{name} must have the shape {wanted}; got {got}, one example: {_give_one(name, x)}")
    if len(got) < 2 or (shape is not None and got[1:] != shape):
        raise ShapeError(f"{name} must have the shape {wanted}; got {got}: {_cure(x, name, got, shape)}")
    if got[0] == 0:
        raise DataError(f"{name} is empty, shape {got}: give at least one example")
    return array if array.dtype == backend.xp.uint8 else require_finite(backend, array, name)


def _are_bytes(backend: Backend, x: Any) -> bool:
    if isinstance(x, np.ndarray):
        return bool(x.dtype == np.uint8)
    return backend.owns(x) and bool(x.dtype == backend.xp.uint8)


def _cure(x: Any, name: str, got: Shape, shape: Shape | None) -> str:
    if len(got) == 1 and shape == (1,):
        return _give(name, "{0}[:, None]", x)
    if shape is not None and len(got) > 2 and int(np.prod(got[1:])) == int(np.prod(shape)):
        return f"reshape it to ({got[0]}, {shape[0]}), or put Flatten() first" if len(shape) == 1 else "reshape it"
    return "give one row per example, or change the first layer"


def targets(backend: Backend, target: Any, loss: Loss, n: int, out: Shape | None, dtype: str, name: str = "y") -> Array:
    """Check and move the targets of ``n`` examples for outputs of shape (n, *out)."""
    if loss.target_kind == "labels":
        array = _labels(backend, target, loss, out, name)
    else:
        array = require_finite(backend, move(backend, target, name, dtype), name)
        if array.ndim == 1 and out == (1,):
            array = backend.xp.reshape(array, (array.shape[0], 1))
        if array.ndim == 0 or (n == 1 and tuple(array.shape) == out):
            given = tuple(array.shape)
            raise ShapeError(f"{name} must have a row per example; got {given}, one: {_give_one(name, target)}")
        _require_rows(array, loss, out, name)
    if array.shape[0] != n:
        raise ShapeError(f"{name} has {array.shape[0]} rows and x has {n}: give one target per example")
    if loss.target_kind == "probabilities":
        cure = "scale them, or take a loss for any numbers such as MeanSquaredError()"
        _require_range(backend, array, 0, 1, f"{name} for {type(loss).__name__}", cure)
    return array


def _labels(backend: Backend, target: Any, loss: Loss, out: Shape | None, name: str) -> Array:
    kind = type(loss).__name__
    on_device = _on_device(backend, target, name)
    given = target if on_device else _host(target, name)
    if given.ndim != 1:
        column = given.ndim == 2 and given.shape[-1] == 1
        cure = _give(name, "{0}[:, 0]" if column else "{0}.argmax(axis=-1)", target)
        cure = _give_one(name, target) if given.ndim == 0 else cure if column else f"{cure} if the rows are one-hot"
        raise ShapeError(f"{name} for {kind} must be class numbers of shape (n,); got {tuple(given.shape)}: {cure}")
    if not (backend.xp.isdtype(given.dtype, ("bool", "integral")) if on_device else given.dtype.kind in "biu"):
        cure = _give(name, "{0}.astype(int)", target)
        raise DataError(f"{name} for {kind} must be integer class numbers; got {given.dtype}: {cure} if they are")
    array = move(backend, given, name, "int64")
    if out is not None and array.shape[0]:
        cure = f"number the classes 0 to {out[-1] - 1}, or give the last layer more outputs"
        _require_range(backend, array, 0, out[-1] - 1, f"{name} for {out[-1]} outputs", cure)
    return array


def _require_rows(array: Array, loss: Loss, out: Shape | None, name: str) -> None:
    if out is not None and tuple(array.shape[1:]) != out:
        wanted = "(" + ", ".join(str(n) for n in ("n", *out)) + ")"
        cure = (
            "turn class numbers into rows with datasets.to_one_hot()"
            if array.ndim == 1
            else "give one column per output, or change the last layer"
        )
        raise ShapeError(
            f"{name} for {type(loss).__name__} must have the outputs' shape {wanted}; got {tuple(array.shape)}: {cure}"
        )


def _require_range(backend: Backend, array: Array, low: int, high: int, name: str, cure: str) -> None:
    found_low, found_high = float(backend.xp.min(array)), float(backend.xp.max(array))
    if found_low < low or found_high > high:
        raise DataError(f"{name} must lie in {low} to {high}; got {found_low:g} to {found_high:g}: {cure}")


def pair(validation: Any) -> tuple[Any, Any]:
    """Refuse a validation set that is no pair (x, y)."""
    try:
        x, y = validation
    except (TypeError, ValueError):
        got = f"{len(validation)} parts" if isinstance(validation, (tuple, list)) else type(validation).__name__
        raise ConfigurationError(f"validation must be a pair (x, y); got {got}: give both, validation=(x, y)") from None
    return x, y
