"""How examples are cut into mini-batches, and in which order they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

from portable_bp.arguments import whole_number
from portable_bp.backend import Backend, Order
from portable_bp.streams import Stream


@dataclass(frozen=True)
class Batches:
    """How n examples are cut into mini-batches: all of ``size`` but the last, which has the rest."""

    n: int
    size: int
    shuffle: bool

    @classmethod
    def of(cls, n: int, size: int | Literal["auto"] | None, shuffle: bool) -> Batches:
        """Cut n examples into batches of ``size``; None is the whole set, "auto" 32 or the whole set if smaller."""
        if size == "auto":
            return cls(n, min(n, 32), shuffle)
        return cls(
            n, n if size is None else whole_number("batch_size", size, 1, n, ", or None for the whole set"), shuffle
        )

    @property
    def sizes(self) -> list[int]:
        """Number of examples in every batch of an epoch."""
        full, rest = divmod(self.n, self.size)
        return [self.size] * full + [rest] * (rest > 0)

    @property
    def differ(self) -> bool:
        """Whether networks of different seeds see different batches."""
        return self.shuffle and self.size < self.n

    def orders(self, backend: Backend, seed: int, epoch: int) -> list[Order]:
        """Row numbers of an epoch's batches, int64: (steps, size), and (1, rest) where a rest remains.

        A batch that is the whole set is just the number 1, of steps. A shuffled order is drawn on the host from
        (seed, "order", epoch), so it is the same on every backend.
        """
        xp, cut = backend.xp, self.n - self.n % self.size
        if self.size == self.n:
            return [1]
        if self.shuffle:
            order = backend.asarray(Stream(seed, "order", step=epoch).permutation(self.n))
        else:
            order = xp.arange(self.n, dtype=xp.int64)
        parts = [xp.reshape(order[:cut], (-1, self.size))]
        return [*parts, xp.reshape(order[cut:], (1, -1))] if cut < self.n else parts


def one_by_one(orders: Iterable[Order]) -> Iterator[Order]:
    """Orders of one step each, for the same steps."""
    for order in orders:
        yield from (
            repeat(1, order) if isinstance(order, int) else (order[i : i + 1, ...] for i in range(order.shape[0]))
        )
