"""``portable-bp evaluate``: loss and accuracy of a saved network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

import portable_bp as bp
from portable_bp.cli import tasks
from portable_bp.cli.choices import BYTES, PRECISION, choose
from portable_bp.cli.folder import configuration_of, model_file
from portable_bp.cli.printing import as_json
from portable_bp.cli.tasks import TASKS, load, targets

PARTS = ("train", "validation", "test")


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model.safetensors, or the folder of a run.")],
    dataset: Annotated[str, typer.Argument(help=", ".join(TASKS))],
    part: Annotated[
        str | None, typer.Option(help=f"{', '.join(PARTS)}. [default: test; train for sets without one]")
    ] = None,
    backend: Annotated[str, typer.Option(help="Such as numpy, cupy, cupy:1, torch:cuda:0, jax.")] = "numpy",
    precision: Annotated[str, typer.Option(help=PRECISION)] = "full",
    data: Annotated[
        Path | None, typer.Option(help="Folder with the four IDX files of an image set. [default: the run's]")
    ] = None,
    as_bytes: Annotated[bool | None, typer.Option("--bytes/--no-bytes", help=BYTES)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Measure a saved network on a dataset: loss and accuracy."""
    choose("--part", part or "test", dict.fromkeys(PARTS))
    choose("dataset", dataset, TASKS)
    file = model_file(model)
    net = bp.load(file, backend=backend, precision=precision)
    given_bytes = TASKS[dataset].has_files and tasks.as_bytes(net, as_bytes)
    loaded = load(dataset, data or data_of(file, dataset), as_bytes=given_bytes)
    name = part or loaded.reported
    x, y = loaded.part(name, dataset)
    measured = net.evaluate(x, targets(y, net.loss, loaded.n_classes))
    if json:
        print(as_json({"model": str(file), "dataset": dataset, "part": name, "backend": net.backend.spec, **measured}))
    else:
        print(f"{dataset}, {name}: loss {measured['loss']:.4g}, accuracy {100 * measured['accuracy']:.2f} %")


def data_of(model: Path, dataset: str) -> Path | None:
    """The folder from which the run that made the network took this dataset, if it is still there."""
    configuration = configuration_of(model)
    folder = configuration.get("data")
    if configuration.get("dataset") != dataset or not isinstance(folder, str) or not os.path.isdir(folder):
        return None
    return Path(folder)
