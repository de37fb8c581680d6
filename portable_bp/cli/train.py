"""``portable-bp train``: train a network and keep what came of it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from portable_bp.cli.checkpointing import KEEP, Order, Rhythm, checkpoint_of, resumable, warnings_as_lines
from portable_bp.cli.choices import ARITHMETICS, PRECISION
from portable_bp.cli.folder import claimed, dated, fill, reopened
from portable_bp.cli.interrupting import interruptible
from portable_bp.cli.printing import as_json
from portable_bp.cli.recipe import ACTIVATIONS, INITIALIZERS, LOSSES, MONITORED, OPTIMIZERS, Recipe, resolve
from portable_bp.cli.tasks import TASKS
from portable_bp.cli.tracking import TRACKERS
from portable_bp.cli.training_run import carry_out

OPTIONS = [field.name for field in fields(Recipe)]
"""The options that decide a run's result."""


def train(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Argument(help=", ".join(TASKS))] = None,
    hidden: Annotated[
        str | None, typer.Option(help="Sizes of the hidden layers, such as 128,32; '' for none. [default: by dataset]")
    ] = None,
    activation: Annotated[str, typer.Option(help=f"Behind each hidden layer: {', '.join(ACTIVATIONS)}.")] = "relu",
    output_activation: Annotated[
        str | None, typer.Option(help="Behind the last layer, for the squared errors. [default: none]")
    ] = None,
    dropout: Annotated[float, typer.Option(help="Share of hidden outputs dropped while training.")] = 0.0,
    loss: Annotated[str | None, typer.Option(help=f"{', '.join(LOSSES)}. [default: by dataset]")] = None,
    reduction: Annotated[str | None, typer.Option(help="Of the cross-entropies: mean or sum. [default: mean]")] = None,
    optimizer: Annotated[str, typer.Option(help=f"{', '.join(OPTIMIZERS)}.")] = "adam",
    rate: Annotated[
        float | None, typer.Option(help="Learning rate. [default: by dataset with adam, else the optimizer's own]")
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="μ of momentum and nesterov. [default: 0.9]")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="λ of adamw. [default: 0.01]")] = None,
    l2: Annotated[float | None, typer.Option(help="Strength λ of the penalty (λ/2) Σ W².")] = None,
    clip: Annotated[float | None, typer.Option(help="Largest global norm of a gradient.")] = None,
    init: Annotated[
        str | None, typer.Option(help=f"{', '.join(INITIALIZERS)}. [default: he for relu and its kin, else xavier]")
    ] = None,
    bias: Annotated[bool, typer.Option(help="Whether the layers have biases.")] = True,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set. [default: by dataset]")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Examples a step. [default: 128 for the image sets, else the whole set]")
    ] = None,
    train_size: Annotated[int | None, typer.Option(help="Train on the first N examples only.")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after N epochs without a better --monitor; keep the best epoch.")
    ] = None,
    monitor: Annotated[str, typer.Option(help=f"What --patience looks at: {', '.join(MONITORED)}.")] = MONITORED[0],
    min_delta: Annotated[float, typer.Option(help="By how much it must be better.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Decides initial weights, batch orders and dropout masks.")] = 0,
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    backend: Annotated[str, typer.Option(help="Such as numpy, cupy, cupy:1, torch:cuda:0, jax.")] = "numpy",
    arithmetic: Annotated[
        str, typer.Option(help=f"{' or '.join(ARITHMETICS)}; the second gives the same bits on every device, slower.")
    ] = "native",
    precision: Annotated[str, typer.Option(help=PRECISION)] = "full",
    data: Annotated[str | None, typer.Option(help="Folder with the four IDX files of an image set.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the results. [default: runs/DATASET-YYYYmmdd-HHMMSS]")
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(help=f"Log every epoch into the folder as it ends: {', '.join(TRACKERS)}; may be repeated."),
    ] = None,
    checkpoint_every: Annotated[
        str | None,
        typer.Option(help="Keep checkpoints, one every N epochs, or at the first epoch's end after 30s, 10min, 1h."),
    ] = None,
    checkpoint_keep: Annotated[
        int | None, typer.Option(help=f"Checkpoints kept, besides the best. [default: {KEEP}]")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run of this folder, from its newest sound checkpoint.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Train a network on a dataset.

    The configuration, history.csv, curves.png and model.safetensors go to a folder of their own. Ctrl-C and SIGTERM end
    a run with checkpoints so that --resume goes on with it; a second one ends it at once.
    """
    if dataset is None and resume is None:
        context.fail("Missing argument 'DATASET'")
    with ExitStack() as stack:
        stack.enter_context(interruptible())
        stack.enter_context(warnings_as_lines())
        if resume is None:
            folder, start = output or dated(str(dataset)), None
            rhythm = Rhythm.of(checkpoint_every, checkpoint_keep)
            order = Order(resolve({name: context.params[name] for name in OPTIONS}), list(track or ()), rhythm)
            callbacks = order.callbacks(folder)
            stack.enter_context(claimed(folder))
        else:
            folder = resume
            stack.enter_context(reopened(folder))
            found = checkpoint_of(folder)
            order, start = Order.of(found).changed(_given(context)), found.path
            callbacks = order.callbacks(folder)
        stack.enter_context(resumable(folder))
        run = carry_out(order.recipe, quiet=json, callbacks=callbacks, resume=start)
        writers = run.writers()
        fill(folder, writers)
    report = {**run.summary(), "folder": str(folder), "files": list(writers)}
    print(as_json(report) if json else "\n".join(run.lines(folder)))


def _given(context: typer.Context) -> dict[str, Any]:
    """The options on the command line, by name, that say more than where to go on and how to report."""
    names = [name for name in context.params if name not in ("resume", "json")]
    sources = {name: context.get_parameter_source(name) for name in names}
    return {name: context.params[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"}
