"""The figures of a run, and the one by which runs are compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from portable_bp.errors import ConfigurationError
from portable_bp.history import History

SHORT = {"val": "validation", "valid": "validation", "train": "training", "acc": "accuracy"}
"""Words of other programs' names."""


@dataclass(frozen=True)
class Metric:
    """A figure of the runs, and whether it is to rise."""

    name: str
    """As among `run.columns_of`, such as validation_accuracy."""
    rises: bool

    @property
    def column(self) -> str:
        """The column of the results that has it: after the last epoch."""
        return f"final_{self.name}"

    def best(self, values: Sequence[float]) -> float:
        """The best of some values."""
        return max(values) if self.rises else min(values)


def choose_metric(wanted: tuple[str, str] | None, columns: Sequence[str]) -> Metric:
    """The metric wanted, a (name, goal), or by default the accuracy on data that isn't trained on, where there is some.

    Takes val_acc or "train/loss" for validation_accuracy and training_loss; accuracy alone is the default's.
    """
    default = "validation_accuracy" if "validation_accuracy" in columns else "training_accuracy"
    if wanted is None:
        return Metric(default, rises=True)
    name = "_".join(SHORT.get(word, word) for word in re.split(r"[\W_]+", wanted[0].lower()) if word)
    name = default if name == "accuracy" else name
    if name not in columns:
        raise ConfigurationError(f"metric {wanted[0]!r}: no run of this sweep has it: name one of {', '.join(columns)}")
    return Metric(name, rises=wanted[1] == "maximize")


def final_and_best(history: History) -> dict[str, float]:
    """The last and the best value of every figure over the epochs: accuracies are best at their highest."""
    names = [name for name in history.columns if name not in ("epoch", "seconds")]
    finals = {f"final_{name}": history[name][-1] for name in names}
    return finals | {f"best_{name}": Metric(name, name.endswith("accuracy")).best(history[name]) for name in names}
