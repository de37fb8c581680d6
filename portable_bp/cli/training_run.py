"""One training run, from its recipe to its results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import portable_bp as bp
from portable_bp.cli.curves import can_draw, draw
from portable_bp.cli.folder import CONFIGURATION, MODEL
from portable_bp.cli.printing import as_json
from portable_bp.cli.recipe import Recipe
from portable_bp.cli.tasks import TASKS, Data, load, targets
from portable_bp.cli.versions import versions
from portable_bp.errors import ConfigurationError

if TYPE_CHECKING:
    from portable_bp.datasets import Split

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
        return [
            f"{name} accuracy {100 * self.measured['accuracy']:.2f} %, after {epochs} in "
            f"{duration} of training on {self.net.backend.spec}",
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
    backend = bp.get_backend(recipe.backend)
    data = data or load(recipe.dataset, None if recipe.data is None else Path(recipe.data))
    x, y = _examples(recipe, data)
    recipe = replace(recipe, batch_size=_batch_size(recipe, len(x)))
    loss = recipe.make_loss()
    as_targets = partial(targets, loss=loss, n_classes=data.n_classes)
    t = as_targets(y)
    layers = recipe.make_layers(x.shape[1], data.n_classes if t.ndim == 1 else t.shape[1])
    net = bp.Network(
        layers, loss, backend=backend, dtype=recipe.dtype, seed=recipe.seed, arithmetic=recipe.arithmetic,
        precision=recipe.precision,
    )  # fmt: skip
    validation = data.parts.get("validation")
    history = net.fit(
        x, t, optimizer=recipe.make_optimizer(), epochs=recipe.epochs, batch_size=recipe.batch_size,
        validation=None if validation is None else (validation.x, as_targets(validation.y)),
        measure_training=True, progress=False, callbacks=[*_callbacks(recipe, data, quiet), *callbacks],
        resume=resume or False,
    )  # fmt: skip
    part = data.reported
    return TrainingRun(recipe, net, history, part, net.evaluate(data.parts[part].x, as_targets(data.parts[part].y)))


def _examples(recipe: Recipe, data: Data) -> Split:
    """The training part, or the first ``train_size`` of it."""
    whole, n = data.parts["train"], recipe.train_size
    if n is None:
        return whole
    if not 1 <= n <= len(whole.x):
        raise ConfigurationError(
            f"--train-size {n}: write a whole number from 1 to the {len(whole.x)} of {recipe.dataset}"
        )
    return type(whole)(whole.x[:n], whole.y[:n])


def _batch_size(recipe: Recipe, n: int) -> int:
    """The batch size given; by default the dataset's, but never more than the ``n`` examples."""
    given = recipe.batch_size
    if given is None:
        return min(TASKS[recipe.dataset].batch_size or n, n)
    if not 1 <= given <= n:
        raise ConfigurationError(f"--batch-size {given}: write a whole number from 1 to the {n} training examples")
    return given


def _callbacks(recipe: Recipe, data: Data, quiet: bool) -> list[bp.Callback]:
    made: list[bp.Callback] = []
    if recipe.patience is not None:
        if "validation" not in data.parts:
            raise ConfigurationError(
                f"--patience {recipe.patience} needs a validation set, which {recipe.dataset} lacks: leave --patience "
                "out and say with --epochs when to stop"
            )
        made.append(bp.EarlyStopping(recipe.patience))
    if not quiet:
        bar = sys.stdout.isatty()
        made.append(bp.ProgressBar() if bar else bp.PrintRows(every=max(1, ceil(recipe.epochs / LINES))))
    return made
