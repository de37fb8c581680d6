"""cuBLAS without a GPU: what nvmath-python and CuPy's own handle are given, on the host's memory."""

import ctypes
from itertools import count

import numpy as np
from fake_streams import TAPE

HANDLE = 7
"""CuPy's own."""
TF32 = 3
"""`CUBLAS_TF32_TENSOR_OP_MATH`."""


class MathMode:
    """`cupy.cuda.cublas`: the mode of CuPy's own handle."""

    mode = 0

    @staticmethod
    def getMathMode(handle):
        assert handle == HANDLE
        return MathMode.mode

    @staticmethod
    def setMathMode(handle, mode):
        assert handle == HANDLE
        MathMode.mode = mode


def rounded(x):
    """Float32 numbers with the 11 bits that TF32 keeps."""
    return ((np.ascontiguousarray(x).view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


def matrix(kind, address, rows, columns, step):
    """A matrix by columns that lies at an address."""
    memory = (kind * (step * (columns - 1) + rows)).from_address(address)
    flat = np.frombuffer(memory, kind)
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), (flat.itemsize, step * flat.itemsize))


class Cublas:
    """`nvmath.bindings.cublas`, as far as it is used; it must be given its stream before its workspace."""

    def __init__(self):
        self.handles, self._numbers = {}, count(1)

    def create(self):
        number = next(self._numbers)
        self.handles[number] = []
        return number

    def destroy(self, handle):
        del self.handles[handle]

    def set_stream(self, handle, stream):
        self.handles[handle] = ["stream"]

    def set_workspace(self, handle, address, size):
        self.handles[handle].append("workspace")

    def sgemm(self, handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
        self._gemm(ctypes.c_float, handle, (ta, tb, m, n, k), (a, lda, 0), (b, ldb, 0), (c, ldc, 0), 1)

    def dgemm(self, handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
        self._gemm(ctypes.c_double, handle, (ta, tb, m, n, k), (a, lda, 0), (b, ldb, 0), (c, ldc, 0), 1)

    def sgemm_strided_batched(
        self, handle, ta, tb, m, n, k, alpha, a, lda, next_a, b, ldb, next_b, beta, c, ldc, next_c, count
    ):
        operands = (a, lda, next_a), (b, ldb, next_b), (c, ldc, next_c)
        self._gemm(ctypes.c_float, handle, (ta, tb, m, n, k), *operands, count)

    def dgemm_strided_batched(
        self, handle, ta, tb, m, n, k, alpha, a, lda, next_a, b, ldb, next_b, beta, c, ldc, next_c, count
    ):
        operands = (a, lda, next_a), (b, ldb, next_b), (c, ldc, next_c)
        self._gemm(ctypes.c_double, handle, (ta, tb, m, n, k), *operands, count)

    def gemm_ex(self, handle, ta, tb, m, n, k, alpha, a, at, lda, b, bt, ldb, beta, c, ct, ldc, compute, algorithm):
        assert (at, bt, ct, compute, algorithm) == (0, 0, 0, 77, -1)
        self._gemm(ctypes.c_float, handle, (ta, tb, m, n, k), (a, lda, 0), (b, ldb, 0), (c, ldc, 0), 1, rounded)

    def gemm_strided_batched_ex(
        self, handle, ta, tb, m, n, k, alpha, a, at, lda, next_a, b, bt, ldb, next_b, beta, c, ct, ldc, next_c, count,
        compute, algorithm,
    ):  # fmt: skip
        assert (at, bt, ct, compute, algorithm) == (0, 0, 0, 77, -1)
        operands = (a, lda, next_a), (b, ldb, next_b), (c, ldc, next_c)
        self._gemm(ctypes.c_float, handle, (ta, tb, m, n, k), *operands, count, rounded)

    def _gemm(self, kind, handle, form, a, b, c, count, factor=lambda x: x):
        assert self.handles[handle] == ["stream", "workspace"]
        ta, tb, m, n, k = form
        assert a[1] >= (k if ta else m)
        assert b[1] >= (n if tb else k)
        assert c[1] >= m

        def product():
            size = ctypes.sizeof(kind)
            for i in range(count):
                at_a, at_b, at_c = (x[0] + i * x[2] * size for x in (a, b, c))
                left = matrix(kind, at_a, k, m, a[1]).T if ta else matrix(kind, at_a, m, k, a[1])
                right = matrix(kind, at_b, n, k, b[1]).T if tb else matrix(kind, at_b, k, n, b[1])
                matrix(kind, at_c, m, n, c[1])[...] = factor(left) @ factor(right)

        product() if TAPE.calls is None else TAPE.calls.append(product)
