"""A step, recorded without the device: what comes in, what goes out, and the operations between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from portable_bp.backend import State, Step
from portable_bp_cupy.namespace import Namespace
from portable_bp_cupy.outline import Outline, blank
from portable_bp_numpy.planning import needed
from portable_bp_numpy.recording import Node, NotRecordable, Recorded, astype
from portable_bp_numpy.replay import Leaves, leaves_of, rebuilt

Form = tuple[tuple[int, ...], Any]
"""Shape and dtype of an array."""


@dataclass
class Recording:
    """``leaves`` become ``results``, by their paths; ``rows`` is the batch; ``nodes`` all that has to be computed."""

    leaves: dict[Any, Node]
    rows: list[Node]
    results: Leaves
    loss: Node
    nodes: list[Node]


def record(step: Step, state: State, batch: Sequence[Form], xp: Namespace) -> Recording:
    """Run ``step`` once on stand-ins for the arrays of ``state`` and a batch of these forms."""
    tape = Outline()
    leaves = {path: Node(blank(tuple(array.shape), array.dtype)) for path, array in leaves_of(state)}
    rows = [Node(blank(*form)) for form in batch]
    stands = rebuilt(state, lambda path, _: Recorded(tape, leaves[path]))
    with xp.recording(), np.errstate(all="ignore"):
        after, loss = step(stands, tuple(Recorded(tape, node) for node in rows))
    results = {path: leaf.node if isinstance(leaf, Recorded) else np.asarray(leaf) for path, leaf in leaves_of(after)}
    if leaves.keys() != results.keys() or any(_form(x) != _form(results[path]) for path, x in leaves.items()):
        raise NotRecordable("the state changes its form from one step to the next")
    if not isinstance(loss, Recorded) or loss.node.function is None or loss.node.base is not None:
        raise NotRecordable("the loss is no result of the step's own")
    return Recording(leaves, rows, results, loss.node, needed(tape.nodes, [*results.values(), loss.node]))


def with_numbers(recording: Recording) -> Recording:
    """The same for who turns bytes into numbers as they are gathered: rows are what the step makes of them first."""
    nodes = list(recording.nodes)
    return replace(recording, rows=[_as_numbers(row, nodes) for row in recording.rows], nodes=nodes)


def _as_numbers(row: Node, nodes: list[Node]) -> Node:
    """The numbers made of a row of bytes, which then are no operation any more; of any other row itself."""
    readers = [node for node in nodes if row in node.inputs]
    if row.dtype != np.uint8 or len(readers) != 1 or readers[0].function is not astype or readers[0].dtype.kind != "f":
        return row
    (made,) = readers
    nodes.remove(made)
    made.function, made.args, made.inputs = None, (), []
    return made


def _form(array: Any) -> Form:
    return tuple(array.shape), array.dtype
