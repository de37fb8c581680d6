"""A number for each network of a population, which computes as one Python number does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import add, mul, sub
from typing import Any

from portable_bp.arrays import Array, Namespace


@dataclass(frozen=True, eq=False)
class Numbers:
    """K hyper-parameters in the place of one: ``values`` (K, 1, 1), float64.

    Among themselves and with Python numbers they are computed in float64; an array that they meet gives them its dtype.
    So `(1 - β) * g` rounds as it does with a Python number β: each network gets the bits that it gets alone. They had
    better stand on the left: array-api-strict lets nothing unknown stand on the right of an array.
    """

    xp: Namespace
    values: Array
    __array_ufunc__ = None  # NumPy's arrays then leave mixed arithmetic to the methods below

    def _with(self, operation: Callable[[Any, Any], Any], other: Any, *, turned: bool = False) -> Any:
        is_array = hasattr(other, "dtype")
        own = self.xp.astype(self.values, other.dtype, copy=False) if is_array else self.values
        second = other.values if isinstance(other, Numbers) else other
        result = operation(second, own) if turned else operation(own, second)
        return result if is_array else Numbers(self.xp, result)

    def __add__(self, other: Any) -> Any:
        return self._with(add, other)

    def __radd__(self, other: Any) -> Any:
        return self._with(add, other, turned=True)

    def __sub__(self, other: Any) -> Any:
        return self._with(sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self._with(sub, other, turned=True)

    def __mul__(self, other: Any) -> Any:
        return self._with(mul, other)

    def __rmul__(self, other: Any) -> Any:
        return self._with(mul, other, turned=True)

    def __neg__(self) -> Numbers:
        return Numbers(self.xp, -self.values)
