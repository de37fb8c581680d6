"""The contract of a backend: one array library on one device, and how a name such as ``"cupy:1"`` becomes one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from functools import cache, partial
from itertools import repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, final

from portable_bp.arguments import INFINITY
from portable_bp.arrays import Array, HostArray, Namespace
from portable_bp.errors import BackendError, ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP = "portable_bp.backends"

SHARE = 0.5
"""Of a device's free memory that data may take: the rest is for evaluations, states and other networks' parameters."""

State = dict[str, Any]
Batch = tuple[Array, ...]
Step = Callable[[State, Batch], tuple[State, Array]]
Order: TypeAlias = "Array | int"
Epoch = Callable[[State, Batch, Sequence[Order]], tuple[State, Array]]
Feed: TypeAlias = Generator[Batch, None, None]
T = TypeVar("T")


class Backend(ABC):
    """One array library on one device.

    A backend is found by the entry point group ``portable_bp.backends``; the class is called with the device's name,
    the part behind the first colon of ``"torch:cuda:0"``, or None for the library's own choice. Its ``__init__`` raises
    BackendError, with the cure, where the library is missing or the device doesn't answer.
    """

    def __init__(self, device: str | None = None) -> None:  # noqa: B027 (a library may have nothing to choose)
        """Find the library and the device."""

    name: str
    """Name of the library, ``"torch"``."""
    device: str
    """Name of the device in the library's own words, ``"cuda:0"``."""
    arithmetic: str = "native"
    """The library's own arithmetic; "reproducible" for a backend wrapped by `portable_bp.reproducible`."""
    precision: str = "full"
    """How float32 products are computed: "full", or "tf32" for a backend that `at_precision` gave."""
    precisions: frozenset[str] = frozenset({"full"})
    """What `precision` can be on this device; a library computes as `precision` says, within `activate`."""
    correctly_rounded: frozenset[str] = frozenset()
    """Those of "divide" and "sqrt" that this library rounds correctly, also where a shape is broadcast."""
    reproducible: Mapping[str, Callable[..., Array]] = MappingProxyType({})
    """Faster functions with the bits of `portable_bp.reproducible`'s own: "matmul", "without_faded"."""
    xp: Namespace
    """Array API namespace whose creation functions, called without ``device``, put arrays on this device."""

    @abstractmethod
    def asarray(self, host: HostArray) -> Array:
        """Copy a NumPy array to the device; the dtype stays."""

    @abstractmethod
    def to_numpy(self, array: Array) -> HostArray:
        """Copy an array of this backend to the host, waiting for it."""

    @abstractmethod
    def owns(self, array: object) -> bool:
        """Whether ``array`` is of this library *and* on this device."""

    def synchronize(self) -> None:  # noqa: B027 (nothing to wait for where calls are synchronous)
        """Wait until all the work given to the device is done."""

    def activate(self) -> AbstractContextManager[Any]:
        """Context in which arrays of this backend are computed with; for libraries with a current device."""
        return nullcontext()

    def lower(self, part: T) -> T:
        """Return a faster object of the same contract for a layer, loss or optimizer; by default the same object."""
        return part

    def compile(self, step: Step, *, as_written: bool = False) -> Epoch:
        """Turn one pure training step into one call that runs many of them.

        ``epoch(state, data, orders) -> (state, losses)``: for each row of each order, integers of shape (steps, batch),
        the rows of every array in ``data`` are gathered and given to ``step``; a number instead of an array is a number
        of steps, each on all of ``data`` as it lies. ``losses`` has shape (steps of all orders, ...). The state given
        in stays what it was. ``as_written`` forbids a compiler to change the arithmetic: no fused
        a·b + c, no product with a reciprocal for a quotient, no constants put together.
        """
        xp = self.xp

        def batches(data: Batch, order: Order) -> Iterator[Batch]:
            if isinstance(order, int):
                yield from repeat(data, order)
            else:
                for i in range(order.shape[0]):
                    yield tuple(xp.take(array, order[i, ...], axis=0) for array in data)

        def epoch(state: State, data: Batch, orders: Sequence[Order]) -> tuple[State, Array]:
            losses = []
            for order in orders:
                for batch in batches(data, order):
                    state, loss = step(state, batch)
                    losses.append(loss)
            return state, xp.stack(losses)

        return epoch

    def at_precision(self, precision: str) -> Backend:
        """Give this backend with its float32 products at ``precision``, itself where they are already.

        Raises ConfigurationError where this device has no such products.
        """
        if precision == self.precision:
            return self
        if precision not in self.precisions:
            raise ConfigurationError(
                f"precision={precision!r} on {self.spec!r}: TF32 products need a CUDA GPU of compute capability 8.0 or "
                f"higher; write precision='full', or leave it out"
            )
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, precision=precision)
        return other

    def room(self) -> float:
        """Bytes of data that may lie on the device now: `SHARE` of what is free; what takes more stays on the host.

        By default there is no limit.
        """
        return INFINITY

    def feed(self, data: tuple[HostArray, ...], rows: Sequence[HostArray]) -> Feed:
        """For each array of row numbers (int64, one axis) give these rows of all of ``data``, on the device.

        ``data`` are NumPy arrays, moved as they are asked for. What is given may be written over when more is asked
        for, after the work that the device has been given until then; so a library can move rows ahead.
        """
        for some in rows:
            yield tuple(self.asarray(array.take(some, axis=0)) for array in data)

    @classmethod
    def devices(cls) -> list[str]:
        """Devices that could be named behind the colon, as far as the library tells; may raise BackendError."""
        return [cls(None).device]

    def probe(self) -> None:
        """Run one small product, so that a device that doesn't answer is found now; for use in ``__init__``."""
        with self.activate():
            ones = self.xp.ones((2, 2), dtype=self.xp.float32)
            total = float(self.xp.sum(self.xp.matmul(ones, ones)))
        if total != 8.0:
            raise BackendError(
                f"backend {self.spec!r} computed {total} for a product that is 8: its device is not sound"
            )

    @property
    def spec(self) -> str:
        """The name under which `get_backend` gives this backend again."""
        return f"{self.name}:{self.device}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _found_again, (self.spec, self.precision)  # a backend is a place, found again by its name

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        return self

    def __repr__(self) -> str:
        return f"<backend {self.spec}>"


