"""The check of an optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_bp.arrays import Shape
from portable_bp.backend import Backend, get_backend
from portable_bp.checking.differences import named
from portable_bp.errors import GradientError
from portable_bp.optimizers import Optimizer
from portable_bp.optimizers.optimizer import OptimizerState, Tree
from portable_bp.streams import Stream
from portable_bp.testing.contract import networks_in_front, pair, require_part
from portable_bp.testing.requirements import (
    DTYPES,
    NETWORKS,
    Arrays,
    read,
    require_close,
    require_same_form,
    require_separate,
    require_untouched,
)

STEPS = 4  # enough for momentum, bias correction and schedules to have changed


def check_optimizer(rule: Optimizer, *, backend: str | Backend = "numpy", seed: int = 0) -> None:
    """Check an optimizer on a backend over some updates.

    Parameters and state against NumPy's; their names, shapes, dtypes and device; that no argument is written into; that
    K networks at once are K separate ones; that the state counts the updates in ``t``.
    """
    require_part(rule, Optimizer, "SGD(0.1)")
    place = get_backend(backend)
    with place.activate():
        for dtype in DTYPES:
            params, grads = _parameters(seed, dtype), [_parameters(seed + 1 + i, dtype) for i in range(STEPS)]
            found, expected = (_updated(rule, at, params, grads) for at in (place, get_backend("numpy")))
            require_close(found, expected, dtype, f"{rule} on {place}")
            for name, array in {"t": np.asarray(STEPS), **named(params)}.items():
                require_same_form(rule, name, found[name], array)
            if int(found["t"]) != STEPS:
                raise GradientError(f"{rule}: its state has t = {found['t']} after {STEPS} updates")
            _check_population(rule, place, dtype)


def _parameters(seed: int, dtype: str) -> list[Arrays]:
    shapes: list[dict[str, Shape]] = [{"weight": (4, 3), "bias": (1, 3)}, {}, {"weight": (3, 2)}]
    return [
        {name: Stream(seed, f"test/{name}", number).normal(shape).astype(dtype) for name, shape in layer.items()}
        for number, layer in enumerate(shapes)
    ]


def _updated(rule: Optimizer, backend: Backend, params: list[Arrays], grads: list[list[Arrays]]) -> Arrays:
    """Parameters and state after updates with each of ``grads``, as NumPy arrays by name."""
    lowered, xp = backend.lower(rule), backend.xp
    moved = _moved(backend, params)
    state = _counting(rule, "init", lowered.init(xp, moved))
    for given in grads:
        own = _moved(backend, given)
        before = {**named(moved), **{f"grad {n}": a for n, a in named(own).items()}, **_named_state(rule, state)}
        copies = read(rule, backend, before)
        moved, state = pair(rule, "update", "(params, state)", lowered.update(xp, moved, own, state))
        _require_names(rule, params, moved)
        _counting(rule, "update", state)
        require_untouched(rule, backend, before, copies)
    return read(rule, backend, {**named(moved), **_named_state(rule, state)})


def _moved(backend: Backend, tree: list[Arrays]) -> Tree:
    return [{name: backend.asarray(array) for name, array in layer.items()} for layer in tree]


def _counting(rule: Optimizer, method: str, state: Any) -> OptimizerState:
    if not isinstance(state, dict) or "t" not in state:
        came = f"one with {sorted(state) or 'no entries'}" if isinstance(state, dict) else type(state).__name__
        raise GradientError(
            f"{rule}: its state must count the updates in t; {method} returned {came}: begin with "
            "{'t': xp.zeros((), dtype=xp.int64)} and return state['t'] + 1"
        )
    return state


def _is_tree(tree: Any) -> bool:
    return isinstance(tree, list) and all(isinstance(layer, dict) for layer in tree)


def _require_names(rule: Optimizer, before: list[Arrays], after: Any) -> None:
    if not _is_tree(after):
        raise GradientError(
            f"{rule}: update must return the parameters as a list with one dict of arrays a layer; it returned "
            f"{type(after).__name__}: keep the form in which they came"
        )
    if [set(layer) for layer in before] != [set(layer) for layer in after]:
        raise GradientError(f"{rule} changed the names of the parameters")


def _named_state(rule: Optimizer, state: OptimizerState) -> Arrays:
    arrays = {"t": state["t"]}
    for slot, tree in state.items():
        if slot != "t" and not _is_tree(tree):
            raise GradientError(
                f"{rule}: {slot} in its state must be a list with one dict of arrays a layer; it is "
                f"{type(tree).__name__}: give it the form of the parameters"
            )
        arrays |= {} if slot == "t" else {f"{slot} {name}": array for name, array in named(tree).items()}
    return arrays


def _check_population(rule: Optimizer, backend: Backend, dtype: str) -> None:
    def stacked(first: int) -> list[Arrays]:
        members: list[Any] = [_parameters(first + 100 * k, dtype) for k in range(NETWORKS)]
        return [{n: np.stack([m[i][n] for m in members]) for n in layer} for i, layer in enumerate(members[0])]

    params, grads = stacked(0), [stacked(1 + i) for i in range(STEPS)]
    with networks_in_front(rule, params[0]["weight"].shape):
        together = _updated(rule, backend, params, grads)
    alone = []
    for k in range(NETWORKS):
        grads = [_parameters(1 + i + 100 * k, dtype) for i in range(STEPS)]
        alone.append(_updated(rule, backend, _parameters(100 * k, dtype), grads))
    separate = {name: alone[0][name] if name == "t" else np.stack([one[name] for one in alone]) for name in alone[0]}
    require_separate(rule, together, separate, dtype)
