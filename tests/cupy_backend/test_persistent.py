"""The kernel for whole epochs against the plain loop, its threads as fibers: all layers, losses, optimizers.

Blocks have 32 threads here and there are 5 of them. ``spread`` are limits under which nothing is so small that one
block would do it alone, so that all ways to share the work come up.
"""

import os
import subprocess
from itertools import pairwise

import fake_cupy
import numpy as np
import pytest
from fake_cupy import bare
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_captured import AWKWARD, LABELS, ORDER, STATE, X, around, network_step
from test_kernels import BINARY_CHOICE, NVCC, UNARY_CHOICE, random_step

import portable_bp as bp
from portable_bp.backend import Backend
from portable_bp.backpropagation import Model, training_step
from portable_bp.checking.cases import LAYERS, LOSSES, OPTIMIZERS
from portable_bp_cupy.persistent import kernel, tiling
from portable_bp_cupy.persistent.dividing import works
from portable_bp_cupy.persistent.kernel import Persistent
from portable_bp_cupy.persistent.layout import Layout
from portable_bp_cupy.persistent.phases import Limits, phases
from portable_bp_cupy.persistent.tiling import Machine
from portable_bp_cupy.recorded import record
from portable_bp_cupy.workbench import OPTIONS, Workbench
from portable_bp_numpy.replay import leaves_of

RNG = np.random.default_rng(5)
CLOSE = {"float32": 2e-5, "float64": 1e-11}
ALWAYS = -1e9
"""Cycles that it costs to add up the parts of a split product, so that all are split that can be."""
SPREAD = {"alone": Limits(), "spread": Limits(0, 0), "tiles": Limits(0, 0, 0)}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(kernel, "THREADS", 32)
    monkeypatch.setattr(kernel, "LIMITS", SPREAD["spread"])
    monkeypatch.setattr(fake_cupy.RawModule, "seed", 0)


@pytest.fixture(params=SPREAD)
def limits(request, monkeypatch):
    """As they are, and so that the work is shared whatever it costs."""
    monkeypatch.setattr(kernel, "LIMITS", SPREAD[request.param])


def require_same(gpu, step, state, data, *orders, exact=False, dtype="float64"):
    """Require the plain loop's results of an epoch for each order, and of a second one behind it."""
    data = tuple(map(gpu.asarray, data))
    orders = [order if isinstance(order, int) else gpu.asarray(order) for order in orders]
    plain, tolerance = Backend.compile(gpu, step), 0 if exact else CLOSE[dtype]
    for order in orders:
        own, now = Persistent(Workbench(gpu._cupy), step, state, data, order, gpu.xp), state
        after = dict(leaves_of(state))
        for _ in range(2):
            (losses,) = own(after, data, order)
            after = own.state
            now, expected = plain(now, data, [order])
            for path, array in {("losses",): expected, **dict(leaves_of(now))}.items():
                found = losses if path == ("losses",) else after[path]
                np.testing.assert_allclose(
                    bare(found), bare(array), rtol=tolerance, atol=tolerance, strict=True, err_msg=str(path)
                )
    return own


@pytest.mark.parametrize("rule", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_optimizer_and_schedule_runs_in_one_kernel(gpu, rule):
    layers = [bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 4)]
    step, state, _ = network_step(gpu, layers, bp.SoftmaxCrossEntropy(), rule)
    require_same(gpu, step, state, (X, LABELS), ORDER)


@pytest.mark.parametrize("width", [6, 40])
@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)
def test_every_layer_runs_in_one_kernel(gpu, layer, shape, width):
    step, state, _ = network_step(gpu, around(layer, shape, width), bp.SoftmaxCrossEntropy(), bp.Adam())
    require_same(gpu, step, state, (X.reshape(12, *shape), LABELS), ORDER)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_runs_in_one_kernel_with_and_without_weights(gpu, loss):
    target = LABELS if loss.target_kind == "labels" else np.eye(4)[LABELS]
    step, state, _ = network_step(gpu, [bp.Dense(6, 4)], loss, bp.Momentum())
    require_same(gpu, step, state, (X, target), ORDER, 4)
    require_same(gpu, step, state, (X, target, RNG.random(12)), ORDER)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_deep_network_runs_in_one_kernel(gpu, limits, dtype):
    layers = [bp.Dense(6, 33), bp.ReLU(), bp.Dense(33, 40), bp.GELU(), bp.Dense(40, 7), bp.Tanh(), bp.Dense(7, 4)]
    step, state, _ = network_step(gpu, layers, bp.SoftmaxCrossEntropy(), bp.ClipByGlobalNorm(bp.Adam(), 0.1), dtype)
    require_same(gpu, step, state, (X.astype(dtype), LABELS), ORDER, dtype=dtype)


def test_many_classes_run_in_one_kernel(gpu, limits):
    step, state, _ = network_step(gpu, [bp.Dense(6, 50)], bp.SoftmaxCrossEntropy(), bp.SGD())
    require_same(gpu, step, state, (X, LABELS * 11), ORDER)


