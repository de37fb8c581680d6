"""``portable-bp evaluate``: loss and accuracy of a saved network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import portable_bp as bp
from portable_bp.cli.choices import choose
from portable_bp.cli.printing import as_json
from portable_bp.cli.tasks import TASKS, load, targets

PARTS = ("train", "validation", "test")


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model.safetensors.")],
    dataset: Annotated[str, typer.Argument(help=", ".join(TASKS))],
    part: Annotated[
        str | None, typer.Option(help=f"{', '.join(PARTS)}. [default: test; train for sets without one]")
    ] = None,
    backend: Annotated[str, typer.Option(help="Such as numpy, cupy, cupy:1, torch:cuda:0, jax.")] = "numpy",
    data: Annotated[Path | None, typer.Option(help="Folder with the four IDX files of an image set.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Measure a saved network on a dataset: loss and accuracy."""
    choose("--part", part or "test", dict.fromkeys(PARTS))
    choose("dataset", dataset, TASKS)
    net = bp.load(model, backend=backend)
    loaded = load(dataset, data)
    name = part or loaded.reported
    x, y = loaded.part(name, dataset)
    measured = net.evaluate(x, targets(y, net.loss, loaded.n_classes))
    if json:
        print(as_json({"model": str(model), "dataset": dataset, "part": name, "backend": net.backend.spec, **measured}))
    else:
        print(f"{dataset}, {name}: loss {measured['loss']:.4g}, accuracy {100 * measured['accuracy']:.2f} %")
