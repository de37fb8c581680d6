"""The folder of a run: claimed before the work starts, filled after it succeeded."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from portable_bp.errors import FileError
from portable_bp.reading import read_json, read_text

CONFIGURATION, MODEL = "configuration.json", "model.safetensors"
LARGEST = 1 << 20
"""Bytes of a configuration, which has a thousand."""


def dated(dataset: str) -> Path:
    """``runs/DATASET-YYYYmmdd-HHMMSS``, with a number behind it where that is taken."""
    stem = Path("runs", f"{dataset}-{datetime.now():%Y%m%d-%H%M%S}")
    folder, number = stem, 1
    while folder.exists():
        number += 1
        folder = stem.with_name(f"{stem.name}-{number}")
    return folder


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make the folder and try to write in it; take away what was made where the work inside the context fails."""
    made = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    try:
        _claim(folder)
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):  # not empty: somebody else uses it by now
                path.rmdir()
        raise


def _claim(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", error)
        raise FileError(
            f"the output folder {str(folder)!r} can't be written to ({said}): name another one with --output"
        ) from error
    if taken:
        raise FileError(
            f"the output folder {str(folder)!r} is not empty: a run needs one of its own; name another with --output"
        )


def fill(folder: Path, writers: Mapping[str, Callable[[Path], None]]) -> None:
    """Let each writer write its file under a temporary name; once all have, give the files their own names."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unfinished-") as unfinished:
        for name, write in writers.items():
            write(Path(unfinished, name))
        for name in writers:
            os.replace(Path(unfinished, name), folder / name)


def model_file(model: Path) -> Path:
    """The network's file, where the folder of a run is given instead of it."""
    return model / MODEL if os.path.isdir(model) else model


def configuration_of(model: Path) -> dict[str, Any]:
    """The configuration beside a network's file; empty where none can be read."""
    try:
        found = read_json(read_text(model.with_name(CONFIGURATION), LARGEST))
    except (OSError, ValueError):  # a network that was saved elsewhere, or a file of another program
        return {}
    return found if isinstance(found, dict) else {}
