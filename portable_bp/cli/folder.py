"""The folder of a run: claimed before the work starts, filled after it succeeded."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from typing import Any

from portable_bp.errors import FileError
from portable_bp.locking import LOCK, locked
from portable_bp.reading import read_json, read_text

UNFINISHED = ".unfinished-"
"""How the name of the folder begins in which results are written before they get their own names."""
CONFIGURATION, MODEL, CHECKPOINTS = "configuration.json", "model.safetensors", "checkpoints"
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
    """Make the folder, lock it, and try to write in it; take away what was made where the work inside fails."""
    made = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    try:
        _make(folder)
        with locked(folder):
            _require_empty(folder)
            yield
    except BaseException:
        for path in made:
            with suppress(OSError):  # not empty: somebody else uses it by now
                path.rmdir()
        raise


@contextmanager
def reopened(folder: Path) -> Iterator[None]:
    """Lock the folder of a run that goes on, and take away what a killed process was about to put there."""
    if not folder.is_dir():
        raise FileError(f"there is no folder {str(folder)!r}: name the folder of a run with --checkpoint-every")
    with locked(folder):
        for unfinished in folder.glob(f"{UNFINISHED}*"):
            rmtree(unfinished, ignore_errors=True)
        yield


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", error)
        raise FileError(
            f"the output folder {str(folder)!r} can't be written to ({said}): name another one with --output"
        ) from error


def _require_empty(folder: Path) -> None:
    if any(path.name != LOCK for path in folder.iterdir()):
        resume = f", or go on with the run there: {resuming(folder)}" if (folder / CHECKPOINTS).is_dir() else ""
        raise FileError(
            f"the output folder {str(folder)!r} is not empty: a run needs one of its own; name another with --output"
            f"{resume}"
        )


def resuming(folder: Path) -> str:
    """The command that goes on with the run of a folder."""
    return f"`portable-bp train --resume {shlex.quote(str(folder))}`"


def fill(folder: Path, writers: Mapping[str, Callable[[Path], None]]) -> None:
    """Let each writer write its file under a temporary name; once all have, give the files their own names."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as unfinished:
        for name, write in writers.items():
            write(Path(unfinished, name))
        for name in writers:
            os.replace(Path(unfinished, name), folder / name)


def model_file(model: Path) -> Path:
    """The network's file, where the folder of a run is given instead of it; refuses one of a run that hasn't ended."""
    if not os.path.isdir(model):
        return model
    if (model / CHECKPOINTS).is_dir() and not (model / MODEL).exists():
        raise FileError(
            f"the run in {str(model)!r} was ended before it had a network: go on with it, {resuming(model)}, or name "
            f"one of the files in {str(model / CHECKPOINTS)!r}"
        )
    return model / MODEL


def configuration_of(model: Path) -> dict[str, Any]:
    """The configuration beside a network's file; empty where none can be read."""
    try:
        found = read_json(read_text(model.with_name(CONFIGURATION), LARGEST))
    except (OSError, ValueError):  # a network that was saved elsewhere, or a file of another program
        return {}
    return found if isinstance(found, dict) else {}
