"""The length of a safetensors header, which stands in a file's first eight bytes, little-endian."""

from pathlib import Path

from portable_bp.errors import ConfigurationError

LONGEST = 1 << 22
"""Bytes, for thousands of layers; in memory a header may become 35 times as large."""


def require_short_header(file: Path | bytes) -> None:
    """ConfigurationError, a ValueError, where a file, or what is to become one, has a header of more than 4 MiB."""
    if isinstance(file, bytes):
        first = file[:8]
    else:
        with file.open("rb") as opened:
            first = opened.read(8)
    length = int.from_bytes(first, "little")
    if length > LONGEST:
        raise ConfigurationError(
            f"the header has {length:,} bytes, more than {LONGEST:,}: keep what is large in parameters, not in "
            "layers' fields"
        )
