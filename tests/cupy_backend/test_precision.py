"""TF32 on the fake CuPy, whose products then round their factors as an A100's do."""

import sys
import warnings

import fake_cublas
import fake_cupy
import numpy as np
import pytest

import portable_bp as bp
from portable_bp_cupy.threads import launching

X, LABELS = np.random.default_rng(3).normal(size=(40, 30)), np.random.default_rng(4).integers(0, 4, 40)


def trained(gpu, precision, **options):
    layers = [bp.Dense(30, 64), bp.ReLU(), bp.Dense(64, 4)]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=gpu, precision=precision, seed=1)
    net.fit(X, LABELS, optimizer=bp.Adam(0.01), epochs=2, batch_size=8, **options)
    return net


def counting(counted, name, function):
    def called(*arguments):
        counted[name] += 1
        return function(*arguments)

    return called


def calls_of(monkeypatch, *names):
    """Count the calls of cuBLAS's functions."""
    cublas, counted = sys.modules["nvmath.bindings"].cublas, dict.fromkeys(names, 0)
    for name in names:
        monkeypatch.setattr(cublas, name, counting(counted, name, getattr(cublas, name)))
    return counted


def test_products_of_a_captured_step_are_tf32_and_sums_are_not(gpu, monkeypatch):
    counted = calls_of(monkeypatch, "gemm_ex", "sgemm")
    net = trained(gpu, "tf32")
    assert len(net._compiled[1]._captured) == 1
    assert counted == {"gemm_ex": 2 * 5, "sgemm": 2 * 3}  # each once before the capture and once in it
    counted.update(gemm_ex=0, sgemm=0)
    full = trained(gpu, "full")
    assert counted == {"gemm_ex": 0, "sgemm": 2 * 8}
    weights = [net.backend.to_numpy(one.params[0]["weight"]) for one in (net, full)]
    assert 1e-6 < np.abs(weights[0] - weights[1]).mean() < 1e-3


def test_the_guard_passes_tf32_and_no_more(gpu, monkeypatch):
    """A captured step that rounds factors beside a plain one that doesn't; and one that is wrong by two percent."""
    monkeypatch.setattr(fake_cublas.MathMode, "setMathMode", staticmethod(lambda handle, mode: None))
    assert trained(gpu, "tf32")._compiled[1]._captured
    cublas = sys.modules["nvmath.bindings"].cublas
    exact = cublas.gemm_ex

    def off_by_two_percent(handle, *arguments):
        def factor(x, rounded=fake_cublas.rounded):
            return np.float32(1.01) * rounded(x)

        with monkeypatch.context() as patch:
            patch.setattr(fake_cublas, "rounded", factor)
            return exact(handle, *arguments)

    monkeypatch.setattr(cublas, "gemm_ex", off_by_two_percent)
    with pytest.warns(RuntimeWarning, match="failed its check"):
        trained(gpu, "tf32")


def test_cupy_s_own_products_follow_and_its_mode_is_set_back(gpu):
    tf32 = gpu.at_precision("tf32")
    a = gpu.asarray(np.full((1, 1), 1 + 2.0**-20, np.float32))
    with tf32.activate():
        assert float(tf32.xp.matmul(a, a)[0, 0]) == 1.0
        with gpu.activate():  # a callback may compute with another network
            assert float(gpu.xp.matmul(a, a)[0, 0]) > 1.0
        assert fake_cublas.MathMode.mode == fake_cublas.TF32
    assert fake_cublas.MathMode.mode == 0


def test_populations_are_captured_in_tf32_too(gpu, monkeypatch):
    monkeypatch.setattr(launching, "BYTES", 0)  # too large for a thread a member
    counted = calls_of(monkeypatch, "gemm_strided_batched_ex")
    layers = [bp.Dense(30, 5), bp.Tanh(), bp.Dense(5, 4)]
    nets = [bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=gpu, precision="tf32", seed=seed) for seed in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.fit_together(nets, X, LABELS, optimizers=bp.SGD(0.1), epochs=2, batch_size=8)
    assert counted["gemm_strided_batched_ex"] > 0
    other = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=gpu)
    with pytest.raises(bp.ConfigurationError, match="precision"):
        bp.fit_together([*nets, other], X, LABELS)


@pytest.mark.parametrize(("capability", "has"), [("75", False), ("80", True), ("120", True), ("?", False)])
def test_the_device_s_compute_capability_decides(gpu, monkeypatch, capability, has):
    monkeypatch.setattr(fake_cupy.Device, "compute_capability", capability)
    again = type(gpu)()
    assert ("tf32" in again.precisions) is has
    if not has:
        with pytest.raises(bp.ConfigurationError, match=r"compute capability 8\.0 or higher"):
            bp.Network([bp.Dense(3, 2)], bp.SoftmaxCrossEntropy(), backend=again, precision="tf32")
