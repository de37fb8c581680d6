"""Where it was measured: processor, variables that decide the speed, versions, and which BLAS kernels run."""

from __future__ import annotations

import os
import platform
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from portable_bp.cli.info import KERNELS, numpy_blas, processor_flags

DECIDING = ("OPENBLAS_", "OMP_", "MKL_", "BLIS_", "XLA_", "JAX_", "TORCH", "CUPY_", "NVIDIA_TF32")
PACKAGES = ("portable-bp", "numpy", "scipy", "scikit-learn", "thinc", "torch", "jax", "jaxlib", "cupy-cuda12x")
PACKAGES += ("cupy-cuda13x",)


def machine(rounds: int) -> dict[str, Any]:
    """All of it, for the report's head and the JSON; to be called before measuring, for the load's sake."""
    return {
        "date": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "processor": processor(),
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "flags": processor_flags(),
        "default_kernels": ", ".join(str(blas["kernels"]) for blas in numpy_blas()) or "unknown",
        "blas": numpy_blas(),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(DECIDING)},
        "versions": {"Python": platform.python_version(), **versions()},
        "load": [round(minutes, 2) for minutes in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "rounds": rounds,
    }


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = next((line for line in lines if line.startswith("model name")), f":{platform.machine()}")
    return named.partition(":")[2].strip()


def versions() -> dict[str, str]:
    """Versions of what is installed; nothing is imported."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def better_core() -> str | None:
    """The OPENBLAS_CORETYPE for this processor's AVX-512, where NumPy's OpenBLAS runs lesser kernels by default."""
    needed, core, fast = KERNELS[0]
    running = [blas["kernels"] for blas in numpy_blas() if blas["library"] == "openblas"]
    if not running or not needed <= set(processor_flags() or ()):
        return None
    return None if all((kernels or "").lower() in fast for kernels in running) else core
