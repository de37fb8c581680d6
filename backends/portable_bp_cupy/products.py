"""Matrix products that can be captured: cuBLAS by a handle of our own.

CuPy refuses its own cuBLAS while a stream is capturing (cupy#6290), so the calls go through nvmath's bindings.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from portable_bp_numpy.recording import NotRecordable

WORKSPACE = 32 * 2**20
"""Bytes that cuBLAS may use; NVIDIA's recommendation for its fastest products on a Hopper GPU."""
MATH_MODES = {"full": 0, "tf32": 3}
"""CUBLAS_DEFAULT_MATH and CUBLAS_TF32_TENSOR_OP_MATH, of CuPy's handle: float32 products may round their factors."""
FLOAT, FAST_TF32, DEFAULT_ALGORITHM = 0, 77, -1
"""CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32 and CUBLAS_GEMM_DEFAULT, of a product of our own in TF32."""
Layout = tuple[bool, int, int]
"""Whether a matrix lies turned, the step from row to row (turned: column to column), and from matrix to matrix."""


class Products:
    """A cuBLAS handle on one stream. cuBLAS takes matrices by columns: a product by rows is that of the turned
    matrices in the other order. Turned views are read where they lie, nothing is copied. ``tf32``: products of float32
    matrices may round their factors to 11 bits.
    """

    def __init__(self, stream: int, workspace: Any, *, tf32: bool = False) -> None:
        from nvmath.bindings import cublas  # some tenths of a second, so not before it is needed

        self._cublas, self._workspace, self._tf32 = cublas, workspace, tf32
        self._handle = cublas.create()
        weakref.finalize(self, cublas.destroy, self._handle).atexit = False  # CUDA may be gone by then
        cublas.set_stream(self._handle, stream)
        cublas.set_workspace(self._handle, workspace.data.ptr, workspace.nbytes)  # forgotten by set_stream: comes after
        self._numbers = {
            dtype: (np.ones((), dtype), np.zeros((), dtype)) for dtype in map(np.dtype, (np.float32, np.float64))
        }

    def call(self, a: Any, b: Any, out: Any, *, full: bool = False) -> Callable[[], Any]:
        """Call that leaves the product of ``a`` and ``b``, of two axes or, with a leading axis, three, in ``out``.

        ``full`` forbids TF32, for a sum that is written as a product. The call knows the arrays by their addresses
        only: whoever makes it keeps them.
        """
        dtype = np.dtype(out.dtype)
        if dtype not in self._numbers or not a.dtype == b.dtype == out.dtype or out.ndim not in (2, 3):
            raise NotRecordable(f"a product of {a.dtype} {a.shape} and {b.dtype} {b.shape}")
        (rows, columns), inner = out.shape[-2:], a.shape[-1]
        one, zero = (x.ctypes.data for x in self._numbers[dtype])
        (turned_a, step_a, next_a), (turned_b, step_b, next_b) = layout(a), layout(b)
        head = (self._handle, int(turned_b), int(turned_a), columns, rows, inner, one)  # CUBLAS_OP_N is 0, OP_T 1
        fast = self._tf32 and not full and dtype.itemsize == 4
        kind = [FLOAT] if fast else []  # cublasGemmEx is told the kind of each matrix, and how to compute
        of_a, of_b, of_out = ([x.data.ptr, *kind] for x in (a, b, out))
        last = [FAST_TF32, DEFAULT_ALGORITHM] if fast else []
        if out.ndim == 2:
            product = self._function(dtype, fast, "gemm")
            return partial(product, *head, *of_b, step_b, *of_a, step_a, zero, *of_out, columns, *last)
        product = self._function(dtype, fast, "gemm_strided_batched")
        tail = columns, rows * columns, out.shape[0], *last
        return partial(product, *head, *of_b, step_b, next_b, *of_a, step_a, next_a, zero, *of_out, *tail)

    def _function(self, dtype: Any, fast: bool, name: str) -> Callable[..., Any]:
        """The function of nvmath's bindings: `sgemm`, `dgemm`, or `gemm_ex`, which can be told to compute in TF32."""
        letter = "s" if dtype.itemsize == 4 else "d"
        found: Callable[..., Any] = getattr(self._cublas, f"{name}_ex" if fast else f"{letter}{name}")
        return found


@contextmanager
def multiplying(cupy: Any, device: Any, precision: str) -> Iterator[None]:
    """Let CuPy's own products on a device, of this thread, have this precision; what was before is set back."""
    handle, cublas = device.cublas_handle, cupy.cuda.cublas
    before = cublas.getMathMode(handle)
    cublas.setMathMode(handle, MATH_MODES[precision])
    try:
        yield
    finally:
        cublas.setMathMode(handle, before)


def layout(x: Any) -> Layout:
    """How a matrix, or a stack of them, lies in memory; refuses what cuBLAS can't read where it lies."""
    (rows, columns), (down, right) = x.shape[-2:], (stride // x.itemsize for stride in x.strides[-2:])
    following = x.strides[0] // x.itemsize if x.ndim == 3 and x.shape[0] > 1 else 0
    if (columns == 1 or right == 1) and (rows == 1 or down >= columns):
        return False, down if rows > 1 else columns, following
    if (rows == 1 or down == 1) and (columns == 1 or right >= rows):
        return True, right if columns > 1 else rows, following
    raise NotRecordable(f"a product of a matrix with strides {x.strides}")
