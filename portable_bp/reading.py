"""Files from outside: only such as end, no longer than makes sense, and JSON that says nothing twice."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from errno import EFBIG, EINVAL, EISDIR
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any


def require_regular(path: Path) -> int:
    """Size in bytes of a file that ends; symbolic links are followed.

    OSError, before anything is opened, for what is missing, a folder, or a pipe or device: it may block, or never end.
    """
    try:
        found = path.stat()
    except ValueError as error:  # a NUL in it
        raise OSError(EINVAL, "no file can have this name") from error
    if S_ISDIR(found.st_mode):
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    if not S_ISREG(found.st_mode):
        raise OSError(EINVAL, "it is a pipe or a device: copy what it gives into a file")
    return found.st_size


def read_text(path: Path, most: int) -> str:
    """The text of a file of at most ``most`` bytes; OSError where it is longer, ValueError where it is no UTF-8."""
    require_regular(path)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(EFBIG, f"it is longer than {most:,} bytes")
    return content.decode()


def read_json(text: str) -> Any:
    """What JSON text says; ValueError where it is no JSON, too deep, or gives a key twice."""
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except RecursionError as error:
        raise ValueError("brackets within brackets, too deep to be read") from error


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice!r} is there twice")
    return found
