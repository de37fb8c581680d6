"""Backends: how a name becomes one, what is said where it can't, and the contract that each one keeps."""

import subprocess
import sys

import numpy as np
import pytest

import portable_bp as bp
from portable_bp import testing
from portable_bp.backend import OnDevice
from portable_bp.testing.backend import check_arrays, check_epoch

BUILT_IN = ["cupy", "jax", "numpy", "torch"]


def test_every_backend_passes_the_conformance_checks_of_its_arrays_and_epochs(backend):
    with backend.activate():
        check_arrays(backend)
        check_epoch(backend)


def test_the_built_in_backends_are_found_by_entry_points():
    assert set(BUILT_IN) <= set(bp.installed_backends())


def test_a_backend_is_made_once_and_found_again_by_its_own_name(backend):
    if backend.name not in BUILT_IN:
        assert bp.get_backend(backend) is backend
    else:
        assert bp.get_backend(backend.spec).spec == backend.spec
        assert bp.get_backend(backend.spec) is bp.get_backend(backend.spec)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nunpy", "there is no backend 'nunpy'; installed are cupy, jax, numpy, torch"),
        ("", "there is no backend ''"),
        ("numpy:gpu", "backend 'numpy' has no device 'gpu'.* write 'numpy'"),
        ("torch:nonsense", "backend 'torch' knows no device 'nonsense'; here are cpu"),
        ("torch:cuda:99", "backend 'torch' can't compute on 'cuda:99'"),
        ("jax:cpu:99", "backend 'jax' has no device 'cpu:99'; here are"),
        ("jax:toaster", "backend 'jax' has no device 'toaster'; here are"),
    ],
)
def test_a_backend_that_can_t_be_is_refused_in_one_line_with_the_cure(spec, words):
    pytest.importorskip(spec.partition(":")[0] if spec.partition(":")[0] in BUILT_IN else "numpy")
    with pytest.raises(bp.BackendError, match=words) as caught:
        bp.get_backend(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "library"), [("cupy", "cupy"), ("torch", "torch"), ("jax", "jax")])
def test_a_missing_library_is_named_with_the_command_that_installs_it(name, library):
    program = (
        f"import sys; sys.modules[{library!r}] = None\nimport portable_bp as bp\n"
        f"try: bp.get_backend({name!r})\nexcept bp.BackendError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"backend {name!r} needs" in done.stdout
    assert "pip install 'portable-bp[" in done.stdout


class FakeCuda:
    """The part of CuPy that tells how many devices there are."""

    class CUDARuntimeError(RuntimeError):
        pass

    def __init__(self, devices):
        self.cuda = self.runtime = self
        self.devices = devices

    def getDeviceCount(self):
        if self.devices is None:
            raise self.CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient\nmore")
        return self.devices


def test_cupy_without_a_driver_says_what_to_do(monkeypatch):
    import portable_bp_cupy

    monkeypatch.setattr(portable_bp_cupy, "_import_cupy", lambda: FakeCuda(None))
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", FakeCuda(None))
    with pytest.raises(
        bp.BackendError, match=r"found no CUDA device .*insufficient\): install NVIDIA's driver"
    ) as caught:
        portable_bp_cupy.CupyBackend()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("device", ["1", "7", "x", "-1"])
def test_a_gpu_that_isn_t_there_is_refused(device, monkeypatch):
    import portable_bp_cupy

    monkeypatch.setattr(portable_bp_cupy, "_import_cupy", lambda: FakeCuda(1))
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", FakeCuda(1))
    with pytest.raises(bp.BackendError, match=f"has no device {device!r}: here are 0 to 0"):
        portable_bp_cupy.CupyBackend(device)


def test_a_bare_checkout_is_told_to_install_first(monkeypatch):
    monkeypatch.setattr("portable_bp.backend.installed_backends", dict)
    with pytest.raises(bp.BackendError, match="pip install -e"):
        bp.backend.backend_class("numpy")


class Stranger(bp.Backend):
    """A backend of somebody else's: NumPy under another name, in as few lines as the contract allows."""

    name, device, xp = "stranger", "cpu", np

    def asarray(self, host):
        return np.array(host)

    def to_numpy(self, array):
        return np.array(array)

    def owns(self, array):
        return isinstance(array, (np.ndarray, np.generic))


def test_a_stranger_s_backend_needs_no_edit_here():
    testing.check_backend(Stranger())
    net = bp.Network([bp.Dense(2, 1)], bp.MeanSquaredError(), backend=Stranger())
    assert net.fit([[0.0, 1.0]], [[1.0]], epochs=2)["epoch"] == [1, 2]
    assert "stranger:cpu" in repr(net)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"asarray": lambda self, host: host}, "must give a copy"),
        ({"owns": lambda self, array: True}, "owns what is no array"),
        ({"to_numpy": lambda self, array: np.array(array, dtype="float32")}, "must be float64"),
        ({"compile": lambda self, step: lambda state, data, order: (state, np.zeros(3))}, "compile: losses must be"),
    ],
)
def test_a_backend_that_breaks_the_contract_is_found(change, words):
    with pytest.raises(bp.GradientError, match=words):
        testing.check_backend(type("Broken", (Stranger,), change)())


def test_a_device_whose_product_is_wrong_is_not_available():
    broken = Stranger()
    broken.xp = OnDevice(np, None)
    broken.xp.matmul = lambda a, b: np.zeros((2, 2))
    with pytest.raises(bp.BackendError, match=r"computed 0.0 for a product that is 8"):
        broken.probe()
