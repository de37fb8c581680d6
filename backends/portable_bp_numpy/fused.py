"""A chain as one compiled loop, by Numba: each number is read once and written once, with the same bits.

Only operations that the standard of floating point defines to the last bit are compiled, and Numba neither contracts
nor reorders them, so a training may pass from NumPy's calls to the loop at any step. Numba is never needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from portable_bp_numpy.calls import Call
from portable_bp_numpy.recording import Node, astype

LEAST = 4096
"""Below so many numbers NumPy's calls take less than the loop's."""

WRITTEN: dict[Any, str] = {
    np.add: "{} + {}",
    np.subtract: "{} - {}",
    np.multiply: "{} * {}",
    np.divide: "{} / {}",
    np.negative: "-{}",
    np.sqrt: "sqrt({})",
    np.absolute: "abs({})",
    np.less: "{} < {}",
    np.less_equal: "{} <= {}",
    np.greater: "{} > {}",
    np.greater_equal: "{} >= {}",
    np.equal: "{} == {}",
    np.where: "{1} if {0} else {2}",
}
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def compiler() -> Any:
    """The module Numba; None where it isn't installed, doesn't know this NumPy, or NUMBA_DISABLE_JIT is set."""
    try:
        import numba
    except Exception:  # it raises ImportError, SystemError or its own errors for a NumPy that is too new
        return None
    return None if numba.config.DISABLE_JIT else numba


def fused(nodes: Sequence[Node], results: Sequence[tuple[Node, Node]], read: dict[Node, Any]) -> Call | None:
    """One call for all operations of a chain, or None where one of them can't be compiled.

    ``read``: the arrays and numbers that the chain reads; ``results``: which of the arrays is to become which node.
    """
    numba = compiler() if all(map(_known, nodes)) and all(x.dtype in (*FLOATS, bool) for x in read) else None
    if numba is None:
        return None
    loop = _Loop(nodes, results, read)
    arguments = list(loop.arguments.values())
    try:
        chain = _compiled(loop.source)
        chain.compile(tuple(map(numba.typeof, arguments)))
    except Exception:  # whatever a compiler can't do, NumPy's calls can
        return None
    return partial(chain, *arguments)


def _known(node: Node) -> bool:
    """Whether Numba computes the operation as NumPy does: not so arithmetic of truth values, where 1 + 1 is 2."""
    if node.function is astype:
        return node.dtype in FLOATS and node.inputs[0].dtype in (*FLOATS, bool)
    operands = node.args[1:] if node.function is np.where else node.args
    return node.function in WRITTEN and all(x.dtype in FLOATS for x in operands)


@cache
def _compiled(source: str) -> Any:
    """The loop, compiled once for all networks whose chains are the same."""
    import numba

    scope: dict[str, Any] = {"sqrt": np.sqrt, "float32": np.float32, "float64": np.float64}
    exec(source, scope)
    return numba.njit(error_model="numpy")(scope["chain"])


class _Loop:
    """A chain as Python source, and the arrays for it: long ones a0, a1 …, and numbers n2, n3 … of shape ()."""

    def __init__(self, nodes: Sequence[Node], results: Sequence[tuple[Node, Node]], read: dict[Node, Any]) -> None:
        self.arguments: dict[str, Any] = {}
        self._names = {node: self._argument(array) for node, array in read.items()}
        body = [self._assigned(number, node) for number, node in enumerate(nodes)]
        body += [f"r{number} = {self._names[new]}" for number, (_, new) in enumerate(results)]
        body += [f"{self._names[leaf]} = r{number}" for number, (leaf, _) in enumerate(results)]
        numbers = [f"{name} = {name}[()]" for name, array in self.arguments.items() if array.shape == ()]
        size = next(name for name, array in self.arguments.items() if array.shape)
        lines = [f"def chain({', '.join(self.arguments)}):", *(f"    {line}" for line in numbers)]
        self.source = "\n".join([*lines, f"    for i in range({size}.size):", *(f"        {line}" for line in body)])

    def _argument(self, array: Any) -> str:
        name = f"{'a' if array.shape else 'n'}{len(self.arguments)}"
        self.arguments[name] = array
        return f"{name}[i]" if array.shape else name

    def _assigned(self, number: int, node: Node) -> str:
        said = [
            self._names[x] if isinstance(x, Node) else self._argument(x)
            for x in node.args
            if not isinstance(x, np.dtype)
        ]
        self._names[node] = f"t{number}"
        pattern = f"{node.dtype.name}({{}})" if node.function is astype else WRITTEN[node.function]
        return f"t{number} = {pattern.format(*said)}"
