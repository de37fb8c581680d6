"""What a thread computes when: before the rows, for each row, and with what the rows add up to.

A pass over the rows computes all that it needs of a row again, so that nothing is kept of one row when the next one
comes. A network's step takes one pass, reproducible arithmetic two: the first finds by what the second is to be scaled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from portable_bp_cupy.expressions import operands
from portable_bp_cupy.threads.axes import Read, local, read
from portable_bp_cupy.threads.members import Members
from portable_bp_numpy.recording import Node


@dataclass(eq=False)
class Loop:
    """Elementwise operations over one shape, computed number by number."""

    shape: tuple[int, ...]
    nodes: list[Node] = field(default_factory=list)


Group = Loop | Node
"""What is computed together: a loop, or a single operation of another kind."""


@dataclass
class Stage:
    """What is computed once, and what then in a pass over the rows, of which ``sums`` remain."""

    once: list[Group]
    by_row: list[Group]
    sums: list[Node]


def stages(members: Members) -> list[Stage]:
    """The stages of a step, in order."""
    return [_stage(members, level) for level in range(max(members.levels.values()) + 1)]


def _stage(members: Members, level: int) -> Stage:
    own = [node for node in members.recording.nodes if members.values[node].stored is node]
    once = [x for x in own if members.levels[x] == level and not members.is_row(x) and not over_rows(members, x)]
    sums = [node for node in own if over_rows(members, node) and members.levels[node] == level + 1]
    needed = _needed(members, sums)
    return Stage(_grouped(members, once), _grouped(members, [node for node in own if node in needed]), sums)


def over_rows(members: Members, node: Node) -> bool:
    """Whether the operation adds the rows up."""
    return node in members.terms and members.terms[node].over_rows


def _needed(members: Members, sums: Sequence[Node]) -> set[Node]:
    """What has to be computed of a row, so that it can be added to the sums."""
    wanted = set(sums)
    for node in reversed(members.recording.nodes):
        if node in wanted:
            wanted.update(x for x in node.inputs if members.is_row(x))
    return wanted


def _grouped(members: Members, nodes: Sequence[Node]) -> list[Group]:
    """The operations in order; elementwise ones of a shape in one loop, where each reads at its own place there."""
    groups, place = list[Group](), dict[int, int]()
    for node in nodes:
        at = len(groups)
        if node in members.terms or node.function in (np.stack, np.concatenate):
            groups.append(node)
        else:
            shape = squeezed(map(local, members.values[node].axes))
            before = [
                _before(groups, place[id(one.stored)], shape, one)
                for one in reads(members, node)
                if id(one.stored) in place
            ]
            at = next((n for n in range(max(before, default=0), at) if _shape(groups[n]) == shape), at)
            groups += [Loop(shape)] * (at == len(groups))
            _nodes_of(groups[at]).append(node)
        place[id(node)] = at
    return groups


def _before(groups: Sequence[Group], at: int, shape: tuple[int, ...], one: Read) -> int:
    """The first group that may read what group number ``at`` computes."""
    return at if _shape(groups[at]) == shape and in_order(one) else at + 1


def _shape(group: Group) -> tuple[int, ...] | None:
    return group.shape if isinstance(group, Loop) else None


def _nodes_of(group: Group) -> list[Node]:
    return group.nodes if isinstance(group, Loop) else [group]


def reads(members: Members, node: Node) -> list[Read]:
    """How an elementwise operation reads its operands."""
    given = [node.args[1]] if node.function is np.take else operands(node)
    return [read(members.value(x), members.values[node].axes) for x in given]


def escaping(members: Members, steps: Sequence[Stage]) -> set[int]:
    """Ids of what is read outside of the loop that computes it, and so needs an array."""
    recording = members.recording
    ends = (*recording.results.values(), recording.loss)
    return {id(members.values[x].stored) for x in ends} | {
        x for stage in steps for group in (*stage.once, *stage.by_row) for x in _taken(members, group)
    }


def _taken(members: Members, group: Group) -> Iterator[int]:
    if isinstance(group, Node):
        yield from (id(members.values[x].stored) for x in group.inputs)
        return
    own = set(map(id, group.nodes))
    yield from (id(one.stored) for node in group.nodes for one in reads(members, node) if id(one.stored) not in own)


def rows_read(members: Members, groups: Sequence[Group]) -> set[int]:
    """Ids of what the operations read, of the batch for one."""
    return {id(members.values[x].stored) for group in groups for node in _nodes_of(group) for x in node.inputs}


def squeezed(shape: Any) -> tuple[int, ...]:
    """A shape without its ones."""
    return tuple(n for n in shape if n != 1)


def in_order(one: Read) -> bool:
    """Whether number i of the loop reads number i of the array."""
    flat = one.index.reshape(-1)
    return not one.row and not one.member and bool((flat == np.arange(flat.size)).all())
