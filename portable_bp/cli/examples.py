"""Examples in a file: .npy, .csv or IDX; each is read in a small multiple of the memory that the file takes."""

from __future__ import annotations

import csv
import math
import warnings
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

import portable_bp as bp
from portable_bp.cli import tasks
from portable_bp.errors import DataError, FileError, PortableBPError
from portable_bp.reading import require_regular

WHITE = 255
"""Largest byte: images of bytes are scaled to 0 to 1, as the image sets are for training."""
SHOWN = 40
"""Characters of a word that an error names."""


def examples(net: bp.Network, file: Path, as_bytes: bool | None = None) -> Any:
    """Read a file's examples in the shape that the network takes; images of bytes are scaled to 0 to 1, or left."""
    x = READERS.get(file.suffix.lower(), bp.datasets.read_idx)(file)
    if x.size == 0:
        raise DataError(f"{str(file)!r} holds no example, shape {x.shape}: give at least one")
    if x.dtype == np.uint8 and not tasks.as_bytes(net, as_bytes):
        x = np.divide(x, WHITE, dtype=np.float32)
    flat = net.architecture.input_shape is not None and len(net.architecture.input_shape) == 1
    return x.reshape(len(x), -1) if flat and x.ndim > 2 else x


def read_npy(file: Path) -> Any:
    """Read a NumPy file; pickled objects, which could run code, are refused.

    The header is held to the file's size first: NumPy itself would make room for whatever it declares.
    """
    try:
        size = require_regular(file)
        with file.open("rb") as stream:
            dtype, shape, columns_first = _header(stream)
            declared, held = dtype.itemsize * math.prod(shape), size - stream.tell()
            if declared != held:
                raise ValueError(f"it declares {declared} bytes and holds {held}")
            values = np.fromfile(stream, dtype)
        return values.reshape(shape, order="F" if columns_first else "C")
    except PortableBPError:
        raise
    # NumPy evaluates the header as a literal, and hands on what Python's parser raises.
    except (OSError, ValueError, EOFError, SyntaxError, TokenError, ArithmeticError, TypeError, LookupError,
            RecursionError, MemoryError) as error:  # fmt: skip
        raise FileError(
            f"{str(file)!r} can't be read as .npy ({error}): give an array written by numpy.save"
        ) from error


def _header(stream: Any) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    if stream.peek(2)[:2] == b"PK":
        raise FileError(f"{stream.name!r} holds several arrays (.npz): give one array written by numpy.save")
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} is for arrays with named fields")
    with warnings.catch_warnings(action="ignore"):  # that a header is Python 2's is no news
        shape, columns_first, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    if dtype.kind not in "biuf":
        raise DataError(f"{stream.name!r} holds {dtype}: it must hold real numbers; convert it first")
    return dtype, shape, columns_first


def read_csv(file: Path) -> Any:
    """Read rows of numbers separated by commas, with or without a header line: float64 (rows, columns)."""
    try:
        require_regular(file)
        with file.open(newline="", encoding="utf-8-sig") as text:
            return _numbers(csv.reader(text), file)
    except PortableBPError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise FileError(f"{str(file)!r} can't be read as .csv ({error}): give rows of numbers") from error


def _numbers(lines: Iterable[list[str]], file: Path) -> Any:
    """The rows as they come, 8 bytes a number."""
    rows = _without_header(row for row in lines if row)
    width, values = 0, array("d")
    for number, row in enumerate(rows, start=1):
        width = width or len(row)
        if len(row) != width:
            raise DataError(
                f"{str(file)!r} holds rows of {width} values and, in row {number}, of {len(row)}: "
                "give rows of equally many numbers"
            )
        try:
            values.extend(map(float, row))
        except ValueError as error:
            word = next(word for word in row if not _is_number(word))
            raise DataError(
                f"{str(file)!r} has values that aren't numbers, the first, {word[:SHOWN]!r}, in row {number}: "
                "remove or encode them"
            ) from error
    if not width:
        raise DataError(f"{str(file)!r} holds no row of numbers: give rows of equally many numbers")
    return np.frombuffer(values).reshape(-1, width)


def _without_header(rows: Iterator[list[str]]) -> Iterable[list[str]]:
    first = next(rows, [])
    return chain([first] if first and all(map(_is_number, first)) else [], rows)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


READERS = {".npy": read_npy, ".csv": read_csv}
