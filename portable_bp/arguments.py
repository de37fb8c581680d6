"""The one check that all whole-number arguments go through."""

import operator
from typing import SupportsIndex

from portable_bp.errors import ConfigurationError


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
