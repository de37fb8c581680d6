"""The `backend` fixture: a test that asks for it runs on every array library that can run here.

A library that can't run is skipped with its own message; the environment variable REQUIRE_BACKENDS=cupy,torch,jax turns
that skip into a failure. Two libraries serve the tests alone: array-api-strict, which refuses whatever is not in the
standard (on its default and on its simulated second device), and NumPy arrays that can't be written into.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import array_api_compat.numpy
import numpy as np
import pytest

import portable_bp as bp
from portable_bp.backend import OnDevice

sys.path.append(str(Path(__file__).parent / "hostile"))  # damaged files, for the tests of all that reads them


class StrictBackend(bp.Backend):
    """array-api-strict: the standard and nothing else."""

    name = "strict"

    def __init__(self, device=None):
        import array_api_strict

        self._library = array_api_strict
        self.device = device or "CPU_DEVICE"
        self._device = array_api_strict.Device(self.device)
        self.xp = OnDevice(array_api_strict, self._device)

    def asarray(self, host):
        return self.xp.asarray(np.array(host))

    def to_numpy(self, array):
        return np.array(array.to_device(self._library.Device("CPU_DEVICE"))._array)

    def activate(self):
        return bp.get_backend("numpy").activate()

    def owns(self, array):
        return isinstance(array, self._library._array_object.Array) and array.device == self._device


class ReadOnlyNamespace:
    """NumPy's namespace, in which every array that a function gives is locked against writing."""

    def __getattr__(self, name):
        found = getattr(array_api_compat.numpy, name)
        if isinstance(found, type) or not callable(found):
            return found
        return lambda *args, **kwargs: locked(found(*args, **kwargs))


def locked(result):
    if isinstance(result, np.ndarray):
        result.flags.writeable = False
    return result


class ReadOnlyBackend(bp.Backend):
    """NumPy arrays that can't be written into."""

    name, device, xp = "read-only", "cpu", ReadOnlyNamespace()

    def asarray(self, host):
        return locked(np.array(host))

    def to_numpy(self, array):
        return np.array(array)

    def activate(self):
        return bp.get_backend("numpy").activate()

    def owns(self, array):
        return isinstance(array, (np.ndarray, np.generic))


TEST_ONLY = {
    "strict": StrictBackend,
    "strict:device1": lambda: StrictBackend("device1"),
    "read-only": ReadOnlyBackend,
}
SPECS = ["numpy", *TEST_ONLY, "torch", "torch:cuda", "jax", "cupy"]
REQUIRED = [spec for spec in os.environ.get("REQUIRE_BACKENDS", "").split(",") if spec]


def backend_or_skip(spec):
    """The backend called ``spec``; where it can't run the test is skipped, or fails if it is required."""
    try:
        return TEST_ONLY[spec]() if spec in TEST_ONLY else bp.get_backend(spec)
    except bp.BackendError as error:
        if spec in REQUIRED:
            pytest.fail(f"REQUIRE_BACKENDS names {spec!r}: {error}")
        pytest.skip(str(error))


@pytest.fixture(params=SPECS, scope="session")
def backend(request):
    return backend_or_skip(request.param)


@pytest.fixture(scope="session")
def require_backend():
    """For tests that give a backend's name to another process."""
    return backend_or_skip


def pytest_terminal_summary(terminalreporter):
    """Say once, not once a test, why tests were skipped."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, number in reasons.items():
        terminalreporter.write_line(f"{number} skipped: {reason.removeprefix('Skipped: ')}")
