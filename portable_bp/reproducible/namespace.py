"""An Array API namespace that gives the same bits on every library."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from portable_bp.arrays import Array, Namespace
from portable_bp.errors import ConfigurationError
from portable_bp.reproducible import functions
from portable_bp.reproducible.powers import settled
from portable_bp.reproducible.products import matmul
from portable_bp.reproducible.sums import exact_sum

EXACT = frozenset(
    """
    abs add all any argmax argmin argsort asarray astype bitwise_and bitwise_invert bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor bool broadcast_arrays broadcast_to ceil clip concat copysign count_nonzero
    equal expand_dims eye flip float32 float64 floor full full_like greater greater_equal inf
    int8 int16 int32 int64 isdtype isfinite isinf isnan less less_equal logical_and logical_not logical_or
    logical_xor matrix_transpose max maximum min minimum moveaxis multiply nan negative nonzero not_equal ones ones_like
    permute_dims pi positive repeat reshape result_type roll round searchsorted sign sort squeeze stack subtract take
    tile tril triu trunc uint8 uint16 uint32 uint64 unstack where zeros zeros_like
    """.split()  # noqa: SIM905 (a list of ninety strings a line each would hide what is missing)
)
"""What the standard of floating point, or plain copying, defines to the last bit; passed on as it is."""

TABLE = 600
"""The table of powers of two reaches from 2⁻⁶⁰⁰ to 2⁶⁰⁰."""


class ReproducibleNamespace:
    """``xp`` with matmul, sums and functions that give the same bits everywhere; see the functions' own pages.

    ``correctly_rounded`` names functions of ``xp`` that need no replacement. What is neither exact nor defined here is
    refused by name, so that nothing slips in that could differ.
    """

    def __init__(
        self,
        xp: Namespace,
        correctly_rounded: Iterable[str] = (),
        exact_matmul: Callable[[Namespace, Array, Array], Array] | None = None,
    ) -> None:
        self._xp, self._matmul = xp, exact_matmul or matmul
        self._powers = xp.asarray([2.0**n for n in range(-TABLE, TABLE + 1)], dtype=xp.float64)
        self._correctly_rounded = frozenset(correctly_rounded)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self._correctly_rounded or name in EXACT:
            found = getattr(self._xp, name)
        elif name in DEFINED:
            found = partial(DEFINED[name], self)
        else:
            raise ConfigurationError(
                f"xp.{name} has no reproducible definition: it may differ from library to library; write it with "
                f"{', '.join(sorted(DEFINED))}, or take arithmetic='native'"
            )
        setattr(self, name, found)  # found once; later look-ups don't come here
        return found


def _elementwise(function: Callable[..., Array], *, table: bool = False) -> Callable[..., Array]:
    """Widen a function's arguments to float64, give it the table where it wants one, and round its result once."""

    def call(self: ReproducibleNamespace, *arguments: Array) -> Array:
        xp = self._xp
        wide = [xp.astype(x, xp.float64, copy=False) for x in arguments]
        dtype = xp.result_type(*arguments)
        return settled(xp, function(xp, *wide, *([self._powers] if table else [])), dtype)

    return call


def _matmul(self: ReproducibleNamespace, a: Array, b: Array) -> Array:
    return self._matmul(self._xp, a, b)


def _sum(self: ReproducibleNamespace, x: Array, *, axis: Any = None, keepdims: bool = False) -> Array:
    return exact_sum(self._xp, x, axis=axis, keepdims=keepdims)


def _mean(self: ReproducibleNamespace, x: Array, *, axis: Any = None, keepdims: bool = False) -> Array:
    total = _sum(self, x, axis=axis, keepdims=keepdims)
    count = self._xp.full_like(total, max(1, _size(x) // max(1, _size(total))))
    return _divide(self, total, count)


def _size(x: Array) -> int:
    n = 1
    for length in x.shape:
        n *= length
    return n


def _divide(self: ReproducibleNamespace, a: Array, b: Array) -> Array:
    """A quotient of equal shapes in float64, rounded once, which for float32 is the same as rounding it directly.

    A broadcast divisor tempts XLA to multiply by its reciprocal, and on CUDA it divides float32 only approximately.
    """
    xp, dtype = self._xp, self._xp.result_type(a, b)
    wide = (xp.astype(x, xp.float64, copy=False) for x in xp.broadcast_arrays(a, b))
    return xp.astype(xp.divide(*wide), dtype, copy=False)


def _arange(self: ReproducibleNamespace, *limits: Any, dtype: Any = None, **more: Any) -> Array:
    if not all(isinstance(limit, int) for limit in limits):
        raise ConfigurationError(f"xp.arange{limits} has no reproducible definition: give whole numbers and scale them")
    return self._xp.arange(*limits, dtype=dtype, **more)


DEFINED: dict[str, Callable[..., Array]] = {
    "matmul": _matmul,
    "sum": _sum,
    "mean": _mean,
    "arange": _arange,
    "divide": _divide,
    "sqrt": _elementwise(functions.square_root),
    "exp": _elementwise(functions.exp, table=True),
    "expm1": _elementwise(functions.expm1, table=True),
    "log": _elementwise(functions.natural_log),
    "log1p": _elementwise(functions.log1p),
    "tanh": _elementwise(functions.tanh, table=True),
    "pow": _elementwise(functions.power, table=True),
    "cos": _elementwise(functions.cos),
}
"""What this namespace defines itself."""
