"""What CUDA couldn't do, said with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from portable_bp.errors import BackendError

OUT_OF_MEMORY = 2
"""cudaErrorMemoryAllocation, of memory that CuPy's pools don't manage: pinned memory, contexts, workspaces."""


@contextmanager
def explained(cupy: Any, spec: str, device: Any) -> Iterator[None]:
    """Turn errors of CUDA's into BackendErrors with the cure; kernels run late, so they are met somewhere behind."""
    cuda = cupy.cuda
    try:
        yield
    except cuda.memory.OutOfMemoryError as error:
        raise BackendError(_too_large(spec, error)) from error
    except cuda.compiler.CompileException as error:
        raise BackendError(
            f"CuPy can't compile a kernel for {spec}, of compute capability {device.compute_capability} "
            f"({_line(error)}): install the CuPy wheel for this driver's CUDA version, with its NVRTC"
        ) from error
    except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError) as error:
        if getattr(error, "status", None) == OUT_OF_MEMORY:
            raise BackendError(_too_large(spec, error)) from error
        raise BackendError(f"CUDA failed on {spec} ({_line(error)}): {_what_is_left(cupy, device)}") from error


def _too_large(spec: str, error: Exception) -> str:
    return (
        f"the memory of {spec} does not suffice ({_line(error)}): take a smaller batch_size, give x as bytes (uint8), "
        "or end what else uses the GPU; `nvidia-smi` lists it"
    )


def _what_is_left(cupy: Any, device: Any) -> str:
    """Most of CUDA's failures end the process's use of the device, with everything on it."""
    try:
        with device:
            cupy.cuda.runtime.deviceSynchronize()
    except Exception:
        return (
            "the device is lost to this process, and with it the parameters since they were saved last; start Python "
            "again, load() the file, and save() from a callback after each epoch"
        )
    return (
        "the device still answers, and a network in training keeps the parameters of its last good epoch; save() it, "
        "start Python again and go on from there"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
