"""One run of a pure step, recorded: which functions it calls, on which arrays.

A step has no branch on a value and writes nothing in place, so the list of its operations is the same for all arrays of
the same shapes. The step is run once on arrays that remember what they were computed from; NumPy hands every function
over to them (NEP 13, ``__array_ufunc__``; NEP 18, ``__array_function__``), so layers, losses and optimizers of any
origin are recorded as they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Never

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

SHAPE_ONLY = frozenset({np.zeros_like, np.ones_like, np.empty_like, np.shape, np.ndim, np.size, np.result_type})
"""Functions whose result doesn't depend on the elements: their results are constants of the recording."""


STATIC = frozenset(
    getattr(np, name)
    for name in """
    all any argmax argmin argsort broadcast_to clip concatenate copy count_nonzero cumprod cumsum cumulative_prod
    cumulative_sum diff dot expand_dims flip inner isclose matrix_transpose max mean min moveaxis nan_to_num outer
    permute_dims prod ravel repeat reshape roll round searchsorted sort squeeze stack std sum swapaxes take
    take_along_axis tensordot tile trace transpose tril triu unstack var vecdot where
    """.split()  # noqa: SIM905 (forty strings a line each would hide what is missing)
)
"""Functions whose result's shape follows from the arguments' shapes; any other could differ from batch to batch."""


class NotRecordable(Exception):
    """The step does something that a recording can't hold, such as a branch on a value."""


def astype(x: Any, dtype: Any) -> Any:
    """The array converted."""
    return x.astype(dtype)


class Node:
    """An array of the run: its value there, and the call that gave it, with nodes among the arguments.

    ``function`` is None for an array that the step was given. ``base`` is the node whose memory this one looks at, None
    where it has memory of its own.
    """

    def __init__(self, value: Any, function: Any = None, args: Any = (), kwargs: Any = None) -> None:
        self.value: Any = np.asarray(value)
        """The array in the recorded run, None once the recording has been planned."""
        self.shape, self.dtype, self.size = self.value.shape, self.value.dtype, self.value.size
        self.function, self.args, self.kwargs = function, args, kwargs or {}
        self.inputs = [x for x in flattened((args, self.kwargs)) if isinstance(x, Node)]
        shared = (x for x in self.inputs if np.may_share_memory(self.value, x.value))
        self.base: Node | None = next(shared, None)

    @property
    def owner(self) -> Node:
        """The node whose memory this one looks at, itself where it has its own."""
        return self if self.base is None else self.base.owner

    @property
    def elementwise(self) -> bool:
        """Whether each element is computed from the elements at its place."""
        return self.may_overwrite or self.function in (np.where, astype)

    @property
    def may_overwrite(self) -> bool:
        """Whether it may be written over one of its arguments: an elementwise function in a single pass."""
        return isinstance(self.function, np.ufunc) and self.function.signature is None


