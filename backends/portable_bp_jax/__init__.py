"""JAX arrays, with the epoch compiled by XLA; JAX's own autodiff is not used."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

from portable_bp.backend import SHARE, Backend, Batch, Epoch, Order, State, Step, T, lowered_by
from portable_bp.errors import BackendError
from portable_bp.precision import precisions_of

__all__ = ["JaxBackend"]

AS_WRITTEN = {"xla_disable_hlo_passes": "algsimp,fusion", "xla_backend_optimization_level": 0}
"""XLA's algebraic simplifier turns quotients into products with reciprocals and joins constants; a fused kernel
contracts a·b + c. Without these two passes each operation is a kernel of its own, on the CPU; level 0 compiles them
five times faster."""

KEPT = 8
"""Compiled epochs kept of a step, one for each number of full-batch steps that was asked for: some 4 MB each."""

Form = tuple[int | None, ...]


def _import_jax() -> Any:
    try:
        import jax
    except ImportError as error:
        raise BackendError(
            f"backend 'jax' needs JAX, which can't be imported ({error}): pip install 'portable-bp[jax]'"
        ) from error
    # Without this JAX silently turns float64 into float32 and int64 into int32. It holds for the whole process.
    jax.config.update("jax_enable_x64", True)
    return jax


class JaxBackend(Backend):
    """JAX arrays on one device: ``"jax"`` is JAX's default, ``"jax:cpu:0"`` and ``"jax:gpu:1"`` name one.

    Making this backend turns on JAX's 64-bit types (``jax_enable_x64``) for the process: gradient checks need float64.
    """

    name = "jax"

    def __init__(self, device: str | None = None) -> None:
        jax = _import_jax()
        self._jax = jax
        self._device = self._find(device)
        self.device = f"{self._device.platform}:{self._device.id}"
        if self._device.platform == "cpu":  # on CUDA XLA's float32 roots and quotients are approximations
            self.correctly_rounded = frozenset({"sqrt"})
        self.precisions = precisions_of(getattr(self._device, "compute_capability", None))
        self.xp = jax.numpy
        self.probe()

    def _find(self, device: str | None) -> Any:
        if device is None:
            return self._jax.devices()[0]
        platform, _, number = device.partition(":")
        try:
            return self._jax.devices(platform)[int(number or 0)]
        except (RuntimeError, ValueError, IndexError) as error:
            raise BackendError(
                f"backend 'jax' has no device {device!r}; here are {', '.join(self.devices())}"
            ) from error

    def asarray(self, host: Any) -> Any:
        # A copy first: on the CPU JAX may otherwise go on using NumPy's memory.
        return self._jax.device_put(host.copy() if hasattr(host, "copy") else host, self._device)

    def to_numpy(self, array: Any) -> Any:
        return self._jax.device_get(array).copy()

    def owns(self, array: object) -> bool:
        return isinstance(array, self._jax.Array) and array.devices() == {self._device}

    def synchronize(self) -> None:
        self._jax.block_until_ready(self._jax.device_put(0.0, self._device) + 0.0)

    def room(self) -> float:
        known = self._device.memory_stats() or {}  # none on the CPU
        if not {"bytes_limit", "bytes_in_use"} <= set(known):
            return super().room()
        return SHARE * float(known["bytes_limit"] - known["bytes_in_use"])

    @contextmanager
    def activate(self) -> Iterator[None]:
        # On recent GPUs XLA would multiply float32 in TF32 unless it is told otherwise.
        multiplying = "highest" if self.precision == "full" else "tensorfloat32"
        with self._jax.default_device(self._device), self._jax.default_matmul_precision(multiplying):
            yield

    def lower(self, part: T) -> T:
        from portable_bp_jax.lowered import LOWERED

        return lowered_by(part, LOWERED)

    def compile(self, step: Step, *, as_written: bool = False) -> Epoch:
        """Compile the whole epoch into one call: `jax.jit` of a `jax.lax.scan` over the steps of each order.

        ``as_written`` is known to be possible on the CPU; elsewhere the steps then run operation by operation.
        """
        jax = self._jax
        if as_written and self._device.platform != "cpu":
            return super().compile(step)

        def scanned(data: Batch) -> Any:
            # The order's numbers are row numbers; "fill" would compare each of them with the bounds.
            return lambda state, rows: step(state, tuple(jax.numpy.take(a, rows, axis=0, mode="clip") for a in data))

        def epoch(form: Form, state: State, data: Batch, arrays: list[Any]) -> tuple[State, Any]:
            losses, orders = [], iter(arrays)
            for steps in form:
                if steps is None:
                    state, found = jax.lax.scan(scanned(data), state, next(orders))
                else:
                    state, found = jax.lax.scan(lambda state, _: step(state, data), state, length=steps)
                losses.append(found)
            return state, jax.numpy.concatenate(losses)

        # Where arrays lie is said, or a second call with the first one's results would compile once more.
        here = jax.sharding.SingleDeviceSharding(self._device)
        options = AS_WRITTEN if as_written else None

        @lru_cache(maxsize=KEPT)
        def compiled(form: Form) -> Any:
            return jax.jit(partial(epoch, form), in_shardings=here, out_shardings=here, compiler_options=options)

        def run(state: State, data: Batch, orders: Sequence[Order]) -> tuple[State, Any]:
            form = tuple(order if isinstance(order, int) else None for order in orders)
            result: tuple[State, Any] = compiled(form)(
                state, data, [order for order in orders if not isinstance(order, int)]
            )
            return result

        return run

    @classmethod
    def devices(cls) -> list[str]:
        jax = _import_jax()
        found = [*jax.devices(), *jax.devices("cpu")]
        return list(dict.fromkeys(f"{device.platform}:{device.id}" for device in found))
