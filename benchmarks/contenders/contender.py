"""What the worker asks of a contender."""

from __future__ import annotations

from abc import ABC, abstractmethod

from problem import Array


class Contender(ABC):
    """A network in training; its constructor takes a Problem and a device's name and brings all data there."""

    @abstractmethod
    def epoch(self) -> float:
        """Train one epoch and return its mean loss, read from the device only then: so the work is done when it ends.

        The loss of every step is computed, as portable_bp's history needs it.
        """

    @abstractmethod
    def logits(self, x: Array) -> Array:
        """Outputs for x as a NumPy array: logits or probabilities, of which the largest names the class."""
