"""NumPy's elementwise functions as CUDA C expressions, with NumPy's conversions between dtypes.

Each is what the standard of floating point defines, or the CUDA mathematics function that CuPy calls too. Compiled
without contraction of a·b + c and without approximations, exact operations keep their bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portable_bp_numpy.recording import Node, astype

TYPES: dict[Any, str] = {
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    np.dtype(np.int64): "long long",
    np.dtype(np.int32): "int",
    np.dtype(np.uint8): "unsigned char",
    np.dtype(bool): "bool",
}
"""C's names of the dtypes that kernels handle."""

LARGER, SMALLER = "({0} > {1} || {0} != {0} ? {0} : {1})", "({0} < {1} || {0} != {0} ? {0} : {1})"
"""A NaN on either side is the result, as in NumPy."""

NAMED_ALIKE = (
    *(np.sqrt, np.exp, np.expm1, np.log, np.log1p, np.log2, np.log10, np.floor, np.ceil, np.trunc, np.rint),
    *(np.sin, np.cos, np.tan, np.sinh, np.cosh, np.tanh),
)
"""Functions that C calls by the same name."""

WRITTEN: dict[Any, str] = {
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.negative: "-{0}",
    np.positive: "{0}",
    np.square: "{0} * {0}",
    np.maximum: LARGER,
    np.minimum: SMALLER,
    np.less: "{0} < {1}",
    np.less_equal: "{0} <= {1}",
    np.greater: "{0} > {1}",
    np.greater_equal: "{0} >= {1}",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
    np.logical_and: "({0} != 0) && ({1} != 0)",
    np.logical_or: "({0} != 0) || ({1} != 0)",
    np.logical_not: "{0} == 0",
    np.where: "{0} ? {1} : {2}",
    astype: "{0}",
}
"""Of numbers of any kind."""

OF_FLOATS: dict[Any, str] = {
    np.divide: "{0} / {1}",
    np.reciprocal: "1 / {0}",
    np.absolute: "fabs({0})",
    np.sign: "{0} > 0 ? 1 : {0} < 0 ? -1 : {0}",
    np.isnan: "{0} != {0}",
    np.isfinite: "{0} - {0} == 0",
    np.isinf: "{0} == {0} && {0} - {0} != 0",
    np.power: "pow({0}, {1})",
    np.round: "rint({0})",
    np.clip: SMALLER.format(LARGER.format("{0}", "{1}"), "{2}"),
    **{function: f"{function.__name__}({{0}})" for function in NAMED_ALIKE},
}
OF_INTEGERS: dict[Any, str] = {
    np.bitwise_and: "{0} & {1}",
    np.bitwise_or: "{0} | {1}",
    np.bitwise_xor: "{0} ^ {1}",
    np.left_shift: "{0} << {1}",
    np.right_shift: "{0} >> {1}",
}


def operands(node: Node) -> list[Any]:
    """The arguments that are numbers or arrays."""
    return [x for x in node.args if not isinstance(x, np.dtype)]


def pattern(node: Node) -> str | None:
    """The node's function as a pattern for its operands; None where a kernel can't compute it."""
    dtypes = _loop(node)
    if dtypes is None or not {node.dtype, *dtypes} <= set(TYPES):
        return None
    kind = dtypes[-1].kind
    table = {"f": OF_FLOATS, "i": OF_INTEGERS, "u": {}, "b": OF_INTEGERS}[kind]
    return WRITTEN.get(node.function) or table.get(node.function)


def _loop(node: Node) -> Sequence[Any] | None:
    """Dtypes in which the function takes its operands; None where it isn't one that works element by element."""
    given, function = operands(node), node.function
    if function in (np.round, np.clip):
        plain = not node.kwargs and len(given) == (1 if function is np.round else 3)
        known = plain and all(isinstance(x, (Node, int, float)) or getattr(x, "shape", 1) == () for x in given)
        return [node.dtype] * len(given) if known and node.dtype.kind == "f" else None
    if not node.elementwise or node.kwargs:
        return None
    if function is np.where:
        return [np.dtype(bool), node.dtype, node.dtype]
    if function is astype:
        return [given[0].dtype]
    dtypes: Sequence[Any] = function.resolve_dtypes((*(x.dtype for x in given), None))[:-1]
    return dtypes


def expression(node: Node, names: Sequence[str]) -> str:
    """The node's value as C, from its operands' names."""
    dtypes = _loop(node)
    written = pattern(node)
    assert dtypes is not None
    assert written is not None
    own = [x.dtype if hasattr(x, "dtype") else None for x in operands(node)]
    cast = [
        name if kind == dtype else f"(({TYPES[dtype]}){name})"
        for name, kind, dtype in zip(names, own, dtypes, strict=True)
    ]
    if node.function is astype and node.dtype == np.dtype(bool):
        return f"{names[0]} != 0"
    return f"({TYPES[node.dtype]})({written.format(*cast)})"


def literal(number: Any) -> str:
    """A number of shape () as C, to the last bit."""
    number = np.asarray(number)
    if number.dtype.kind != "f":
        return f"(({TYPES[number.dtype]}){int(number)}LL)"
    suffix = "f" if number.dtype == np.dtype(np.float32) else ""
    value = float(number)
    if value != value:
        return f"(0.0{suffix} / 0.0{suffix})"
    if value in (float("inf"), float("-inf")):
        return f"({'-' if value < 0 else ''}1.0{suffix} / 0.0{suffix})"
    return f"({value.hex()}{suffix})"
