"""A device that fails: one line with the cure, or a slower way; never a wrong number, and nothing good lost."""

import os
import subprocess
import sys
import warnings

import fake_cupy
import fake_streams
import numpy as np
import pytest

import portable_bp as bp
from portable_bp_cupy import cache

RNG = np.random.default_rng(1)
X, LABELS = RNG.normal(size=(20, 6)), RNG.integers(0, 4, 20)
ILLEGAL = fake_cupy.CUDARuntimeError(700, "cudaErrorIllegalAddress: an illegal memory access was encountered")


def network(gpu):
    return bp.Network([bp.Dense(6, 8), bp.ReLU(), bp.Dense(8, 4)], bp.SoftmaxCrossEntropy(), backend=gpu, seed=1)


def fit(net, epochs=1):
    return net.fit(X, LABELS, optimizer=bp.Adam(0.01), epochs=epochs, batch_size=5)


def failing(error, after=0):
    """A launch of a graph that fails once it has been done so many times."""
    launches = iter(range(10**6))
    original = fake_streams.Graph.launch

    def launch(self, stream):
        if next(launches) >= after:
            raise error
        original(self, stream)

    return launch


ERRORS = {
    "no memory on the device": (fake_cupy.OutOfMemoryError("4 GiB"), r"the memory of cupy:0 .*smaller batch_size"),
    "no memory elsewhere": (fake_cupy.CUDARuntimeError(2, "cudaErrorMemoryAllocation"), "smaller batch_size"),
    "a failed launch": (fake_cupy.CUDARuntimeError(719, "cudaErrorLaunchFailure"), "CUDA failed.*LaunchFailure"),
    "a device that is taken": (fake_cupy.CUDARuntimeError(46, "cudaErrorDevicesUnavailable"), "CUDA failed on cupy:0"),
    "an error of the driver": (fake_cupy.CUDADriverError("CUDA_ERROR_NO_BINARY_FOR_GPU"), "NO_BINARY_FOR_GPU"),
    "a kernel that can't be compiled": (
        fake_cupy.CompileException("nvrtc: invalid\n-arch"),
        "of compute capability 90",
    ),
}


@pytest.mark.parametrize(("error", "words"), ERRORS.values(), ids=ERRORS)
def test_what_cuda_can_t_do_is_one_line_with_the_cure(gpu, error, words):
    with pytest.raises(bp.BackendError, match=words) as caught, gpu.activate(), gpu.activate():
        raise error
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_other_errors_pass_as_they_are(gpu):
    with pytest.raises(ZeroDivisionError), gpu.activate():
        raise ZeroDivisionError


def test_after_a_failure_a_network_has_its_last_good_epoch_if_the_device_still_answers(gpu, monkeypatch):
    net, same = network(gpu), network(gpu)
    fit(net)
    fit(same, epochs=3)
    monkeypatch.setattr(fake_streams.Graph, "launch", failing(ILLEGAL, after=4 + 4 + 2))
    with pytest.raises(bp.BackendError, match="keeps the parameters of its last good epoch; save"):
        fit(net, epochs=5)
    assert net.epoch == 3
    assert len(net.history) == 2
    assert net.digest() == same.digest()


def test_a_lost_device_is_said_to_have_lost_the_parameters(gpu, monkeypatch):
    def lost():
        raise ILLEGAL

    net = network(gpu)
    monkeypatch.setattr(fake_streams.Graph, "launch", failing(ILLEGAL, after=3))
    monkeypatch.setattr(gpu._cupy.cuda.runtime, "deviceSynchronize", lost)
    with pytest.raises(bp.BackendError, match=r"illegal memory access.*lost to this process.*save\(\) from a callback"):
        fit(net)


def test_a_device_lost_while_a_step_is_captured_is_no_slower_training(gpu, monkeypatch):
    """The plain loop is tried, and fails as the device does."""

    def lost(*_, **__):
        raise ILLEGAL

    net = network(gpu)
    monkeypatch.setattr(fake_streams.Stream, "begin_capture", lost)
    monkeypatch.setattr(fake_cupy.FakeNamespace, "take", lost, raising=False)
    monkeypatch.setattr(gpu._cupy, "take", lost)
    gpu.xp.__dict__.pop("take", None)
    with pytest.raises(bp.BackendError, match="CUDA failed on cupy:0"):
        fit(net)


def test_a_gpu_for_which_nothing_can_be_compiled_is_no_backend(gpu, monkeypatch):
    def refuse(*_, **__):
        raise fake_cupy.CompileException("nvrtc: error: invalid value for --gpu-architecture")

    monkeypatch.setattr(fake_cupy.Device, "compute_capability", "990")
    monkeypatch.setattr(fake_cupy.FakeNamespace, "ones", refuse, raising=False)
    with pytest.raises(
        bp.BackendError, match=r"can't compute on device 0 \(nvrtc: error: invalid value.*check that the wheel"
    ):
        type(gpu)()


@pytest.fixture
def environment(monkeypatch):
    """CuPy not imported yet, and the folder that a test names."""
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setattr(cache, "register", lambda *_, **__: None)
    return monkeypatch


def test_a_kernel_cache_that_can_be_written_is_left_alone(environment, tmp_path):
    environment.setenv(cache.VARIABLE, str(tmp_path / "new" / "folder"))
    cache.require_writable()
    assert os.environ[cache.VARIABLE] == str(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


@pytest.mark.parametrize("by", ["variable", "home"])
def test_a_kernel_cache_that_can_t_be_written_is_replaced_with_a_warning(environment, tmp_path, by):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    if by == "variable":
        environment.setenv(cache.VARIABLE, str(blocked / "kernels"))
    else:
        environment.setattr(cache, "USUAL", str(blocked / "kernels"))
    with pytest.warns(RuntimeWarning, match=r"can't keep compiled kernels in .*set CUPY_CACHE_DIR to a folder"):
        cache.require_writable()
    own = os.environ[cache.VARIABLE]
    assert os.path.isdir(own)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.require_writable()
    assert os.environ[cache.VARIABLE] == own
    os.rmdir(own)


def test_a_process_leaves_no_folder_of_kernels_behind(tmp_path):
    (tmp_path / "file").write_text("no folder")
    program = (
        "import os; from portable_bp_cupy.cache import require_writable; require_writable(); "
        "print(os.environ['CUPY_CACHE_DIR'])"
    )
    environment = {**os.environ, cache.VARIABLE: str(tmp_path / "file"), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().startswith(str(tmp_path))
    assert not os.path.exists(done.stdout.strip())


def test_a_cupy_that_is_imported_already_has_chosen_its_folder(environment):
    environment.setitem(sys.modules, "cupy", object())
    environment.setenv(cache.VARIABLE, os.path.join(__file__, "no folder"))
    cache.require_writable()
    assert os.environ[cache.VARIABLE] == os.path.join(__file__, "no folder")