def test_reproducible_arithmetic_keeps_its_bits_in_one_kernel(gpu):
    layers = [bp.Dense(6, 5), bp.Sigmoid(), bp.Dense(5, 4)]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=gpu, arithmetic="reproducible", seed=2)
    rule = bp.Adam(0.01)
    step = training_step(net.backend.xp, net.model, net.backend.lower(rule))
    data = tuple(map(net.backend.asarray, (X.astype("float32"), LABELS)))
    require_same(gpu, step, net.start(rule), data, ORDER, exact=True)


def population(gpu, shapes, rate):
    """Arrays of three networks, their state and the rule."""
    params = [{name: gpu.asarray(RNG.normal(size=shape)) for name, shape in own.items()} for own in shapes]
    rule = bp.Adam(rate)
    state = {"params": params, "optimizer": rule.init(gpu.xp, params), "step": gpu.asarray(np.zeros((), np.int64))}
    return rule, state


def test_a_population_with_rates_of_its_own_runs_in_one_kernel(gpu, limits):
    rates = gpu.asarray(np.asarray([0.1, 0.01, 0.001]).reshape(3, 1, 1))
    rule, state = population(gpu, [{"weight": (3, 6, 4), "bias": (3, 1, 4)}], rates)
    model = Model([bp.Dense(6, 4)], bp.SoftmaxCrossEntropy())
    require_same(gpu, training_step(gpu.xp, model, rule), state, (X, LABELS), ORDER)


def test_a_deep_population_runs_in_one_kernel(gpu, limits):
    shapes = [{"weight": (3, 6, 5), "bias": (3, 1, 5)}, {}, {"weight": (3, 5, 4), "bias": (3, 1, 4)}]
    rule, state = population(gpu, shapes, 0.01)
    model = Model([bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 4)], bp.SoftmaxCrossEntropy())
    require_same(gpu, training_step(gpu.xp, model, rule), state, (X, LABELS), ORDER, 3)


@pytest.mark.parametrize("change", AWKWARD.values(), ids=AWKWARD)
def test_awkward_changes_of_the_state_run_in_one_kernel(gpu, change):
    def step(state, batch):
        xp = gpu.xp
        return change(xp, state, xp.sum(batch[0], axis=0)), xp.sum(state["a"]) + xp.sum(state["b"])

    state = {**STATE, "more": [{"c": gpu.asarray(STATE["more"][0]["c"])}]}
    state = {name: gpu.asarray(x) if isinstance(x, np.ndarray) else x for name, x in state.items()}
    require_same(gpu, step, state, (RNG.normal(size=(12, 4)),), ORDER)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(UNARY_CHOICE | BINARY_CHOICE, min_size=1, max_size=14),
    st.lists(st.integers(0, 99), min_size=5),
    st.sampled_from(list(SPREAD)),
)
def test_random_programs_give_the_plain_loops_numbers_in_one_kernel(gpu, program, chosen, limits):
    step, state = random_step(gpu, program, chosen)
    data, order = (gpu.asarray(RNG.normal(size=(4, 3, 3))),), gpu.asarray(np.asarray([[0], [3], [1]]))
    kernel.LIMITS = SPREAD[limits]
    own = Persistent(Workbench(gpu._cupy), step, state, data, order, gpu.xp)
    (losses,) = own(dict(leaves_of(state)), data, order)
    expected, expected_losses = Backend.compile(gpu, step)(state, data, [order])
    np.testing.assert_allclose(bare(losses), bare(expected_losses), rtol=1e-9, atol=1e-12)
    for path, array in leaves_of(expected):
        np.testing.assert_allclose(bare(own.state[path]), bare(array), rtol=1e-9, atol=1e-12, err_msg=str(path))


