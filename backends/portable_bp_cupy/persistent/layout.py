"""Where the arrays of a recording lie for the kernel that runs whole epochs, and how C reaches them.

The state is there twice: a step reads one copy and writes the other, so nothing that any block still reads is ever
written over. What a step computes and what never changes lies in one piece of memory, each array at its place for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from portable_bp_cupy.expressions import TYPES
from portable_bp_cupy.kernels import on_host
from portable_bp_cupy.persistent.dividing import homes
from portable_bp_cupy.persistent.works import Work
from portable_bp_cupy.recorded import Recording
from portable_bp_numpy.recording import Node, NotRecordable, replaced

ALIGNED = 256
"""Every array begins at a multiple of so many bytes, CUDA's own alignment."""


@dataclass(frozen=True)
class Place:
    """An array in the kernel: ``base``, a char* there, the byte ``start``, and ``form``, which lies alike on the host.

    Nothing is ever in ``form`` but its shape, dtype and strides. Where ``row`` isn't 0 the array is a batch, of rows of
    so many numbers that `rows` has to find.
    """

    base: str
    start: int
    form: Any
    row: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self.form.shape)

    @property
    def dtype(self) -> Any:
        """Its dtype."""
        return self.form.dtype

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one number to the next along each axis."""
        return tuple(self.form.strides)

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return int(self.form.itemsize)

    def looking(self, form: Any) -> Place:
        """The place of a view of the form."""
        if not np.may_share_memory(form, self.form) and form.size:
            raise NotRecordable("an array is looked at in one layout and copied in another")
        return Place(self.base, self.start + form.ctypes.data - self.form.ctypes.data, form, self.row)

    def __getitem__(self, key: Any) -> Place:
        return self.looking(self.form[key])

    def pointer(self, constant: str = "const ") -> str:
        """The address of its first number in C; for a batch, that of the data's."""
        start = f" + {self.start}" if self.start and not self.row else ""
        return f"(({constant}{TYPES[self.dtype]}*)({self.base}{start}))"

    def index(self, offset: str) -> str:
        """The index behind `pointer` of the number that many numbers behind the first."""
        if not self.row:
            return offset
        start = self.start // self.itemsize
        at = f"({offset} + {start})" if start else f"({offset})"
        return f"rows[{at}]" if self.row == 1 else f"rows[{at} / {self.row}] * {self.row} + {at} % {self.row}"


class Memory:
    """Bytes given out one after the other."""

    def __init__(self) -> None:
        self.size = 0

    def take(self, size: int) -> int:
        """Where so many bytes begin."""
        start = self.size
        self.size += -(-size // ALIGNED) * ALIGNED
        return start


class Layout:
    """The places of a recording's arrays; ``gathered`` says whether the batch is gathered from the data."""

    def __init__(self, recording: Recording, works: Sequence[Work], *, gathered: bool) -> None:
        self.state, self.scratch = Memory(), Memory()
        self.constants: list[tuple[Place, Any]] = []
        """Arrays that lie in the scratch memory from the start."""
        self._constants: dict[int, Place] = {}
        self._places: dict[Node, Place] = {}
        self._next: dict[Any, Place] = {}
        self._stored = {x.owner for work in works for x in work.read} | {recording.loss}
        for number, x in enumerate(recording.rows):
            self._places[x] = Place(f"x{number}", 0, _form(x), prod(x.shape[1:]) if gathered else 0)
        for path, leaf in recording.leaves.items():
            self._lay(path, leaf, changes=recording.results[path] is not leaf)
        self.leaves = {path: self._places[leaf] for path, leaf in recording.leaves.items()}
        """Where the state lies before the step."""
        self._places[recording.loss] = Place("loss", 0, _form(recording.loss))
        for node, path in homes(recording).items():
            self._places[node] = self._next[path]

    def _lay(self, path: Any, leaf: Node, *, changes: bool) -> None:
        memory, base = (self.state, "now") if changes else (self.scratch, "scratch")
        place = Place(base, memory.take(leaf.value.nbytes), _form(leaf))
        self._places[leaf] = place
        self._next[path] = Place("next", place.start, place.form)

    def stored(self, work: Work) -> list[tuple[Any, Place]]:
        """What a work leaves in memory, and where."""
        own = [(node, self.of(node)) for node in work.nodes if node in self._stored or node in self._places]
        return own + [(store.x, self._goal(store.to)[store.part]) for store in work.stores]

    def _goal(self, to: Any) -> Place:
        return self.of(to) if isinstance(to, Node) else self._next[to]

    def of(self, x: Any) -> Place:
        """The place of a recorded array or a constant."""
        if isinstance(x, Node):
            if x not in self._places:
                self._places[x] = self._new(x) if x.base is None else self._view(x)
            return self._places[x]
        if not on_host(x):
            raise NotRecordable(f"{type(x).__name__} has no place in a kernel")
        if id(x) not in self._constants:
            value = np.array(x, order="C")
            self._constants[id(x)] = Place("scratch", self.scratch.take(value.nbytes), value)
            self.constants.append((self._constants[id(x)], x))  # held, since it is known by its id
        return self._constants[id(x)]

    def _new(self, x: Node) -> Place:
        form = _form(x)
        return Place("scratch", self.scratch.take(form.nbytes), form)

    def _view(self, x: Node) -> Place:
        base = x.base
        assert base is not None
        forms = lambda leaf: self.of(leaf).form if isinstance(leaf, Node) else leaf  # noqa: E731
        args, kwargs = (replaced(forms, tree) for tree in (x.args, x.kwargs))
        return self.of(base).looking(x.function(*args, **kwargs))


def _form(x: Node) -> Any:
    """Memory of an array's form; the pages of it are never touched."""
    return np.empty(x.shape, x.dtype)
