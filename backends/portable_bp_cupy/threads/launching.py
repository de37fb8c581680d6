"""A population trained by one kernel, each member by a thread of its own, many steps a launch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from portable_bp.backend import Batch, Order
from portable_bp_cupy.captured import STEPS
from portable_bp_cupy.recorded import Recording
from portable_bp_cupy.threads.axes import Unfit
from portable_bp_cupy.threads.members import Members, members_in
from portable_bp_cupy.threads.registers import NAME, Registers, Rows
from portable_bp_cupy.units import units
from portable_bp_cupy.workbench import OPTIONS

BLOCK = 32
"""Threads of a block: one warp, so that those of some thousand members are spread evenly over a GPU."""
FULL = 16384
"""Threads that a large GPU runs at once, a warp on each of its schedulers; fewer members get several threads each."""
WORK = 2000
"""Operations of a thread in the time of a launch in a graph, 1 to 2 µs: an estimate. With more the graph is faster."""
BYTES = 8192
"""Limit of a thread's arrays. What its 1,020 bytes of registers can't hold lies in memory and is read in every step."""


class Threads:
    """The kernel for a step of a population on batches of one form; used as `Captured` is."""

    kind = "threads"

    def __init__(self, cupy: Any, recording: Recording, order: Order, *, exact: bool) -> None:
        """Raises Unfit where the step is not one that a thread can do for one member."""
        self._cupy, self._recording = cupy, recording
        self._count, kernel = members_in(recording.leaves), fitting(recording, order, exact=exact)
        self.source, self._arguments, self._lanes = kernel.source, kernel.arguments, kernel.lanes
        hosts = [host for what, host in kernel.arguments if what == "constant"]
        self._constants = {id(host): cupy.asarray(np.asarray(host, order="C")) for host in hosts}
        self._function = cupy.RawModule(code=kernel.source, options=options(exact)).get_function(NAME)
        self.state = dict[Any, Any]()

    def __call__(self, state: Mapping[Any, Any], data: Batch, order: Order) -> list[Any]:
        """Go on from a state for each row of ``order``, or that number of steps on all of the data; give the losses."""
        self.state, losses = dict(state), []
        steps = order if isinstance(order, int) else order.shape[0]
        for start in range(0, steps, STEPS):
            count = min(STEPS, steps - start)
            losses.append(self._launched(data, count, None if isinstance(order, int) else order[start : start + count]))
        return losses

    def _launched(self, data: Batch, steps: int, order: Any) -> Any:
        """So many steps in one launch; their losses."""
        cupy, loss = self._cupy, self._recording.loss
        losses = cupy.empty((steps, *loss.shape), loss.dtype)
        new = {
            path: cupy.empty(self.state[path].shape, self.state[path].dtype)
            for what, path in self._arguments
            if what == "new"
        }
        given: dict[Any, Any] = {("members", None): np.int64(self._count), ("steps", None): np.int64(steps)}
        given |= {("losses", None): losses}
        if order is not None:
            given["order", None] = cupy.ascontiguousarray(order.astype(np.int64, copy=False))
        given |= {("data", number): cupy.ascontiguousarray(array) for number, array in enumerate(data)}
        given |= {("old", path): cupy.ascontiguousarray(array) for path, array in self.state.items()}
        given |= {("new", path): array for path, array in new.items()}
        arguments = [
            self._constants[id(which)] if what == "constant" else given[what, which] for what, which in self._arguments
        ]
        self._function((-(-self._count * self._lanes // BLOCK),), (BLOCK,), tuple(arguments))
        self.state |= new
        return losses


def options(exact: bool) -> tuple[str, ...]:
    """Of NVRTC; a quotient or root that is rounded correctly has a branch for rare numbers."""
    return OPTIONS if exact else (*OPTIONS, "-prec-div=false", "-prec-sqrt=false")


def fitting(recording: Recording, order: Order, *, exact: bool) -> Registers:
    """The kernel, the batch being one for all, or else each member's own; Unfit where a graph does better."""
    state = sum(leaf.size * leaf.dtype.itemsize for leaf in recording.leaves.values()) // members_in(recording.leaves)
    if state > BYTES:
        raise Unfit(f"{state:,} bytes of state a member are too many for a thread")
    try:
        kernel = _kernel(recording, "whole" if isinstance(order, int) else "shared", exact)
    except Unfit:
        if isinstance(order, int):
            raise
        kernel = _kernel(recording, "own", exact)
    if kernel.bytes > BYTES or kernel.work > WORK * len(units(recording.nodes)):
        raise Unfit(f"{kernel.work:,} operations and {kernel.bytes:,} bytes are too many for a thread")
    return kernel


def _kernel(recording: Recording, rows: Rows, exact: bool) -> Registers:
    members = Members(recording, joined=rows == "own")
    most = min(BLOCK, members.batch, max(1, FULL // members.count))
    return Registers(members, rows, lanes=1 << (most.bit_length() - 1), exact=exact)
