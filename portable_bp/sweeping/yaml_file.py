"""A sweep file's YAML, read so that no file can fill the memory or say one thing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from portable_bp.errors import ConfigurationError, FileError
from portable_bp.reading import read_text

LARGEST = 1 << 17
"""Bytes of a sweep file, which suffice for thousands of values; PyYAML takes up to 300 times as many."""
MOST = 100_000
"""Entries of a sweep file once its aliases are written out."""
DIGITS = 40
"""Of a whole number; larger ones may not even be printed."""


def read_yaml(path: Path) -> Any:
    """What the file says; FileError where it can't be read, is no YAML, too large, or gives a key twice."""
    try:
        import yaml
    except ImportError as error:
        raise ConfigurationError("a sweep file needs PyYAML: pip install 'portable-bp[sweep]'") from error
    try:
        return _document(yaml, read_text(path, LARGEST))
    except OSError as error:
        raise FileError(
            f"can't read the sweep file {str(path)!r} ({error.strerror}): name one that is there"
        ) from error
    except RecursionError as error:
        raise FileError(f"{str(path)!r} is no valid YAML: brackets within brackets, too deep to be read") from error
    # Besides its own errors PyYAML raises those of int(), float(), bool and dates for "!!int ''", "!!bool x" and such.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, ArithmeticError, TypeError) as error:
        raise FileError(f"{str(path)!r} is no valid YAML: {' '.join(str(error).split())}") from error


def _document(yaml: Any, text: str) -> Any:
    loader = yaml.SafeLoader(text)
    root = loader.get_single_node()
    if root is None:
        return None
    _entries(yaml, root, {}, set())  # before anything is made of it
    return loader.construct_document(root)


def _entries(yaml: Any, node: Any, known: dict[Any, int], inside: set[Any]) -> int:
    """Number of entries that a node stands for with its aliases written out; ValueError where there is no end."""
    if node in inside:
        raise ValueError(f"an alias stands for what it is in,{node.start_mark}")
    if node not in known:
        inside.add(node)
        known[node] = 1 + sum(_entries(yaml, inner, known, inside) for inner in _inner(yaml, node))
        inside.remove(node)
    if known[node] > MOST:
        raise ValueError(f"more than {MOST:,} entries once its aliases are written out")
    return known[node]


def _inner(yaml: Any, node: Any) -> list[Any]:
    if isinstance(node, yaml.ScalarNode):
        if node.tag == "tag:yaml.org,2002:int" and len(node.value) > DIGITS:
            raise ValueError(f"a whole number of more than {DIGITS} digits,{node.start_mark}")
        return []
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    _require_each_once([key for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
    return [inner for pair in node.value for inner in pair]


def _require_each_once(keys: list[Any]) -> None:
    seen = set()
    for key in keys:
        if key.value in seen:
            raise ValueError(f"the key {key.value!r} is there twice,{key.start_mark}")
        seen.add(key.value)
