"""Options whose values are names."""

from collections.abc import Mapping
from typing import TypeVar

from portable_bp.errors import ConfigurationError
from portable_bp.precision import PRECISIONS

T = TypeVar("T")

ARITHMETICS = ("native", "reproducible")
"""Values of --arithmetic: the array library's own, or the same bits on every device."""

PRECISION = f"Of float32 products: {' or '.join(PRECISIONS)}; TF32 rounds factors to 11 bits, faster on recent GPUs."
"""Help of --precision."""
BYTES = "Whether the network takes images as bytes from 0 to 255, or from 0 to 1. [default: 0 to 1]"
"""Help of --bytes."""


def choose(option: str, value: str, table: Mapping[str, T]) -> T:
    """Look a name up, and refuse one that isn't in the table."""
    if value not in table:
        raise ConfigurationError(f"{option} {value!r}: write one of {', '.join(table)}")
    return table[value]
