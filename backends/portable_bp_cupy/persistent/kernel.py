"""Whole epochs in one kernel: its blocks stay on the GPU, and go from phase to phase and step to step together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from portable_bp.backend import Batch, Order, State, Step
from portable_bp_cupy.captured import ADDRESS, INT64, forms
from portable_bp_cupy.namespace import Namespace
from portable_bp_cupy.persistent.blocks import Blocks
from portable_bp_cupy.persistent.dividing import works
from portable_bp_cupy.persistent.layout import Layout
from portable_bp_cupy.persistent.phases import Limits, phases
from portable_bp_cupy.persistent.tiling import Machine
from portable_bp_cupy.persistent.works import Product, Work
from portable_bp_cupy.recorded import Recording, record
from portable_bp_cupy.workbench import Workbench
from portable_bp_numpy.recording import NotRecordable

THREADS = 256
"""Threads of a block; one block a multiprocessor is enough, as each thread has much to do at a time."""
STEPS = 4096
"""Steps in one launch: some tenths of a second, after which others may use the GPU."""
LIMITS = Limits()
BYTE = np.dtype(np.uint8)
MOST_WORKS, MOST_PRODUCTS = 128, 32
"""What the compiler gets through in some seconds; a dense layer has four products and about as many other works."""
MOST_NUMBERS, MOST_MULTIPLICATIONS, MOST_MEMORY = 2**28, 2**32, 2**30
"""Numbers in an array, since indices are ints; multiplications of a step, beyond which cuBLAS is faster; bytes."""


@dataclass(frozen=True)
class Source:
    """The kernel's CUDA C, how many blocks have something to do, and the bytes of shared memory that each needs."""

    text: str
    blocks: int
    shared: int


def source(recording: Recording, layout: Layout, some: list[Work], machine: Machine) -> Source:
    """The kernel for a recording whose works lie as the layout says."""
    pieces = Blocks(layout, machine)
    body = list[str]()
    for phase in phases(some, LIMITS):
        body += [*pieces.phase(phase), "barrier(arrived, goal);"]
    loss, batch = recording.loss, len(recording.rows[0].value)
    data = "".join(f"const char* x{i}, " for i in range(len(recording.rows)))
    lines = [
        f"constexpr int THREADS = {machine.threads};",
        tiles_source(),
        f'extern "C" __global__ __launch_bounds__({machine.threads}, 1) void epochs(char* state, char* scratch, {data}'
        "const whole* order, char* losses, tickets* arrived, whole first, whole steps) {",
        "extern __shared__ Four<double> memory[];",
        "char* const shared = (char*)memory; (void)shared;",
        "tickets goal = 0;",
        "for (whole step = 0; step < steps; ++step) {",
        f"char* const now = state + ((first + step) & 1) * {layout.state.size}LL; (void)now;",
        f"char* const next = state + ((first + step + 1) & 1) * {layout.state.size}LL; (void)next;",
        f"char* const loss = losses + step * {loss.value.nbytes};",
        f"const whole* const rows = order + step * {batch}; (void)rows;",
        *body,
        "}",
        "}",
    ]
    return Source("\n".join(lines), min(pieces.most, machine.blocks), pieces.products.shared)


class Persistent:
    """A kernel for epochs of a step on batches of one form, with the manners of `captured.Captured`."""

    kind = "persistent"

    def __init__(self, bench: Workbench, step: Step, state: State, data: Batch, order: Order, xp: Namespace) -> None:
        self._bench = bench
        recording = record(step, state, forms(data, order), xp)
        some = works(recording)
        _require_fit(recording, some)
        self._layout = layout = Layout(recording, some, gathered=not isinstance(order, int))
        self.source = source(recording, layout, some, bench.machine(THREADS))
        self._loss = recording.loss
        self._launched = bench.cooperative(self.source.text, "epochs", self.source.blocks, THREADS, self.source.shared)
        with bench.making():
            self._states = bench.empty((2, layout.state.size), BYTE)
            self._scratch = bench.empty(layout.scratch.size, BYTE)
            self._scratch.fill(0)  # the counters of shared tiles begin at 0
            self._arrived = bench.empty(1, ADDRESS)
            self._copies = [self._leaves(0), self._leaves(1)]
            for place, value in layout.constants:
                bench.cupy.copyto(self._view(self._scratch, place), bench.constant(value))
        self.state = self._copies[0]

    def _leaves(self, which: int) -> Mapping[Any, Any]:
        """The state's arrays in one of its copies."""
        memory = {"now": self._states[which], "scratch": self._scratch}
        return {path: self._view(memory[place.base], place) for path, place in self._layout.leaves.items()}

    def _view(self, memory: Any, place: Any) -> Any:
        part = memory[place.start : place.start + place.form.nbytes]
        return part.view(place.dtype).reshape(place.shape)

    def __call__(self, state: Mapping[Any, Any], data: Batch, order: Order) -> list[Any]:
        """Go on from a state for each row of ``order``, or that number of steps on all of the data; give the losses."""
        steps = order if isinstance(order, int) else order.shape[0]
        cupy = self._bench.cupy
        with self._bench.running():
            for path, array in state.items():
                cupy.copyto(self._copies[0][path], array)
            rows = self._rows(order)
            self._data = [_aligned(cupy.ascontiguousarray(array)) for array in data]  # held while the kernel runs
            losses = self._losses = cupy.empty((steps, *self._loss.shape), self._loss.dtype)
            for start in range(0, steps, STEPS):
                count = min(STEPS, steps - start)
                self._launch(rows[start:], losses[start:], start, count)
        self.state = self._copies[steps % 2]
        return [losses]

    def _launch(self, rows: Any, losses: Any, first: int, steps: int) -> None:
        self._arrived.fill(0)
        memory = self._states, self._scratch, *self._data, rows, losses, self._arrived
        self._launched(*memory, np.int64(first), np.int64(steps))

    def _rows(self, order: Order) -> Any:
        """The order where the kernel reads it; it reads none where a batch is the whole set."""
        self._order = self._bench.empty(order if isinstance(order, int) else order.shape, INT64)
        if not isinstance(order, int):
            self._bench.cupy.copyto(self._order, order)
        return self._order


def _aligned(array: Any) -> Any:
    """The array, where its numbers can be fetched 16 bytes at once."""
    return array if array.data.ptr % 16 == 0 else array.copy()


def _require_fit(recording: Recording, some: list[Work]) -> None:
    arrays = [*recording.nodes, *recording.leaves.values(), *recording.rows]
    sizes = {
        "works": (len(some), MOST_WORKS),
        "products": (sum(isinstance(work, Product) for work in some), MOST_PRODUCTS),
        "numbers in an array": (max(x.size for x in arrays), MOST_NUMBERS),
        "multiplications": (sum(work.amount for work in some), MOST_MULTIPLICATIONS),
        "bytes": (sum(x.value.nbytes for x in arrays), MOST_MEMORY),
    }
    for what, (size, most) in sizes.items():
        if size > most:
            raise NotRecordable(f"a kernel for whole epochs takes {most} {what} at most; this step has {size}")


@cache
def tiles_source() -> str:
    """The part of the kernel that is written by hand."""
    return (files(__package__) / "tiles.cu").read_text(encoding="utf-8")
