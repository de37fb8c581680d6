"""The checkpoints of a folder: the newest ones, the best one, and none that is damaged."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portable_bp import archive
from portable_bp.archive import Description, Tensors
from portable_bp.errors import FileError

NAME = re.compile(r"epoch-(\d+)\.safetensors")


@dataclass(frozen=True)
class Found:
    """A checkpoint that was read and is sound."""

    path: Path
    description: Description
    tensors: Tensors
    damaged: list[str] = field(default_factory=list)
    """Of newer ones that are not, a line each."""

    @property
    def training(self) -> dict[str, Any]:
        """What it holds beyond the network."""
        found: dict[str, Any] = self.description["training"]
        return found

    @property
    def note(self) -> Any:
        """What its `Checkpoint` was given as a note."""
        return self.training.get("note")


def path_of(folder: Path, epoch: int) -> Path:
    """The checkpoint's file after ``epoch`` epochs."""
    return folder / f"epoch-{epoch:06}.safetensors"


def epochs_in(folder: Path) -> list[int]:
    """Numbers of the epochs of which the folder has checkpoints, ascending."""
    try:
        matches = [NAME.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
    except OSError as error:
        raise FileError(f"can't read the folder {str(folder)!r} ({error.strerror})") from error
    return sorted(int(match[1]) for match in matches if match)


def prune(folder: Path, epoch: int, keep: int | None, best: int | None) -> None:
    """Leave the last ``keep`` checkpoints up to ``epoch``, the newest one, and the ``best``; None keeps all."""
    existing = epochs_in(folder)
    here = [number for number in existing if number <= epoch]
    kept = {best, *(here if keep is None else here[-keep:])}
    for number in existing:
        if number not in kept:  # also those of a later epoch, from which the training didn't go on
            path_of(folder, number).unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Take away what a process that was killed while it wrote has left."""
    for path in folder.glob(".epoch-*.safetensors.*"):
        path.unlink(missing_ok=True)


def newest(place: Path) -> Found:
    """Read the newest sound checkpoint of a folder, or the one in a file; FileError where there is none."""
    if place.is_file():
        return _read(place)
    damaged: list[str] = []
    for epoch in reversed(epochs_in(place)):
        try:
            found = _read(path_of(place, epoch))
        except FileError as error:
            damaged.append(str(error))
            continue
        return Found(found.path, found.description, found.tensors, damaged)
    if damaged:
        raise FileError(f"no checkpoint in {str(place)!r} is sound; of the newest: {damaged[0]}")
    raise FileError(f"there is no checkpoint in {str(place)!r}: name the folder of one, or train without resume")


def _read(path: Path) -> Found:
    description, tensors = archive.read(path)
    if not isinstance(description.get("training"), dict):
        raise FileError(f"{str(path)!r} is a network and no checkpoint: take it up with load()")
    return Found(path, description, tensors)
