"""The words that annotations use for arrays.

An array is whatever the backend's library makes; the Array API standard has no base class to name, so these are ``Any``
with a meaning.
"""

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of the backend's library."""

HostArray: TypeAlias = Any
"""A NumPy array on the host."""

Namespace: TypeAlias = Any
"""The Array API namespace ``xp`` that a backend hands out; the one seam through which all arithmetic goes."""

Params: TypeAlias = dict[str, Array]
"""Parameters (or gradients) of one layer by name; empty where the layer has none."""

Shape: TypeAlias = tuple[int, ...]
"""A shape without the batch axis."""
