"""A population trained by one kernel, each member by a thread of its own, many steps a launch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from portable_bp.backend import Batch, Order
from portable_bp_cupy.axes import Unfit
from portable_bp_cupy.members import Members, members_in
from portable_bp_cupy.recorded import Recording
from portable_bp_cupy.registers import NAME, Registers
from portable_bp_cupy.units import units
from portable_bp_cupy.workbench import OPTIONS

BLOCK = 32
"""Threads of a block: one warp, so that those of some thousand members are spread evenly over a GPU."""
WORK = 2000
"""Operations of a thread in the time of a launch in a graph, 1 to 2 µs: an estimate. With more the graph is faster."""
BYTES = 8192
"""Limit of a thread's arrays. What its 1,020 bytes of registers can't hold lies in memory and is read in every step."""


class Threads:
    """The kernel for a step of a population on batches of one form; used as `Captured` is."""

    kind: ClassVar[str] = "threads"

    def __init__(self, cupy: Any, recording: Recording, order: Order) -> None:
        """Raises Unfit where the step is not one that a thread can do for one member."""
        self._cupy, self._recording = cupy, recording
        self._members, kernel = fitting(recording, order)
        self.source, self._arguments = kernel.source, kernel.arguments
        self._constants = {id(host): cupy.asarray(host) for what, host in kernel.arguments if what == "constant"}
        self._function = cupy.RawModule(code=kernel.source, options=OPTIONS).get_function(NAME)
        self.state = dict[Any, Any]()

    def __call__(self, state: Mapping[Any, Any], data: Batch, order: Order) -> list[Any]:
        """Go on from a state for each row of ``order``, or that number of steps on all of the data; give the losses."""
        cupy, recording = self._cupy, self._recording
        steps = order if isinstance(order, int) else order.shape[0]
        held = {path: cupy.ascontiguousarray(x).reshape(x.shape) for path, x in state.items()}  # it makes axes of none
        written = {path for what, path in self._arguments if what == "new"}
        after = {
            path: cupy.empty(array.shape, array.dtype) if path in written else array for path, array in held.items()
        }
        losses = cupy.empty((steps, *recording.loss.shape), recording.loss.dtype)
        places: dict[str, Any] = {"old": held, "new": after, "data": [cupy.ascontiguousarray(array) for array in data]}
        single = {"losses": losses, "steps": np.int64(steps), "order": order}
        if not isinstance(order, int):
            single["order"] = cupy.ascontiguousarray(order)
        arguments = [
            self._constants[id(which)]
            if what == "constant"
            else places[what][which]
            if what in places
            else single[what]
            for what, which in self._arguments
        ]
        self._function((-(-self._members.count // BLOCK),), (BLOCK,), tuple(arguments))
        self.state = after
        return [losses]


def fitting(recording: Recording, order: Order) -> tuple[Members, Registers]:
    """The recorded step cut into threads; the batch is taken as one for all, or else as the members' own."""
    if sum(leaf.size * leaf.dtype.itemsize for leaf in recording.leaves.values()) > BYTES * members_in(
        recording.leaves
    ):
        raise Unfit("a state that is too large for a thread")
    try:
        members = Members(recording, joined=False)
        kernel = Registers(members, "whole" if isinstance(order, int) else "shared")
    except Unfit:
        if isinstance(order, int):
            raise
        members = Members(recording, joined=True)
        kernel = Registers(members, "own")
    if kernel.bytes > BYTES or kernel.work > WORK * len(units(recording.nodes)):
        raise Unfit(f"{kernel.work:,} operations and {kernel.bytes:,} bytes a member are too many for a thread")
    return members, kernel
