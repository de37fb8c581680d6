"""Gradients held against central differences, for every parameter and the input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isnan
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from portable_bp.arguments import whole_number
from portable_bp.arrays import HostArray
from portable_bp.backend import Backend, Batch
from portable_bp.backpropagation import Model
from portable_bp.checking.report import Check, Report
from portable_bp.errors import GradientError

if TYPE_CHECKING:
    from portable_bp.network import Network

STEP = 1e-5  # truncation ~ STEP² and rounding ~ 1e-16 / STEP are then both near 1e-10
NUDGE = 1e-3  # how far a point is moved away from a kink, much more than STEP
ATTEMPTS = 20
INPUT = "input"

Point = dict[str, HostArray]
"""Named float64 arrays at which gradients are taken: "0.weight", …, and "input"."""


@dataclass(frozen=True)
class Objective:
    """J = Σ R ⊙ y + loss(y, target) as a function of the parameters and the input, with a fixed random R.

    A random upstream gradient R shows errors that a gradient of ones would hide; without a target no loss is added.
    """

    backend: Backend
    model: Model
    upstream: HostArray
    target: Batch = ()
    step: Any = None

    def value(self, point: Point) -> tuple[float, bytes]:
        """J at a point, and on which side of its kinks every layer's input lies."""
        xp, params, x = self._on_device(point)
        sides = []
        for number, layer in enumerate(self.model.layers):
            sides += [self.backend.to_numpy(x > kink).tobytes() for kink in layer.kinks]
            x, _ = self.model.forward_layer(xp, number, params[number], x, self.step)
        total = float(np.sum(self.upstream * self.backend.to_numpy(x)))
        if self.target:
            total += float(self.model.loss.forward(xp, x, *self.target)[0])
        return total, b"".join(sides)

    def gradients(self, point: Point) -> Point:
        """∂J/∂(everything in the point), by backpropagation."""
        xp, params, x = self._on_device(point)
        y, caches = self.model.forward(xp, params, x, self.step)
        dy = self.backend.asarray(self.upstream)
        if self.target:
            dy = dy + self.model.loss.backward(xp, self.model.loss.forward(xp, y, *self.target)[1])
        dx, grads = self.model.backward(xp, params, caches, dy)
        return {name: self.backend.to_numpy(array) for name, array in {**named(grads), INPUT: dx}.items()}

    def _on_device(self, point: Point) -> tuple[Any, list[dict[str, Any]], Any]:
        params: list[dict[str, Any]] = [{} for _ in self.model.layers]
        for name, array in point.items():
            if name != INPUT:
                number, _, parameter = name.partition(".")
                params[int(number)][parameter] = self.backend.asarray(array)
        return self.backend.xp, params, self.backend.asarray(point[INPUT])


def named(tree: list[dict[str, Any]]) -> dict[str, Any]:
    """Arrays of a tree by names such as "0.weight"."""
    return {f"{number}.{name}": array for number, layer in enumerate(tree) for name, array in layer.items()}


def central_difference(f: Callable[[Point], tuple[float, bytes]], point: Point, name: str, at: Any) -> float | None:
    """(f(θ + h) - f(θ - h)) / 2h for one element; None where a kink lies between the two."""
    values, sides = [], set()
    for h in (STEP, -STEP):
        moved = point[name].copy()
        moved[at] += h
        value, side = f({**point, name: moved})
        values.append(value)
        sides.add(side)
    return (values[0] - values[1]) / (2 * STEP) if len(sides) == 1 else None


@dataclass
class Comparison:
    """The worst element of one array so far: by how much of its tolerance backpropagation and differences differ."""

    rtol: float
    atol: float
    worst: float = 0.0
    words: str = ""
    pending: list[Any] = field(default_factory=list)
    """Elements that a kink has kept from being compared."""

    compared: int = 0

    @property
    def wrong(self) -> bool:
        """Whether an element is off by more than the tolerance, is NaN, or couldn't be compared."""
        return not self.worst <= 1.0 or bool(self.pending)

    def add(self, at: Any, analytic: float, numeric: float) -> None:
        """Take one element into account."""
        self.compared += 1
        ratio = abs(analytic - numeric) / (self.atol + self.rtol * abs(numeric))
        if not isnan(self.worst) and not (self.words and ratio <= self.worst):  # a NaN stays the worst
            index = [int(i) for i in at]
            self.worst = ratio
            self.words = f"{index}: backpropagation {analytic:.9g}, difference {numeric:.9g}"


def compare_with_differences(
    objective: Objective, point: Point, rtol: float, atol: float, seed: int, elements: int | None = None
) -> dict[str, Comparison]:
    """Hold gradients to central differences; elements at a kink are tried again at points nearby.

    ``elements`` is the number drawn at random from each array, None for all. To ``atol`` is added what the rounding of
    J does to a difference.
    """
    noise = np.random.Generator(np.random.Philox(key=seed))
    atol += 8 * float(np.finfo(np.float64).eps) * abs(objective.value(point)[0]) / STEP
    found = {
        name: Comparison(rtol, atol, pending=_drawn(array.shape, elements, noise)) for name, array in point.items()
    }
    for _ in range(ATTEMPTS):
        gradients = objective.gradients(point)
        for name, comparison in found.items():
            _compare_pending(objective, point, gradients, name, comparison)
        if not any(comparison.pending for comparison in found.values()):
            break
        point = {name: array + NUDGE * noise.standard_normal(array.shape) for name, array in point.items()}
    return found


