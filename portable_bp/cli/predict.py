"""``portable-bp predict``: classes for a file of examples."""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

import portable_bp as bp
from portable_bp.cli.choices import BYTES, PRECISION
from portable_bp.cli.folder import model_file
from portable_bp.cli.printing import as_json, print_table
from portable_bp.errors import FileError

SHOWN = 20
"""Rows shown on a terminal."""
COLUMNS = ("row", "class", "confidence")

Prediction = tuple[int, int, float]


def predict(
    model: Annotated[Path, typer.Argument(help="A model.safetensors, or the folder of a run.")],
    file: Annotated[Path, typer.Argument(help="Examples, one a row: .npy, .csv, or an IDX file of images.")],
    backend: Annotated[str, typer.Option(help="Such as numpy, cupy, cupy:1, torch:cuda:0, jax.")] = "numpy",
    precision: Annotated[str, typer.Option(help=PRECISION)] = "full",
    output: Annotated[Path | None, typer.Option(help="Write all rows to this CSV file.")] = None,
    as_bytes: Annotated[bool | None, typer.Option("--bytes/--no-bytes", help=BYTES)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Classify the examples in a file.

    The confidence in a class is the network's output for it: a probability, where the loss was a cross-entropy.
    """
    from portable_bp.cli.examples import examples  # it imports NumPy, which --help does without

    model = model_file(model)
    net = bp.load(model, backend=backend, precision=precision)
    rows = classify(net, examples(net, file, as_bytes))
    if output is not None:
        write_csv(output, rows)
    if json:
        report = {"model": str(model), "file": str(file), "backend": net.backend.spec}
        print(as_json({**report, "predictions": [dict(zip(COLUMNS, row, strict=True)) for row in rows]}))
    elif output is None:
        _show(rows)
    else:
        print(f"{len(rows)} predictions in {output}")


def classify(net: bp.Network, x: Any) -> list[Prediction]:
    """Number, class and confidence of every row of x; a single output p speaks for class 1, and 1 - p for class 0."""
    outputs, classes = net.predict(x), net.classify(x)
    confidences = outputs.max(axis=-1)
    if outputs.shape[-1] == 1:
        confidences = (classes == 1) * outputs[:, 0] + (classes == 0) * (1 - outputs[:, 0])
    return [(row, int(k), float(p)) for row, (k, p) in enumerate(zip(classes, confidences, strict=True))]


def write_csv(path: Path, rows: Iterable[Prediction]) -> None:
    """Write the predictions under a temporary name, and give the file its own name once it is whole."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".unfinished-") as unfinished:
            whole = Path(unfinished, path.name)
            with whole.open("w", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *rows])
            os.replace(whole, path)
    except (OSError, ValueError) as error:
        raise FileError(
            f"{str(path)!r} can't be written ({getattr(error, 'strerror', error)}): name another file with --output"
        ) from error


def _show(rows: list[Prediction]) -> None:
    shown = SHOWN if sys.stdout.isatty() else len(rows)
    print_table(COLUMNS, ((str(row), str(k), f"{p:.4f}") for row, k, p in islice(rows, shown)))
    if len(rows) > shown:
        print(f"… and {len(rows) - shown} more rows: see them all with --json or --output FILE.csv")
