"""One parameter of a sweep: the values that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf
from sys import float_info
from typing import Any

from portable_bp.errors import ConfigurationError
from portable_bp.sweeping.distributions import COUNTABLE, DISTRIBUTIONS, Multiples, Source, grid_values, share
from portable_bp.sweeping.options import Option, option_named

LISTS = ("constant", "categorical", "categorical_w_probabilities")
LONGEST = 1_000_000
"""Values of one parameter in a grid; more are a mistake, and would fill the memory."""


@dataclass(frozen=True)
class Parameter:
    """An option of `train` under the name that the sweep gives it, with a list of values or a distribution."""

    written: str
    option: Option
    values: Sequence[Any] | None = None
    probabilities: Sequence[float] | None = None
    distribution: str | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_swept(self) -> bool:
        """Whether it takes more than one value."""
        return self.values is None or len(self.values) > 1

    def draw(self, stream: Source) -> Any:
        """Draw a value."""
        if self.values is not None:
            return self.values[self._place(share(stream))]
        try:
            drawn = DISTRIBUTIONS[str(self.distribution)].draw(self.numbers, stream)
        except (ArithmeticError, ValueError) as error:  # exp() of too much, 1 / 0, a whole number for a NaN
            raise ConfigurationError(
                f"parameter {self.written!r} drew a number that no float holds: {self.distribution} of {self.numbers}; "
                "log_uniform takes exponents, log_uniform_values takes values"
            ) from error
        return self.option.read(self.written, drawn)

    def _place(self, at: float) -> int:
        values = self.values or ()
        if self.probabilities is None:
            return int(at * len(values))
        edges = list(accumulate(self.probabilities))
        return next(i for i, edge in enumerate(edges) if at * edges[-1] < edge)

    def in_grid(self) -> Parameter:
        """The parameter with the list of its values; refuses a distribution that has no list."""
        if self.values is not None:
            return self
        if self.distribution not in COUNTABLE:
            raise ConfigurationError(
                f"parameter {self.written!r} is {self.distribution} from {self.numbers}, which a grid can't run "
                f"through: write its values, take {' or '.join(COUNTABLE)}, or write method: random"
            )
        q = self.numbers.get("q", 1)
        if not self.numbers["max"] / q - self.numbers["min"] / q < LONGEST:  # also where both are infinite
            raise ConfigurationError(
                f"parameter {self.written!r} has more than {LONGEST:,} values: write fewer, or method: random"
            )
        kind = self.option.kind if self.option.kind is float else int
        values: Sequence[Any] = grid_values(self.distribution, self.numbers, kind)
        if kind is int:
            self.option.read(self.written, self.numbers.get("q", 1))
        if self.option.kind is str:  # sizes of one hidden layer
            values = [self.option.read(self.written, value) for value in values]
        return Parameter(self.written, self.option, values)

    def expanded(self) -> list[Any]:
        """What defines its values, as JSON takes it."""
        values = repr(self.values) if isinstance(self.values, Multiples) else list(self.values or [])
        return [self.option.name, values, list(self.probabilities or []), self.distribution, dict(self.numbers)]


def read_parameter(written: str, given: Any) -> Parameter:
    """Read one entry of a sweep's ``parameters``."""
    option = option_named(written)
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"parameter {written!r} is {given!r}: write value: {given!r}, values, or min and max")
    if "parameters" in given:
        raise ConfigurationError(f"parameter {written!r} has parameters of its own: train's options have no inner ones")
    rest = {str(key): value for key, value in given.items()}
    kind = rest.pop("distribution", None)
    if "value" in rest or "values" in rest:
        return _listed(written, option, kind, rest)
    if kind is None:
        limits = [rest.get("min"), rest.get("max")]
        kind = "int_uniform" if all(type(limit) is int for limit in limits) else "uniform"
    return _distributed(written, option, kind, rest)


