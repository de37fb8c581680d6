"""What --checkpoint-every, --checkpoint-keep and --resume stand for: checkpoints in the folder of a run."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import portable_bp as bp
from portable_bp.cli.folder import CHECKPOINTS, resuming
from portable_bp.cli.recipe import Recipe
from portable_bp.cli.tracking import trackers
from portable_bp.errors import ConfigurationError, FileError

if TYPE_CHECKING:
    from portable_bp.checkpoints.ring import Found

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
KEEP = 3
"""Checkpoints kept unless said otherwise, besides the best."""
CHANGEABLE = ("epochs", "backend", "data")
"""Options of the recipe that may be others when a run is resumed: more epochs, another place."""


@dataclass(frozen=True)
class Rhythm:
    """How often checkpoints are written, and how many are kept."""

    every: str
    keep: int

    @classmethod
    def of(cls, every: str | None, keep: int | None) -> Rhythm | None:
        """The one of --checkpoint-every and --checkpoint-keep; None without the first."""
        if every is None and keep is not None:
            raise ConfigurationError(f"--checkpoint-keep {keep} needs --checkpoint-every: give it, such as 1 or 10min")
        return None if every is None else cls(every, KEEP if keep is None else keep)

    def callback(self, folder: Path, note: Mapping[str, Any]) -> bp.Callback:
        """The callback that writes them into the folder of a run."""
        match = re.fullmatch(r"(\d{1,9})|(\d{1,9}(?:\.\d{1,9})?) ?(s|min|h)", self.every)
        if match is None or not float(match[1] or match[2]) > 0:
            raise ConfigurationError(
                f"--checkpoint-every {self.every!r}: write a number of epochs, such as 5, or a time, such as 30s, 10min"
            )
        how = {"every": int(match[1])} if match[1] else {"seconds": float(match[2]) * SECONDS[match[3]]}
        return bp.Checkpoint(folder / CHECKPOINTS, keep=self.keep, note=note, **how)


@dataclass(frozen=True)
class Order:
    """What a run is to do: the note in each of its checkpoints, so that it can go on without being told again."""

    recipe: Recipe
    track: list[str]
    rhythm: Rhythm | None
    """None for a run without checkpoints."""

    def callbacks(self, folder: Path) -> list[bp.Callback]:
        """Those that log and keep the run in its folder."""
        kept = [self.rhythm.callback(folder, asdict(self))] if self.rhythm else []
        return [*trackers(self.track, folder), *kept]

    @classmethod
    def of(cls, found: Found) -> Order:
        """Read the note of a checkpoint."""
        try:
            note = found.note
            recipe = Recipe(**{**note["recipe"], "hidden": tuple(note["recipe"]["hidden"])})
            return cls(recipe, list(note["track"]), Rhythm(**note["rhythm"]))
        except (TypeError, KeyError) as error:
            raise FileError(
                f"{str(found.path)!r} is no checkpoint of `portable-bp train`: resume it in Python, fit(…, resume=…)"
            ) from error

    def changed(self, given: Mapping[str, Any]) -> Order:
        """The order with what the command line gives anew."""
        for name in given:
            if name not in CHANGEABLE:
                raise ConfigurationError(
                    f"{_option(name)} can't be given with --resume, which takes the run's own options; "
                    f"only --{', --'.join(CHANGEABLE)} can: leave it out"
                )
        recipe = replace(self.recipe, **given)
        recipe.check()
        return replace(self, recipe=recipe)


def _option(name: str) -> str:
    return "a dataset" if name == "dataset" else f"--{name.replace('_', '-')}"


def checkpoint_of(folder: Path) -> Found:
    """The newest sound checkpoint of a run's folder; a line on stderr for each newer one that is damaged."""
    from portable_bp.checkpoints.ring import epochs_in, newest  # which import NumPy, and `--help` must not

    place = folder / CHECKPOINTS
    if not epochs_in(place):
        raise FileError(
            f"there is no checkpoint in {str(place)!r}: name the folder of a run with --checkpoint-every, or train anew"
        )
    found = newest(place)
    for line in found.damaged:
        _say(f"{line}; going on from {found.path.name}")
    return found


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Tell, where the work inside is interrupted, the command that goes on with it."""
    place = folder / CHECKPOINTS
    try:
        yield
    except KeyboardInterrupt:
        from portable_bp.checkpoints.ring import epochs_in

        if kept := epochs_in(place):
            raise KeyboardInterrupt(f"interrupted, epoch {kept[-1]} is kept: go on with {resuming(folder)}") from None
        with suppress(OSError):
            place.rmdir()
        raise


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Say on stderr what checkpoints warn of."""
    from portable_bp.checkpoints.resuming import CheckpointWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", CheckpointWarning)
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            _say(message) if issubclass(category, CheckpointWarning) else shown(message, category, *place, **more)

        warnings.showwarning = show
        yield


def _say(line: object) -> None:
    print("portable-bp:", line, file=sys.stderr)
