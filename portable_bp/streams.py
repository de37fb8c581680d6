"""Random numbers drawn on the host: each stream is a pure function of (seed, purpose, layer, step).

Initial weights and batch orders come from here and are copied to the device, so they are the same on every backend.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portable_bp.arrays import HostArray, Shape

if TYPE_CHECKING:
    import numpy as np


def stream_key(seed: int, purpose: str, layer: int, step: int = 0) -> int:
    """128-bit key of a stream: BLAKE2b of its four coordinates, so that neighbouring streams share nothing."""
    name = f"{seed}/{purpose}/{layer}/{step}"
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "little")


@dataclass(frozen=True)
class Stream:
    """NumPy's Philox generator at the place (seed, purpose, layer, step).

    Each method starts the stream anew: call one of them once.
    """

    seed: int
    purpose: str
    layer: int = 0
    step: int = 0

    def _generator(self) -> np.random.Generator:
        from numpy.random import Generator, Philox  # here, so that importing the core imports no array library

        return Generator(Philox(key=stream_key(self.seed, self.purpose, self.layer, self.step)))

    def named(self, name: str) -> Stream:
        """Give the stream of one named part of this purpose, say of one parameter."""
        return Stream(self.seed, f"{self.purpose}/{name}", self.layer, self.step)

    def normal(self, shape: Shape) -> HostArray:
        """Draw standard normal numbers, float64."""
        return self._generator().standard_normal(shape)

    def uniform(self, shape: Shape) -> HostArray:
        """Draw numbers uniform in [-1, 1), float64."""
        return self._generator().uniform(-1.0, 1.0, shape)

    def constant(self, shape: Shape, value: float) -> HostArray:
        """Give an array filled with ``value``, float64; no randomness is used."""
        import numpy as np

        return np.full(shape, value)

    def permutation(self, n: int) -> HostArray:
        """Draw a random order of 0 .. n-1, int64."""
        return self._generator().permutation(n)
