"""Runs of a sweep that are trained together, as one population of networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, TypeAlias

import portable_bp as bp
from portable_bp.cli.planned_run import PlannedRun, plan
from portable_bp.cli.recipe import Recipe, resolve
from portable_bp.errors import ConfigurationError, DataError
from portable_bp.populations.padding import size_of
from portable_bp.sweeping.run import REFUSALS, Result, data_of, ended, run

Options: TypeAlias = Mapping[str, Any]

WINDOW = 1024
"""Points among which runs are looked for that may be trained together; windows start at multiples of it."""
MOST_PRODUCTS, MOST_EPOCHS = 2**38, 2**20
"""Products and epochs of the runs trained together: their rows are written when all are done, after a minute at most
on two cores, and until then their histories are in memory."""
PASSES = 4
"""Products a training example and weight: forward, two of backward, and one of the measurement after the epoch."""
OWN = (
    "hidden", "rate", "momentum", "weight_decay", "l2", "clip", "init", "epochs", "patience", "min_delta", "monitor",
    "seed",
)  # fmt: skip
"""Options in which runs that are trained together may differ."""
WRAPPERS = ("l2", "clip")
"""Those of them that wrap the optimizer where they are given: all runs or none of them."""


def batches(points: Sequence[Options]) -> list[list[int]]:
    """Which points are trained together: their numbers, rising, the batches by their first; a function of the points.

    A batch ends before it has too many products or epochs.
    """
    open_batches: dict[Any, tuple[list[int], int, int]] = {}
    found: list[list[int]] = []
    for number, options in enumerate(points):
        try:
            recipe = resolve(options)
            cost, kind = _products(recipe), _kind(recipe)
        except (ConfigurationError, DataError):  # its own run says what is wrong
            found.append([number])
            continue
        batch, products, epochs = open_batches.get(kind, ([], 0, 0))
        if not batch or products + cost > MOST_PRODUCTS or epochs + recipe.epochs > MOST_EPOCHS:
            batch, products, epochs = [], 0, 0
            found.append(batch)
        batch.append(number)
        open_batches[kind] = batch, products + cost, epochs + recipe.epochs
    return found


def _kind(recipe: Recipe) -> tuple[Any, ...]:
    """What runs that are trained together share."""
    shared = [value for name, value in asdict(recipe).items() if name not in OWN]
    return (*shared, len(recipe.hidden), *(getattr(recipe, name) is None for name in WRAPPERS))


def _products(recipe: Recipe) -> int:
    """Number of products of the whole training, roughly."""
    n, measured, n_in, n_out = _sizes(recipe.dataset, recipe.data)
    weights = size_of((n_in, *recipe.hidden, n_out))
    return weights * (PASSES * min(n, recipe.train_size or n) + measured) * recipe.epochs


@cache
def _sizes(dataset: str, folder: str | None) -> tuple[int, int, int, int]:
    """Numbers of examples to train on and to validate with, and of a network's inputs and outputs."""
    data = data_of(dataset, folder)
    x = data.parts["train"].x
    measured = len(data.parts["validation"].x) if "validation" in data.parts else 0
    return len(x), measured, x.shape[1], data.n_classes


def run_together(points: Sequence[Options]) -> list[Result]:
    """Train at these points as one population; the results are those of `run`, one by one, but for rounding."""
    if len(points) == 1:
        return [run(points[0])]
    try:
        planned = [_planned(options) for options in points]
        histories = _trained(planned)
    except REFUSALS:  # some or all; each for itself says why
        return [run(options) for options in points]
    return [ended(one, history, len(points)) for one, history in zip(planned, histories, strict=True)]


def _planned(options: Options) -> PlannedRun:
    recipe = resolve(options)
    return plan(recipe, data_of(recipe.dataset, recipe.data))


def _trained(planned: Sequence[PlannedRun]) -> list[bp.History]:
    return bp.fit_together(
        [one.net for one in planned],
        optimizers=[one.recipe.make_optimizer() for one in planned],
        epochs=[one.recipe.epochs for one in planned],
        callbacks=[one.stopping() for one in planned],
        **planned[0].arguments(),
    )
