"""NumPy on the CPU: the backend that is always there."""

from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

import numpy as np

from portable_bp.backend import Backend, Epoch, Step, T, lowered_by
from portable_bp.errors import BackendError
from portable_bp_numpy.lowered import LOWERED
from portable_bp_numpy.namespace import Namespace
from portable_bp_numpy.replay import CompiledEpoch
from portable_bp_numpy.reproducible import exact_matmul, without_faded

__all__ = ["NumpyBackend"]


class NumpyBackend(Backend):
    """NumPy arrays on the CPU."""

    name = "numpy"
    correctly_rounded = frozenset({"divide", "sqrt"})
    device = "cpu"
    reproducible = MappingProxyType({"matmul": exact_matmul, "without_faded": without_faded})

    def __init__(self, device: str | None = None) -> None:
        if device not in (None, "cpu"):
            raise BackendError(f"backend 'numpy' has no device {device!r}: it runs on the CPU only; write 'numpy'")
        self.xp = Namespace()

    def asarray(self, host: Any) -> Any:
        return np.array(host)

    def to_numpy(self, array: Any) -> Any:
        return np.array(array)

    def activate(self) -> AbstractContextManager[Any]:
        # Overflow and NaN are found and named by the training loop; NumPy's warnings would only come before it.
        return np.errstate(over="ignore", invalid="ignore", divide="ignore")

    def owns(self, array: object) -> bool:
        return isinstance(array, (np.ndarray, np.generic))

    def lower(self, part: T) -> T:
        return lowered_by(part, LOWERED)

    def compile(self, step: Step, *, as_written: bool = False) -> Epoch:
        """Record the step once for each form of its arrays, plan where every result goes, and replay the calls."""
        return CompiledEpoch(step, super().compile(step))

    @property
    def spec(self) -> str:
        return self.name
