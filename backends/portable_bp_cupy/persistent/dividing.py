"""A recording divided into works: its units, taken apart and put together anew.

Elementwise operations come in the groups of `units`, each taken apart into those that have to do with each other, so
that every product can take the one that follows it as its end: a bias and a ReLU, or the optimizer's update behind a
gradient. Sums are products with ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from portable_bp_cupy.expressions import TYPES
from portable_bp_cupy.outline import blank
from portable_bp_cupy.persistent.works import Extreme, Product, Store, Taken, Work, needs, ordered
from portable_bp_cupy.recorded import Recording
from portable_bp_cupy.units import Group, Unit, parts, reduces, units
from portable_bp_numpy.recording import Node, NotRecordable


def works(recording: Recording) -> list[Work]:
    """All works of a recording, each behind those that it reads; raises NotRecordable where one has no place here."""
    found = [work for unit in units(recording.nodes) for work in _of(unit)] + _copies(recording)
    return ordered(_with_ends(found))


def homes(recording: Recording) -> dict[Node, Any]:
    """Results that are computed right where the next step finds them, with the paths of their leaves."""
    found: dict[Node, Any] = {}
    for path, new in recording.results.items():
        computed = isinstance(new, Node) and new.base is None and new.function is not None
        if computed and new is not recording.loss:
            found.setdefault(new, path)
    return found


def _copies(recording: Recording) -> list[Work]:
    """Works that leave the other results where the next step finds them."""
    at_home = {path: new for new, path in homes(recording).items()}
    changed = [path for path, leaf in recording.leaves.items() if recording.results[path] is not leaf]
    copied = [path for path in changed if path not in at_home]
    return [Work(Group([], recording.leaves[path].shape), [Store(recording.results[path], path)]) for path in copied]


def _of(unit: Unit) -> Iterator[Work]:
    if isinstance(unit, Group):
        yield from (Work(_flat(part)) for part in _connected(unit))
        return
    (node,) = unit.nodes
    if node.function in (np.stack, np.concatenate):
        whole = np.broadcast_to(np.zeros((), node.dtype), node.shape)
        yield from (Work(Group([], whole[key].shape), [Store(x, node, key)]) for x, key in parts(node))
    elif node.function is np.matmul:
        yield _product(node)
    elif node.function in (np.max, np.min):
        yield _extreme(node)
    elif node.function is np.take:
        yield _taken(node)
    else:
        yield from _sum(node)


def _connected(group: Group) -> list[Group]:
    """The group in parts that share no array of its size; what is computed of one product stays together."""
    found: list[tuple[set[Node], list[Node]]] = []
    own = set(group.nodes)
    for node in group.nodes:
        near = {x for x in node.inputs if x in own or (x.function is not None and x.shape == group.shape)} | {node}
        touching = [part for part in found if part[0] & near]
        joined = near.union(*(arrays for arrays, _ in touching)), [*chain(*(nodes for _, nodes in touching)), node]
        found = [part for part in found if part not in touching] + [joined]
    members = [set(nodes) for _, nodes in found]
    ordered_nodes = [[node for node in group.nodes if node in some] for some in members]
    return [Group(nodes, group.lead, group.width, group.narrow) for nodes in ordered_nodes]


def _flat(group: Group) -> Group:
    """A group without sums along its rows, as one of numbers that have nothing to do with each other."""
    alike = all(node.shape == group.shape and not reduces(node) for node in group.nodes)
    return Group(group.nodes, group.shape) if group.narrow and alike else group


def _product(node: Node) -> Product:
    a, b = node.args
    if min(len(a.shape), len(b.shape)) < 2 or len(node.shape) > 3:
        raise NotRecordable(f"a product of {a.shape} and {b.shape} has no place in a kernel")
    _require_float(node, a, b)
    (m, n), k = node.shape[-2:], a.shape[-1]
    return Product(Group([], node.shape), node=node, a=a, b=b, shape=(prod(node.shape[:-2]), m, n, k))


def _require_float(node: Node, *given: Any) -> None:
    if node.dtype not in (np.float32, np.float64) or any(x.dtype != node.dtype for x in given):
        raise NotRecordable(f"a product in {node.dtype} has no place in a kernel")


def _extreme(node: Node) -> Extreme:
    axis = node.kwargs.get("axis")
    if len(node.args) != 1 or set(node.kwargs) - {"axis", "keepdims"} or type(axis) is not int:
        raise NotRecordable(f"{node.function.__name__} over {axis} has no place in a kernel")
    shape = node.inputs[0].shape
    axis %= len(shape)
    return Extreme(Group([], (*shape[:axis], *shape[axis + 1 :])), node=node, axis=axis)


def _taken(node: Node) -> Taken:
    if len(node.args) == 2 and node.kwargs == {"axis": 0} and isinstance(node.args[1], Node):
        table, index = node.args
        if len(table.shape) == 1 and index.dtype == np.int64 and {table.dtype} <= set(TYPES):
            return Taken(Group([], node.shape), node=node, table=table, index=index)
    raise NotRecordable("what is taken from more than a table of numbers has no place in a kernel")


def _sum(node: Node) -> Iterator[Product]:
    """Sums of rows, of columns, or of the sums of columns, as products with ones."""
    x: Any = node.args[0] if node.args else None
    if node.function is not np.sum or len(node.args) != 1 or set(node.kwargs) - {"axis", "keepdims"} or not x.shape:
        raise NotRecordable(f"{getattr(node.function, '__name__', node.function)} has no place in a kernel")
    _require_float(node, x)
    axis, last = node.kwargs.get("axis"), len(x.shape) - 1
    axes = {i % (last + 1) for i in (range(last + 1) if axis is None else np.atleast_1d(axis).tolist())}
    if axes == {last - 1, last} and last and min(x.shape[-2:]) > 1:
        columns = Node(blank((*x.shape[:-2], 1, x.shape[-1]), x.dtype), np.sum, (x,), {"axis": -2, "keepdims": True})
        yield _columns(columns, x)
        yield _rows(node, columns)
    elif last and (axes == {last - 1} or (axes == {last - 1, last} and x.shape[-1] == 1)):
        yield _columns(node, x)
    elif axes == {last} or axes == {last - 1, last}:
        yield _rows(node, x)
    else:
        raise NotRecordable(f"a sum of {x.shape} over {axis} has no place in a kernel")


def _columns(node: Node, x: Node) -> Product:
    (k, n), many = x.shape[-2:], prod(x.shape[:-2])
    return Product(Group([], node.shape), node=node, a=None, b=x, shape=(many, 1, n, k))


def _rows(node: Node, x: Node) -> Product:
    return Product(Group([], node.shape), node=node, a=x, b=None, shape=(1, prod(x.shape[:-1]), 1, x.shape[-1]))


def _with_ends(some: list[Work]) -> list[Work]:
    """Each product together with the elementwise work that takes its result number by number, where there is one."""
    for product in [work for work in some if isinstance(work, Product)]:
        end = next((work for work in some if _ends(work, product, some)), None)
        if end is not None:
            product.group = end.group
            product.stores = end.stores
            some = [work for work in some if work is not end]
    return some


def _ends(work: Work, product: Product, some: Sequence[Work]) -> bool:
    node = product.node
    plain = type(work) is Work and not work.group.narrow and work.group.lead == node.shape
    if not plain or node not in work.read or any(x is not node and x.owner is node for x in work.read):
        return False
    before = needs(some)
    others = [own for own in before[work] if own is not product]
    return product not in _all_before(others, before)


def _all_before(some: Sequence[Work], before: Mapping[Work, Sequence[Work]]) -> set[Work]:
    """The works, and all that they need."""
    found, left = set[Work](), list(some)
    while left:
        work = left.pop()
        if work not in found:
            found.add(work)
            left += before[work]
    return found
