"""The outline of a step: its operations with shapes and dtypes, but without numbers.

What runs on the device needs only these, so nothing is read from the device and no large product is computed on the
host: recording takes milliseconds, however wide the network.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_bp_numpy.recording import Recorded, Tape, astype


def blank(shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of zeros that takes the memory of one; views of it are seen as such."""
    return np.broadcast_to(np.zeros((), dtype), shape)


class Outline(Tape):
    """A tape that works out what an elementwise function or product would give, instead of computing it."""

    def _called(self, function: Any, args: Any, kwargs: Any) -> Any:
        form = None if kwargs else _form(function, args)
        return super()._called(function, args, kwargs) if form is None else self._outlined(form, function, args)

    def _outlined(self, form: tuple[tuple[int, ...], Any], function: Any, args: Any) -> Recorded:
        return self._recorded(blank(*form), function, args, {})


def _form(function: Any, args: Any) -> tuple[tuple[int, ...], Any] | None:
    """Shape and dtype of the result, None where it must be computed to be known."""
    if function is np.matmul:
        a, b = args
        if min(len(a.shape), len(b.shape)) < 2 or a.shape[-1] != b.shape[-2] or a.dtype != b.dtype:
            return None
        return (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), a.dtype
    if isinstance(function, np.ufunc) and function.signature is None and function.nout == 1:
        dtype = function.resolve_dtypes((*(x.dtype for x in args), None))[-1]
        return np.broadcast_shapes(*(x.shape for x in args)), dtype
    if function is np.where and len(args) == 3:
        return np.broadcast_shapes(*(x.shape for x in args)), args[1].dtype
    if function is astype:
        return args[0].shape, args[1]
    return None
