"""What --track stands for: callbacks that log every epoch into the folder of a run while it is under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import portable_bp as bp
from portable_bp.cli.choices import choose

TRACKERS: dict[str, Callable[[Path], bp.Callback]] = {
    "csv": lambda folder: bp.CSVLog(folder / "epochs.csv"),
    "jsonl": lambda folder: bp.JSONLines(folder / "epochs.jsonl"),
    "tensorboard": lambda folder: bp.TensorBoard(folder / "tensorboard"),
    "wandb": lambda folder: bp.WandB("portable_bp", dir=str(folder)),
}


def trackers(names: Iterable[str], folder: Path) -> list[bp.Callback]:
    """One callback a name; a name that is given twice counts once."""
    return [choose("--track", name, TRACKERS)(folder) for name in dict.fromkeys(names)]
