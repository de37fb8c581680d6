"""The CuPy backend on the fake CuPy."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import compiling
import fake_cublas
import fake_cupy
import fake_streams

from portable_bp_cupy import CupyBackend


@pytest.fixture
def gpu(monkeypatch):
    """A CupyBackend whose GPU is the host."""
    if compiling.GPP is None:
        pytest.skip("g++ is not installed, which compiles the kernels for the host")
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.cupy_module())
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", fake_cupy.FakeNamespace())
    bindings = ModuleType("nvmath.bindings")
    bindings.cublas = fake_cublas.Cublas()
    monkeypatch.setitem(sys.modules, "nvmath", ModuleType("nvmath"))
    monkeypatch.setitem(sys.modules, "nvmath.bindings", bindings)
    fake_streams.TAPE.calls = None
    return CupyBackend()
