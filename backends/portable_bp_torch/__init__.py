"""PyTorch tensors, on the CPU or a CUDA GPU; autograd stays off, the gradients are portable_bp's own."""

from typing import Any

import numpy as np

from portable_bp.backend import Backend, OnDevice, T, lowered_by
from portable_bp.errors import BackendError

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

    def activate(self) -> Any:
        return self._torch.no_grad()

    def lower(self, part: T) -> T:
        from portable_bp_torch.lowered import LOWERED

        return lowered_by(part, LOWERED)

    @classmethod
    def devices(cls) -> list[str]:
        torch = _import_torch()
        return ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
