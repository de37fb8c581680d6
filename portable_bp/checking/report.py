"""A check's findings as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portable_bp.errors import GradientError


@dataclass(frozen=True)
class Check:
    """One row of a report: named cells, and whether the check holds."""

    cells: dict[str, Any]
    ok: bool


@dataclass(frozen=True)
class Report:
    """Rows of checks; prints as a table, and knows whether all of them hold."""

    title: str
    rows: list[Check]
    advice: str = ""

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(row.ok for row in self.rows)

    def require(self) -> Report:
        """Give the report itself, or raise GradientError with it."""
        if not self.ok:
            raise GradientError(str(Report(f"{self.title}: FAILED", self.rows, self.advice)))
        return self

    def __str__(self) -> str:
        header = [*self.rows[0].cells, "ok"]
        table = [header] + [
            [_words(cell) for cell in row.cells.values()] + ["yes" if row.ok else "NO"] for row in self.rows
        ]
        widths = [max(len(line[column]) for line in table) for column in range(len(header))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table
        ]
        return "\n".join([self.title, *lines, *([self.advice] if self.advice else [])])

    __repr__ = __str__


def _words(cell: Any) -> str:
    return f"{cell:.2e}" if isinstance(cell, float) else str(cell)
