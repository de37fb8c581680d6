"""One safetensors file with a JSON description in its header: written whole, checked when read, never executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from portable_bp.arrays import HostArray
from portable_bp.checksum import sealed, unsealed
from portable_bp.errors import ConfigurationError, FileError
from portable_bp.headers import require_short_header
from portable_bp.reading import read_json, require_regular
from portable_bp.writing import write_whole

FORMAT = "portable_bp network 1"
"""Key of the description in the file's header; one key, since safetensors writes several in random order."""
Description = dict[str, Any]
Tensors = dict[str, HostArray]


def write(path: Path, description: Description, tensors: Mapping[str, HostArray]) -> None:
    """Write description and tensors, with a checksum over both, to ``path``: whole or not at all."""
    try:
        text = json.dumps(sealed(tensors, description))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"can't save this ({error}): fields of layers and optimizers must be numbers, strings, tuples or "
            "dataclasses, and the state of a callback JSON and arrays"
        ) from error
    content = to_bytes(dict(tensors), {FORMAT: text})
    require_short_header(content)
    write_whole(path, content)


def read(path: Path) -> tuple[Description, Tensors]:
    """Read a file that `write` wrote; the description is a dict, but what is in it may be anything.

    Raises FileError for a file that is missing, truncated, changed since it was written, or none of portable_bp's.
    """
    text, tensors = _parts(path)
    try:
        return unsealed(tensors, read_json(text)), tensors
    except FileError as error:
        raise FileError(f"{str(path)!r}: {error}") from error
    except ValueError as error:
        raise _damaged(path, error) from error


def _parts(path: Path) -> tuple[str, Tensors]:
    try:
        require_regular(path)
        require_short_header(path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterator over the file)
    except FileNotFoundError:
        raise FileError(f"there is no file {str(path)!r}: give the path that save() wrote") from None
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        raise FileError(f"can't read {str(path)!r} ({error}): give the path of a file that save() wrote") from error
    if FORMAT not in metadata:
        raise FileError(
            f"{str(path)!r} is a safetensors file but no network of portable_bp: give one that save() wrote"
        )
    return metadata[FORMAT], tensors


def _damaged(path: Path, why: object) -> FileError:
    return FileError(
        f"{str(path)!r} can't be read as a safetensors file ({why}): it is truncated, damaged or foreign; "
        "give a file that save() wrote"
    )
