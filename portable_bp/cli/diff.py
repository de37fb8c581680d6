"""``portable-bp diff``: in which step, layer and array do two trainings part?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import portable_bp as bp
from portable_bp.cli.planned_run import plan
from portable_bp.cli.printing import as_json, working
from portable_bp.cli.recipe import ACTIVATIONS, LOSSES, OPTIMIZERS, Recipe, resolve
from portable_bp.cli.tasks import TASKS, load

if TYPE_CHECKING:
    from portable_bp.lockstep import Differences

SIDE = "BACKEND[:DEVICE][@DTYPE][@ARITHMETIC], such as torch, torch:cuda:0@float64 or numpy@reproducible"


def diff(
    context: typer.Context,
    a: Annotated[str, typer.Argument(help=f"One side: {SIDE}.")],
    b: Annotated[str, typer.Argument(help="The other side, in the same words.")],
    task: Annotated[str, typer.Option(help=f"What is trained: {', '.join(TASKS)}.")] = "iris",
    steps: Annotated[int, typer.Option(help="Training steps that are compared.")] = 20,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Largest difference, relative to an array's largest number; 0 for equal bits. [default: 1e-4 in "
            "float32, 1e-11 in float64; 0 where both sides are reproducible]"
        ),
    ] = None,
    hidden: Annotated[
        str | None, typer.Option(help="Sizes of the hidden layers, such as 128,32; '' for none. [default: by task]")
    ] = None,
    activation: Annotated[str, typer.Option(help=f"Behind each hidden layer: {', '.join(ACTIVATIONS)}.")] = "relu",
    dropout: Annotated[float, typer.Option(help="Share of hidden outputs dropped.")] = 0.0,
    loss: Annotated[str | None, typer.Option(help=f"{', '.join(LOSSES)}. [default: by task]")] = None,
    optimizer: Annotated[str, typer.Option(help=f"{', '.join(OPTIMIZERS)}.")] = "adam",
    rate: Annotated[float | None, typer.Option(help="Learning rate. [default: as for train]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples a step. [default: 32, or all if fewer]")] = None,
    seed: Annotated[int, typer.Option(help="Decides weights, batch orders and dropout masks.")] = 0,
    dtype: Annotated[str, typer.Option(help="float32 or float64, of a side that names none.")] = "float32",
    data: Annotated[str | None, typer.Option(help="Folder with the four IDX files of an image set.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Train the same network on two sides and name the first step, layer and array that differ.

    Where none differs by more than the tolerance, a table shows the largest differences of the last step. The exit
    status is 1 where one does.
    """
    from portable_bp.sweeping.options import train_options

    defaults = {name: option.default for name, option in train_options().items()}
    given = {name: value for name, value in context.params.items() if name in defaults}
    recipe = resolve({**defaults, **given, "dataset": task})
    with working(f"{steps} steps on {a} and {b}"):
        report = compared(recipe, (a, b), steps, tolerance)
    print(as_json(report.to_dict()) if json else report)
    raise typer.Exit(int(not report.ok))


def compared(recipe: Recipe, sides: tuple[str, str], steps: int, tolerance: float | None) -> Differences:
    """Train the recipe's network on both sides."""
    planned = plan(recipe, load(recipe.dataset, None if recipe.data is None else Path(recipe.data)))
    return bp.diff(
        planned.net, *planned.examples("train"), sides,
        optimizer=recipe.make_optimizer(), steps=steps, tolerance=tolerance,
        batch_size="auto" if recipe.batch_size is None else recipe.batch_size,
    )  # fmt: skip