def _listed(written: str, option: Option, kind: Any, rest: dict[str, Any]) -> Parameter:
    values = [rest.pop("value")] if "value" in rest else _as_list(rest.pop("values"))
    probabilities = rest.pop("probabilities", None)
    if rest or kind not in (None, *LISTS):
        extra = ", ".join(map(repr, rest)) or f"distribution: {kind!r}"
        raise ConfigurationError(f"parameter {written!r} has a value or values and {extra}: leave one of them out")
    if not isinstance(values, list) or not values:
        raise ConfigurationError(f"parameter {written!r} has values: {values!r}: write a list of at least one value")
    if probabilities is not None:
        fits = isinstance(probabilities, list) and len(probabilities) == len(values)
        if not fits or not all(_is_number(p) and p >= 0 for p in probabilities) or not 0 < sum(probabilities) < inf:
            raise ConfigurationError(
                f"parameter {written!r} has probabilities: {probabilities!r}: write one number of at least 0 for each "
                f"of its {len(values)} values, not all 0 and of a finite sum"
            )
    return Parameter(written, option, [option.read(written, value) for value in values], probabilities)


def _as_list(values: Any) -> Any:
    """A tuple or an array, such as np.logspace gives, as a list; anything else as it is."""
    found = values.tolist() if hasattr(values, "tolist") else values
    return list(found) if isinstance(found, tuple) else found


def _distributed(written: str, option: Option, kind: Any, rest: dict[str, Any]) -> Parameter:
    if not isinstance(kind, str) or kind not in DISTRIBUTIONS:
        raise ConfigurationError(
            f"parameter {written!r} has distribution: {kind!r}: write one of {', '.join([*LISTS, *DISTRIBUTIONS])}"
        )
    if option.kind not in (int, float) and (option.name, kind) != ("hidden", "int_uniform"):  # one layer's size
        raise ConfigurationError(f"parameter {written!r} is no number, so it has no {kind}: write its values")
    keys = DISTRIBUTIONS[kind].keys
    numbers = {name: rest.pop(name, default) for name, default in keys.items()}
    if rest:
        raise ConfigurationError(
            f"parameter {written!r} has {', '.join(map(repr, rest))}: {kind} takes {', '.join(keys)}"
        )
    for name, value in numbers.items():
        numbers[name] = _number(written, kind, name, value)
    _check_range(written, kind, numbers)
    if kind in COUNTABLE or kind == "uniform":
        option.read(written, numbers["min"])
        option.read(written, numbers["max"])
    return Parameter(written, option, distribution=kind, numbers=numbers)


def _is_number(value: Any) -> bool:
    """Whether it is a number that a float holds."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= float_info.max


def _number(written: str, kind: str, name: str, value: Any) -> Any:
    number: Any
    try:
        number = float(value) if isinstance(value, str) else value  # YAML 1.1 takes 1e-3 for text
    except ValueError:
        number = None
    whole = kind != "int_uniform" or (_is_number(number) and number == int(number))
    if not _is_number(number) or not whole:
        what = "a whole number" if kind == "int_uniform" else "a finite number"
        raise ConfigurationError(f"parameter {written!r} has {name}: {value!r}: {kind} needs {what} there")
    return number


def _check_range(written: str, kind: str, numbers: dict[str, Any]) -> None:
    if "min" in numbers and not numbers["min"] <= numbers["max"]:
        raise ConfigurationError(
            f"parameter {written!r} runs from {numbers['min']} to {numbers['max']}: its min must not be above its max"
        )
    if DISTRIBUTIONS[kind].positive and numbers["min"] <= 0:
        raise ConfigurationError(f"parameter {written!r} has min: {numbers['min']}: {kind} needs limits above 0")
    for name, low in (("q", "above 0"), ("sigma", "of at least 0")):
        if name in numbers and (numbers[name] < 0 or (name == "q" and numbers[name] == 0)):
            raise ConfigurationError(f"parameter {written!r} has {name}: {numbers[name]}: it must be {low}")