def _drawn(shape: tuple[int, ...], elements: int | None, noise: np.random.Generator) -> list[Any]:
    size = int(np.prod(shape))
    if elements is None or elements >= size:
        return list(np.ndindex(shape))
    flat = np.sort(noise.choice(size, elements, replace=False))
    return list(zip(*(axis.tolist() for axis in np.unravel_index(flat, shape)), strict=True))


def _compare_pending(objective: Objective, point: Point, gradients: Point, name: str, comparison: Comparison) -> None:
    got = gradients[name].shape if name in gradients else "nothing"
    if got != point[name].shape:
        raise GradientError(f"the gradient of {name} must have the shape {point[name].shape}; backward gave {got}")
    crossed = []
    for at in comparison.pending:
        numeric = central_difference(objective.value, point, name, at)
        if numeric is None:
            crossed.append(at)
        else:
            comparison.add(at, float(gradients[name][at]), numeric)
    comparison.pending = crossed


def check_gradients(
    net: Network, x: Any, y: Any, *, elements: int | None = None, rtol: float = 1e-6, atol: float = 1e-8, seed: int = 0
) -> Report:
    """Hold every gradient of a network to central differences, in float64, on the network's backend.

    Checked are all parameters and the input under a random upstream gradient with the loss included, and the loss's own
    gradient: |backpropagation - difference| ≤ atol + rtol |difference| for every element, atol raised by what the
    rounding of a large loss does. Dropout draws as in step 0. Elements whose difference would cross a kink are compared
    at a point nearby. The cost is two forward passes an element: give a few examples, and for a large network
    ``elements``, the number to draw at random from each array.

    Returns a report that prints as a table; raises GradientError, with that table, where a gradient is wrong.
    """
    drawn = None if elements is None else whole_number("elements", elements, 1, hint=", or None for all")
    double = in_float64(net)
    with double.backend.activate():
        return _check(double, double.preparation.batch(x, y), rtol, atol, seed, drawn).require()


def in_float64(net: Network) -> Network:
    """Copy a network in float64: the same layers, backend and parameters."""
    from portable_bp.network import Network

    return Network(
        net.layers,
        net.loss,
        backend=net.backend,
        dtype="float64",
        precision="full",
        seed=net.seed,
        input_shape=net.architecture.input_shape,
        params=[{name: net.backend.to_numpy(array) for name, array in layer.items()} for layer in net.params],
    )


def _check(net: Network, batch: Batch, rtol: float, atol: float, seed: int, elements: int | None) -> Report:
    backend, xp = net.backend, net.backend.xp
    step = xp.zeros((), dtype=xp.int64)
    x = net.model.numbers(xp, batch[0])
    y, _ = net.model.forward(xp, net.params, x, step)
    upstream = np.random.Generator(np.random.Philox(key=seed)).standard_normal(tuple(y.shape))
    point = {name: backend.to_numpy(array) for name, array in {**named(net.params), INPUT: x}.items()}
    objective = Objective(backend, net.model, upstream, batch[1:], step)
    _say_how_long(objective, point, elements)
    found = compare_with_differences(objective, point, rtol, atol, seed, elements)
    alone = Objective(backend, Model((), net.model.loss), np.zeros(tuple(y.shape)), batch[1:])
    loss = compare_with_differences(alone, {INPUT: backend.to_numpy(y)}, rtol, atol, seed, elements)[INPUT]
    names = {str(number): type(layer).__name__ for number, layer in enumerate(net.layers)}
    rows = [_row(names.get(name.split(".")[0], "network"), name, point[name], its) for name, its in found.items()]
    rows.append(_row(type(net.loss).__name__, "outputs", upstream, loss))
    return Report("gradients against central differences", rows, _suspects(net, {**found, "outputs": loss}))


def _say_how_long(objective: Objective, point: Point, elements: int | None) -> None:
    """Announce a check of more than half a minute, before it starts."""
    started = perf_counter()
    objective.value(point)
    count = sum(array.size if elements is None else min(elements, array.size) for array in point.values())
    minutes = 2 * count * (perf_counter() - started) / 60
    if minutes > 0.5:
        print(
            f"check_gradients: {count:,} elements, about {minutes:.0f} min; elements=100 draws 100 from each array",
            file=sys.stderr,
        )


def _suspects(net: Network, found: dict[str, Comparison]) -> str:
    """Where to look, from which gradients are wrong: an error shows in its own layer and in all in front of it."""
    if found["outputs"].wrong:
        return f"the gradient of {type(net.loss).__name__} itself is wrong: mend it first"
    layers = {name: -1 if name == INPUT else int(name.split(".")[0]) for name in found if name != "outputs"}
    last = max((number for name, number in layers.items() if found[name].wrong), default=None)
    if last is None:
        return ""
    right = min((n for name, n in layers.items() if not found[name].wrong and n > last), default=len(net.layers) - 1)
    first = max(last, 0)
    parts = ", ".join(f"{n} {type(net.layers[n]).__name__}" for n in range(first, right + 1))
    return f"from the output back to layer {right} the gradients are right: look at the backward of {parts}"


def _row(layer: str, name: str, array: HostArray, result: Comparison) -> Check:
    unchecked = f"{len(result.pending)} elements stay at a kink; " if result.pending else ""
    cells = {"layer": layer, "array": name, "elements": result.compared, "error ÷ tolerance": result.worst}
    return Check({**cells, "worst element": unchecked + result.words}, ok=not result.wrong)
