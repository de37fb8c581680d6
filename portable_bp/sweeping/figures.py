"""The pictures of a sweep: heat maps over two parameters, and curves with their spread over the seeds."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from io import BytesIO
from itertools import combinations
from math import ceil, isnan
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from portable_bp.cli.curves import can_draw
from portable_bp.errors import FileError
from portable_bp.sweeping.definition import Definition
from portable_bp.sweeping.parameter import Parameter
from portable_bp.sweeping.progress import plain
from portable_bp.sweeping.table import EPOCHS
from portable_bp.writing import write_whole

if TYPE_CHECKING:
    from portable_bp.sweeping.summary import Point
    from portable_bp.sweeping.sweep import Results

HEATMAPS, CURVES = "heatmaps.png", "curves.png"
MOST_PANELS, MOST_CURVES, MOST_CELLS = 6, 8, 40
"""More than these can't be told apart on one picture; the cells are of one side of a heat map."""


def draw(results: Results, definition: Definition, folder: Path) -> list[str]:
    """Draw what the sweep has to show, where matplotlib is there, and give the names of the files."""
    if not can_draw():
        return []
    pairs = list(combinations([p for p in definition.parameters if _has_cells(p)], 2))[:MOST_PANELS]
    if pairs:
        _heat_maps(results, pairs, folder / HEATMAPS)
    _curves(results, definition, folder)
    return [*([HEATMAPS] if pairs else []), CURVES]


def _has_cells(parameter: Parameter) -> bool:
    return parameter.option.name != "seed" and 1 < len(parameter.values or ()) <= MOST_CELLS


def _heat_maps(results: Results, pairs: Sequence[tuple[Parameter, Parameter]], path: Path) -> None:
    """A panel a pair of parameters, all in the same colours; a cell is the mean over its two values' finished runs."""
    from matplotlib.figure import Figure

    across = min(len(pairs), 3)
    down = ceil(len(pairs) / across)
    figure = Figure(figsize=(5.2 * across, 4.2 * down), layout="constrained")
    figure.suptitle(f"mean {results.metric.name.replace('_', ' ')}; empty: no run finished")
    panels, grid = [cells(results, *pair) for pair in pairs], figure.subplots(down, across, squeeze=False)
    known = [value for panel in panels for row in panel for value in row if not isnan(value)]
    limits = {"vmin": min(known, default=0.0), "vmax": max(known, default=1.0)}
    for axes, pair, panel in zip(grid.flat, pairs, panels, strict=True):
        shown = axes.imshow(panel, aspect="auto", origin="lower", cmap="viridis", **limits)
        for axis, parameter in zip((axes.yaxis, axes.xaxis), pair, strict=True):
            axis.set_ticks(range(len(parameter.values or ())), [plain(value) for value in parameter.values or ()])
            axis.set_label_text(parameter.written)
    figure.colorbar(shown, ax=grid, pad=0.02)
    _write(figure, path)


def cells(results: Results, down: Parameter, across: Parameter) -> list[list[float]]:
    """Mean of the metric by the values of two parameters; NaN where no run finished."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in results:
        if row["status"] == "finished" and row[results.metric.column] is not None:
            found[repr(row[down.written]), repr(row[across.written])].append(row[results.metric.column])
    return [
        [fmean(found.get((repr(y), repr(x)), [float("nan")])) for x in across.values or ()] for y in down.values or ()
    ]


def _curves(results: Results, definition: Definition, folder: Path) -> None:
    """The metric over the epochs at the best points: mean over the seeds, in a band from lowest to highest."""
    from matplotlib.figure import Figure

    name = "loss" if results.metric.name.startswith("test_") else results.metric.name
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    best = longest(results, definition)[:MOST_CURVES]
    wanted = {run for point in best for run in point.runs}
    columns = read_epochs(folder / EPOCHS, name, wanted)
    for point in best:
        mean, low, high = band([columns[run] for run in point.runs if run in columns])
        if not mean:  # no seed came through its first epoch
            continue
        label = " ".join(f"{key}={plain(value)}" for key, value in point.values.items()) or "all runs"
        epochs = range(1, len(mean) + 1)
        [line] = axes.plot(epochs, mean, label=label, marker="o" if len(mean) == 1 else None)
        axes.fill_between(epochs, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set(xlabel="epoch", ylabel=name.replace("_", " "))
    ranked = f"best points by {results.metric.name.replace('_', ' ')}"
    axes.set_title(f"{ranked}; bands: lowest to highest of the seeds, until the first one stops", fontsize="medium")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(fontsize="small")
    _write(figure, folder / CURVES)


def _write(figure: Any, path: Path) -> None:
    """Write a picture whole; one that is there, or a link, is replaced."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=120)
    write_whole(path, drawn.getvalue())


def read_epochs(path: Path, name: str, runs: set[int]) -> dict[int, list[float]]:
    """One column of epochs.csv, by the runs that have it."""
    found: dict[int, list[float]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if int(row["run"]) in runs and row[name]:
                    found[int(row["run"])].append(float(row[name]))
    except (KeyError, TypeError, ValueError, csv.Error) as error:  # a column, a cell or a number is missing
        raise FileError(f"{str(path)!r} is not as this sweep wrote it: delete the folder, and sweep again") from error
    return found


def longest(results: Results, definition: Definition) -> list[Point]:
    """The points, best first; of those that differ in their number of epochs alone, the longest, which holds them."""
    epochs = [parameter.written for parameter in definition.parameters if parameter.option.name == "epochs"]
    found: dict[str, Point] = {}
    for point in results.points():
        key = repr([value for name, value in point.values.items() if name not in epochs])
        length = sum(point.values.get(name, 0) for name in epochs)
        if key not in found or length > sum(found[key].values.get(name, 0) for name in epochs):
            found[key] = point
    return list(found.values())


def band(columns: Sequence[Sequence[float]]) -> tuple[list[float], list[float], list[float]]:
    """Mean, lowest and highest value at each epoch that all runs reached: over fewer the mean would jump."""
    reached = list(zip(*columns, strict=False))
    return [fmean(values) for values in reached], [min(values) for values in reached], [max(v) for v in reached]
