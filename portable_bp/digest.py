"""A fingerprint of parameters: equal digests mean equal bits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from portable_bp.arrays import HostArray


def digest(params: Sequence[Mapping[str, HostArray]]) -> str:
    """SHA-256, in hexadecimal, over name, dtype, shape and little-endian bytes of every array, by layer and name."""
    sha = hashlib.sha256()
    for number, layer in enumerate(params):
        for name, array in sorted(layer.items()):
            little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
            sha.update(f"{number}.{name} {array.dtype.name} {tuple(array.shape)}\n".encode())
            sha.update(little)  # as a buffer: a copy would take as much memory again
    return sha.hexdigest()
