"""A checksum over everything in a file of ours, so that a changed bit is noticed.

It guards against accidents, not against malice: whoever changes a file on purpose can write the checksum that fits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from portable_bp.arrays import HostArray
from portable_bp.digest import digest
from portable_bp.errors import FileError

NAME = "sha256"


def checksum(tensors: Mapping[str, HostArray], description: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, over the description as JSON and over names, dtypes, shapes and bytes of the tensors."""
    return sha256(f"{json.dumps(description)}{digest([tensors])}".encode()).hexdigest()


def sealed(tensors: Mapping[str, HostArray], description: Mapping[str, Any]) -> dict[str, Any]:
    """The description with the checksum in it; TypeError for what JSON can't hold."""
    return {**description, NAME: checksum(tensors, description)}


def unsealed(tensors: Mapping[str, HostArray], found: Any) -> dict[str, Any]:
    """The description without its checksum, which must fit; ``found`` is what JSON gave.

    A file without a checksum is refused as well: else one changed letter in the key's name would switch the check off.
    """
    rest = dict(found) if isinstance(found, dict) else {}
    given = rest.pop(NAME, None)
    if given is None:
        raise FileError("it holds no checksum, so it is damaged or foreign: save it again")
    if given != (right := checksum(tensors, rest)):
        raise FileError(
            f"its checksum is {str(given)[:16]!r}… and its content's {right[:16]!r}…: it was changed after it was "
            "saved; take a copy that is whole, or save it again"
        )
    return rest
