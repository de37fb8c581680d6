"""CUDA C for what a thread does for one number of a work, named ``i``."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from portable_bp_cupy.expressions import TYPES
from portable_bp_cupy.kernels import STEP, Kernel
from portable_bp_cupy.persistent.layout import Layout, Place
from portable_bp_cupy.persistent.works import Extreme, Product, Taken, Work
from portable_bp_cupy.units import REDUCTIONS

Lines = list[str]


def body(layout: Layout, work: Work) -> Lines:
    """The statements for number ``i`` of a work; for a product, what is done with its number, which is called sum."""
    if isinstance(work, Extreme):
        return _extreme(layout, work)
    return _taken(layout, work) if isinstance(work, Taken) else _Body(layout, work).lines


class _Body(Kernel):
    """A group's statements, which reach arrays where the layout says."""

    def __init__(self, layout: Layout, work: Work) -> None:
        known = {id(work.node): "sum"} if isinstance(work, Product) else {}
        super().__init__("", work.group, layout.of, layout.stored(work), known)

    @property
    def lines(self) -> Lines:
        """The statements."""
        return self._body

    def _parameter(self, array: Any, constant: str = "") -> str:
        return str(array.pointer(constant))

    def _element(self, array: Any, source: str, index: str) -> str:
        return f"{source}[{array.index(index)}]"


def _extreme(layout: Layout, work: Extreme) -> Lines:
    x, ((_, out),) = layout.of(work.read[0]), layout.stored(work)
    moved = x.looking(np.moveaxis(x.form, work.axis, -1))
    number = f"{x.pointer()}[{moved.index(f'{_at(moved)} + j * {moved.strides[-1] // x.itemsize}')}]"
    kind, taken = TYPES[x.dtype], STEP[REDUCTIONS[work.node.function]].format("best", "one")
    return [
        f"{kind} best; {{ const int j = 0; best = {number}; }}",
        f"for (int j = 1; j < {moved.shape[-1]}; ++j) {{ const {kind} one = {number}; best = {taken}; }}",
        f"{out.pointer('')}[i] = best;",
    ]


def _taken(layout: Layout, work: Taken) -> Lines:
    table, index = layout.of(work.table), layout.of(work.index)
    ((_, out),) = layout.stored(work)
    which = f"{index.pointer()}[{index.index(_at(index[..., None]))}]"
    at = table.index(f"{which} * {table.strides[0] // table.itemsize}")
    return [f"{out.pointer('')}[i] = {table.pointer()}[{at}];"]


def _at(x: Place) -> str:
    """Where the numbers along the last axis begin, for the number i of all places along the others."""
    steps = [stride // x.itemsize for stride in x.strides]
    terms = [f"i / {prod(x.shape[axis + 1 : -1])} % {n} * {steps[axis]}" for axis, n in enumerate(x.shape[:-1])]
    return " + ".join(terms) or "0"
