"""What a captured step works with: a stream, memory of its own, compiled kernels and calls of CuPy's functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from importlib.resources import files
from math import prod
from typing import Any

import numpy as np

from portable_bp_cupy.kernels import Kernel
from portable_bp_cupy.persistent.tiling import Machine
from portable_bp_cupy.products import WORKSPACE, Products
from portable_bp_numpy.recording import NotRecordable

OPTIONS = ("-std=c++17", "-fmad=false")
"""Of NVRTC. No contraction of a·b + c: reproducible arithmetic keeps its bits, and native differs less from NumPy."""
MOST_SHARED = 96 * 1024
"""Bytes of shared memory that a block of a cooperative launch takes at most; the rest is left to the first cache."""
ONLY_LAUNCHED = (np.sum, np.prod, np.max, np.min, np.all, np.any, np.take)
"""CuPy's functions that launch kernels and nothing else. Others, `cupy.concatenate` for one, copy something from the
host's memory: a graph would copy from there again when it holds something else."""
Call = Callable[[], Any]


class Workbench:
    """One stream of the current device, and the memory that its graphs write into.

    The memory comes from a pool of our own, which lives as long as the graphs: in CuPy's common pool, what is freed
    during a capture could be given to an array that the graph then overwrites.
    """

    def __init__(self, cupy: Any, *, tf32: bool = False) -> None:
        self.cupy = cupy
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self.pool = cupy.cuda.MemoryPool()
        with self.making():
            self.products = Products(self.stream.ptr, self.empty(WORKSPACE, np.dtype(np.uint8)), tf32=tf32)

    @contextmanager
    def making(self) -> Iterator[None]:
        """Put arrays made here into the own pool, and work on the own stream."""
        with self.cupy.cuda.using_allocator(self.pool.malloc), self.running():
            yield

    @contextmanager
    def running(self) -> Iterator[Any]:
        """Work on the own stream: behind what the stream in use has been given so far, and before what comes later."""
        others = self.cupy.cuda.get_current_stream()
        self.stream.wait_event(others.record())
        try:
            with self.stream:
                yield self.stream
        finally:
            others.wait_event(self.stream.record())

    def empty(self, shape: Any, dtype: Any) -> Any:
        """An array with anything in it."""
        return self.cupy.empty(shape, dtype)

    def constant(self, host: Any) -> Any:
        """A NumPy array on the device."""
        return self.cupy.asarray(np.asarray(host, order="C"))

    def view(self, function: Any, args: Any, kwargs: Any, of: Sequence[Any]) -> Any:
        """Another look at the memory of one of the arrays ``of``."""
        seen = self._named(function)(*args, **kwargs)
        if not any(self.cupy.may_share_memory(seen, x) for x in of):
            raise NotRecordable(f"{function} looks at its argument's memory in one layout and copies another")
        return seen

    def compiled(self, kernels: Sequence[Kernel]) -> Mapping[str, Callable[..., Any]]:
        """CUDA functions by name: those of step.cu and the kernels; CuPy keeps compiled ones on disk."""
        source = "\n\n".join([step_source(), *(kernel.source for kernel in kernels)])
        module = self.cupy.RawModule(code=source, options=OPTIONS)
        return _Functions(module.get_function)

    def machine(self, threads: int) -> Machine:
        """What blocks of so many threads, one a multiprocessor, have to work with."""
        attributes = self.cupy.cuda.Device().attributes
        if not attributes["CooperativeLaunch"]:
            raise NotRecordable("this GPU launches no kernels whose blocks can wait for each other")
        shared = min(MOST_SHARED, attributes["MaxSharedMemoryPerBlockOptin"])
        return Machine(attributes["MultiProcessorCount"], threads, shared)

    def cooperative(self, source: str, name: str, blocks: int, block: int, shared: int) -> Callable[..., None]:
        """A launch of a function whose blocks can wait for each other, since all are on the GPU at once."""
        module = self.cupy.RawModule(code=source, options=OPTIONS, enable_cooperative_groups=True)
        function = module.get_function(name)
        function.max_dynamic_shared_size_bytes = shared
        resident = self.cupy.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(function.kernel.ptr, block, shared)
        if resident < 1:
            raise NotRecordable(f"a multiprocessor has no room for a block of {block} threads")
        return lambda *arguments: function((blocks,), (block,), arguments, shared_mem=shared)

    def calls_into(self, out: Any, function: Any, args: Any, kwargs: Any) -> list[Call]:
        """Calls that leave ``function(*args, **kwargs)``, one of NumPy's functions, in ``out``; refuses unsafe ones."""
        if function is np.matmul:
            a, b = args
            return [self.products.call(a, b, out)]
        if isinstance(function, np.ufunc) or function in ONLY_LAUNCHED:
            return [partial(self._named(function), *args, out=out, **kwargs)]
        raise NotRecordable(f"{getattr(function, '__name__', function)} is not known to be safe in a CUDA graph")

    def _named(self, function: Any) -> Callable[..., Any]:
        """CuPy's function of the same name."""
        name = getattr(function, "__name__", "")
        own = function if name == "_getitem" else getattr(self.cupy, name or "?", None)
        if own is None:
            raise NotRecordable(f"CuPy has no {function}")
        return own  # type: ignore[no-any-return]


class _Functions(dict[str, Callable[..., Any]]):
    """Functions of a module, looked up when they are needed first."""

    def __init__(self, find: Callable[[str], Callable[..., Any]]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, name: str) -> Callable[..., Any]:
        self[name] = self._find(name)
        return self[name]


@cache
def step_source() -> str:
    """The kernels that are written by hand."""
    return (files(__package__) / "step.cu").read_text(encoding="utf-8")


def launch(function: Callable[..., Any], size: int, *arguments: Any, block: int = 256) -> Call:
    """Call of a CUDA function with a thread for each of ``size`` numbers."""
    return partial(function, (max(1, -(-size // block)),), (block,), arguments)


def numbers(shape: tuple[int, ...]) -> int:
    """Number of elements of a shape."""
    return int(prod(shape))
