"""The options of ``portable-bp train`` as parameters of a sweep: their names, types and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, get_args, get_type_hints

from portable_bp.cli.recipe import Recipe
from portable_bp.cli.train import train
from portable_bp.errors import ConfigurationError

ALIASES = {"learning_rate": "rate", "lr": "rate", "task": "dataset", "hidden_layers": "hidden"}
"""Names under which other programs' sweep files know an option."""

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word or text"}


@dataclass(frozen=True)
class Option:
    """One option of `train`: its kind of value, and whether it may be left to the dataset (null)."""

    name: str
    kind: type
    optional: bool
    default: Any

    def read(self, written: str, value: Any) -> Any:
        """Give the value in the option's type; ``written`` is the name that the sweep gives it."""
        if value is None and self.optional:
            return None
        found = READERS[self.kind](value)
        if found is None and self.name == "hidden":
            found = _sizes(value)
        if found is None:
            raise ConfigurationError(f"parameter {written!r} has the value {value!r}: it must be {WORDS[self.kind]}")
        return found


def _whole(value: Any) -> int | None:
    """An int; also 32.0, which quantized distributions give, and "32"."""
    number = _real(value)
    return int(number) if number is not None and number.is_integer() else None


def _real(value: Any) -> float | None:
    """A float; also "1e-3", which YAML 1.1 takes for text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _sizes(value: Any) -> str | None:
    """Sizes of hidden layers that are written as a number or as a list of them: 32, [128, 32]."""
    listed = value if isinstance(value, list) else [value]
    return ",".join(map(str, listed)) if all(type(size) is int for size in listed) else None


READERS: dict[type, Callable[[Any], Any]] = {int: _whole, float: _real, bool: _truth, str: _text}


@cache
def train_options() -> dict[str, Option]:
    """Every option of `train` that decides its result, read from its signature."""
    hints, signature = get_type_hints(train), inspect.signature(train).parameters
    found = {}
    for name in (field.name for field in fields(Recipe)):
        kinds = get_args(hints[name]) or (hints[name],)
        default = signature[name].default
        required = default is inspect.Parameter.empty
        found[name] = Option(name, kinds[0], type(None) in kinds, None if required else default)
    return found


def option_named(written: str) -> Option:
    """Look up the option that a sweep's parameter stands for; learning_rate and learning-rate are `train`'s rate."""
    name = written.replace("-", "_")
    options = train_options()
    found = options.get(ALIASES.get(name, name))
    if found is None:
        names = ", ".join([*options, *(alias for alias in ALIASES)])
        raise ConfigurationError(f"unknown parameter {written!r}: the options of train can be swept: {names}")
    return found