@final
class OnDevice:
    """An Array API namespace whose creation functions use one device unless told otherwise.

    The standard's creation functions (2024.12, "Creation functions") take ``device=``; without it a library chooses
    its default device, which need not be the backend's.
    """

    CREATION = ("arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros")

    def __init__(self, xp: Namespace, device: Any) -> None:
        self._xp = xp
        for name in self.CREATION:
            setattr(self, name, partial(getattr(xp, name), device=device))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._xp, name)
        setattr(self, name, found)  # found once; later look-ups don't come here
        return found


def lowered_by(part: T, table: Mapping[type, type]) -> T:
    """Give a part in the form that a backend's ``table`` has for exactly its class, with the same fields."""
    form = table.get(type(part))
    if form is None:
        return part
    settings = {field.name: getattr(part, field.name) for field in fields(part)}  # type: ignore[arg-type]
    made: T = form(**settings)
    return made


def installed_backends() -> dict[str, EntryPoint]:
    """Entry points of all backends that are installed, by name; nothing is imported."""
    from importlib.metadata import entry_points  # a third of the time that importing portable_bp would else take

    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def get_backend(spec: str | Backend) -> Backend:
    """Give the backend that ``spec`` names: ``"numpy"``, ``"cupy:1"``, ``"torch:cuda:0"``; a Backend is given back.

    Raises
    ------
    BackendError
        No such backend is installed, its library is missing, or its device doesn't answer.
    """
    return spec if isinstance(spec, Backend) else _backend_named(str(spec))


def _found_again(spec: str, precision: str) -> Backend:
    return get_backend(spec).at_precision(precision)


@cache
def _backend_named(spec: str) -> Backend:
    name, _, device = spec.partition(":")
    return backend_class(name)(device or None)


def backend_class(name: str) -> type[Backend]:
    """Import the class of the backend called ``name``."""
    found = installed_backends()
    if not found:
        raise BackendError(
            "no backends are installed: portable_bp finds them by entry points, which a bare checkout lacks; "
            "run `pip install -e .` in the checkout first"
        )
    if name not in found:
        raise BackendError(f"there is no backend {name!r}; installed are {', '.join(sorted(found))}")
    loaded: type[Backend] = found[name].load()
    return loaded
