"""One safetensors file with a JSON description in its header: written whole, checked when read, never executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from portable_bp.arrays import HostArray
from portable_bp.digest import digest
from portable_bp.errors import ConfigurationError, FileError
from portable_bp.writing import write_whole

FORMAT = "portable_bp network 1"
"""Key of the description in the file's header; one key, since safetensors writes several in random order."""
CHECKSUM = "sha256"
"""Key of the checksum in the description, over everything else in the description and over every tensor."""
LARGEST = 2**22
"""Characters of a description: thousands of layers. JSON takes some twenty times its size once it is read."""
Description = dict[str, Any]
Tensors = dict[str, HostArray]


def write(path: Path, description: Description, tensors: Mapping[str, HostArray]) -> None:
    """Write description and tensors, with a checksum over both, to ``path``: whole or not at all."""
    try:
        text = json.dumps(description)
        text = json.dumps({**description, CHECKSUM: _checksum(json.loads(text), tensors)})
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"can't save this ({error}): fields of layers and optimizers must be numbers, strings, tuples or "
            "dataclasses, and the state of a callback JSON and arrays"
        ) from error
    if len(text) > LARGEST:
        raise ConfigurationError(
            f"can't save this: its description has {len(text)} characters, more than {LARGEST}; the state of a "
            "callback should keep what is long in arrays"
        )
    write_whole(path, to_bytes(dict(tensors), {FORMAT: text}))


def read(path: Path, *, checked: bool = False) -> tuple[Description, Tensors]:
    """Read a file that `write` wrote; the description is a dict, but what is in it may be anything.

    A checksum that the file has must be right; ``checked`` refuses a file without one. At most the file's own size is
    read into memory.

    Raises FileError for a file that is missing, truncated, damaged, or none of portable_bp's.
    """
    text, tensors = _parts(path)
    try:
        found = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    if not isinstance(found, dict):
        raise FileError(f"{str(path)!r} describes no network: it is damaged; save the network again")
    given = found.pop(CHECKSUM, None)
    if (checked or given is not None) and given != _checksum(found, tensors):
        raise _damaged(path, "its checksum is wrong")
    return found, tensors


def _checksum(description: Description, tensors: Mapping[str, HostArray]) -> str:
    text = json.dumps(description) + digest([tensors])
    return hashlib.sha256(text.encode()).hexdigest()


def _parts(path: Path) -> tuple[str, Tensors]:
    try:
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
