"""The folder in which CuPy keeps compiled kernels.

CuPy looks a kernel up by a hash of its source, the options, the compute capability, and the versions of CuPy and NVRTC,
so a stale one is never found; and it compiles again what doesn't have the checksum that it was kept with.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from atexit import register
from pathlib import Path
from shutil import rmtree

VARIABLE, USUAL = "CUPY_CACHE_DIR", "~/.cupy/kernel_cache"


def folder() -> Path:
    """Where compiled kernels are kept."""
    return Path(os.environ.get(VARIABLE) or USUAL).expanduser()


def require_writable() -> None:
    """Before CuPy is imported, give it a folder of this process's own where it can't write into the usual one.

    It would else fail with the first kernel, or already when it is imported.
    """
    if "cupy" in sys.modules:
        return
    usual = folder()
    try:
        usual.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=usual):
            return
    except OSError as error:
        reason = error.strerror or str(error)
    own = tempfile.mkdtemp(prefix="portable_bp-kernels-")
    register(rmtree, own, ignore_errors=True)
    os.environ[VARIABLE] = own
    warnings.warn(
        f"CuPy can't keep compiled kernels in {str(usual)!r} ({reason}), so each process compiles its own, for some "
        f"seconds: set {VARIABLE} to a folder that can be written into",
        RuntimeWarning,
        stacklevel=2,
    )
