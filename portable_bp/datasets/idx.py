"""The IDX format, in which MNIST is published; a file may be truncated, foreign or hostile.

    00 00 type dims | size of each dimension, uint32 | values, row-major        all big-endian

Source: Y. LeCun, C. Cortes, C. J. C. Burges, THE MNIST DATABASE (1998), "the IDX file format".
"""

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from portable_bp.errors import FileError
from portable_bp.reading import require_regular

GZIP_MAGIC = b"\x1f\x8b"
TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
MAX_DIMENSIONS = 64  # NumPy's own limit
CHUNK = 1 << 20  # 1 MiB: memory grows with what the file holds, never with what it declares
HARMLESS = 1 << 26  # 64 MiB: what any gzip may become; MNIST's largest file takes 45
RATIO = 100  # of a larger one's size to its gzip's; images have 2 to 10, and gzip can make 1,000 of nothing
CURE = "copy or download the file again"


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The array in an IDX file, raw or gzip (told by its first bytes, not by its name).

    Returns an array of the file's own shape, its type in native byte order, writable.
    FileError: the file is missing, truncated, damaged, empty, longer than declared, or not IDX; or a gzip that unpacks
    to more than 64 MiB and more than 100 times its own size.
    """
    with _opened(Path(path)) as (stream, most):
        dtype, shape = _header(stream, path)
        data = _values(stream, dtype.itemsize * math.prod(shape), most, path)
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BufferedIOBase, int]]:
    """The decompressed bytes of a file, and how many there may be.

    Whatever goes wrong while they are read is a FileError.
    """
    try:
        size = require_regular(path)
        with path.open("rb") as file:
            packed = file.peek(2)[:2] == GZIP_MAGIC
            yield (gzip.GzipFile(fileobj=file), max(HARMLESS, RATIO * size)) if packed else (file, size)
    except FileError:
        raise
    except FileNotFoundError as error:
        raise FileError(f"{_quoted(path)} is missing: an IDX file is needed; check the path") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{_quoted(path)} is damaged gzip ({error}): it must unpack whole; {CURE}") from error
    except (OSError, ValueError) as error:  # a folder, no permission, a NUL in the name
        raise FileError(
            f"{_quoted(path)} can't be read ({error}): a readable IDX file is needed; "
            "check the path and its permissions"
        ) from error


def _header(stream: BufferedIOBase, path: str | os.PathLike[str]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = _exactly(stream, 4, path)
    if magic[:2] != b"\0\0" or magic[2] not in TYPES:
        known = ", ".join(f"{code:02x}" for code in TYPES)
        raise FileError(
            f"{_quoted(path)} begins with {magic.hex(' ')}: an IDX file begins with 00 00 and a "
            f"type code ({known}); give an IDX file, or {CURE}"
        )
    shape = _shape(stream, magic[3], path)
    return TYPES[magic[2]], shape


def _shape(stream: BufferedIOBase, n_dims: int, path: str | os.PathLike[str]) -> tuple[int, ...]:
    if not 1 <= n_dims <= MAX_DIMENSIONS:
        raise FileError(
            f"{_quoted(path)} declares {n_dims} dimensions: an array has from 1 to {MAX_DIMENSIONS}; {CURE}"
        )
    shape = tuple(np.frombuffer(_exactly(stream, 4 * n_dims, path), ">u4").tolist())
    if 0 in shape:
        raise FileError(
            f"{_quoted(path)} declares the shape {shape}, which holds no value: "
            f"every dimension must be at least 1; {CURE}"
        )
    return shape


def _exactly(stream: BufferedIOBase, size: int, path: str | os.PathLike[str]) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise FileError(
            f"{_quoted(path)} ends within its header: an IDX file holds the magic number, the size "
            f"of each dimension and the values; {CURE}"
        )
    return data


def _values(stream: BufferedIOBase, size: int, most: int, path: str | os.PathLike[str]) -> bytearray:
    data = bytearray()
    # One byte past the declared end tells trailing bytes, and lets gzip check its sum.
    while chunk := stream.read(min(CHUNK, size + 1 - len(data))):
        data += chunk
        if len(data) > most:
            raise FileError(
                f"{_quoted(path)} unpacks to more than {most:,} bytes, {RATIO} times its own size: images never do; "
                "unpack it with gunzip first, if you trust it"
            )
    if len(data) != size:
        found = f"only {len(data)}" if len(data) < size else "more"
        raise FileError(f"{_quoted(path)} declares {size} bytes of values and holds {found}: both must agree; {CURE}")
    return data


def _quoted(path: str | os.PathLike[str]) -> str:
    return repr(os.fspath(path))  # repr keeps a name with a line break on one line
