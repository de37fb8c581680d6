"""Any backend, with reproducible arithmetic."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, TypeVar

from portable_bp.arrays import Array, HostArray
from portable_bp.backend import Backend, Epoch, Step
from portable_bp.errors import ConfigurationError
from portable_bp.reproducible.namespace import ReproducibleNamespace

T = TypeVar("T")


class ReproducibleBackend(Backend):
    """Another backend with a `ReproducibleNamespace` as ``xp``; nothing is lowered or rewritten by a compiler."""

    arithmetic = "reproducible"

    def __init__(self, inner: Backend) -> None:
        self.inner, self.name, self.device = inner, inner.name, inner.device
        with inner.activate():
            self.xp = ReproducibleNamespace(inner.xp, inner.correctly_rounded, inner.exact_matmul)

    def asarray(self, host: HostArray) -> Array:
        return self.inner.asarray(host)

    def to_numpy(self, array: Array) -> HostArray:
        return self.inner.to_numpy(array)

    def owns(self, array: object) -> bool:
        return self.inner.owns(array)

    def synchronize(self) -> None:
        self.inner.synchronize()

    def activate(self) -> AbstractContextManager[Any]:
        return self.inner.activate()

    def lower(self, part: T) -> T:
        return part

    def compile(self, step: Step, *, as_written: bool = True) -> Epoch:
        return self.inner.compile(step, as_written=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return with_arithmetic, (self.inner, "reproducible")

    @property
    def spec(self) -> str:
        return self.inner.spec


def with_arithmetic(backend: Backend, arithmetic: str | None) -> Backend:
    """Give the backend with its library's "native" arithmetic, with "reproducible" arithmetic, or (None) as it is."""
    if arithmetic is None:
        return backend
    plain = backend.inner if isinstance(backend, ReproducibleBackend) else backend
    if arithmetic == "native":
        return plain
    if arithmetic == "reproducible":
        return ReproducibleBackend(plain)
    raise ConfigurationError(f"arithmetic={arithmetic!r}: write 'native' or 'reproducible'")
