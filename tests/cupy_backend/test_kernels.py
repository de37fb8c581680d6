"""Generated kernels against NumPy, function by function; and all sources through NVIDIA's compiler, where it is."""

import shutil
import subprocess

import fake_cupy
import numpy as np
import pytest
from compiling import KERNEL
from fake_cupy import bare
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import portable_bp as bp
from portable_bp.backend import Backend
from portable_bp_cupy import expressions
from portable_bp_cupy.captured import Captured
from portable_bp_cupy.products import layout
from portable_bp_cupy.workbench import OPTIONS, Workbench, step_source
from portable_bp_numpy.recording import NotRecordable
from portable_bp_numpy.replay import leaves_of

NVCC = shutil.which("nvcc")
RNG = np.random.default_rng(8)
EXACT = {
    *expressions.WRITTEN, *expressions.OF_INTEGERS, np.divide, np.reciprocal, np.absolute, np.sign, np.isnan,
    np.isfinite, np.isinf, np.round, np.rint, np.clip, np.sqrt, np.floor, np.ceil, np.trunc,
}  # fmt: skip
SPECIAL = np.asarray([0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, np.inf, -np.inf, np.nan, 1e-40, 3e38, -7.25])


def arguments(dtype):
    """Two arrays and a condition: special numbers beside each other, and random ones."""
    if np.dtype(dtype).kind == "i":
        return RNG.integers(0, 40, 300), RNG.integers(0, 9, 300), RNG.random(300) > 0.5
    x = np.concatenate([np.repeat(SPECIAL, 13), RNG.normal(size=131) * 3]).astype(dtype)
    y = np.concatenate([np.tile(SPECIAL, 13), RNG.normal(size=131) * 3]).astype(dtype)
    return x, y, RNG.random(300) > 0.5


def called(function, x, y, condition):
    """A function of the tables on as many of the arguments as it takes."""
    if function is expressions.astype:
        return x.astype("float64")
    if function is np.where:
        return np.where(condition, x, y)
    if function is np.clip:
        return np.clip(x, -0.5, 2.0)
    if function in (np.logical_and, np.logical_or):
        return function(x > 0, y > 0)
    if function is np.logical_not:
        return function(x > 0)
    return function(x) if function is np.round or function.nin == 1 else function(x, y)


def functions(dtype):
    own = expressions.OF_INTEGERS if dtype == "int64" else expressions.OF_FLOATS
    return {f"{i} {getattr(f, '__name__', '')}": f for i, f in enumerate({**expressions.WRITTEN, **own})}


