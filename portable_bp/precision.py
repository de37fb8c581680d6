"""The precision of float32 products: full, or TF32 on GPUs that have it."""

from __future__ import annotations

from portable_bp.backend import Backend
from portable_bp.errors import ConfigurationError

PRECISIONS = ("full", "tf32")
"""Full: float32 as it is, 24 bits. TF32: the factors are rounded to 11 bits and the products added up in float32, by an
A100's tensor cores eight times as fast. (NVIDIA A100 Tensor Core GPU Architecture, whitepaper, 2020.)"""

FIRST_WITH_TF32 = 8
"""Major compute capability of the first GPUs whose tensor cores take TF32, Ampere."""


def precisions_of(capability: object) -> frozenset[str]:
    """What a CUDA GPU of this compute capability, 9, "9" or "9.0", can compute; of an unknown one, the full alone."""
    major, _, _ = str(capability).partition(".")
    return frozenset(PRECISIONS if major.isdecimal() and int(major) >= FIRST_WITH_TF32 else PRECISIONS[:1])


def with_precision(backend: Backend, precision: str | None, dtype: str) -> Backend:
    """Give the backend with float32 products of this precision, or (None) as it is, for a network of ``dtype``.

    Raises ConfigurationError for a name that is none, for TF32 where dtype or arithmetic promise more bits than it has,
    and where the backend's device doesn't have it.
    """
    wanted = backend.precision if precision is None else precision
    if wanted not in PRECISIONS:
        raise ConfigurationError(f"precision={wanted!r}: write 'full' or 'tf32'")
    if wanted != "full" and dtype != "float32":
        raise ConfigurationError(
            f"precision={wanted!r} with dtype={dtype!r}: it is for float32; write dtype='float32' or precision='full'"
        )
    return backend.at_precision(wanted)
