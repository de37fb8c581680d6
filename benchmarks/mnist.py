"""MNIST as the works need it: read once, and only where a work asks for it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from problem import Images

import portable_bp as bp


class Mnist:
    """The set in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def _parts(self) -> bp.datasets.Dataset:
        return bp.datasets.mnist(self.folder, validation=0)

    def train(self) -> Images:
        """All 60,000 images and labels."""
        return self._parts.train.x, self._parts.train.y

    def write_test(self, folder: Path) -> None:
        """Write the 10,000 images by which every contender is judged."""
        np.save(folder / "test_x.npy", self._parts.test.x)
        np.save(folder / "test_y.npy", self._parts.test.y)