SHAPES = [(1, 1, 1), (5, 7, 3), (64, 64, 64), (65, 3, 130), (4, 100, 257), (33, 17, 1000), (2, 90, 64)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("block", "split"), [(32, False), (32, True), (256, False)])
def test_products_of_all_layouts_and_sizes_are_numpys(gpu, monkeypatch, dtype, block, split):
    """Turned or not, on either side; edges of tiles, tiles split among blocks, and three products at once."""
    monkeypatch.setattr(kernel, "THREADS", block)
    monkeypatch.setattr(tiling, "GATHERED", ALWAYS if split else tiling.GATHERED)
    host, results = {}, {}
    for number, (m, n, k) in enumerate(SHAPES):
        for turned_a in (False, True):
            for turned_b in (False, True):
                many = (3,) if number % 3 == 1 else ()
                a, b = (*many, *((k, m) if turned_a else (m, k))), (*many, *((n, k) if turned_b else (k, n)))
                name = f"{number}{turned_a:d}{turned_b:d}"
                host[f"a{name}"], host[f"b{name}"] = RNG.normal(size=a).astype(dtype), RNG.normal(size=b).astype(dtype)
                results[name] = (turned_a, turned_b, (*many, m, n))

    def step(state, batch):
        after = dict(state)
        for name, (turned_a, turned_b, _) in results.items():
            a, b = state[f"a{name}"], state[f"b{name}"]
            a, b = (np.matrix_transpose(x) if turned else x for x, turned in ((a, turned_a), (b, turned_b)))
            after[f"c{name}"] = np.matmul(a, b)
        return after, np.sum(batch[0])

    state = {name: gpu.asarray(x) for name, x in host.items()}
    state |= {f"c{name}": gpu.asarray(np.zeros(shape, dtype)) for name, (*_, shape) in results.items()}
    data = (gpu.asarray(np.ones((2, 2))),)
    own = Persistent(Workbench(gpu._cupy), step, state, data, 2, gpu.xp)
    assert ("together<" in own.source.text) == split
    own(dict(leaves_of(state)), data, 2)
    for name, (turned_a, turned_b, _) in results.items():
        a, b = host[f"a{name}"].astype("float64"), host[f"b{name}"].astype("float64")
        a, b = (x.swapaxes(-1, -2) if turned else x for x, turned in ((a, turned_a), (b, turned_b)))
        error = abs(bare(own.state[f"c{name}",]) - a @ b).max()
        assert error <= np.finfo(dtype).eps * 4 * (abs(a) @ abs(b)).max(), name


def launched(gpu, layers, dtype="float32", arithmetic="native", batch=128, rule=None):
    """The source of the kernel of a network on the blocks of a large GPU; its phases, as (split, works) of strands."""
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=gpu, dtype=dtype, arithmetic=arithmetic)
    rule = rule or bp.Adam()
    step = training_step(net.backend.xp, net.model, net.backend.lower(rule))
    batch = [((batch, layers[0].n_in), np.dtype(dtype)), ((batch,), np.dtype(np.int64))]
    recording = record(step, net.start(rule), batch, gpu.xp)
    some = works(recording)
    layout = Layout(recording, some, gathered=True)
    source = kernel.source(recording, layout, some, Machine(132, 256, 96 * 1024))
    return source, [[(strand.split.name, len(strand.works)) for strand in phase] for phase in phases(some)]


def dense(*sizes, between=None):
    """Dense layers of these sizes with ReLUs between them."""
    layers = [bp.Dense(n_in, n_out) for n_in, n_out in pairwise(sizes)]
    return [part for layer in layers for part in (layer, between or bp.ReLU())][:-1]


def test_a_step_takes_few_phases(gpu, monkeypatch):
    """ANCHORS: a barrier takes about as long as a small product."""
    monkeypatch.setattr(kernel, "LIMITS", SPREAD["alone"])
    assert [len(launched(gpu, dense(*sizes))[1]) for sizes in ((784, 128, 10), (784, 32, 10))] == [3, 2]
    assert len(launched(gpu, dense(784, 512, 512, 10))[1]) == 5
    source, found = launched(gpu, dense(8, 3, 8), batch=8)
    assert (source.blocks, len(found)) == (1, 1)  # a block needs no barrier of the grid
    source, (forward, rows, backward) = launched(gpu, dense(784, 128, 10))
    assert 120 < source.blocks <= 132
    assert [split for split, _ in forward].count("APART") == 1  # the product, beside counters and rates
    assert rows == [("ROWS", 4)]  # 128 → 10, softmax and delta, the hidden delta, the loss's terms
    assert len(backward) == 5  # two weights, two biases, the loss, all at once


@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90"])
@pytest.mark.skipif(NVCC is None, reason="nvcc is not installed, which would compile the kernels")
def test_nvidias_compiler_takes_every_kernel_for_epochs_without_a_warning(gpu, tmp_path, architecture, monkeypatch):
    monkeypatch.setattr(kernel, "LIMITS", SPREAD["alone"])
    deep = [bp.Dense(20, 40), bp.GELU(), bp.Dropout(0.3), bp.Dense(40, 6), bp.ELU(), bp.Softplus(), bp.Dense(6, 50)]
    sources = [launched(gpu, dense(784, 128, 10))[0], launched(gpu, deep, rule=bp.ClipByGlobalNorm(bp.Adam(), 1.0))[0]]
    sources += [launched(gpu, dense(200, 64, 10), "float64")[0]]
    sources += [launched(gpu, dense(6, 5, 4, between=bp.Sigmoid()), arithmetic="reproducible", batch=5)[0]]
    monkeypatch.setattr(tiling, "GATHERED", ALWAYS)
    sources += [launched(gpu, dense(784, 128, 10))[0]]
    for number, source in enumerate(sources):
        path = tmp_path / f"{number}.cu"
        path.write_text(source.text, encoding="utf-8")
        options = [*OPTIONS, "-ptx", f"-arch={architecture}", "--Werror=all-warnings", "-o", os.devnull]
        done = subprocess.run([NVCC, *options, str(path)], text=True, capture_output=True)
        assert done.returncode == 0, done.stderr + done.stdout
