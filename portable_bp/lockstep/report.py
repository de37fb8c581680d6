"""What two trainings in lockstep showed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from portable_bp.lockstep.ulps import NOT_A_NUMBER


@dataclass(frozen=True)
class Difference:
    """How far two arrays of the same step are apart, both in the lower of their precisions."""

    layer: str | None
    """Such as "0 Dense"; None for the loss."""
    array: str
    """As in a trace, "y", "dy", "grads.weight", "params.weight"; "loss"; of the optimizer "optimizer.m.weight"."""
    difference: float
    """Largest |a - b|, divided by the largest |number| in both arrays; infinite where only one is NaN or infinite."""
    ulps: int
    """Distance of the two numbers that are shown, in numbers of their dtype that lie on the way."""
    index: tuple[int, ...]
    """Of the two numbers shown: those farthest apart, or with tolerance 0 the first that differ."""
    values: tuple[float, float]
    bit: int | None
    """The first bit in which they differ, counted from the sign's, 0; None: in none."""

    @property
    def place(self) -> str:
        """The array and its layer in words."""
        return self.array if self.layer is None else f"{self.array} of {self.layer}"

    def distance(self, dtype: str) -> str:
        """The distance in words."""
        return "a NaN" if self.ulps == NOT_A_NUMBER else f"{self.ulps:,} ULP{'s' * (self.ulps != 1)} of {dtype}"


@dataclass(frozen=True)
class Differences:
    """Two trainings, step by step: ``first`` is the first difference above the tolerance, None where there is none.

    It prints as one line for the first difference, else as a table of the last step's.
    """

    sides: tuple[str, str]
    dtype: str
    """The lower of the two precisions, in which both sides were compared."""
    tolerance: float
    """Largest difference allowed, see `Difference.difference`; 0 compares bits."""
    steps: int
    """Steps that were compared."""
    first: Difference | None
    """In the last of these steps."""
    rows: tuple[Difference, ...]
    """Every array of the last step compared, in the order of computing."""

    @property
    def ok(self) -> bool:
        """Whether no difference was larger than the tolerance."""
        return self.first is None

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, text, lists and dicts."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        names = " and ".join(self.sides)
        if self.first is None:
            within = "have the same bits" if self.tolerance == 0 else f"agree within {self.tolerance:g}"
            return f"{names} {within} in all {self.steps} steps; in the last one:\n{_table(self.rows, self.dtype)}"
        one = self.first
        at = f"[{', '.join(map(str, one.index))}]: " if one.index else ""
        bit = f", different from bit {one.bit} on" if self.tolerance == 0 and one.bit is not None else ""
        return (
            f"{names} differ first in step {self.steps}, {one.place}: by up to {one.difference:.3g} of its largest "
            f"number (tolerance {self.tolerance:g}), {one.distance(self.dtype)} at {at}"
            f"{_digits(one.values[0], self.dtype)} and {_digits(one.values[1], self.dtype)}{bit}"
        )

    __repr__ = __str__


def _digits(value: float, dtype: str) -> str:
    """So many digits that they name the number."""
    return f"{value:.9g}" if dtype == "float32" else f"{value:.17g}"


def _table(rows: tuple[Difference, ...], dtype: str) -> str:
    header = ("layer", "array", "difference", f"ULPs of {dtype} there")
    cells = [(row.layer or "", row.array, f"{row.difference:.2e}", f"{row.ulps:,}") for row in rows]
    widths = [max(len(line[column]) for line in (header, *cells)) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (header, *cells)
    )
