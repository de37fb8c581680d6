"""How NumPy's functions are called so that the result goes into an array that is already there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from portable_bp_numpy.recording import astype
from portable_bp_numpy.reproducible import product

Call = Callable[[], Any]

REDUCTIONS: dict[Any, Any] = {
    np.sum: np.add,
    np.prod: np.multiply,
    np.max: np.maximum,
    np.min: np.minimum,
    np.all: np.logical_and,
    np.any: np.logical_or,
}


def calls_into(out: Any, function: Any, args: Any, kwargs: Any) -> list[Call]:
    """Calls that leave ``function(*args, **kwargs)`` in ``out``, with the same bits."""
    if function is np.matmul and _plain_product(args[0], args[1], out):
        return [partial(args[0].dot, args[1], out)]
    if isinstance(function, np.ufunc):
        if function in (np.maximum, np.minimum):  # a third argument by position is deprecated there
            return [partial(function, *args, out=out)]
        return [partial(function, *args, out)]
    if function in REDUCTIONS and len(args) == 1 and set(kwargs) <= {"axis", "keepdims"}:
        reduce = REDUCTIONS[function].reduce
        return [partial(reduce, args[0], kwargs.get("axis"), None, out, bool(kwargs.get("keepdims", False)))]
    if function in WRITERS:
        return WRITERS[function](out, *args, **kwargs)
    if function in (np.concatenate, np.take, np.clip):
        return [partial(function, *args, out=out, **kwargs)]
    return [lambda: np.copyto(out, function(*args, **kwargs))]


def _plain_product(a: Any, b: Any, out: Any) -> bool:
    """Whether ``a.dot(b, out)`` is the same product of two matrices; it starts in half of `numpy.matmul`'s time."""
    return bool(a.ndim == b.ndim == 2 and a.dtype == b.dtype == out.dtype and out.flags.c_contiguous)


def _where(out: Any, condition: Any, x: Any, y: Any) -> list[Call]:
    return [partial(np.copyto, out, y), partial(np.copyto, out, x, where=condition)]


def _astype(out: Any, x: Any, dtype: Any) -> list[Call]:
    return [partial(np.copyto, out, x, "unsafe")]


def _stack(out: Any, arrays: Any, axis: int = 0) -> list[Call]:
    parts = np.moveaxis(out, axis, 0)
    return [partial(np.copyto, parts[i, ...], x) for i, x in enumerate(arrays)]


def _exact(out: Any, a: Any, b: Any) -> list[Call]:
    return [partial(product, a, b, out)]


WRITERS: dict[Any, Callable[..., list[Call]]] = {np.where: _where, astype: _astype, np.stack: _stack, product: _exact}
