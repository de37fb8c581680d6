"""The checks that all numbers among the arguments go through."""

import operator
from dataclasses import fields
from numbers import Real
from typing import Any, SupportsIndex

from portable_bp.errors import ConfigurationError

INFINITY = float("inf")


def whole_number(name: str, value: SupportsIndex, low: int, high: int | None = None, hint: str = "") -> int:
    """The value, a Python or NumPy integer in low .. high, as an int; else, bools too, ConfigurationError."""
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1  # falls out of the range below
    if isinstance(value, bool) or number < low or (high is not None and number > high):
        rule = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ConfigurationError(f"{name}={value!r}: it must be a whole number {rule}{hint}")
    return number


def real_number(name: str, value: Any, low: float = 0.0, high: float = INFINITY, *, above: bool = False) -> float:
    """The value, a finite Python or NumPy number in [low, high), or in (low, high) with ``above``, as a float.

    A NumPy scalar must not stay one: it would turn the arithmetic of float32 arrays into float64.
    """
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else INFINITY
    if not low <= number < high or (number == low and (above or low == -INFINITY)):
        least = "" if low == -INFINITY else f" {'above' if above else 'of at least'} {low:g}"
        most = "" if high == INFINITY else f" and below {high:g}"
        raise ConfigurationError(f"{name}={value!r}: it must be a finite number{least}{most}")
    return number


def settle(owner: object, name: str, value: object) -> None:
    """Set a field of a frozen dataclass to its checked value, from `__post_init__`."""
    object.__setattr__(owner, name, value)


def require_fields(part: Any) -> None:
    """Refuse a layer, loss or optimizer with attributes that are no dataclass fields.

    Fields are what makes two parts equal and what is saved; an attribute set in an ``__init__`` would be lost.
    """
    hidden = [name for name in vars(part) if name not in {field.name for field in fields(part)}]
    if hidden:
        kind = type(part).__name__
        raise ConfigurationError(
            f"{kind} holds {', '.join(hidden)}, no field: write @dataclass(frozen=True) above class {kind} and "
            f"'{hidden[0]}: float' (its type) below it, in place of an __init__"
        )
