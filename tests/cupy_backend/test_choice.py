"""Graph or kernel: the faster one is used; what has no place in a kernel, or fails its check, stays with the graph."""

import warnings

import fake_cupy
import numpy as np
import pytest
from fake_cupy import bare
from test_captured import LABELS, ORDER, X, network_step

import portable_bp as bp
from portable_bp.backend import Backend
from portable_bp_cupy import choice
from portable_bp_cupy.persistent import kernel
from portable_bp_numpy.replay import leaves_of

MILLISECONDS = choice._milliseconds


@pytest.fixture(autouse=True)
def kernel_is_faster(monkeypatch, tmp_path):
    """A clock by which everything takes a kernel half of the graph's time, from the first step on."""
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kernel, "THREADS", 32)
    monkeypatch.setattr(choice, "LEAST", 1)
    monkeypatch.setattr(choice, "_milliseconds", lambda cupy, way, *_: {"graph": 2.0, "persistent": 1.0}[way.kind])


def chosen(gpu, step, state, data, order, *, exact=False):
    """The kind of way that an epoch takes; its results, which must be the plain loop's, come without a warning."""
    data, order = tuple(map(gpu.asarray, data)), order if isinstance(order, int) else gpu.asarray(order)
    epoch = gpu.compile(step, as_written=exact)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, losses = epoch(*epoch(state, data, [order])[:1], data, [order])
    plain = Backend.compile(gpu, step)
    expected, expected_losses = plain(*plain(state, data, [order])[:1], data, [order])
    np.testing.assert_allclose(bare(losses), bare(expected_losses), rtol=1e-6)
    for path, array in leaves_of(expected):
        np.testing.assert_allclose(bare(dict(leaves_of(found))[path]), bare(array), rtol=1e-4, atol=1e-6)
    (way,) = epoch._captured.values()
    return way.kind


def small(gpu, dtype="float64"):
    layers = [bp.Dense(6, 40), bp.Tanh(), bp.Dense(40, 4)]
    step, state, _ = network_step(gpu, layers, bp.SoftmaxCrossEntropy(), bp.Adam(0.01), dtype)
    return step, state, (X.astype(dtype), LABELS)


@pytest.mark.parametrize("order", [ORDER, 6], ids=["batches", "whole set"])
def test_the_kernel_is_used_where_it_is_faster(gpu, order):
    assert chosen(gpu, *small(gpu), order) == "persistent"


def test_the_graph_is_used_where_it_is_about_as_fast(gpu, monkeypatch):
    monkeypatch.setattr(choice, "_milliseconds", lambda cupy, way, *_: {"graph": 1.0, "persistent": 0.95}[way.kind])
    assert chosen(gpu, *small(gpu), ORDER) == "graph"


def test_a_few_steps_are_not_worth_a_compilation(gpu, monkeypatch):
    monkeypatch.setattr(choice, "LEAST", len(ORDER) + 1)
    assert chosen(gpu, *small(gpu), ORDER) == "graph"


def test_the_choice_is_made_once_for_batches_of_one_form(gpu, monkeypatch):
    made = []
    original = kernel.Persistent.__init__
    monkeypatch.setattr(kernel.Persistent, "__init__", lambda self, *args: made.append(1) or original(self, *args))
    assert chosen(gpu, *small(gpu), ORDER) == "persistent"
    assert made == [1]


CLOCKS = {"graph": {"graph": 1.0, "persistent": 2.0}, "persistent": {"graph": 2.0, "persistent": 1.0}}


@pytest.mark.parametrize("first", CLOCKS)
def test_a_later_process_takes_the_way_that_was_found_faster_whatever_its_clock_says(gpu, monkeypatch, first):
    for faster in (first, *CLOCKS):
        monkeypatch.setattr(choice, "_milliseconds", lambda cupy, way, *_, clock=CLOCKS[faster]: clock[way.kind])
        assert chosen(gpu, *small(gpu), ORDER) == first


@pytest.mark.parametrize("change", ["dtype", "device", "damage", "no folder"])
def test_what_was_remembered_counts_for_the_same_program_on_the_same_device_alone(gpu, monkeypatch, tmp_path, change):
    monkeypatch.setattr(choice, "_milliseconds", lambda cupy, way, *_: CLOCKS["graph"][way.kind])
    assert chosen(gpu, *small(gpu), ORDER) == "graph"
    (place,) = tmp_path.iterdir()
    monkeypatch.setattr(choice, "_milliseconds", lambda cupy, way, *_: CLOCKS["persistent"][way.kind])
    if change == "device":
        monkeypatch.setitem(fake_cupy.Device.attributes, "MultiProcessorCount", 4)
    elif change == "damage":
        place.write_bytes(b"\xff" * 5)
    elif change == "no folder":
        monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "nowhere"))
    assert chosen(gpu, *small(gpu, "float32" if change == "dtype" else "float64"), ORDER) == "persistent"


