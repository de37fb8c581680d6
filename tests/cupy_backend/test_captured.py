"""Captured epochs against the plain loop, on the fake CuPy: every layer, loss and optimizer."""

import numpy as np
import pytest
from fake_cupy import bare

import portable_bp as bp
from portable_bp.backend import Backend
from portable_bp.backpropagation import Model, training_step
from portable_bp.checking.cases import LAYERS, LOSSES, OPTIMIZERS
from portable_bp_cupy.compiled import CompiledEpoch
from portable_bp_numpy.replay import leaves_of

RNG = np.random.default_rng(5)
X, LABELS = RNG.normal(size=(12, 6)), RNG.integers(0, 4, 12)
ORDER = np.stack([RNG.permutation(12)[:5] for _ in range(6)])
CLOSE = {"float32": 2e-5, "float64": 1e-11}


def never(*_):
    raise AssertionError("the plain loop ran")


def require_captured(gpu, step, state, data, *orders, exact=False, dtype="float64"):
    """Require that the epoch is captured, twice, and ends where the plain loop does."""
    data = tuple(map(gpu.asarray, data))
    orders = [order if isinstance(order, int) else gpu.asarray(order) for order in orders]
    before = {path: np.array(array) for path, array in leaves_of(state)}
    with gpu.activate():
        epoch = gpu.compile(step, as_written=exact)
        assert isinstance(epoch, CompiledEpoch)
        epoch(state, data, orders)
        assert set(epoch.kinds) == {"graph"}
        epoch._plain = never
        found, losses = epoch(*epoch(state, data, orders)[:1], data, orders)
        plain = Backend.compile(gpu, step)
        expected, expected_losses = plain(*plain(state, data, orders)[:1], data, orders)
    for path, array in {("losses",): expected_losses, **dict(leaves_of(expected))}.items():
        own = losses if path == ("losses",) else dict(leaves_of(found))[path]
        assert gpu.owns(own)
        tolerance = 0 if exact else CLOSE[dtype]
        np.testing.assert_allclose(
            bare(own), bare(array), rtol=tolerance, atol=tolerance, strict=True, err_msg=str(path)
        )
    for path, array in leaves_of(state):
        np.testing.assert_array_equal(bare(array), before[path], err_msg=f"{path} was written into")
    return epoch


def network_step(gpu, layers, loss, rule, dtype="float64", arithmetic="native"):
    net = bp.Network(layers, loss, dtype=dtype, seed=3, backend=gpu, arithmetic=arithmetic)
    return training_step(net.backend.xp, net.model, net.backend.lower(rule)), net.start(rule), net


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rule", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_optimizer_and_schedule_is_captured(gpu, rule, dtype):
    layers = [bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 4)]
    step, state, _ = network_step(gpu, layers, bp.SoftmaxCrossEntropy(), rule, dtype)
    require_captured(gpu, step, state, (X.astype(dtype), LABELS), ORDER, dtype=dtype)


def around(layer, shape, width):
    """The layer between others, with so many inputs where it takes any number; first, where it takes images."""
    if shape != (6,):
        return [layer, bp.Dense(6, 4)]
    n_in, n_out = (layer.n_in, layer.n_out) if isinstance(layer, bp.Dense) else (width, width)
    return [bp.Dense(6, n_in), layer, bp.Dense(n_out, 4)]


@pytest.mark.parametrize("width", [6, 40])
@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)
def test_every_layer_is_captured_in_narrow_and_in_wide_kernels(gpu, layer, shape, width):
    step, state, _ = network_step(gpu, around(layer, shape, width), bp.SoftmaxCrossEntropy(), bp.Adam())
    require_captured(gpu, step, state, (X.reshape(12, *shape), LABELS), ORDER, ORDER[:2, :3])


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_is_captured_with_and_without_weights(gpu, loss):
    target = LABELS if loss.target_kind == "labels" else np.eye(4)[LABELS]
    step, state, _ = network_step(gpu, [bp.Dense(6, 4)], loss, bp.Momentum())
    require_captured(gpu, step, state, (X, target), ORDER)
    require_captured(gpu, step, state, (X, target, RNG.random(12)), ORDER)
    require_captured(gpu, step, state, (X, target), ORDER, ORDER[:2, :3], 4)  # batches of 5 and 3, and the whole set


@pytest.mark.parametrize("layer", [bp.ReLU(), bp.GELU(), bp.Dropout(0.3)], ids=str)
def test_reproducible_arithmetic_keeps_its_bits(gpu, layer):
    layers = [bp.Dense(6, 5), layer, bp.Dense(5, 4)]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=gpu, arithmetic="reproducible", seed=2)
    host = bp.Network(layers, bp.SoftmaxCrossEntropy(), arithmetic="reproducible", seed=2)
    for one in (net, host):
        one.fit(X, LABELS, optimizer=bp.Adam(0.01), epochs=3, batch_size=5)
    assert net._compiled[1]._captured
    assert net.digest() == host.digest()


