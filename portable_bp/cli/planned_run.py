"""One training run before its training: the network, and what it is trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import portable_bp as bp
from portable_bp.cli.recipe import Recipe
from portable_bp.cli.tasks import TASKS, Data, targets
from portable_bp.errors import ConfigurationError

if TYPE_CHECKING:
    from portable_bp.datasets import Split


@dataclass(frozen=True)
class PlannedRun:
    """A network that is to be trained, with its data."""

    recipe: Recipe
    net: bp.Network
    source: Data

    def examples(self, part: str) -> tuple[Any, Any]:
        """Inputs and targets of a part of the data."""
        return _examples(self.source, self.net.loss, self.source.parts[part])

    def arguments(self) -> dict[str, Any]:
        """What `fit` and `fit_together` are given besides what may differ from network to network."""
        x, y = _examples(self.source, self.net.loss, _trained(self.recipe, self.source))
        validation = self.examples("validation") if "validation" in self.source.parts else None
        size = self.recipe.batch_size
        return {"x": x, "y": y, "batch_size": size, "validation": validation, "measure_training": True}

    def stopping(self) -> list[bp.EarlyStopping]:
        """What ends the training early."""
        recipe = self.recipe
        if recipe.patience is None:
            return []
        if recipe.monitor.startswith("validation") and "validation" not in self.source.parts:
            raise ConfigurationError(
                f"--patience {recipe.patience} needs a validation set, which {recipe.dataset} lacks: leave --patience "
                "out and say with --epochs when to stop, or give --monitor training_loss"
            )
        return [bp.EarlyStopping(recipe.patience, monitor=recipe.monitor, min_delta=recipe.min_delta)]

    def measured(self) -> dict[str, float]:
        """Loss and accuracy on the part that is reported."""
        return self.net.evaluate(*self.examples(self.source.reported))


def plan(recipe: Recipe, data: Data) -> PlannedRun:
    """Make the network; refuses options that don't fit the data."""
    backend, loss = bp.get_backend(recipe.backend), recipe.make_loss()
    x, y = _examples(data, loss, _trained(recipe, data))
    recipe = replace(recipe, batch_size=_batch_size(recipe, len(x)))
    layers = recipe.make_layers(x.shape[1], data.n_classes if y.ndim == 1 else y.shape[1])
    net = bp.Network(
        layers, loss, backend=backend, dtype=recipe.dtype, seed=recipe.seed, arithmetic=recipe.arithmetic,
        precision=recipe.precision,
    )  # fmt: skip
    return PlannedRun(recipe, net, data)


def _examples(data: Data, loss: bp.Loss, part: Split) -> tuple[Any, Any]:
    return part.x, targets(part.y, loss, data.n_classes)


def _trained(recipe: Recipe, data: Data) -> Split:
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
