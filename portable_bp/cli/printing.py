"""What goes to stdout: one JSON object for programs, tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from typing import Any

PIPED_WIDTH = 200
"""Columns of a table that goes to a file or a pipe, where rich would take 80 and break messages."""


def as_json(report: Any) -> str:
    """Give JSON text; NaN and infinities, which JSON lacks, become null."""
    return json.dumps(_finite(report), indent=2, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as wide as the terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(width=width, markup=False, highlight=False, emoji=False).print(table)


def working(on: str) -> AbstractContextManager[Any]:
    """Context in which a terminal shows what is being worked on; nothing stays of it."""
    from rich.console import Console

    return Console(stderr=True).status(on) if sys.stderr.isatty() else nullcontext()