@pytest.fixture
def without_threads(monkeypatch):
    """Populations are captured as a graph, as those are that are too large for a thread a member."""
    monkeypatch.setattr(CompiledEpoch, "_threads", lambda *_: None)


def test_a_population_with_rates_of_its_own_is_captured(gpu, without_threads):
    params = [{"weight": RNG.normal(size=(3, 6, 4)), "bias": np.zeros((3, 1, 4))}]
    params = [{name: gpu.asarray(array) for name, array in layer.items()} for layer in params]
    rule = bp.Adam(gpu.asarray(np.asarray([0.1, 0.01, 0.001]).reshape(3, 1, 1)))
    state = {"params": params, "optimizer": rule.init(gpu.xp, params), "step": gpu.asarray(np.zeros((), np.int64))}
    model = Model([bp.Dense(6, 4)], bp.SoftmaxCrossEntropy())
    require_captured(gpu, training_step(gpu.xp, model, rule), state, (X, LABELS), ORDER)


def test_a_deep_population_is_captured(gpu, without_threads):
    shapes = [(3, 6, 5), (3, 1, 5), (3, 5, 4), (3, 1, 4)]
    arrays = [gpu.asarray(RNG.normal(size=shape)) for shape in shapes]
    params = [{"weight": arrays[0], "bias": arrays[1]}, {}, {"weight": arrays[2], "bias": arrays[3]}]
    rule = bp.Adam(0.01)
    state = {"params": params, "optimizer": rule.init(gpu.xp, params), "step": gpu.asarray(np.zeros((), np.int64))}
    model = Model([bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 4)], bp.SoftmaxCrossEntropy())
    require_captured(gpu, training_step(gpu.xp, model, rule), state, (X, LABELS), ORDER, 3)


def test_more_steps_than_there_is_room_for_run_in_parts(gpu, monkeypatch):
    from portable_bp_cupy import captured

    monkeypatch.setattr(captured, "STEPS", 3)
    step, state, _ = network_step(gpu, [bp.Dense(6, 4)], bp.SoftmaxCrossEntropy(), bp.Adam())
    require_captured(gpu, step, state, (X, LABELS), 7)
    data = gpu.asarray(X), gpu.asarray(LABELS)
    epoch, plain = gpu.compile(step), Backend.compile(gpu, step)
    epoch(state, data, [gpu.asarray(ORDER[:2])])
    found, losses = epoch(state, data, [gpu.asarray(ORDER)])
    expected, expected_losses = plain(state, data, [gpu.asarray(ORDER)])
    np.testing.assert_allclose(bare(losses), bare(expected_losses), rtol=1e-12)
    weights = (bare(after["params"][0]["weight"]) for after in (found, expected))
    np.testing.assert_allclose(*weights, rtol=1e-12)


STATE = {"a": np.arange(4.0), "b": np.ones(4), "n": np.zeros((), np.int64), "more": [{"c": np.full((2, 2), 3.0)}]}
AWKWARD = {
    "exchanged": lambda xp, s, x: {**s, "a": s["b"], "b": s["a"]},
    "rotated by way of views": lambda xp, s, x: {**s, "a": xp.flip(s["b"]), "b": xp.flip(s["a"])},
    "the same twice": lambda xp, s, x: {**s, "a": s["a"] + x, "b": s["a"] + x},
    "constant": lambda xp, s, x: {**s, "a": xp.full(4, 7.0)},
    "a constant that varies": lambda xp, s, x: {**s, "a": xp.arange(4, dtype=xp.float64)},
    "read after its successor": lambda xp, s, x: {**s, "a": s["a"] * 2, "b": (s["a"] * 2) * s["a"] + xp.flip(s["a"])},
    "the successor is a view of the successor": lambda xp, s, x: {**s, "a": (s["a"] + x)[::-1], "b": s["a"] + x},
    "reshaped": lambda xp, s, x: {**s, "more": [{"c": xp.reshape(s["a"] * x, (2, 2))}]},
    "counted and used": lambda xp, s, x: {**s, "n": s["n"] + 1, "a": s["a"] * (s["n"] + 1)},
    "where over itself": lambda xp, s, x: {**s, "a": xp.where(s["a"] > 1, s["a"] * 2, s["a"] - 1)},
    "a product with itself": lambda xp, s, x: {
        **s, "more": [{"c": xp.matmul(s["more"][0]["c"], xp.matrix_transpose(s["more"][0]["c"])) / 20}]
    },
}  # fmt: skip


@pytest.mark.parametrize("change", AWKWARD.values(), ids=AWKWARD)
def test_awkward_changes_of_the_state_are_captured(gpu, change):
    def step(state, batch):
        xp = gpu.xp
        return change(xp, state, xp.sum(batch[0], axis=0)), xp.sum(state["a"]) + xp.sum(state["b"])

    state = {**STATE, "more": [{"c": gpu.asarray(STATE["more"][0]["c"])}]}
    state = {name: gpu.asarray(x) if isinstance(x, np.ndarray) else x for name, x in state.items()}
    require_captured(gpu, step, state, (RNG.normal(size=(12, 4)),), ORDER)
