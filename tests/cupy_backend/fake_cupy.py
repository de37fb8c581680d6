"""A CuPy without a GPU: NumPy's memory, CuPy's manners.

Arrays refuse NumPy's as arguments; products are refused while capturing, as by CuPy; kernels are compiled by g++.
"""

import ctypes
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import array_api_compat.numpy
import compiling
import fake_cublas
import numpy as np
from fake_streams import TAPE, Stream, forbidden


class FakeArray(np.ndarray):
    """An array of the fake device."""

    __array_priority__ = 100

    @property
    def data(self):
        return Pointer(self.__array_interface__["data"][0])

    @property
    def device(self):
        return Device(0)

    def __repr__(self):
        return f"FakeArray{self.view(np.ndarray)!r}"

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if any(not isinstance(x, (FakeArray, np.generic, int, float)) for x in inputs):
            return NotImplemented
        (out,) = out or (None,)
        return called(getattr(ufunc, method), inputs, kwargs, out)

    def __array_function__(self, function, types, args, kwargs):
        if not all(issubclass(kind, FakeArray) for kind in types):
            return NotImplemented
        return called(function, args, kwargs, kwargs.pop("out", None))

    def __getitem__(self, key):
        return on_device(self.view(np.ndarray)[bare(key)])

    def set(self, host):
        forbidden("a copy from the host")
        self.view(np.ndarray)[...] = host

    def copy(self):
        forbidden("a copy by the array's own method")
        return on_device(self.view(np.ndarray).copy())

    def __bool__(self):
        forbidden("a look at a value")
        return bool(self.view(np.ndarray))

    def __float__(self):
        forbidden("a look at a value")
        return float(self.view(np.ndarray))


class Pointer:
    """Memory of the fake device."""

    def __init__(self, ptr):
        self.ptr = ptr

    def copy_from_host_async(self, address, size, stream):
        stream.pending.append(lambda: ctypes.memmove(self.ptr, address, size))


def bare(tree):
    """The tree with NumPy's arrays for the fake ones."""
    if isinstance(tree, FakeArray):
        return tree.view(np.ndarray)
    if isinstance(tree, (list, tuple)):
        return type(tree)(map(bare, tree))
    return {k: bare(v) for k, v in tree.items()} if isinstance(tree, dict) else tree


def on_device(result):
    if isinstance(result, (list, tuple)):
        return type(result)(map(on_device, result))
    return np.asarray(result).view(FakeArray) if isinstance(result, (np.ndarray, np.generic)) else result


def called(function, args, kwargs, out):
    """Call one of NumPy's functions, or take the call down."""
    args, kwargs = bare(args), bare(kwargs)
    if TAPE.calls is None:
        return on_device(function(*args, **kwargs)) if out is None else _into(out, function, args, kwargs)
    out = on_device(np.array(function(*args, **kwargs))) if out is None else out
    TAPE.calls.append(lambda: _into(out, function, args, kwargs))
    return out


def _into(out, function, args, kwargs):
    place = out.view(np.ndarray)
    result = function(*args, **kwargs)
    assert place.shape == np.shape(result), f"{function} gives {np.shape(result)} and not {place.shape}"
    np.copyto(place, result, casting="same_kind")
    return out


VIEWS = {
    np.reshape, np.transpose, np.broadcast_to, np.swapaxes, np.expand_dims, np.moveaxis, np.flip, np.squeeze,
    np.may_share_memory,
}  # fmt: skip


def wrapped(name, function):
    def own(*args, out=None, **kwargs):
        for x in (*args, *kwargs.values()):
            if type(x) is np.ndarray:
                raise TypeError(f"Unsupported type {type(x)}")
        if function in VIEWS:
            return on_device(function(*bare(args), **kwargs))
        if name == "matmul" and TAPE.calls is not None:
            raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
        if name == "matmul" and fake_cublas.MathMode.mode == fake_cublas.TF32 and args[0].dtype == np.float32:
            args = [on_device(fake_cublas.rounded(bare(x))) for x in args]
        return called(function, args, kwargs, out)

    return own


class Device:
    compute_capability = "90"
    cublas_handle = fake_cublas.HANDLE
    attributes: ClassVar[dict[str, int]] = {
        "MultiProcessorCount": 5, "CooperativeLaunch": 1, "MaxSharedMemoryPerBlockOptin": 101376
    }  # fmt: skip

    def __init__(self, number=0):
        self.id = number

    def __eq__(self, other):
        return self.id == other.id

    __hash__ = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class MemoryPool:
    def malloc(self, size):
        raise AssertionError("the fake has NumPy's memory")

    def free_all_blocks(self):
        pass


@contextmanager
def using_allocator(allocator):
    yield


