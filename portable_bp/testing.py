"""Conformance checks for layers, losses, optimizers and backends of your own; portable_bp's go through the same ones.

Each check returns None or raises GradientError (an AssertionError) that names what is wrong:

    from portable_bp import testing
    testing.check_layer(MyLayer(), shape=(6,))
    testing.check_backend(MyBackend())
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portable_bp.arrays import HostArray, Shape
from portable_bp.backend import Backend, Batch, State, get_backend
from portable_bp.backpropagation import Model
from portable_bp.checking.cases import LAYERS, LOSSES, OPTIMIZERS
from portable_bp.checking.comparison import TOLERANCE, difference
from portable_bp.checking.differences import INPUT, Objective, compare_with_differences, named
from portable_bp.checking.verification import targets_for
from portable_bp.errors import GradientError
from portable_bp.layers import Layer
from portable_bp.losses import Loss, MeanSquaredError
from portable_bp.optimizers import Optimizer
from portable_bp.optimizers.optimizer import OptimizerState, Tree
from portable_bp.philox import Draw, mask_key
from portable_bp.streams import Stream

__all__ = ["check_backend", "check_layer", "check_loss", "check_optimizer"]

BATCH, NETWORKS, STEPS, N_OUT = 5, 3, 4, 3
DTYPES = ("float64", "float32")
RTOL, ATOL = 1e-6, 1e-8  # of gradients against central differences in float64
Arrays = dict[str, Any]


def check_layer(layer: Layer, shape: Shape, *, backend: str | Backend = "numpy", seed: int = 0) -> None:
    """Check a layer on inputs of ``shape`` (without the batch axis), on a backend.

    Its gradients against central differences (every parameter and the input, float64, random upstream); its results
    against NumPy's (float64 and float32); names, shapes, dtypes and device of what it returns; that it writes into no
    argument; that `backward_params` is `backward` without dx; that a batch of n is n batches of 1; and that a leading
    axis of K networks is K separate networks. A stochastic layer is checked while it draws.
    """
    place = get_backend(backend)
    with place.activate():
        _check_against_differences(_LayerCall(layer, place, "float64", seed), shape)
        for dtype in DTYPES:
            call = _LayerCall(layer, place, dtype, seed)
            params, x, dy = call.arguments(shape)
            found = call.everything(params, x, dy)
            _require_close(
                found, _on_numpy(_LayerCall, layer, dtype, seed).everything(params, x, dy), dtype, f"{layer} on {place}"
            )
            _require_names(layer, found, params, x)
            _check_rows(_LayerCall(layer, place, dtype, seed, draws=False), params, x, dy)
            _check_population(call, shape)


class _LayerCall:
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
        return params, x, Stream(at, "test/dy").normal(tuple(y.shape)).astype(self.dtype)

    def everything(self, params: Arrays, x: HostArray, dy: HostArray, draw: Draw | None = None) -> Arrays:
        """y, dx and the gradients, having checked that the arguments stayed and where the results are."""
        backend, xp = self.backend, self.backend.xp
        arguments = self._moved({**params, "x": x, "dy": dy})
        own = {name: arguments[name] for name in params}
        y, cache = self._forward(own, arguments["x"], draw or self._draw())
        dx, grads = self.layer.backward(xp, own, cache, arguments["dy"])
        alone = self.layer.backward_params(xp, own, cache, arguments["dy"])
        results = {"y": y, "dx": dx, **grads, **{f"backward_params {name}": array for name, array in alone.items()}}
        _require_untouched(self.layer, backend, arguments, {**params, "x": x, "dy": dy})
        return _read(self.layer, backend, results)

    def _forward(self, params: Arrays, x: Any, draw: Draw | None) -> tuple[Any, Any]:
        if self.layer.stochastic:
            return self.layer.forward(self.backend.xp, params, x, draw)  # type: ignore[call-arg]
        return self.layer.forward(self.backend.xp, params, x)

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


def _on_numpy(call: Callable[..., Any], part: Any, *arguments: Any) -> Any:
    return call(part, get_backend("numpy"), *arguments)


def _check_against_differences(call: _LayerCall, shape: Shape) -> None:
    params, x, dy = call.arguments(shape)
    model = Model([call.layer], MeanSquaredError(), call.seed)
    step = call.backend.xp.zeros((), dtype=call.backend.xp.int64)
    objective = Objective(call.backend, model, dy, step=step)
    point = {**{f"0.{name}": array for name, array in params.items()}, INPUT: x}
    for name, result in compare_with_differences(objective, point, RTOL, ATOL, call.seed).items():
        if result.worst > 1.0 or result.pending:
            raise GradientError(
                f"{call.layer} on {call.backend}: the gradient of {name} differs from central differences by "
                f"{result.worst:.3g} times the tolerance, worst {result.words}"
            )


def _check_rows(call: _LayerCall, params: Arrays, x: HostArray, dy: HostArray) -> None:
    whole = call.everything(params, x, dy)
    single = [call.everything(params, x[i : i + 1], dy[i : i + 1]) for i in range(BATCH)]
    rows = {name: np.concatenate([one[name] for one in single]) for name in ("y", "dx")}
    sums = {name: sum(one[name] for one in single) for name in params}
    _require_close(
        {n: whole[n] for n in (*rows, *sums)}, {**rows, **sums}, call.dtype, f"{call.layer}: a batch against its rows"
    )


def _check_population(call: _LayerCall, shape: Shape) -> None:
    members = [call.arguments(shape, seed) for seed in range(NETWORKS)]
    params = {name: np.stack([own[name] for own, _, _ in members]) for name in members[0][0]}
    x, dy = np.stack([x for _, x, _ in members]), np.stack([dy for _, _, dy in members])
    together = call.everything(params, x, dy, call.population_draw())
    alone = [_LayerCall(call.layer, call.backend, call.dtype, seed).everything(*m) for seed, m in enumerate(members)]
    separate = {name: np.stack([one[name] for one in alone]) for name in together}
    _require_close(together, separate, call.dtype, f"{call.layer}: {NETWORKS} networks at once against one by one")


def check_loss(loss: Loss, *, backend: str | Backend = "numpy", seed: int = 0) -> None:
    """Check a loss on a backend.

    Its gradient against central differences of its value (float64), with and without weights; both against NumPy's;
    that a weight of 2 counts a row twice; that K networks at once are K separate ones; that no argument is changed.
    """
    place = get_backend(backend)
    with place.activate():
        _check_loss_differences(place.lower(loss), place, seed)
        for dtype in DTYPES:
            call = _LossCall(loss, place, dtype)
            y, target, weight = call.arguments(seed)
            for weights in (None, weight):
                found, expected = (c.everything(y, target, weights) for c in (call, _on_numpy(_LossCall, loss, dtype)))
                _require_close(found, expected, dtype, f"{loss} on {place}")
                _require_same_form(loss, "dy", found["dy"], y)
            _check_weight_two(call, y, target)
            _check_loss_population(call)


class _LossCall:
    """Calls of one loss with NumPy arrays, on one backend in one dtype."""

    def __init__(self, loss: Loss, backend: Backend, dtype: str) -> None:
        self.loss, self.backend, self.dtype = backend.lower(loss), backend, dtype

    def arguments(self, seed: int) -> tuple[HostArray, HostArray, HostArray]:
        """Random outputs, targets and weights."""
        y = Stream(seed, "test/y").normal((BATCH, N_OUT)).astype(self.dtype)
        target = targets_for(self.loss, N_OUT, BATCH)
        weight = (Stream(seed, "test/weight").uniform((BATCH,)) + 2).astype(self.dtype)
        return y, target if self.loss.target_kind == "labels" else target.astype(self.dtype), weight

    def everything(self, y: HostArray, target: HostArray, weight: HostArray | None = None) -> Arrays:
        """The value and dy, having checked that the arguments stayed and where the results are."""
        given = {"y": y, "target": target, **({} if weight is None else {"weight": weight})}
        moved = {name: self.backend.asarray(array) for name, array in given.items()}
        value, cache = self.loss.forward(self.backend.xp, *moved.values())
        dy = self.loss.backward(self.backend.xp, cache)
        _require_untouched(self.loss, self.backend, moved, given)
        return _read(self.loss, self.backend, {"value": value, "dy": dy})


def _check_loss_differences(loss: Loss, backend: Backend, seed: int) -> None:
    y, target, weight = _LossCall(loss, backend, "float64").arguments(seed)
    for batch in ((target,), (target, weight)):
        moved = tuple(backend.asarray(array) for array in batch)
        objective = Objective(backend, Model((), loss), np.zeros_like(y), moved)
        result = compare_with_differences(objective, {INPUT: y}, RTOL, ATOL, seed)[INPUT]
        if result.worst > 1.0:
            raise GradientError(
                f"{loss} on {backend}: its gradient differs from central differences of its value by "
                f"{result.worst:.3g} times the tolerance, worst {result.words}"
            )


def _check_weight_two(call: _LossCall, y: HostArray, target: HostArray) -> None:
    twice = np.ones(BATCH, dtype=call.dtype)
    twice[0] = 2
    value = call.everything(y, target, twice)["value"]
    both = call.everything(np.concatenate([y, y[:1]]), np.concatenate([target, target[:1]]))["value"]
    expected = both * np.asarray((BATCH + 1) / BATCH, both.dtype) if call.loss.averages else both
    _require_close({"value": value}, {"value": expected}, call.dtype, f"{call.loss}: a weight of 2 against a row twice")


def _check_loss_population(call: _LossCall) -> None:
    members = [call.arguments(seed) for seed in range(NETWORKS)]
    target = members[0][1]
    together = call.everything(np.stack([y for y, _, _ in members]), target)
    alone = [call.everything(y, target) for y, _, _ in members]
    separate = {name: np.stack([one[name] for one in alone]) for name in together}
    _require_close(together, separate, call.dtype, f"{call.loss}: {NETWORKS} networks at once against one by one")


def check_optimizer(rule: Optimizer, *, backend: str | Backend = "numpy", seed: int = 0) -> None:
    """Check an optimizer on a backend over some updates.

    Parameters and state against NumPy's; their names, shapes, dtypes and device; that no argument is written into; that
    K networks at once are K separate ones; that the state counts the updates in ``t``.
    """
    place = get_backend(backend)
    with place.activate():
        for dtype in DTYPES:
            params, grads = _parameters(seed, dtype), [_parameters(seed + 1 + i, dtype) for i in range(STEPS)]
            found, expected = (_updated(rule, at, params, grads) for at in (place, get_backend("numpy")))
            _require_close(found, expected, dtype, f"{rule} on {place}")
            if int(found["t"]) != STEPS:
                raise GradientError(f"{rule}: its state has t = {found['t']} after {STEPS} updates")
            _check_optimizer_population(rule, place, dtype)


def _parameters(seed: int, dtype: str) -> list[Arrays]:
    shapes: list[dict[str, Shape]] = [{"weight": (4, 3), "bias": (1, 3)}, {}, {"weight": (3, 2)}]
    return [
        {name: Stream(seed, f"test/{name}", number).normal(shape).astype(dtype) for name, shape in layer.items()}
        for number, layer in enumerate(shapes)
    ]


def _updated(rule: Optimizer, backend: Backend, params: list[Arrays], grads: list[list[Arrays]]) -> Arrays:
    """Parameters and state after updates with each of ``grads``, as NumPy arrays by name."""
    lowered, xp = backend.lower(rule), backend.xp
    moved = _moved_tree(backend, params)
    state = lowered.init(xp, moved)
    for given in grads:
        own = _moved_tree(backend, given)
        before = {**named(moved), **{f"grad {n}": a for n, a in named(own).items()}, **_named_state(state)}
        copies = {name: backend.to_numpy(array) for name, array in before.items()}
        moved, state = lowered.update(xp, moved, own, state)
        _require_untouched(rule, backend, before, copies)
    _require_form(rule, params, moved)
    return _read(rule, backend, {**named(moved), **_named_state(state)})


def _moved_tree(backend: Backend, tree: list[Arrays]) -> Tree:
    return [{name: backend.asarray(array) for name, array in layer.items()} for layer in tree]


def _named_state(state: OptimizerState) -> Arrays:
    trees = {f"{slot} {n}": a for slot, tree in state.items() if slot != "t" for n, a in named(tree).items()}
    return {"t": state["t"], **trees}


def _check_optimizer_population(rule: Optimizer, backend: Backend, dtype: str) -> None:
    def stacked(first: int) -> list[Arrays]:
        members: list[Any] = [_parameters(first + 100 * k, dtype) for k in range(NETWORKS)]
        return [{n: np.stack([m[i][n] for m in members]) for n in layer} for i, layer in enumerate(members[0])]

    together = _updated(rule, backend, stacked(0), [stacked(1 + i) for i in range(STEPS)])
    for k in range(NETWORKS):
        grads = [_parameters(1 + i + 100 * k, dtype) for i in range(STEPS)]
        alone = _updated(rule, backend, _parameters(100 * k, dtype), grads)
        member = {name: array if name == "t" else array[k] for name, array in together.items()}
        _require_close(member, alone, dtype, f"{rule}: {NETWORKS} networks at once against one by one")


def check_backend(backend: Backend) -> None:
    """Check a backend: moving, creating and owning arrays, the compiled epoch, and every layer, loss and optimizer."""
    with backend.activate():
        _check_arrays(backend)
        _check_epoch(backend)
    for layer, shape in LAYERS.values():
        check_layer(layer, shape, backend=backend)
    for loss in LOSSES.values():
        check_loss(loss, backend=backend)
    for rule in OPTIMIZERS.values():
        check_optimizer(rule, backend=backend)


def _check_arrays(backend: Backend) -> None:
    xp = backend.xp
    for dtype in (*DTYPES, "int64", "bool"):
        host = np.asarray([[0, 1, 2]]).astype(dtype)
        array = backend.asarray(host)
        _require_same(backend, f"to_numpy(asarray({dtype}))", backend.to_numpy(array), host)
        host[0, 0] = 1
        if not backend.owns(array) or backend.to_numpy(array)[0, 0] != 0:
            raise GradientError(f"{backend}: asarray({dtype}) must give a copy that the backend owns")
    created = {"zeros": xp.zeros((2,), dtype=xp.float32), "arange": xp.arange(3, dtype=xp.int64)}
    for name, array in created.items():
        if not backend.owns(array):
            raise GradientError(f"{backend}: xp.{name} without device must create on the backend's device")
    if backend.owns(object()):
        raise GradientError(f"{backend} says that it owns what is no array")
    backend.synchronize()


def _check_epoch(backend: Backend) -> None:
    """Check `compile` against the plain loop that the contract describes."""
    xp = backend.xp

    def step(state: State, batch: Batch) -> tuple[State, Any]:
        total = xp.sum(batch[0])
        return {"sum": state["sum"] + total, "n": state["n"] + 1}, total

    rows = np.arange(12.0).reshape(6, 2)
    order = np.asarray([[5, 0], [1, 1], [3, 4]])
    state = {"sum": xp.zeros((), dtype=xp.float64), "n": xp.zeros((), dtype=xp.int64)}
    final, losses = backend.compile(step)(state, (backend.asarray(rows),), backend.asarray(order))
    expected = rows[order].sum(axis=(1, 2))
    found = {"losses": losses, **final}
    wanted = {"losses": expected, "sum": np.asarray(expected.sum()), "n": np.asarray(len(order))}
    for name, array in wanted.items():
        _require_same(backend, f"compile: {name}", backend.to_numpy(found[name]), array)


def _read(part: Any, backend: Backend, arrays: Arrays) -> Arrays:
    """Read arrays from the device, having checked that they are on it."""
    for name, array in arrays.items():
        if not backend.owns(array):
            raise GradientError(f"{part}: {name} is {type(array).__name__}, not an array on {backend}")
    return {name: backend.to_numpy(array) for name, array in arrays.items()}


def _require_untouched(part: Any, backend: Backend, arrays: Arrays, before: Arrays) -> None:
    for name, array in arrays.items():
        if not np.array_equal(backend.to_numpy(array), before[name]):
            raise GradientError(f"{part} wrote into its argument {name}")


def _require_names(layer: Layer, found: Arrays, params: Arrays, x: HostArray) -> None:
    grads = set(found) - {"y", "dx"} - {f"backward_params {name}" for name in params}
    if grads != set(params):
        raise GradientError(f"{layer} has parameters {sorted(params)} and gradients {sorted(grads)}")
    for name, array in {"dx": x, **params}.items():
        _require_same_form(layer, name, found[name], array)
    for name in params:
        _require_same(layer, f"backward_params {name}", found[f"backward_params {name}"], found[name])


def _require_form(rule: Optimizer, before: list[Arrays], after: Tree) -> None:
    if [set(layer) for layer in before] != [set(layer) for layer in after]:
        raise GradientError(f"{rule} changed the names of the parameters")


def _require_same_form(part: Any, name: str, found: HostArray, wanted: HostArray) -> None:
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        raise GradientError(
            f"{part}: {name} must be {wanted.dtype} of shape {wanted.shape}; it is {found.dtype} of shape {found.shape}"
        )


def _require_same(part: Any, name: str, found: HostArray, wanted: HostArray) -> None:
    _require_same_form(part, name, found, wanted)
    if not np.array_equal(found, wanted):
        raise GradientError(f"{part}: {name} must be {wanted.tolist()}; it is {found.tolist()}")


def _require_close(found: Arrays, expected: Arrays, dtype: str, what: str) -> None:
    if set(found) != set(expected):
        raise GradientError(f"{what}: has the arrays {sorted(found)}, not {sorted(expected)}")
    for name, array in expected.items():
        size = difference(np.asarray(found[name]), np.asarray(array))
        if not size <= TOLERANCE[dtype]:
            raise GradientError(f"{what}: {name} differs by {size:.3g} in {dtype}; allowed are {TOLERANCE[dtype]:g}")
