"""CuPy on a CUDA GPU."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from portable_bp.backend import SHARE, Backend, Epoch, Feed, Step
from portable_bp.errors import BackendError
from portable_bp.precision import precisions_of
from portable_bp_cupy.cache import require_writable
from portable_bp_cupy.failures import explained
from portable_bp_cupy.namespace import Namespace
from portable_bp_cupy.products import multiplying

__all__ = ["CupyBackend"]

INSTALL = "pip install 'portable-bp[cuda13]' (or [cuda12] for a CUDA 12 driver); never two CuPy wheels at once"


def _import_cupy() -> Any:
    require_writable()
    try:
        import cupy
    except ImportError as error:
        raise BackendError(f"backend 'cupy' needs CuPy, which can't be imported ({error}): {INSTALL}") from error
    return cupy


def _device_count(cupy: Any) -> int:
    try:
        return int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError as error:
        reason = str(error).splitlines()[0]
        raise BackendError(
            f"backend 'cupy' found no CUDA device ({reason}): install NVIDIA's driver, see that `nvidia-smi` lists "
            "the GPU, or use backend='numpy'"
        ) from error


class CupyBackend(Backend):
    """CuPy arrays on one CUDA GPU; ``"cupy"`` is device 0, ``"cupy:1"`` the second one."""

    name = "cupy"
    correctly_rounded = frozenset({"divide", "sqrt"})

    def __init__(self, device: str | None = None) -> None:
        cupy = _import_cupy()
        available = _device_count(cupy)
        number = device or "0"
        if not number.isdecimal() or int(number) >= available:
            raise BackendError(
                f"backend 'cupy' has no device {number!r}: here are 0 to {available - 1}, written 'cupy:0'"
            )
        self.device = number
        self._cupy = cupy
        self.xp = Namespace(import_module("array_api_compat.cupy"), self._hosted)
        self._gpu = cupy.cuda.Device(int(number))
        self.precisions = precisions_of(str(self._gpu.compute_capability)[:-1])  # "90" is 9.0
        self._run_once()

    def _run_once(self) -> None:
        try:
            self.probe()
        except Exception as found:
            error = found.__cause__ if isinstance(found, BackendError) else found
            if error is None:  # it answers, with a wrong number
                raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise BackendError(
                f"backend 'cupy' is installed but can't compute on device {self.device} ({reason}): check that the "
                f"wheel fits the driver's CUDA version and brings its libraries: {INSTALL}"
            ) from error

    def asarray(self, host: Any) -> Any:
        with self._gpu:
            return self._cupy.array(host)

    def to_numpy(self, array: Any) -> Any:
        with self._gpu:
            return self._cupy.asnumpy(array)

    def owns(self, array: object) -> bool:
        return isinstance(array, self._cupy.ndarray) and array.device == self._gpu

    def synchronize(self) -> None:
        with self._gpu:
            self._cupy.cuda.get_current_stream().synchronize()

    def room(self) -> float:
        with self._gpu:
            free, _ = self._cupy.cuda.runtime.memGetInfo()
            return SHARE * float(free + self._cupy.get_default_memory_pool().free_bytes())

    def feed(self, data: tuple[Any, ...], rows: Sequence[Any]) -> Feed:
        from portable_bp_cupy.feeding import fed

        return fed(self._cupy, self._gpu, data, rows)

    @contextmanager
    def activate(self) -> Iterator[None]:
        explaining = explained(self._cupy, self.spec, self._gpu)
        with explaining, self._gpu, multiplying(self._cupy, self._gpu, self.precision):
            yield

    def compile(self, step: Step, *, as_written: bool = False) -> Epoch:
        """Capture the step as a CUDA graph for each form of its arrays, and launch it; docs/gpu.md."""
        from portable_bp_cupy.compiled import CompiledEpoch

        tf32 = self.precision == "tf32"
        return CompiledEpoch(self._cupy, self.xp, step, super().compile(step), exact=as_written, tf32=tf32)

    def _hosted(self, x: Any) -> Any:
        return self.to_numpy(x) if isinstance(x, self._cupy.ndarray) else x

    @classmethod
    def devices(cls) -> list[str]:
        return [str(number) for number in range(_device_count(_import_cupy()))]
