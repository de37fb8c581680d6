"""Any backend, with reproducible arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

from portable_bp.arrays import Array, HostArray
from portable_bp.backend import Backend, Batch, Epoch, Feed, State, Step
from portable_bp.errors import ConfigurationError
from portable_bp.reproducible.namespace import ReproducibleNamespace
from portable_bp.reproducible.powers import without_faded

T = TypeVar("T")


class ReproducibleBackend(Backend):
    """Another backend with a `ReproducibleNamespace` as ``xp``; nothing is lowered or rewritten by a compiler.

    After each compiled step float32 numbers of the state below 2⁻⁹⁶ are set to zero, so that no library comes to the
    subnormal numbers, which some flush to zero.
    """

    arithmetic = "reproducible"

    def __init__(self, inner: Backend) -> None:
        _require_full(inner.precision)
        self.inner, self.name, self.device = inner, inner.name, inner.device
        with inner.activate():
            self.xp = ReproducibleNamespace(inner.xp, inner.correctly_rounded, inner.reproducible.get("matmul"))

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
        xp, clear = self.inner.xp, self.inner.reproducible.get("without_faded", without_faded)

        def settled_step(state: State, batch: Batch) -> tuple[State, Array]:
            state, loss = step(state, batch)
            return _without_faded(partial(clear, xp), xp.float32, state), loss

        return self.inner.compile(settled_step, as_written=True)

    def room(self) -> float:
        return self.inner.room()

    def feed(self, data: tuple[HostArray, ...], rows: Sequence[HostArray]) -> Feed:
        return self.inner.feed(data, rows)

    def at_precision(self, precision: str) -> Backend:
        _require_full(precision)
        return self

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


def _require_full(precision: str) -> None:
    if precision != "full":
        raise ConfigurationError(
            f"precision={precision!r} with arithmetic='reproducible': its bits are defined for full products alone; "
            "leave one of the two out"
        )


def _without_faded(clear: Callable[[Array], Array], float32: Any, tree: Any) -> Any:
    """A state whose float32 arrays hold no number that has faded: the next operator could make a subnormal of it."""
    if isinstance(tree, dict):
        return {name: _without_faded(clear, float32, branch) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [_without_faded(clear, float32, branch) for branch in tree]
    return clear(tree) if tree.dtype == float32 else tree
