"""Data that the device has no room for: it stays on the host, and is moved in chunks of batches, ahead of the steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from math import prod

from portable_bp.arrays import Array, HostArray, Namespace
from portable_bp.backend import Backend, Batch, Epoch, Order, State, get_backend

CHUNK = 2**26
"""Bytes moved at a time: hundreds of batches of MNIST, so that calls don't count, and little of any device's memory."""


def host() -> Backend:
    """The backend whose arrays are the host's."""
    return get_backend("numpy")


def streamed(backend: Backend, epoch: Epoch) -> Epoch:
    """The same epoch for data and orders that lie on the host.

    A chunk has the rows of its batches one behind the other, so a step sees the same numbers as it would with all of
    the data on the device, and the result is the same to the last bit.
    """
    xp = backend.xp

    def run(state: State, data: Batch, orders: Sequence[Order]) -> tuple[State, Array]:
        parts, losses = [part for order in orders for part in _parts(data, order)], []
        with closing(backend.feed(data, [_flat(host().xp, part) for part in parts])) as chunks:
            for part, chunk in zip(parts, chunks, strict=True):
                state, found = epoch(state, chunk, [_consecutive(xp, part)])
                losses.append(found)
        return state, xp.concat(losses)

    return run


def _parts(data: Batch, order: HostArray) -> Iterator[HostArray]:
    """The rows of an order in parts of nearly the same number of steps."""
    steps, size = order.shape
    batch = size * sum(array[:1].nbytes for array in data)
    count = -(-steps // max(1, CHUNK // max(1, batch)))
    for i in range(count):
        yield order[i * steps // count : (i + 1) * steps // count]


def _flat(xp: Namespace, part: HostArray) -> HostArray:
    """The rows of a part, batch by batch."""
    return xp.reshape(part, (-1,))


def _consecutive(xp: Namespace, part: HostArray) -> Order:
    """Row numbers of the batches in a chunk."""
    return xp.reshape(xp.arange(prod(part.shape), dtype=xp.int64), part.shape)
