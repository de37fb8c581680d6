"""Layers, losses and optimizers in words and numbers, to be saved and logged."""

from dataclasses import fields, is_dataclass
from typing import Any


def describe(part: Any) -> Any:
    """Turn a configuration object into JSON: its class's name and its fields."""
    if is_dataclass(part):
        return {"class": type(part).__name__, **{f.name: describe(getattr(part, f.name)) for f in fields(part)}}
    return list(part) if isinstance(part, tuple) else part