class Tape:
    """The operations of one run in order; an operation that comes again with the same arguments is taken once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[Any, Any] = {}

    def record(self, function: Callable[..., Any], args: Any, kwargs: Any = None) -> Any:
        """Call a function with recorded arrays among its arguments; give its result, recorded."""
        own_args, own_kwargs = (replaced(_node, tree) for tree in (args, kwargs or {}))
        key = (function, _key(own_args), _key(own_kwargs))
        if key not in self._known:
            self._known[key] = self._called(function, own_args, own_kwargs)
        return self._known[key]

    def _called(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        result = function(*values(args), **values(kwargs))
        constants = [x for x in flattened((args, kwargs)) if isinstance(x, np.ndarray)]
        if any(np.may_share_memory(part, x) for part in flattened(result) for x in constants):
            raise NotRecordable(f"{function} may have written into an array that is not recorded")
        if type(result) not in (tuple, list):
            return self._recorded(result, function, args, kwargs)
        parts = (self._recorded(part, partial(_item, function, i), args, kwargs) for i, part in enumerate(result))
        return type(result)(parts)

    def _recorded(self, value: Any, function: Callable[..., Any], args: Any, kwargs: Any) -> Recorded:
        if not isinstance(value, (np.ndarray, np.generic)):
            raise NotRecordable(f"{function} gives {type(value).__name__}")
        self.nodes.append(Node(value, function, args, kwargs))
        return Recorded(self, self.nodes[-1])


class Recorded(NDArrayOperatorsMixin):
    """Stands for an array while a step is recorded."""

    def __init__(self, tape: Tape, node: Node) -> None:
        self.tape, self.node = tape, node
        self.shape, self.dtype, self.ndim, self.size = node.shape, node.dtype, node.value.ndim, node.size

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs or ufunc.nout != 1:
            raise NotRecordable(f"{ufunc.__name__}.{method} with {sorted(kwargs)}")
        return self.tape.record(ufunc, inputs if ufunc.signature else _prepared(inputs, ufunc.resolve_dtypes))

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        constant = function is np.full_like and not isinstance(args[1], Recorded)
        if constant or function in SHAPE_ONLY:
            return function(*values(args), **values(kwargs))
        if function is np.broadcast_arrays:
            return tuple(np.broadcast_to(x, np.broadcast_shapes(*(x.shape for x in args))) for x in args)
        if function not in STATIC or (function is np.repeat and any(isinstance(x, Recorded) for x in args[1:])):
            raise NotRecordable(f"the shape of {function.__name__}'s result may depend on values")
        if function is np.where:
            args = self._where(*args)
        return self.tape.record(function, args, kwargs)

    @staticmethod
    def _where(condition: Any, *choices: Any) -> list[Any]:
        if len(choices) != 2:
            raise NotRecordable("the shape of what where finds depends on values")
        truth = condition if condition.dtype == bool else condition.astype(bool)
        dtype = np.result_type(*values(choices))
        return _prepared((truth, *choices), lambda kinds: (np.dtype(bool), dtype, dtype))

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(part, bool) or getattr(part, "dtype", int) == np.dtype(bool) for part in parts):
            raise NotRecordable("how many elements a mask selects depends on values")
        return self.tape.record(_getitem, (self, key))

    def __pow__(self, exponent: Any) -> Any:
        """As ndarrays do: some exponents have functions of their own."""
        own = {2: np.square, -1: np.reciprocal, 0.5: np.sqrt}
        special = own.get(exponent) if type(exponent) in (int, float) and self.dtype.kind == "f" else None
        return special(self) if special else np.power(self, exponent)

    @property
    def T(self) -> Any:
        """As `numpy.ndarray.T`."""
        return np.transpose(self)

    @property
    def mT(self) -> Any:
        """As `numpy.ndarray.mT`."""
        return np.matrix_transpose(self)

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """As `numpy.ndarray.astype`."""
        return self if not copy and self.dtype == dtype else self.tape.record(astype, (self, np.dtype(dtype)))

    def _refuse(self, *_: Any) -> Never:
        raise NotRecordable("the step asks for an array's value")

    __array__ = __bool__ = __float__ = __int__ = __index__ = __iter__ = _refuse
    __hash__ = object.__hash__


def _node(x: Any) -> Any:
    return x.node if isinstance(x, Recorded) else x


def _getitem(array: Any, key: Any) -> Any:
    return array[key]


def _item(function: Callable[..., Any], number: int, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)[number]


def _prepared(inputs: Any, resolve: Callable[[Any], Any]) -> list[Any]:
    """Arguments with constants as they are cheapest to call with: in the dtype in which they are used, and as a single
    number where one number stands everywhere in them.
    """
    number = (bool, int, float)
    dtypes = resolve((*(type(x) if type(x) in number else x.dtype for x in inputs), None))
    ready = [np.asarray(x, dtype) if type(x) in number else x for x, dtype in zip(inputs, dtypes, strict=False)]
    shape = np.broadcast_shapes(*(x.shape for x in ready))
    for i, x in enumerate(ready):
        others = [other.shape for k, other in enumerate(ready) if k != i]
        if not isinstance(x, Recorded) and np.broadcast_shapes(*others) == shape:
            ready[i] = _single(x)
    return ready


def _single(constant: Any) -> Any:
    """An array of one number everywhere as that number, of shape (); any other as it is."""
    first = constant.reshape(-1)[:1]
    everywhere = first.size and constant.tobytes() == first.tobytes() * constant.size  # 0.0 is not -0.0 here
    return first.reshape(()).copy() if everywhere else constant


def _key(arguments: Any) -> Any:
    """Something hashable, equal where the arguments are equal."""
    if isinstance(arguments, dict):
        return tuple((name, _key(argument)) for name, argument in sorted(arguments.items()))
    if isinstance(arguments, (list, tuple)):
        return tuple(map(_key, arguments))
    if isinstance(arguments, (np.ndarray, np.generic)):
        return arguments.dtype, arguments.shape, arguments.tobytes()
    return repr(arguments) if isinstance(arguments, slice) else arguments


def flattened(tree: Any) -> Iterator[Any]:
    """Everything in nested lists, tuples and dicts."""
    if isinstance(tree, (list, tuple, dict)):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from flattened(branch)
    else:
        yield tree


def replaced(new: Callable[[Any], Any], tree: Any) -> Any:
    """The tree of lists, tuples and dicts with ``new(leaf)`` for every leaf."""
    if isinstance(tree, dict):
        return {name: replaced(new, branch) for name, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(replaced(new, branch) for branch in tree)
    return new(tree)


def values(tree: Any) -> Any:
    """The tree with the value for every recorded array."""
    return replaced(lambda x: x.node.value if isinstance(x, Recorded) else x.value if isinstance(x, Node) else x, tree)
