"""A factor of a product as the kernel reads it: where its numbers lie, and how many can be fetched at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portable_bp_cupy.layout import Place


@dataclass(frozen=True)
class Operand:
    """A factor as the kernel reads it: number (z, edge, depth) lies ``steps`` numbers apart along these."""

    place: Place | None
    shape: tuple[int, int, int] = (1, 1, 1)
    steps: tuple[int, int, int] = (0, 0, 0)

    @property
    def along(self) -> bool:
        """Whether its lines lie along the depth."""
        return self.steps[2] == 1 or self.steps[1] != 1

    def index(self, edge: str) -> str:
        """The index of number (z, edge, k) in C."""
        assert self.place is not None
        start, row, names = self.place.start // self.place.itemsize, self.place.row, ("z", edge, "k")
        for own, other in ((1, 2), (2, 1)):
            inside = start + self.steps[other] * (self.shape[other] - 1) < row
            if row > 1 and self.steps[own] == row and not self.steps[0] and inside:
                return f"rows[{names[own]}] * {row} + {names[other]} * {self.steps[other]} + {start}"
        found = (f"{name} * {step}" for name, step in zip(names, self.steps, strict=True) if step)
        return self.place.index(" + ".join(found) or "0")

    def together(self, *, any_edge: bool) -> int:
        """How many numbers can be fetched at once, up to 16 bytes."""
        if self.place is None or (self.steps[2] if self.along else self.steps[1]) != 1:
            return 1
        if not self.along and any_edge:
            return 1
        start, size = self.place.start // self.place.itemsize, self.place.itemsize
        across = self.steps[1] if self.along else self.steps[2]
        numbers = (self.steps[0], across, start, self.place.row, self.shape[2 if self.along else 1])
        return next(v for v in (16 // size, 8 // size, 1) if all(n % v == 0 for n in numbers))


def operand(place: Place | None, shape: tuple[int, int, int], *, turned: bool) -> Operand:
    """The factor of a shape (z, edge, depth), or, turned, (z, depth, edge)."""
    if place is None:
        return Operand(None)
    size = shape[0] * shape[1] * shape[2]
    form = place.form.reshape(shape) if place.form.size == size else np.broadcast_to(place.form, shape)
    place = place.looking(form)
    z, first, second = (stride // place.itemsize for stride in form.strides)
    z = z if shape[0] > 1 else 0
    if turned:
        return Operand(place, (shape[0], shape[2], shape[1]), (z, second, first))
    return Operand(place, shape, (z, first, second))
