"""The check of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from portable_bp.arrays import HostArray, Shape
from portable_bp.backend import Backend, get_backend
from portable_bp.backpropagation import Model
from portable_bp.checking.differences import INPUT, Objective, compare_with_differences
from portable_bp.errors import ConfigurationError, GradientError
from portable_bp.layers import Layer
from portable_bp.losses import MeanSquaredError
from portable_bp.philox import Draw, mask_key
from portable_bp.streams import Stream
from portable_bp.testing.contract import gradients, in_one_line, networks_in_front, pair, require_part
from portable_bp.testing.requirements import (
    ATOL,
    BATCH,
    DTYPES,
    NETWORKS,
    RTOL,
    Arrays,
    read,
    require_close,
    require_right,
    require_same,
    require_same_form,
    require_separate,
    require_untouched,
)


def check_layer(layer: Layer, shape: Shape, *, backend: str | Backend = "numpy", seed: int = 0) -> None:
    """Check a layer on inputs of ``shape`` (without the batch axis), on a backend.

    Its gradients against central differences (every parameter and the input, float64, random upstream); its results
    against NumPy's (float64 and float32); names, shapes, dtypes and device of what it returns; that it writes into no
    argument; that `backward_params` is `backward` without dx; that a batch of n is n batches of 1; and that a leading
    axis of K networks is K separate networks. A stochastic layer is checked while it draws; what says that it is
    elementwise, on single numbers and at 0.
    """
    require_part(layer, Layer, "Tanh()")
    shape, place = _checked(shape), get_backend(backend)
    with place.activate():
        _require_two_axes(layer, shape)
        _check_against_differences(_Call(layer, place, "float64", seed), shape)
        for dtype in DTYPES:
            call = _Call(layer, place, dtype, seed)
            params, x, dy = call.arguments(shape)
            found = call.everything(params, x, dy)
            expected = _Call(layer, get_backend("numpy"), dtype, seed).everything(params, x, dy)
            require_close(found, expected, dtype, f"{layer} on {place}")
            _require_names(layer, found, params, x)
            _check_rows(_Call(layer, place, dtype, seed, draws=False), params, x, dy)
            _check_population(call, shape)
        if layer.elementwise:
            _check_elementwise(_Call(layer, place, "float64", seed), shape)


def _checked(shape: Any) -> Shape:
    sizes = list(shape) if isinstance(shape, Sequence) else []
    if not sizes or not all(map(_is_size, sizes)):
        such = (shape,) if _is_size(shape) else (6,)
        raise ConfigurationError(
            f"check_layer got shape={in_one_line(repr(shape))}: shape must be a tuple such as {such}, one input's "
            "without the batch axis"
        )
    return tuple(sizes)


def _is_size(n: Any) -> bool:
    return isinstance(n, Integral) and not isinstance(n, bool) and int(n) >= 1


def _require_two_axes(layer: Layer, shape: Shape) -> None:
    for name, its in layer.param_shapes(shape).items():
        if len(its) < 2:
            raise GradientError(
                f"{type(layer).__name__}'s parameter {name!r} has the shape {its}: give it two axes, "
                f"{(1, *its) if its else (1, 1)}, and sum its gradient over axis={-2 if its else (-2, -1)}, "
                "keepdims=True, so that K networks can be stacked in front"
            )


class _Call:
    """Calls of one layer with NumPy arrays, on one backend in one dtype."""

    def __init__(self, layer: Layer, backend: Backend, dtype: str, seed: int = 0, *, draws: bool = True) -> None:
        self.layer, self.backend, self.dtype, self.seed, self.draws = backend.lower(layer), backend, dtype, seed, draws

    def arguments(self, shape: Shape, seed: int | None = None) -> tuple[Arrays, HostArray, HostArray]:
        """Random parameters, x and dy."""
        at = self.seed if seed is None else seed
        params = {
            name: Stream(at, f"test/{name}").normal(its).astype(self.dtype)
            for name, its in self.layer.param_shapes(shape).items()
        }
        x = Stream(at, "test/x").normal((BATCH, *shape)).astype(self.dtype)
        y = self._forward(self._moved(params), self.backend.asarray(x), self._draw())[0]
        its = read(self.layer, self.backend, {"y": y})["y"].shape
        if len(its) < 2 or its[0] != BATCH:
            raise GradientError(
                f"{self.layer}: y must have the shape ({BATCH}, …), a row per example; it has {its} for x of shape "
                f"{x.shape}: keep the batch axis first"
            )
        return params, x, Stream(at, "test/dy").normal(its).astype(self.dtype)

    def everything(self, params: Arrays, x: HostArray, dy: HostArray, draw: Draw | None = None) -> Arrays:
        """y, dx and the gradients, having checked that the arguments stayed and where the results are."""
        layer, backend, xp = self.layer, self.backend, self.backend.xp
        arguments = self._moved({**params, "x": x, "dy": dy})
        own = {name: arguments[name] for name in params}
        y, cache = self._forward(own, arguments["x"], draw or self._draw())
        dx, grads = pair(layer, "backward", "(dx, grads)", layer.backward(xp, own, cache, arguments["dy"]))
        grads = gradients(layer, "backward", grads)
        alone = gradients(layer, "backward_params", layer.backward_params(xp, own, cache, arguments["dy"]))
        results = {"y": y, "dx": dx, **grads, **{f"backward_params {name}": array for name, array in alone.items()}}
        require_untouched(layer, backend, arguments, {**params, "x": x, "dy": dy})
        return read(layer, backend, results)

    def _forward(self, params: Arrays, x: Any, draw: Draw | None) -> tuple[Any, Any]:
        more = (draw,) if self.layer.stochastic else ()
        return pair(self.layer, "forward", "(y, cache)", self.layer.forward(self.backend.xp, params, x, *more))

    def _moved(self, arrays: Arrays) -> Arrays:
        return {name: self.backend.asarray(array) for name, array in arrays.items()}

    def _draw(self) -> Draw | None:
        step = self.backend.xp.zeros((), dtype=self.backend.xp.int64)
        return Draw(mask_key(self.seed, 0), step) if self.draws else None

    def population_draw(self) -> Draw | None:
        """Draws of K networks with the seeds 0 .. K-1."""
        if not self.layer.stochastic:
            return None
        keys = np.asarray([mask_key(seed, 0) for seed in range(NETWORKS)])
        words = [self.backend.asarray(keys[:, word : word + 1]) for word in range(2)]
        return Draw((words[0], words[1]), self.backend.xp.zeros((), dtype=self.backend.xp.int64))


def _check_against_differences(call: _Call, shape: Shape) -> None:
    params, x, dy = call.arguments(shape)
    call.everything(params, x, dy)  # finds what is no pair or no array before it is taken for one
    model = Model([call.layer], MeanSquaredError(), call.seed)
    step = call.backend.xp.zeros((), dtype=call.backend.xp.int64)
    objective = Objective(call.backend, model, dy, step=step)
    point = {**{f"0.{name}": array for name, array in params.items()}, INPUT: x}
    for name, result in compare_with_differences(objective, point, RTOL, ATOL, call.seed).items():
        whose = f"{call.layer} on {call.backend}: the gradient of {name} differs from central differences"
        require_right(whose, result)


def _require_names(layer: Layer, found: Arrays, params: Arrays, x: HostArray) -> None:
    grads = set(found) - {"y", "dx"} - {f"backward_params {name}" for name in params}
    if grads != set(params):
        raise GradientError(f"{layer} has parameters {sorted(params)} and gradients {sorted(grads)}")
    for name, array in {"dx": x, **params}.items():
        require_same_form(layer, name, found[name], array)
    for name in params:
        require_same(layer, f"backward_params {name}", found[f"backward_params {name}"], found[name])


def _check_rows(call: _Call, params: Arrays, x: HostArray, dy: HostArray) -> None:
    whole = call.everything(params, x, dy)
    single = [call.everything(params, x[i : i + 1], dy[i : i + 1]) for i in range(BATCH)]
    rows = {name: np.concatenate([one[name] for one in single]) for name in ("y", "dx")}
    sums = {name: sum(one[name] for one in single) for name in params}
    require_close(
        {n: whole[n] for n in (*rows, *sums)}, {**rows, **sums}, call.dtype, f"{call.layer}: a batch against its rows"
    )


def _check_population(call: _Call, shape: Shape) -> None:
    members = [call.arguments(shape, seed) for seed in range(NETWORKS)]
    params = {name: np.stack([own[name] for own, _, _ in members]) for name in members[0][0]}
    x, dy = np.stack([x for _, x, _ in members]), np.stack([dy for _, _, dy in members])
    with networks_in_front(call.layer, x.shape):
        together = call.everything(params, x, dy, call.population_draw())
    alone = [_Call(call.layer, call.backend, call.dtype, seed).everything(*m) for seed, m in enumerate(members)]
    separate = {name: np.stack([one[name] for one in alone]) for name in together}
    require_separate(call.layer, together, separate, call.dtype)


def _check_elementwise(call: _Call, shape: Shape) -> None:
    """Each number alone must give what it gives among the others, and 0 something finite."""
    params, x, dy = call.arguments(shape)
    if params:
        raise GradientError(
            f"{call.layer} says that it is elementwise and has parameters: leave out elementwise = True"
        )
    together = call.everything({}, x, dy)
    alone = call.everything({}, np.reshape(x, (-1, 1)), np.reshape(dy, (-1, 1)))
    separate = {name: np.reshape(alone[name], together[name].shape) for name in together}
    whose = (
        f"{call.layer} says that it is elementwise, and its numbers depend on each other: leave out elementwise = True"
    )
    require_close(together, separate, call.dtype, whose)
    for name, array in call.everything({}, np.zeros((1, 1)), np.ones((1, 1))).items():
        if not np.isfinite(array).all():
            raise GradientError(
                f"{call.layer}: {name} is {array[0, 0]} where x is 0; an elementwise layer's must be finite at x = 0"
            )
