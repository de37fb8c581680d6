"""What is not as it should be runs in the plain loop, with one warning that says why; never with a wrong number."""

import re
import sys
import warnings
from dataclasses import dataclass

import fake_cupy
import fake_streams
import numpy as np
import pytest
from fake_cupy import bare

import portable_bp as bp
from portable_bp.backend import Backend
from portable_bp.backpropagation import training_step
from portable_bp_cupy import captured, guard
from portable_bp_cupy.workbench import Workbench
from portable_bp_numpy.replay import leaves_of

RNG = np.random.default_rng(3)
X, LABELS = RNG.normal(size=(12, 6)), RNG.integers(0, 4, 12)
ORDER = np.stack([RNG.permutation(12)[:5] for _ in range(3)])


def network_step(gpu, *, layers=None, rule=None, dtype="float64", arithmetic="native"):
    layers = layers or [bp.Dense(6, 40), bp.Tanh(), bp.Dense(40, 4)]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), dtype=dtype, backend=gpu, seed=1, arithmetic=arithmetic)
    rule = rule or bp.Adam(0.01)
    return training_step(net.backend.xp, net.model, rule), net.start(rule)


def data_of(gpu, dtype="float64"):
    return (gpu.asarray(X.astype(dtype)), gpu.asarray(LABELS)), [gpu.asarray(ORDER)]


def require_plain_with_one_warning(gpu, step, state, match):
    """Require the plain loop's bits, twice, and one warning."""
    data, orders = data_of(gpu)
    epoch = gpu.compile(step)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        results = [epoch(state, data, orders) for _ in range(2)]
    assert [issubclass(one.category, RuntimeWarning) for one in said] == [True], [str(one.message) for one in said]
    assert match in str(said[0].message)
    assert "operation by operation" in str(said[0].message)
    expected, expected_losses = Backend.compile(gpu, step)(state, data, orders)
    for found, losses in results:
        np.testing.assert_array_equal(bare(losses), bare(expected_losses))
        for path, array in leaves_of(expected):
            np.testing.assert_array_equal(bare(dict(leaves_of(found))[path]), bare(array))


def with_source(monkeypatch, change):
    """Let the compiler see another source than was given to it."""
    original = fake_cupy.RawModule.__init__
    monkeypatch.setattr(
        fake_cupy.RawModule, "__init__", lambda self, code, options: original(self, change(code), options)
    )


def test_a_wrong_kernel_is_found_and_not_used(gpu, monkeypatch):
    with_source(monkeypatch, lambda code: code.replace("sqrt(", "fabs("))
    require_plain_with_one_warning(gpu, *network_step(gpu), "failed its check")


def kernels(gpu, monkeypatch, dtype, arithmetic):
    """Names of a step's generated kernels."""
    sources = []
    with monkeypatch.context() as patch:
        with_source(patch, lambda code: sources.append(code) or code)
        checked(gpu, dtype, arithmetic)
    return [name for name, _ in fake_cupy.compiling.KERNEL.findall(sources[0]) if name[1:].isdecimal()]


def checked(gpu, dtype, arithmetic):
    step, state = network_step(gpu, dtype=dtype, arithmetic=arithmetic)
    data, (order,) = data_of(gpu, dtype)
    exact = arithmetic == "reproducible"
    own = captured.Captured(Workbench(gpu._cupy), step, state, data, order, gpu.xp)
    guard.check(own, Backend.compile(gpu, step), state, data, order, exact=exact)


@pytest.mark.parametrize(("dtype", "arithmetic"), [("float32", "native"), ("float64", "native")])
def test_a_kernel_that_leaves_one_element_out_is_found_whichever_it_is(gpu, monkeypatch, dtype, arithmetic):
    names = kernels(gpu, monkeypatch, dtype, arithmetic)
    assert len(names) > 5
    for name in names:

        def last_left_out(code, name=name):
            head, own, tail = code.partition(f"void {name}(")
            bound, close, rest = tail.partition(") return;")
            return f"{head}{own}{bound} - 1{close}{rest}"

        with monkeypatch.context() as patch:
            with_source(patch, last_left_out)
            try:
                checked(gpu, dtype, arithmetic)
            except guard.Differs:
                continue
            pytest.fail(f"{name} without its last element was taken for right")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("letter", "sd")
def test_a_wrong_product_is_found(gpu, monkeypatch, dtype, letter):
    if letter != {"float32": "s", "float64": "d"}[dtype]:
        checked(gpu, dtype, "native")
        return
    cublas = sys.modules["nvmath.bindings"].cublas
    right = getattr(cublas, f"{letter}gemm")

    def turned(handle, ta, tb, m, n, k, *more):
        if m == n == k or m != k:
            return right(handle, ta, tb, m, n, k, *more)
        return right(handle, ta, tb, m - 1, n, k, *more)

    monkeypatch.setattr(cublas, f"{letter}gemm", turned)
    layers = [bp.Dense(6, 6), bp.Dense(6, 6), bp.Dense(6, 4)]
    step, state = network_step(gpu, layers=layers, dtype=dtype)
    data, (order,) = data_of(gpu, dtype)
    own = captured.Captured(Workbench(gpu._cupy), step, state, data, order, gpu.xp)
    with pytest.raises(guard.Differs):
        guard.check(own, Backend.compile(gpu, step), state, data, order, exact=False)


