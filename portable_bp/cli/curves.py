"""The picture of a training run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from portable_bp.history import History

PARTS = ("training", "validation")
WIDE = 1000
"""Ratio of the largest to the smallest loss above which a linear axis shows the first epochs only."""


def can_draw() -> bool:
    """Whether matplotlib is there."""
    return find_spec("matplotlib") is not None


def draw(history: History, title: str, path: Path) -> None:
    """Draw loss and accuracy over the epochs, each on a panel of its own, and write a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    figure.suptitle(title)
    panels = {"loss": "loss per example", "accuracy": "accuracy (%)"}
    for axes, (quantity, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        _panel(axes, history, quantity, 100.0 if quantity == "accuracy" else 1.0)
        axes.set(xlabel="epoch", ylabel=label)
        axes.set_yscale("log" if quantity == "loss" and _is_wide(history) else "linear")
    figure.savefig(path, dpi=120)


def _panel(axes: object, history: History, quantity: str, scale: float) -> None:
    from matplotlib.ticker import MaxNLocator

    marker = "o" if len(history) <= 30 else None  # one epoch alone is no line
    for part in PARTS:
        if f"{part}_{quantity}" in history.columns:
            values = [scale * value for value in history[f"{part}_{quantity}"]]
            axes.plot(history["epoch"], values, marker=marker, markersize=4, label=part)  # type: ignore[attr-defined]
    first, last = history["epoch"][0], history["epoch"][-1]
    margin = max(0.5, 0.02 * (last - first))  # also one epoch alone stands in the middle of an axis of whole numbers
    axes.set_xlim(first - margin, last + margin)  # type: ignore[attr-defined]
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))  # type: ignore[attr-defined]
    axes.grid(alpha=0.3)  # type: ignore[attr-defined]
    axes.legend()  # type: ignore[attr-defined]


def _is_wide(history: History) -> bool:
    columns = [f"{part}_loss" for part in PARTS if f"{part}_loss" in history.columns]
    positive = [value for column in columns for value in history[column] if value > 0]
    return bool(positive) and max(positive) > WIDE * min(positive)
