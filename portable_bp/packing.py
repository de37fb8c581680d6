"""Trees of JSON values and arrays, taken apart into the JSON alone and the arrays by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from portable_bp.arrays import HostArray
from portable_bp.errors import ConfigurationError, FileError

ARRAY = "$array"
"""The one key of the dict that stands in the JSON where an array was; its value is the array's name."""


def packed(tree: Any, name: str, to_host: Callable[[Any], HostArray | None], tensors: dict[str, HostArray]) -> Any:
    """Give the tree as JSON; its arrays, those that ``to_host`` gives a host array for, go into ``tensors``."""
    if isinstance(tree, Mapping):
        for key in tree:
            if not isinstance(key, str) or key == ARRAY:
                raise ConfigurationError(f"{name} has the key {key!r}: keys must be strings other than {ARRAY!r}")
        return {key: packed(branch, f"{name}.{key}", to_host, tensors) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [packed(branch, f"{name}.{i}", to_host, tensors) for i, branch in enumerate(tree)]
    host = to_host(tree)
    if host is None:
        return tree
    while name in tensors:  # a key with a dot in it reads like a path of keys
        name += "'"
    tensors[name] = host
    return {ARRAY: name}


def unpacked(tree: Any, tensors: Mapping[str, HostArray]) -> Any:
    """Put the arrays back; FileError where one is missing."""
    if isinstance(tree, dict):
        if ARRAY in tree:
            name = tree[ARRAY]
            if not isinstance(name, str) or name not in tensors:
                raise FileError(f"its array {name!r} is missing")
            return tensors[name]
        return {key: unpacked(branch, tensors) for key, branch in tree.items()}
    return [unpacked(branch, tensors) for branch in tree] if isinstance(tree, list) else tree
