"""Pictures of the results: bars for the works, curves for the growth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import Result
from report import describe, marks, number
from works import Work

OURS, PEER, WRONG = "tab:blue", "silver", "tab:red"
KEYS, LABELS = ("milliseconds", "peak_mb"), ("ms an epoch", "peak MB")


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def bars(works: Sequence[Work], results: Sequence[Result], path: Path) -> None:
    """A panel a work: horizontal bars, the fastest above, milliseconds on a logarithmic axis."""
    pyplot = _pyplot()
    shown = [[r for r in results if r.work == work.name and r.milliseconds is not None] for work in works]
    heights = [0.27 * max(len(rows), 2) + 0.9 for rows in shown]
    figure, axes = pyplot.subplots(
        len(works), 1, figsize=(9, sum(heights)), height_ratios=heights, squeeze=False, layout="constrained"
    )
    for axis, work, rows in zip(axes[:, 0], works, shown, strict=True):
        panel(axis, work, sorted(rows, key=lambda r: -(r.milliseconds or 0)), marks(work, results))
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def panel(axis: Any, work: Work, rows: Sequence[Result], wrong: dict[str, str]) -> None:
    """The bars of a work with their numbers."""
    times = [r.milliseconds or 0.0 for r in rows]
    colours = [OURS if r.contender.startswith("portable_bp") else PEER for r in rows]
    drawn = axis.barh([r.contender for r in rows], times, color=colours)
    axis.bar_label(drawn, [number(time) for time in times], padding=3, fontsize=8)
    for bar, result in zip(drawn, rows, strict=True):
        if result.contender in wrong:
            bar.set(facecolor="white", edgecolor=WRONG, hatch="///")
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("")
    if times:
        axis.set_xlim(min(times) / 2, max(times) * 2)
    axis.set_title(f"{work.name}: {describe(work)}", fontsize=9, loc="left")
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def curves(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Time above, memory below; a column for each thing that grows, a line a contender."""
    pyplot = _pyplot()
    grows = list(dict.fromkeys(point["grows"] for point in points))
    figure, axes = pyplot.subplots(2, len(grows), figsize=(4 * len(grows), 6), squeeze=False, layout="constrained")
    for column, name in enumerate(grows):
        own = [point for point in points if point["grows"] == name and point["milliseconds"] is not None]
        for axis, key, label in zip(
            axes[:, column], ("milliseconds", "peak_mb"), ("ms an epoch", "peak MB"), strict=True
        ):
            curve_panel(axis, own, key)
            axis.set(xlabel=name, ylabel=label)
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def curve_panel(axis: Any, points: Sequence[dict[str, Any]], key: str) -> None:
    """A line a contender, on logarithmic axes with the measured values as ticks."""
    for name in dict.fromkeys(point["contender"] for point in points):
        own = [point for point in points if point["contender"] == name]
        axis.plot([point["value"] for point in own], [point[key] for point in own], "o-", markersize=4, label=name)
    values = sorted({point["value"] for point in points})
    axis.set(xscale="log", yscale="log")
    axis.set_xticks(values, [f"{value:,}" for value in values], fontsize=7)
    axis.set_xticks([], minor=True)
    axis.grid(alpha=0.3)
