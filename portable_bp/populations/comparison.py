"""What members of a population must share, and the hyper-parameters in which their optimizers may differ."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from portable_bp.arguments import settle
from portable_bp.errors import ConfigurationError
from portable_bp.optimizers.optimizer import Optimizer
from portable_bp.populations.padding import widths_of, without_widths

if TYPE_CHECKING:
    from portable_bp.network import Network


def require_same_architecture(networks: Sequence[Network]) -> None:
    """Refuse networks that differ in more than parameters, seed and hidden widths, and name the first difference."""
    first, shown = _shared(networks[0]), _shown(networks[0])
    for number, network in enumerate(networks):
        for what, value in _shared(network).items():
            if value != first[what]:
                raise ConfigurationError(
                    f"networks[{number}] has the {what} {_shown(network)[what]} and networks[0] {shown[what]}: "
                    "networks are trained together where only parameters, seeds and hidden widths differ; call "
                    "fit_together for each kind of its own"
                )
    seen = {id(network): number for number, network in reversed(list(enumerate(networks)))}
    for number, network in enumerate(networks):
        if seen[id(network)] != number:
            raise ConfigurationError(
                f"networks[{number}] is networks[{seen[id(network)]}] itself: make a network for each member"
            )


def _shared(network: Network) -> dict[str, Any]:
    """What must be equal, by its name."""
    layers = {f"layer {number}": without_widths(layer) for number, layer in enumerate(network.layers)}
    return {**_shown(network), **layers}


def _shown(network: Network) -> dict[str, Any]:
    """The same as it is told."""
    layers = {f"layer {number}": layer for number, layer in enumerate(network.layers)}
    n_in, *_, n_out = widths_of(network.layers) or (0, 0)
    return {
        "number of layers": len(layers),
        **layers,
        "number of inputs": n_in,
        "number of outputs": n_out,
        "loss": network.loss,
        "dtype": network.dtype,
        "backend": network.backend.spec,
        "arithmetic": network.backend.arithmetic,
        "precision": network.backend.precision,
        "input shape": network.architecture.input_shape,
    }


def differing_numbers(optimizers: Sequence[Optimizer], name: str = "") -> dict[str, list[float]]:
    """The numbers in which equal rules differ, by dotted name, with each member's; anything else must be equal."""
    found: dict[str, list[float]] = {}
    for number, optimizer in enumerate(optimizers):
        if type(optimizer) is not type(optimizers[0]):
            kinds = [type(one).__name__ for one in (optimizer, optimizers[0])]
            raise ConfigurationError(
                f"optimizers[{number}]{_at(name)} is {kinds[0]} and optimizers[0]{_at(name)} {kinds[1]}: networks are "
                "trained together by one rule; call fit_together for each rule of its own"
            )
    for field in fields(optimizers[0]):
        found |= _differing(f"{name}.{field.name}".strip("."), [getattr(one, field.name) for one in optimizers])
    return found


def _differing(name: str, values: list[Any]) -> dict[str, list[float]]:
    if all(isinstance(value, Optimizer) for value in values):
        return differing_numbers(values, name)
    if all(type(value) is type(values[0]) and value == values[0] for value in values):
        return {}
    for number, value in enumerate(values):
        if type(value) is not float:
            number = number or next(i for i, other in enumerate(values) if other != value)
            raise ConfigurationError(
                f"optimizers[{number}]{_at(name)} is {values[number]!r} and optimizers[0]{_at(name)} {values[0]!r}: "
                "members of a population may differ in numbers; schedules and all else must be equal"
            )
    return {name: values}


def _at(name: str) -> str:
    return f".{name}" if name else ""


def with_numbers(optimizer: Optimizer, numbers: dict[str, Any]) -> Optimizer:
    """The optimizer with other values for its fields of these dotted names, which nobody checks again."""
    changed = copy(optimizer)
    for name, value in numbers.items():
        field, _, rest = name.partition(".")
        settle(changed, field, with_numbers(getattr(changed, field), {rest: value}) if rest else value)
    return changed
