"""PyTorch tensors, on the CPU or a CUDA GPU; autograd stays off, the gradients are portable_bp's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from portable_bp.backend import SHARE, Backend, OnDevice, T, lowered_by
from portable_bp.errors import BackendError
from portable_bp.precision import precisions_of

__all__ = ["TorchBackend"]


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise BackendError(
            f"backend 'torch' needs PyTorch, which can't be imported ({error}): pip install 'portable-bp[torch]'"
        ) from error
    return torch


class TorchBackend(Backend):
    """Torch tensors on one device: ``"torch:cpu"`` (also plain ``"torch"``), ``"torch:cuda:0"``."""

    name = "torch"
    correctly_rounded = frozenset({"divide"})  # its vectorised square root on the CPU is not

    def __init__(self, device: str | None = None) -> None:
        torch = _import_torch()
        import array_api_compat.torch

        self._torch = torch
        self._device = self._find(device or "cpu")
        self.device = str(self._device)
        self.xp = OnDevice(array_api_compat.torch, self._device)
        try:
            self.probe()
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).strip().splitlines()[0]
            raise BackendError(
                f"backend 'torch' can't compute on {self.device!r} ({reason}); here are {', '.join(self.devices())}"
            ) from error
        if self._device.type == "cuda" and torch.version.cuda:  # ROCm calls its GPUs "cuda" too
            self.precisions = precisions_of(torch.cuda.get_device_capability(self._device)[0])

    def _find(self, device: str) -> Any:
        try:
            found = self._torch.device(device)
        except RuntimeError as error:
            raise BackendError(
                f"backend 'torch' knows no device {device!r}; here are {', '.join(self.devices())}"
            ) from error
        if (
            found.type != "cpu" and found.index is None
        ):  # tensors carry an index, so must the device they are compared to
            found = self._torch.device(found.type, 0)
        return found

    def asarray(self, host: Any) -> Any:
        # A copy in C order first: torch reads no NumPy array that runs backwards, x[::-1].
        return self._torch.from_numpy(np.array(host, order="C")).to(self._device)

    def to_numpy(self, array: Any) -> Any:
        return array.numpy(force=True).copy()

    def owns(self, array: object) -> bool:
        return isinstance(array, self._torch.Tensor) and array.device == self._device

    def synchronize(self) -> None:
        if self._device.type == "cuda":
            self._torch.cuda.synchronize(self._device)

    def room(self) -> float:
        if self._device.type != "cuda":
            return super().room()
        cuda = self._torch.cuda
        cached = cuda.memory_reserved(self._device) - cuda.memory_allocated(self._device)
        return SHARE * float(cuda.mem_get_info(self._device)[0] + cached)

    @contextmanager
    def activate(self) -> Iterator[None]:
        with self._torch.no_grad(), multiplying(self._torch, self.precision):
            yield

    def lower(self, part: T) -> T:
        from portable_bp_torch.lowered import LOWERED

        return lowered_by(part, LOWERED)

    @classmethod
    def devices(cls) -> list[str]:
        torch = _import_torch()
        return ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]


@contextmanager
def multiplying(torch: Any, precision: str) -> Iterator[None]:
    """Let torch multiply float32 matrices in this precision; it is a setting of the whole process, hence set back."""
    before, wanted, put = _setting(torch, precision)
    if before == wanted:
        yield
        return
    put(wanted)
    try:
        yield
    finally:
        put(before)


def _setting(torch: Any, precision: str) -> tuple[str, str, Callable[[str], None]]:
    """Torch's setting now, the one wanted, and how it is changed; one of two, since torch forbids to mix them."""
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # somebody has used the newer one, of torch 2.9
        matmul = torch.backends.cuda.matmul
        wanted = {"full": "ieee", "tf32": "tf32"}[precision]
        return matmul.fp32_precision, wanted, lambda value: setattr(matmul, "fp32_precision", value)
    return before, {"full": "highest", "tf32": "high"}[precision], torch.set_float32_matmul_precision