def one_step(gpu, step, state, data):
    """The state after one captured step, and the source of its kernels."""
    state = {name: gpu.asarray(array) for name, array in state.items()}
    data = tuple(map(gpu.asarray, data))
    own = Captured(Workbench(gpu._cupy), step, state, data, 1, gpu.xp)
    own(dict(leaves_of(state)), data, 1)
    return {path[0]: bare(array) for path, array in own.state.items()}, own._program.source


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("shape", [(300,), (75, 4), ()], ids=["wide", "narrow", "number"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_every_function_is_numpys(gpu, dtype, shape):
    data = tuple(array[:1].reshape(()) if shape == () else array.reshape(shape) for array in arguments(dtype))
    if shape == ():
        data = tuple(array.reshape(1, 1) for array in data)
    table = functions(dtype)
    expected = {name: np.asarray(called(function, *data)) for name, function in table.items()}

    def step(state, batch):
        return {name: called(function, *batch) for name, function in table.items()}, gpu.xp.sum(batch[1])

    state = {name: np.zeros(array.shape, array.dtype) for name, array in expected.items()}
    with np.errstate(all="ignore"):
        found, source = one_step(gpu, step, state, data)
    assert len(KERNEL.findall(source)) <= 3
    for name, function in table.items():
        tolerance = 0 if function in EXACT else 4 * np.finfo(expected[name].dtype).eps
        np.testing.assert_allclose(found[name], expected[name], rtol=tolerance, atol=0, err_msg=name, strict=True)


UNARY = [np.negative, np.tanh, np.square, lambda x: np.sum(x, axis=0, keepdims=True) + 0 * x, np.flip]
UNARY += [lambda x: np.max(x, axis=-1, keepdims=True) - x, lambda x: np.stack([x[0], x[1] + 1, x[2]])]
UNARY += [lambda x: np.stack([x[0], x[1] + 1, x[2]], axis=1)]
BINARY = [np.add, np.multiply, np.maximum, np.matmul, lambda x, y: np.where(x > y, x, 0.5), lambda x, y: x - 2 * y.T]
BINARY += [lambda x, y: np.concatenate([x[:, :1], y[:, 1:]], axis=-1), lambda x, y: np.concatenate([x[:2], y[:1] * 2])]
BINARY += [lambda x, y: x + np.sum(y, axis=-1, keepdims=True), lambda x, y: x * y[:, :1] + y[1:2]]
UNARY_CHOICE = st.tuples(st.integers(0, len(UNARY) - 1), st.integers(0, 99))
BINARY_CHOICE = st.tuples(st.integers(0, len(BINARY) - 1), st.integers(0, 99), st.integers(0, 99))
PLACES = [(slot, name) for slot in ("m", "params") for name in "pq"]


def random_step(gpu, program, chosen):
    """A step that does what is listed on 3 × 3 matrices, and a state for it."""

    def step(state, batch):
        known = [*(state[slot][0][name] for slot, name in PLACES), batch[0][0]]
        for which, *of in program:
            given = [known[i % len(known)] for i in of]
            known.append(np.tanh((UNARY if len(of) == 1 else BINARY)[which](*given)))
        after = {(slot, name): known[chosen[i] % len(known)] for i, (slot, name) in enumerate(PLACES)}
        new = {slot: [{name: after[slot, name] for name in "pq"}] for slot in ("m", "params")}
        return new, np.sum(known[chosen[4] % len(known)])

    rng = np.random.default_rng(0)
    return step, {slot: [{name: gpu.asarray(rng.normal(size=(3, 3))) for name in "pq"}] for slot in ("m", "params")}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(UNARY_CHOICE | BINARY_CHOICE, min_size=1, max_size=14), st.lists(st.integers(0, 99), min_size=5))
def test_random_programs_give_the_plain_loops_numbers(gpu, program, chosen):
    """A wrong order or a wrong reuse of memory shows as wrong numbers: each program computes on 3 × 3 matrices."""
    step, state = random_step(gpu, program, chosen)
    data, order = (gpu.asarray(RNG.normal(size=(4, 3, 3))),), gpu.asarray(np.asarray([[0], [3], [1]]))
    own = Captured(Workbench(gpu._cupy), step, state, data, order, gpu.xp)
    (losses,) = own(dict(leaves_of(state)), data, order)
    expected, expected_losses = Backend.compile(gpu, step)(state, data, [order])
    np.testing.assert_allclose(bare(losses), bare(expected_losses), rtol=1e-9, atol=1e-12)
    for path, array in leaves_of(expected):
        np.testing.assert_allclose(bare(own.state[path]), bare(array), rtol=1e-9, atol=1e-12, err_msg=str(path))


def test_chains_have_the_bits_of_numpys_operations(gpu):
    """An optimizer's kernel against NumPy on the same gradients: the state after a step, all of it."""
    for rule in (bp.Adam(0.01), bp.RMSProp(0.01), bp.Nesterov(0.1), bp.AdaGrad(0.1), bp.AdamW(0.01)):
        params = [{"weight": RNG.normal(size=(40, 50)).astype("float32"), "bias": np.zeros((1, 50), "float32")}]
        grads = {name: RNG.normal(size=array.shape).astype("float32") for name, array in params[0].items()}

        def step(state, batch, rule=rule):
            own = [{"weight": batch[0], "bias": batch[1]}]
            new, after = rule.update(gpu.xp, state["params"], own, state["optimizer"])
            return {"params": new, "optimizer": after}, gpu.xp.sum(batch[0])

        host = bp.get_backend("numpy").xp
        new, after = rule.update(host, params, [grads], rule.init(host, params))
        params = [{name: gpu.asarray(array) for name, array in params[0].items()}]
        state = {"params": params, "optimizer": rule.init(gpu.xp, params)}
        data = tuple(gpu.asarray(grads[name]) for name in ("weight", "bias"))
        own = Captured(Workbench(gpu._cupy), step, state, data, 1, gpu.xp)
        own(dict(leaves_of(state)), data, 1)
        for path, array in leaves_of({"params": new, "optimizer": after}):
            np.testing.assert_array_equal(bare(own.state[path]), array, err_msg=f"{rule} {path}")


def test_the_step_of_a_small_network_takes_few_launches(gpu):
    """ANCHORS: each kernel in a graph takes one to two microseconds however small it is."""
    x, y = RNG.normal(size=(256, 784)).astype("float32"), RNG.integers(0, 10, 256)
    net = bp.Network([bp.Dense(784, 128), bp.ReLU(), bp.Dense(128, 10)], bp.SoftmaxCrossEntropy(), backend=gpu)
    net.fit(x, y, optimizer=bp.Adam(), batch_size=128, epochs=1)
    (own,) = net._compiled[1]._captured.values()
    assert len(own._graph.calls) <= 19


def test_matrices_are_read_where_they_lie():
    x = np.zeros((5, 7))
    assert layout(x) == (False, 7, 0)
    assert layout(x.T) == (True, 7, 0)
    assert layout(x[:, :3]) == (False, 7, 0)
    assert layout(x[:1]) == (False, 7, 0)
    assert layout(x[:, :1]) == (False, 7, 0)
    assert layout(np.zeros((4, 5, 7)).swapaxes(1, 2)) == (True, 7, 35)
    with pytest.raises(NotRecordable, match="strides"):
        layout(x[:, ::2])


def sources(gpu):
    """CUDA sources of some steps that between them have every layer and loss, and all of the tables' functions."""
    before = len(fake_cupy.RawModule.sources)
    layers = [bp.Dense(6, 40), bp.GELU(), bp.Dropout(0.3), bp.Dense(40, 6), bp.ELU(), bp.Softplus(), bp.Dense(6, 4)]
    x, y = RNG.normal(size=(12, 6)), RNG.integers(0, 4, 12)
    for arithmetic, dtype in (("native", "float32"), ("native", "float64"), ("reproducible", "float32")):
        net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=gpu, dtype=dtype, arithmetic=arithmetic)
        net.fit(x, y, optimizer=bp.ClipByGlobalNorm(bp.Adam(), 1.0), epochs=1, batch_size=5)
    for dtype in ("float32", "float64", "int64"):
        test_every_function_is_numpys(gpu, dtype, (75, 4))
    return [step_source(), *fake_cupy.RawModule.sources[before:]]


@pytest.mark.skipif(NVCC is None, reason="nvcc is not installed, which would compile the kernels")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nvidias_compiler_takes_every_kernel_without_a_warning(gpu, tmp_path):
    for number, source in enumerate(dict.fromkeys(sources(gpu))):
        path = tmp_path / f"{number}.cu"
        path.write_text(source, encoding="utf-8")
        options = [*OPTIONS, "-ptx", "-arch=sm_90", "--Werror=all-warnings", "-o", str(path.with_suffix(".ptx"))]
        done = subprocess.run([NVCC, *options, str(path)], text=True, capture_output=True)
        assert done.returncode == 0, done.stderr + done.stdout
