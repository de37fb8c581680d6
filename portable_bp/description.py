"""Layers, losses and optimizers in words and numbers, to be saved and logged; and made again from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from portable_bp import initializers, layers, losses, optimizers, schedules
from portable_bp.errors import ConfigurationError, FileError


def describe(part: Any) -> Any:
    """Turn a configuration object into JSON: its class's name and its fields."""
    if is_dataclass(part):
        return {"class": type(part).__name__, **{f.name: describe(getattr(part, f.name)) for f in fields(part)}}
    return list(part) if isinstance(part, tuple) else part


def constructed(description: Any, custom: Mapping[str, type]) -> Any:
    """Turn JSON back into the configuration object; only classes of portable_bp and of ``custom`` are constructed."""
    if isinstance(description, list):
        return tuple(constructed(entry, custom) for entry in description)
    if not isinstance(description, dict):
        return description
    arguments = {name: constructed(value, custom) for name, value in description.items() if name != "class"}
    return _class(str(description["class"]), custom)(**arguments)


def by_name(custom: Iterable[type]) -> dict[str, type]:
    """The user's own classes by name."""
    listed = list(custom) if isinstance(custom, Iterable) else custom
    if not isinstance(listed, list) or not all(isinstance(cls, type) for cls in listed):
        raise ConfigurationError(f"custom={listed!r}: give a list of classes, custom=[MyLayer]")
    return {cls.__name__: cls for cls in listed}


def _class(name: str, custom: Mapping[str, type]) -> Any:
    if name in custom:
        return custom[name]
    for module in (layers, losses, initializers, optimizers, schedules):
        if is_dataclass(found := getattr(module, name, None)):
            return found
    raise FileError(f"it is made of {name!r}, which portable_bp doesn't know: name the class in load(…, custom=[…])")
