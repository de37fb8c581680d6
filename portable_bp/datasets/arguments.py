"""The one check that every dataset's whole-number arguments go through."""

import operator
from typing import SupportsIndex

from portable_bp.errors import ConfigurationError


def whole_number(name: str, value: SupportsIndex, low: int, high: int | None = None) -> int:
    """The value as an int within low..high; anything else, bools too, is a ConfigurationError."""
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1  # falls out of the range below
    if isinstance(value, bool) or number < low or (high is not None and number > high):
        rule = f"{low} or more" if high is None else f"from {low} to {high}"
        raise ConfigurationError(
            f"{name}={value!r} can't be used: it must be a whole number {rule}; give for example {name}={low}"
        )
    return number
