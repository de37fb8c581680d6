"""A step captured as a CUDA graph, and the epochs that it is launched for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from portable_bp.backend import Batch, Order, State, Step
from portable_bp_cupy.namespace import Namespace
from portable_bp_cupy.program import Program
from portable_bp_cupy.recorded import Form, record, with_numbers
from portable_bp_cupy.workbench import Call, Workbench, launch, numbers
from portable_bp_numpy.replay import leaves_of

STEPS = 8192
"""Steps in one go where a batch is the whole set; where it isn't, as many as the first order has."""
INT64, ADDRESS = np.dtype(np.int64), np.dtype(np.uint64)


class Captured:
    """The graph of a step on batches of one form.

    It reads what changes from step to step on the device: the order of the rows, where the data lie, the number of the
    step, which it counts itself. So it is launched as it is for every step.
    """

    kind = "graph"

    def __init__(self, bench: Workbench, step: Step, state: State, data: Batch, order: Order, xp: Namespace) -> None:
        self._bench = bench
        recording = with_numbers(record(step, state, forms(data, order), xp))
        with bench.making():
            self._program = program = Program(bench, recording)
            self.state = {path: program.places[leaf] for path, leaf in recording.leaves.items()}
            self._rows = [program.places[x] for x in recording.rows]
            self._loss = program.places[recording.loss]
            shape: tuple[int, int] = (STEPS, 0) if isinstance(order, int) else order.shape
            self._capacity, batch = shape
            self._losses = bench.empty((self._capacity, *self._loss.shape), self._loss.dtype)
            self._counter = bench.empty(1, INT64)
            self._order = bench.empty((self._capacity, batch), INT64)
            self._bases = bench.empty(len(self._rows), ADDRESS)
            calls = [
                *([] if isinstance(order, int) else self._gathering(data, batch)),
                *program.calls,
                *self._storing(),
            ]
            self._enter(dict(leaves_of(state)), data, order)
            self._begin(order, slice(0, 1))
            self._graph = self._capture(calls)

    @property
    def source(self) -> str:
        """The generated kernels."""
        return self._program.source

    def _gathering(self, data: Batch, batch: int) -> list[Call]:
        """Calls that gather the batch of the step that the counter names."""
        calls = []
        for which, (array, out) in enumerate(zip(data, self._rows, strict=True)):
            kind = "" if array.dtype == out.dtype else "bytes_as_"
            gather = self._program.functions[f"gather_{kind}{out.dtype.itemsize}"]
            sizes = [np.int64(n) for n in (which, batch, numbers(out.shape[1:]))]
            calls.append(launch(gather, out.size, out, self._bases, self._order, self._counter, *sizes))
        return calls

    def _storing(self) -> list[Call]:
        """Calls that put the loss where the counter says, and count."""
        functions, loss = self._program.functions, self._loss
        store = functions[f"store_{loss.dtype.itemsize}"]
        stored = launch(store, loss.size, loss, self._losses, self._counter, np.int64(loss.size))
        return [stored] if loss.size == 1 else [stored, launch(functions["next_step"], 1, self._counter, block=1)]

    def _capture(self, calls: Sequence[Call]) -> Any:
        """Run the calls once, so that all of them are loaded and have their memory, then take them down as a graph."""
        stream = self._bench.stream
        for call in calls:
            call()
        stream.synchronize()
        stream.begin_capture()
        try:
            for call in calls:
                call()
        except BaseException:
            with suppress(Exception):  # the capture is broken already, and why is known
                stream.end_capture()
            raise
        return stream.end_capture()

    def __call__(self, state: Mapping[Any, Any], data: Batch, order: Order) -> list[Any]:
        """Go on from a state for each row of ``order``, or that number of steps on all of the data; give the losses."""
        losses = []
        with self._bench.running():
            self._enter(state, data, order)
        for part in self._parts(order):
            with self._bench.running() as stream:
                self._begin(order, part)
                for _ in range(part.start, part.stop):
                    self._graph.launch(stream)
            losses.append(self._losses[: part.stop - part.start].copy())  # not in the graph's own memory
        return losses

    def _parts(self, order: Order) -> Iterator[slice]:
        """The steps in parts for which there is room."""
        steps = order if isinstance(order, int) else order.shape[0]
        for start in range(0, steps, self._capacity):
            yield slice(start, min(start + self._capacity, steps))

    def _enter(self, state: Mapping[Any, Any], data: Batch, order: Order) -> None:
        """Put the state into the graph's places, and say where the data lie."""
        copyto = self._bench.cupy.copyto
        for path, array in state.items():
            copyto(self.state[path], array)
        if isinstance(order, int):
            for place, array in zip(self._rows, data, strict=True):
                copyto(place, array)
            return
        self._data = [self._bench.cupy.ascontiguousarray(array) for array in data]  # held, since the graph reads them
        self._bases.set(np.asarray([array.data.ptr for array in self._data], ADDRESS))

    def _begin(self, order: Order, part: slice) -> None:
        """Set the graph to the first step of a part of the order."""
        self._counter.fill(0)
        if not isinstance(order, int):
            self._bench.cupy.copyto(self._order[: part.stop - part.start], order[part])


def forms(data: Batch, order: Order) -> list[Form]:
    """Shapes and dtypes of a batch's arrays."""
    if isinstance(order, int):
        return [(tuple(array.shape), array.dtype) for array in data]
    return [((order.shape[1], *array.shape[1:]), array.dtype) for array in data]
