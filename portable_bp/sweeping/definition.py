"""A sweep's definition, from a Weights & Biases sweep file or the same as a dict."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portable_bp.arguments import whole_number
from portable_bp.cli.recipe import Recipe, resolve
from portable_bp.errors import ConfigurationError, FileError
from portable_bp.sweeping.options import option_named, train_options
from portable_bp.sweeping.parameter import Parameter, read_parameter
from portable_bp.sweeping.yaml_file import read_yaml

USED = ("method", "parameters", "metric", "run_cap")
IGNORED = (
    "program", "command", "name", "project", "entity", "description", "early_terminate", "job", "image_uri",
    "controller", "settings", "tags", "group", "sweep_name",
)  # fmt: skip
"""Keys of a sweep file that say how Weights & Biases is to run it."""
METHODS = ("grid", "random", "bayes")
GOALS = ("minimize", "maximize")
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Definition:
    """Everything that decides the rows of a sweep and their order; but for ``run_cap``, and ``metric`` unless bayes."""

    method: str
    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Any]
    """Options of `train` for every run that the parameters don't set, by `train`'s own names."""
    seed: int
    metric: tuple[str, str] | None
    """Name and goal."""
    run_cap: int | None
    ignored: tuple[str, ...]
    """Keys of the file that mean nothing here."""

    def options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Every option of `train` for a run whose parameters have these ``values``, by the names written."""
        own = {parameter.option.name: values[parameter.written] for parameter in self.parameters}
        return {**self.fixed, **own}

    def recipe(self, values: Mapping[str, Any]) -> Recipe:
        """The run's recipe; refuses options that don't go together."""
        return resolve(self.options(values))

    def expanded(self) -> dict[str, Any]:
        """The definition with every default filled in, as JSON takes it."""
        shown = {parameter.written: parameter.expanded() for parameter in self.parameters}
        seed = {} if self.method == "grid" else {"sweep_seed": self.seed}
        metric = {"metric": self.metric} if self.method == "bayes" else {}
        return {"method": self.method, "parameters": shown, "fixed": dict(self.fixed), **seed, **metric}

    @property
    def digest(self) -> str:
        """SHA-256 of the expanded definition; parameters in another order are another sweep."""
        return hashlib.sha256(json.dumps(self.expanded()).encode()).hexdigest()


def read_definition(source: str | Path | Mapping[str, Any], fixed: Mapping[str, Any], seed: int = 0) -> Definition:
    """Read and check a definition; ``fixed`` are options of `train` for all runs."""
    given = source if isinstance(source, Mapping) else _parsed(source)
    _check_keys(given)
    method = given.get("method")
    if method not in METHODS:
        raise ConfigurationError(f"method: {method!r}: write one of {', '.join(METHODS)}")
    if method == "bayes" and given.get("metric") is None:
        raise ConfigurationError(
            "method: bayes needs a metric to improve: write metric: {name: validation_accuracy, goal: maximize}"
        )
    parameters = _parameters(given.get("parameters"), method)
    cap = given.get("run_cap")
    return Definition(
        str(method), parameters, _fixed(parameters, fixed), whole_number("sweep_seed", seed, 0, LARGEST_SEED),
        _metric(given.get("metric")), None if cap is None else whole_number("run_cap", cap, 1),
        tuple(str(key) for key in given if key in IGNORED),
    )  # fmt: skip


def _parsed(source: str | Path) -> Mapping[str, Any]:
    if not isinstance(source, (str, Path)):
        raise ConfigurationError(f"the sweep is a {type(source).__name__}: give a dict, or the path of a sweep file")
    path = Path(source)
    found = read_yaml(path)
    if not isinstance(found, Mapping):
        raise FileError(f"{str(path)!r} holds {type(found).__name__}, no sweep: write method: and parameters:")
    return found


def _check_keys(given: Mapping[str, Any]) -> None:
    unknown = [str(key) for key in given if key not in (*USED, *IGNORED)]
    if unknown:
        raise ConfigurationError(
            f"unknown key {unknown[0]!r} in the sweep: it takes {', '.join(USED)}; options of train go below parameters"
        )


def _parameters(given: Any, method: Any) -> tuple[Parameter, ...]:
    if not isinstance(given, Mapping) or not given:
        raise ConfigurationError(f"parameters: {given!r}: write at least one, such as rate: {{values: [0.1, 0.01]}}")
    found = [read_parameter(str(name), entry) for name, entry in given.items()]
    names = [parameter.option.name for parameter in found]
    for parameter in found:
        if names.count(parameter.option.name) > 1:
            same = [other.written for other in found if other.option == parameter.option]
            raise ConfigurationError(f"parameters {' and '.join(map(repr, same))} are the same option: leave one out")
    return tuple(parameter.in_grid() if method == "grid" else parameter for parameter in found)


def _fixed(parameters: tuple[Parameter, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every other option of `train`, as given or by its default."""
    found = {name: option.default for name, option in train_options().items()}
    own = {parameter.option.name: parameter.written for parameter in parameters}
    for written, value in given.items():
        option = option_named(written)
        if option.name in own:
            raise ConfigurationError(
                f"{written}={value!r}: the sweep's parameter {own[option.name]!r} sets it too: leave one of them out"
            )
        found[option.name] = option.read(written, value)
    if found["dataset"] is None and "dataset" not in own:
        raise ConfigurationError(
            "the sweep names no dataset: write dataset: {value: xor} below parameters, or give --dataset xor "
            "(in Python dataset='xor')"
        )
    return {name: value for name, value in found.items() if name not in own}


def _metric(given: Any) -> tuple[str, str] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise ConfigurationError(f"metric: {given!r}: write name: and goal:, such as name: validation_accuracy")
    goal = given.get("goal", "minimize")
    if goal not in GOALS:
        raise ConfigurationError(f"metric has goal: {goal!r}: write {' or '.join(GOALS)}")
    return given["name"], goal
