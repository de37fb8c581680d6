"""Reproducible arithmetic: the same bits on every device, by construction.

Everything here is made of operations that the floating-point standard defines to the last bit, and that every library
was seen to do so: +, -, · and / of arrays, comparisons, rounding to whole numbers, conversion between float32 and
float64, and sums and products whose every partial result is exact, so that their order cannot matter.
"""

from portable_bp.reproducible.backend import ReproducibleBackend, with_arithmetic
from portable_bp.reproducible.namespace import ReproducibleNamespace

__all__ = ["ReproducibleBackend", "ReproducibleNamespace", "with_arithmetic"]
