"""What the examples share: their options, the table of reported and reproduced numbers, their checks, their figures."""

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 140
"""Columns of a table that goes to a file or a pipe, where rich would take 80."""


def options(about: str | None, *, needs_mnist: bool = False) -> Namespace:
    """Read the command line; the figures' folder is made."""
    name = Path(sys.argv[0]).stem
    parser = ArgumentParser(description=about, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy", help="numpy, cupy, torch, torch:cuda:0, jax …")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="fewer points, a few seconds")
    parser.add_argument("--out", type=Path, default=Path("runs") / name, help=f"folder of what is written: runs/{name}")
    if needs_mnist:
        parser.add_argument("--data", help="folder with the four IDX files; else the cache, else a download")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    return given


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a plain aligned table under its title; floats with four significant digits."""
    shown = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        shown.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row))
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    print(f"\n{title}")
    Console(width=width, markup=False, highlight=False, emoji=False).print(shown)


def compare(rows: Sequence[tuple[str, Any, Any, str]]) -> None:
    """Print what was reported beside what came out here, with a sentence where they differ."""
    table("the report and this run", ("", "reported", "reproduced", "why they differ"), rows)


def expect(what: str, holds: bool) -> None:
    """Say what is expected; where it doesn't hold, end the script with one line and status 1."""
    if not holds:
        sys.exit(f"{Path(sys.argv[0]).name}: expected that {what}; it is not so")
    print(f"as expected: {what}")


def can_draw(folder: Path) -> bool:
    """Whether matplotlib is there; says where the pictures are, or why there are none."""
    found = find_spec("matplotlib") is not None
    print(f"\npictures: {folder}" if found else "\nno pictures: pip install 'portable-bp[plot]' installs matplotlib")
    return found


@contextmanager
def figure(path: Path, title: str, columns: int = 1, rows: int = 1, size: tuple[float, float] = (4.6, 3.6)) -> Iterator:
    """Give panels to draw on, a list of rows × columns axes, and write them as PNG; ``size`` is that of a panel."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    drawn.suptitle(title)
    yield drawn.subplots(rows, columns, squeeze=False).ravel().tolist()
    drawn.savefig(path, dpi=120)


def heat_map(axes: Any, values: Any, x: Sequence[Any], y: Sequence[Any], *, labels: tuple[str, str, str]) -> None:
    """Draw values (len(y), len(x)) from 0 to 1 as colours with their numbers; labels of x, of y, and the title."""
    axes.imshow(values, vmin=0.0, vmax=1.0, cmap="viridis", aspect="auto")
    axes.set(xlabel=labels[0], ylabel=labels[1], title=labels[2])
    axes.set_xticks(range(len(x)), [str(tick) for tick in x])
    axes.set_yticks(range(len(y)), [str(tick) for tick in y])
    for row, column in ((row, column) for row in range(len(y)) for column in range(len(x))):
        value = float(values[row][column])
        colour = "black" if value > 0.6 else "white"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)


def curves(
    axes: Any, lines: dict[str, Sequence[float]], xlabel: str, ylabel: str, *, log: bool, every: int = 1
) -> None:
    """Draw lists of numbers, one every ``every`` epochs; several get a legend beside them."""
    for label, numbers in lines.items():
        axes.plot(range(every, every * len(numbers) + 1, every), numbers, label=label, linewidth=1.2)
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(fontsize=8, **({"loc": "center left", "bbox_to_anchor": (1, 0.5)} if len(lines) > 3 else {}))
