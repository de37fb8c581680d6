"""The kernel for whole epochs or the graph: both run some steps, and the faster one stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from portable_bp.backend import Batch, Order
from portable_bp_cupy.captured import Captured
from portable_bp_cupy.persistent.kernel import Persistent
from portable_bp_cupy.remembering import remember, remembered
from portable_bp_cupy.threads.launching import Threads

LEAST = 256
"""An order of so many steps is worth the seconds of compilation, which CuPy then keeps on disk."""
TRIED = 48
"""Steps that are timed: some milliseconds, most of which is not the copying of the state."""
CLEARLY = 0.9
"""The kernel must take less than this part of the graph's time, so that the choice is the same in every run."""
APART = 0.01
"""How far losses may be from each other after as many steps of native arithmetic, relative to the largest."""

Way = Captured | Persistent | Threads
State = Mapping[Any, Any]


def enough(order: Order) -> bool:
    """Whether an order has enough steps to look for a faster way."""
    return (order if isinstance(order, int) else int(order.shape[0])) >= LEAST


def chosen(
    cupy: Any,
    graph: Captured,
    make: Callable[[], Persistent],
    state: State,
    data: Batch,
    order: Order,
    *,
    exact: bool,
    place: Path,
) -> Way:
    """The faster of the graph and what ``make`` gives; the graph where that raises: it is only a choice of speed.

    The guard has checked one step of both. Here they must have the same losses in all steps that are tried. What is
    found by the clock is remembered at ``place``, and not measured again.
    """
    known = remembered(place)
    if known == graph.kind:
        return graph
    try:
        kernel = make()
        some = min(order, TRIED) if isinstance(order, int) else order[:TRIED]
        expected, found = (cupy.concatenate(way(state, data, some)) for way in (graph, kernel))
        if not bool((abs(found - expected) <= (0.0 if exact else APART) * abs(expected).max()).all()):
            return graph
        if known == kernel.kind:
            return kernel
        times = [[_milliseconds(cupy, way, state, data, some) for way in (graph, kernel)] for _ in range(3)]
    except Exception:  # a program that has no place in a kernel, a launch refused, memory
        return graph
    of_graph, of_kernel = (min(own) for own in zip(*times, strict=True))
    faster: Way = kernel if of_kernel < CLEARLY * of_graph else graph
    remember(place, faster.kind)
    return faster


def _milliseconds(cupy: Any, way: Way, state: State, data: Batch, order: Order) -> float:
    stream = cupy.cuda.get_current_stream()
    before = stream.record()
    way(state, data, order)
    after = stream.record()
    after.synchronize()
    return float(cupy.cuda.get_elapsed_time(before, after))
