"""Rows of the host's arrays, copied to the device ahead of the steps that read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any

import numpy as np

from portable_bp.backend import Batch, Feed


class Slot:
    """Memory for the rows of one chunk, pinned on the host and on the device, and when it may be written again."""

    def __init__(self, cupy: Any, data: Sequence[Any], size: int) -> None:
        self._pinned = [_pinned(cupy, (size, *array.shape[1:]), array.dtype) for array in data]
        self._arrays = [cupy.empty(array.shape, array.dtype) for array in self._pinned]
        self._copied: Any = None
        self.used: Any = None
        """Event behind the steps that read the chunk here last."""

    def fill(self, data: Sequence[Any], rows: Any, stream: Any) -> None:
        """Gather rows and give them to the stream that copies; returns before they are on the device."""
        if self._copied is not None:
            self._copied.synchronize()
        for array, pinned in zip(data, self._pinned, strict=True):
            np.take(array, rows, axis=0, out=pinned[: len(rows)], mode="clip")  # "raise" would go by way of a buffer
        if self.used is not None:
            stream.wait_event(self.used)
        for pinned, array in zip(self._pinned, self._arrays, strict=True):
            array.data.copy_from_host_async(pinned.ctypes.data, pinned[: len(rows)].nbytes, stream)
        self._copied = stream.record()

    def batch(self, size: int, stream: Any) -> Batch:
        """The chunk, which the stream will find on the device."""
        stream.wait_event(self._copied)
        return tuple(array[:size] for array in self._arrays)


def fed(cupy: Any, device: Any, data: Sequence[Any], rows: Sequence[Any]) -> Feed:
    """Give the rows chunk by chunk: while the device works on one, a thread gathers the next, and a stream copies it.

    Two chunks are on the device, turn by turn: a chunk is gathered when the last but one has been copied, and copied
    when the steps on that one are done.
    """
    copying, current = cupy.cuda.Stream(non_blocking=True), cupy.cuda.get_current_stream()
    size = max(map(len, rows), default=0)
    slots = cycle([Slot(cupy, data, size) for _ in range(min(2, len(rows)))])
    copying.wait_event(current.record())  # their memory may be in use until now

    def fill(some: Any) -> Slot:
        slot = next(slots)
        with device:
            slot.fill(data, some, copying)
        return slot

    try:
        with ThreadPoolExecutor(1, "portable_bp feed") as ahead:
            for some, waiting in _one_ahead(ahead, fill, rows):
                slot: Slot = waiting.result()
                yield slot.batch(len(some), current)
                slot.used = current.record()
    finally:
        copying.synchronize()  # before the memory is given back


def _one_ahead(ahead: ThreadPoolExecutor, fill: Any, rows: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Each chunk's rows with its filling; that of the next one is begun before."""
    coming = ahead.submit(fill, rows[0]) if rows else None
    for i, some in enumerate(rows):
        ready, coming = coming, ahead.submit(fill, rows[i + 1]) if i + 1 < len(rows) else None
        yield some, ready


def _pinned(cupy: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A NumPy array in memory that the device's copies can read without the processor."""
    size = int(np.prod(shape))
    memory = cupy.cuda.alloc_pinned_memory(max(1, size * dtype.itemsize))
    return np.frombuffer(memory, dtype, size).reshape(shape)
