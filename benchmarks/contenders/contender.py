"""What the worker asks of a contender."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from statistics import median
from time import perf_counter

from problem import Array


class Contender(ABC):
    """A network in training; its constructor takes a Problem and a device's name and brings all data there."""

    kinds: Sequence[str] = ()
    """In which ways it trains, where it has several and chooses by itself."""

    @abstractmethod
    def epoch(self) -> float:
        """Train one epoch and return its mean loss, read from the device only then: so the work is done when it ends.

        The loss of every step is computed, as portable_bp's history needs it.
        """

    def epochs(self, number: int) -> tuple[float, float]:
        """Train; the median of the epochs' seconds, each of which ends when its loss is read, and the last loss."""
        seconds = []
        for _ in range(number):
            started = perf_counter()
            loss = self.epoch()
            seconds.append(perf_counter() - started)
        return median(seconds), loss

    @abstractmethod
    def logits(self, x: Array) -> Array:
        """Outputs for x as a NumPy array: logits or probabilities, of which the largest names the class."""