class RawModule:
    sources: ClassVar[list[str]] = []
    """All sources seen, for tests."""

    seed = 0
    """Decides in which order the threads of a cooperative launch run."""

    def __init__(self, code, options=(), enable_cooperative_groups=False):
        assert "-fmad=false" in options
        RawModule.sources.append(code)
        self._library, self._cooperative = compiling.built(code), enable_cooperative_groups

    def get_function(self, name):
        getattr(self._library, f"run_{name}")
        if self._cooperative:
            return CooperativeFunction(self._library, name)

        def function(grid, block, arguments):
            assert len(grid) == len(block) == 1
            assert all(isinstance(x, (FakeArray, np.int64)) for x in arguments)

            def launched():
                compiling.run(self._library, name, grid[0], block[0], arguments)

            launched() if TAPE.calls is None else TAPE.calls.append(launched)

        return function


class CooperativeFunction:
    """A kernel whose blocks can wait for each other."""

    kernel = SimpleNamespace(ptr=1)
    max_dynamic_shared_size_bytes = 48 * 1024

    def __init__(self, library, name):
        self._library, self._name = library, name

    def __call__(self, grid, block, arguments, shared_mem=0):
        assert shared_mem <= min(self.max_dynamic_shared_size_bytes, Device.attributes["MaxSharedMemoryPerBlockOptin"])
        forbidden("a cooperative launch")
        assert all(isinstance(x, (FakeArray, np.int64)) for x in arguments)
        compiling.run_together(self._library, self._name, grid[0], block[0], shared_mem, RawModule.seed, arguments)


def cupy_module():
    """What `import cupy` gives."""
    fake = ModuleType("cupy")
    ufuncs = [function for function in vars(np).values() if isinstance(function, np.ufunc)]
    others = [np.sum, np.prod, np.max, np.min, np.all, np.any, np.take]
    for function in [*ufuncs, *others, *VIEWS]:
        setattr(fake, function.__name__, wrapped(function.__name__, function))
    fake.ndarray, fake.RawModule = FakeArray, RawModule
    fake.array = lambda x: on_device(np.array(bare(x)))
    fake.asarray = lambda x: on_device(np.array(x)) if type(x) is np.ndarray else x
    fake.asnumpy = lambda x: np.array(bare(x))
    fake.ascontiguousarray = lambda x: on_device(np.ascontiguousarray(bare(x)))
    fake.empty = lambda shape, dtype: on_device(
        np.frombuffer(bytearray(b"\xab" * _bytes(shape, dtype)), dtype).reshape(shape)
    )
    fake.copyto = copyto
    fake.concatenate = lambda arrays: forbidden("a copy of addresses") or on_device(np.concatenate(bare(arrays)))
    fake.__version__ = "14.2.0"
    fake.get_default_memory_pool = lambda: SimpleNamespace(free_bytes=lambda: 2**20)
    runtime = SimpleNamespace(
        getDeviceCount=lambda: 1,
        memGetInfo=lambda: (2**34, 2**35),
        deviceSynchronize=lambda: None,
        CUDARuntimeError=CUDARuntimeError,
    )
    driver = SimpleNamespace(
        CUDADriverError=CUDADriverError,
        occupancyMaxActiveBlocksPerMultiprocessor=lambda function, block, shared: 1,
    )
    fake.cuda = SimpleNamespace(
        driver=driver, get_elapsed_time=lambda first, last: 1e3 * (last.time - first.time),
        Stream=Stream, Device=Device, MemoryPool=MemoryPool, using_allocator=using_allocator, runtime=runtime,
        get_current_stream=lambda: Stream.current, memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        cublas=fake_cublas.MathMode, alloc_pinned_memory=bytearray,
        compiler=SimpleNamespace(CompileException=CompileException),
    )  # fmt: skip
    return fake


class OutOfMemoryError(MemoryError):
    pass


class CUDARuntimeError(RuntimeError):
    def __init__(self, status, words=""):
        super().__init__(words)
        self.status = status


class CUDADriverError(RuntimeError):
    pass


class CompileException(Exception):
    pass


def _bytes(shape, dtype):
    return int(np.prod(shape)) * np.dtype(dtype).itemsize


def copyto(place, x):
    assert isinstance(x, FakeArray)
    source, place = bare(x), bare(place)
    call = lambda: np.copyto(place, source)  # noqa: E731
    call() if TAPE.calls is None else TAPE.calls.append(call)


class FakeNamespace:
    """What `array_api_compat.cupy` is."""

    def __getattr__(self, name):
        found = getattr(array_api_compat.numpy, name)
        return wrapped(name, found) if callable(found) and not isinstance(found, type) else found
