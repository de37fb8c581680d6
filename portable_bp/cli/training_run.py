"""One training run, from its recipe to its results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from math import ceil
from pathlib import Path
from typing import Any

import portable_bp as bp
from portable_bp.cli.curves import can_draw, draw
from portable_bp.cli.folder import CONFIGURATION, MODEL
from portable_bp.cli.planned_run import plan
from portable_bp.cli.printing import as_json
from portable_bp.cli.recipe import Recipe
from portable_bp.cli.tasks import Data, load
from portable_bp.cli.versions import versions

LINES = 20
"""Rows of the history that are printed where there is no progress bar."""


@dataclass(frozen=True)
class TrainingRun:
    """A network after its training, with what was measured."""

    recipe: Recipe
    net: bp.Network
    history: bp.History
    part: str
    measured: dict[str, float]
    """Loss and accuracy of the network on ``part`` of the data."""
    best_epoch: int | None = None
    """The epoch whose parameters early stopping gave back."""

    @property
    def seconds(self) -> float:
        """Duration of all epochs, with their measurements."""
        return sum(self.history["seconds"])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the final parameters: runs of equal digests ended in the same bits."""
        return self.net.digest()

    def summary(self) -> dict[str, Any]:
        """What `--json` prints, but for the files."""
        return {
            "dataset": self.recipe.dataset,
            "backend": self.net.backend.spec,
            "arithmetic": self.net.backend.arithmetic,
            "precision": self.net.backend.precision,
            "epochs": len(self.history),
            "seconds": self.seconds,
            "part": self.part,
            **self.measured,
            "last_epoch": self.history.rows[-1],
            "digest": self.digest,
        }

    def lines(self, folder: Path) -> list[str]:
        """What is said at the end."""
        name = "training set's" if self.part == "train" else self.part
        epochs = "1 epoch" if len(self.history) == 1 else f"{len(self.history)} epochs"
        duration = f"{self.seconds:.1f} s" if self.seconds >= 0.1 else f"{1000 * self.seconds:.0f} ms"
        picture = [] if can_draw() else ["no curves.png: pip install 'portable-bp[plot]'"]
        best = f"the network is that of epoch {self.best_epoch}, the best by {self.recipe.monitor.replace('_', ' ')}"
        return [
            f"{name} accuracy {100 * self.measured['accuracy']:.2f} %, after {epochs} in "
            f"{duration} of training on {self.net.backend.spec}",
            *([best] if self.best_epoch else []),
            *picture,
            f"digest {self.digest}",
            f"results in {folder}",
        ]

    def configuration(self) -> dict[str, Any]:
        """Everything that it takes to do the run again, and the digest to hold its result to."""
        found = {"backend": self.net.backend.spec, "digest": self.digest, "versions": versions()}
        return {**asdict(self.recipe), **found}

    def writers(self) -> dict[str, Callable[[Path], Any]]:
        """The files of the run, each with the function that writes it."""
        text = as_json(self.configuration()) + "\n"
        title = f"{self.recipe.dataset}: {self.part} accuracy {100 * self.measured['accuracy']:.2f} %"
        return {
            "history.csv": self.history.to_csv,
            **({"curves.png": partial(draw, self.history, title)} if can_draw() else {}),
            MODEL: self.net.save,
            CONFIGURATION: lambda path: path.write_text(text, encoding="utf-8"),
        }


def carry_out(
    recipe: Recipe,
    *,
    quiet: bool,
    data: Data | None = None,
    callbacks: Sequence[bp.Callback] = (),
    resume: Path | None = None,
) -> TrainingRun:
    """Load the data, unless given, train, and measure on the part that is reported; ``callbacks`` are told besides.

    ``resume`` is the checkpoint to go on from.
    """
    planned = plan(recipe, data or load(recipe.dataset, None if recipe.data is None else Path(recipe.data)))
    net, stopping = planned.net, planned.stopping()
    history = net.fit(
        **planned.arguments(), optimizer=recipe.make_optimizer(), epochs=recipe.epochs, progress=False,
        callbacks=[*stopping, *([] if quiet else [_shown(recipe)]), *callbacks], resume=resume or False,
    )  # fmt: skip
    best = next((one.best_epoch for one in stopping), None)
    return TrainingRun(planned.recipe, net, history, planned.source.reported, planned.measured(), best)


def _shown(recipe: Recipe) -> bp.Callback:
    """A bar on a terminal, plain lines elsewhere."""
    return bp.ProgressBar() if sys.stdout.isatty() else bp.PrintRows(every=max(1, ceil(recipe.epochs / LINES)))