def test_reproducible_arithmetic_tolerates_no_difference(gpu, monkeypatch):
    def a_last_bit(code):
        """The last number in float32 that a kernel stores, a rounding unit larger."""
        stored = re.compile(r"void k\d+\([^)]*\bfloat\* (q\d+)[^{]*\{.*?\b\1\[[^\]]*\] = (?=v\d+;)", re.DOTALL)
        place = list(stored.finditer(code))[-1].end()
        return f"{code[:place]}0x1.000002p+0f * {code[place:]}"

    checked(gpu, "float32", "reproducible")
    with_source(monkeypatch, a_last_bit)
    with pytest.raises(guard.Differs):
        checked(gpu, "float32", "reproducible")


def refuse(error):
    def refused(*_, **__):
        raise error

    return refused


def test_a_refused_capture_is_said(gpu, monkeypatch):
    monkeypatch.setattr(fake_streams.Stream, "begin_capture", refuse(RuntimeError("cudaErrorStreamCaptureUnsupported")))
    require_plain_with_one_warning(gpu, *network_step(gpu), "cudaErrorStreamCaptureUnsupported")


def test_something_forbidden_during_the_capture_is_said(gpu, monkeypatch):
    original = gpu._cupy.max

    def largest(*args, **kwargs):
        fake_streams.forbidden("a maximum")
        return original(*args, **kwargs)

    monkeypatch.setattr(gpu._cupy, "max", largest)
    step, state = network_step(gpu, layers=[bp.Dense(6, 40)])  # rows too long for a kernel of ours
    require_plain_with_one_warning(gpu, step, state, "a maximum while a stream is capturing")
    assert fake_streams.TAPE.calls is None  # the stream is not left capturing


def test_a_missing_nvmath_is_said_with_the_cure(gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "nvmath.bindings", None)
    require_plain_with_one_warning(gpu, *network_step(gpu), "pip install 'portable-bp[cuda13]'")


def test_a_kernel_that_does_not_compile_is_said(gpu, monkeypatch):
    monkeypatch.setattr(gpu._cupy, "RawModule", refuse(RuntimeError("nvrtc: no such architecture")))
    require_plain_with_one_warning(gpu, *network_step(gpu), "no such architecture")


def test_memory_that_does_not_suffice_for_the_graph_is_said(gpu, monkeypatch):
    monkeypatch.setattr(gpu._cupy, "empty", refuse(fake_cupy.OutOfMemoryError("32 MiB")))
    require_plain_with_one_warning(gpu, *network_step(gpu), "OutOfMemoryError: 32 MiB")


def test_memory_that_does_not_even_suffice_for_the_plain_loop_is_an_error(gpu):
    def step(state, batch):
        raise fake_cupy.OutOfMemoryError("4 GiB")

    data, orders = data_of(gpu)
    with gpu.activate(), pytest.raises(fake_cupy.OutOfMemoryError):  # activate() says what to do: test_failures.py
        gpu.compile(step)({"a": gpu.asarray(np.ones(2))}, data, orders)


def test_an_error_in_a_step_is_the_error_that_the_user_sees(gpu):
    def step(state, batch):
        raise ZeroDivisionError("mine")

    data, orders = data_of(gpu)
    with pytest.raises(ZeroDivisionError, match="mine"):
        gpu.compile(step)({"a": gpu.asarray(np.ones(2))}, data, orders)


@dataclass(frozen=True)
class Branching(bp.Layer):
    """A layer that looks at a value, as no pure layer should."""

    def forward(self, xp, params, x):
        return (x if xp.max(x) > 100 else 2 * x), None

    def backward(self, xp, params, cache, dy):
        return 2 * dy, {}


def test_a_step_that_looks_at_values_is_said(gpu):
    step, state = network_step(gpu, layers=[bp.Dense(6, 6), Branching(), bp.Dense(6, 4)])
    require_plain_with_one_warning(gpu, step, state, "can't be recorded")


def test_a_function_that_may_be_unsafe_in_a_graph_is_not_captured(gpu):
    def step(state, batch):
        return {"a": gpu.xp.roll(state["a"], 1)}, gpu.xp.sum(batch[0])

    require_plain_with_one_warning(gpu, step, {"a": gpu.asarray(np.ones(4))}, "is not known to be safe in a CUDA graph")


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
def test_a_training_that_diverges_at_once_is_no_wrong_kernel(gpu):
    net = bp.Network([bp.Dense(6, 4)], bp.HalfSquaredError(), backend=gpu, seed=1)
    with pytest.raises(bp.NonFiniteError):
        net.fit(X * 1e30, X[:, :4] * 1e30, optimizer=bp.SGD(1e30), epochs=2, batch_size=5)