def test_both_ways_are_timed_by_the_devices_clock(gpu, monkeypatch):
    monkeypatch.setattr(choice, "_milliseconds", MILLISECONDS)
    monkeypatch.setattr(choice, "CLEARLY", float("inf"))
    assert chosen(gpu, *small(gpu), ORDER) == "persistent"


@pytest.mark.parametrize("limit", ["WORKS", "PRODUCTS", "NUMBERS", "MULTIPLICATIONS", "MEMORY"])
def test_what_is_too_large_for_a_kernel_stays_with_the_graph(gpu, monkeypatch, limit):
    monkeypatch.setattr(kernel, f"MOST_{limit}", 5)
    assert chosen(gpu, *small(gpu), ORDER) == "graph"


def test_what_has_no_place_in_a_kernel_stays_with_the_graph(gpu):
    def step(state, batch):
        return {"a": state["a"] + 1}, gpu.xp.prod(batch[0])

    assert chosen(gpu, step, {"a": gpu.asarray(np.zeros(3))}, (X,), ORDER) == "graph"


def test_a_gpu_that_can_not_launch_cooperatively_stays_with_the_graph(gpu, monkeypatch):
    monkeypatch.setitem(fake_cupy.Device.attributes, "CooperativeLaunch", 0)
    assert chosen(gpu, *small(gpu), ORDER) == "graph"


def test_blocks_that_would_not_all_be_resident_are_never_launched(gpu, monkeypatch):
    monkeypatch.setattr(fake_cupy.CooperativeFunction, "__call__", None)
    monkeypatch.setattr(gpu._cupy.cuda.driver, "occupancyMaxActiveBlocksPerMultiprocessor", lambda *_: 0)
    assert chosen(gpu, *small(gpu), ORDER) == "graph"


def test_a_refused_launch_stays_with_the_graph(gpu, monkeypatch):
    def refused(*_):
        raise RuntimeError("CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE")

    monkeypatch.setattr(fake_cupy.CooperativeFunction, "__call__", refused)
    assert chosen(gpu, *small(gpu), ORDER) == "graph"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_kernel_with_a_wrong_number_is_not_used(gpu, monkeypatch, dtype):
    original = fake_cupy.RawModule.__init__

    def wrong(self, code, *more, **named):
        original(self, code.replace("fma(x[i][d], y[j][d], sums[i][j])", "x[i][d] * y[j][d]"), *more, **named)

    monkeypatch.setattr(fake_cupy.RawModule, "__init__", wrong)
    assert chosen(gpu, *small(gpu, dtype), ORDER) == "graph"


def test_a_kernel_that_goes_wrong_from_the_second_step_on_is_not_used(gpu, monkeypatch):
    original = fake_cupy.RawModule.__init__

    def begins_anew(self, code, *more, **named):
        original(self, code.replace("now = state + ((first + step) & 1)", "now = state + (first & 1)"), *more, **named)

    monkeypatch.setattr(fake_cupy.RawModule, "__init__", begins_anew)
    assert chosen(gpu, *small(gpu), ORDER) == "graph"


def test_reproducible_arithmetic_has_its_bits_in_a_kernel_or_stays_with_the_graph(gpu, monkeypatch):
    layers = [bp.Dense(6, 5), bp.Sigmoid(), bp.Dense(5, 4)]
    nets = [bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=b, arithmetic="reproducible") for b in (gpu, "numpy")]
    for net in nets:
        net.fit(X, LABELS, optimizer=bp.Adam(0.01), epochs=3, batch_size=6)
    (way,) = nets[0]._compiled[1]._captured.values()
    assert way.kind == "persistent"
    assert nets[0].digest() == nets[1].digest()

    original = fake_cupy.RawModule.__init__

    def a_last_bit(self, code, *more, **named):
        original(self, code.replace("n % TN, n, sum)", "n % TN, n, sum * (T)(1 + 1e-7))"), *more, **named)

    monkeypatch.setattr(fake_cupy.RawModule, "__init__", a_last_bit)
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=gpu, arithmetic="reproducible")
    net.fit(X, LABELS, optimizer=bp.Adam(0.01), epochs=3, batch_size=6)
    (way,) = net._compiled[1]._captured.values()
    assert way.kind == "graph"
    assert net.digest() == nets[1].digest()


def test_many_steps_run_in_several_launches(gpu, monkeypatch):
    monkeypatch.setattr(kernel, "STEPS", 4)
    assert chosen(gpu, *small(gpu), ORDER) == "persistent"  # 6 steps: 4 and 2
    assert chosen(gpu, *small(gpu), 7) == "persistent"
