"""Which way was the faster one, kept on disk beside the compiled kernels.

Both ways round differently, and a clock is not exact: without this, a training that goes on in another process could
take the other way, and end with other bits than the undisturbed one.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from portable_bp.errors import FileError
from portable_bp.reading import read_text
from portable_bp.writing import write_whole
from portable_bp_cupy.cache import folder

LONGEST = 16
"""Characters of the name of a way, and more."""


def place_of(cupy: Any, program: str, forms: Any) -> Path:
    """The file for a program on arrays of these ``forms``, on the current device with this CuPy."""
    device = cupy.cuda.Device()
    machine = cupy.__version__, device.compute_capability, device.attributes["MultiProcessorCount"]
    return folder() / f"portable_bp-{sha256(repr((program, forms, machine)).encode()).hexdigest()}.way"


def remembered(place: Path) -> str | None:
    """What was remembered; None for nothing, or nothing that can be read."""
    try:
        return read_text(place, LONGEST)
    except (OSError, ValueError):
        return None


def remember(place: Path, kind: str) -> None:
    """Keep it, where the folder can be written into; else the next process measures again."""
    with suppress(FileError):
        write_whole(place, kind.encode())
