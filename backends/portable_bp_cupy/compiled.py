"""The compiled epoch: captured steps, or a kernel for all of them, where that has been checked; else the plain loop."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from portable_bp.backend import Batch, Epoch, Order, State, Step
from portable_bp.errors import BackendError
from portable_bp_cupy.captured import Captured, forms
from portable_bp_cupy.choice import Way, chosen, enough
from portable_bp_cupy.guard import Differs, check
from portable_bp_cupy.namespace import Namespace
from portable_bp_cupy.persistent.kernel import Persistent
from portable_bp_cupy.workbench import Workbench
from portable_bp_numpy.recording import NotRecordable
from portable_bp_numpy.replay import leaves_of, rebuilt

MORE = {ImportError: ": pip install 'portable-bp[cuda13]' (or [cuda12]) brings nvmath-python and makes it faster"}
"""What to do about an error, by its class."""


class CompiledEpoch:
    """An epoch of captured steps, one graph for each form of the arrays.

    Whatever goes wrong on the way to a graph that has been seen to work, from a step that can't be recorded to a kernel
    that computes something else, the ``plain`` epoch runs instead, now and from then on, and one warning says why.
    ``exact``: the arithmetic is defined to the last bit, and so must the result be.
    """

    def __init__(self, cupy: Any, xp: Namespace, step: Step, plain: Epoch, *, exact: bool) -> None:
        self._cupy, self._xp, self._step, self._exact = cupy, xp, step, exact
        self._plain = _with_cure(cupy, plain)
        self._bench: Workbench | None = None
        self._captured: dict[Any, Way] = {}
        self._settled = set[Any]()
        self._possible = True

    def __call__(self, state: State, data: Batch, orders: Sequence[Order]) -> tuple[State, Any]:
        """Train, as `portable_bp.Backend.compile` describes."""
        reason = None
        if self._possible:
            try:
                captured = [self._of(state, data, order) for order in orders]
            except Exception as error:
                self._possible, reason = False, _said(error)
        if not self._possible:
            self._forget()  # now that no error holds what it was about
            result = self._plain(state, data, orders)
            if reason is not None:  # an error of the step's own has been raised by the plain loop
                warnings.warn(f"this training runs operation by operation on CuPy, {reason}", RuntimeWarning, 2)
            return result
        return self._run(captured, state, data, orders)

    def _run(self, captured: Sequence[Way], state: State, data: Batch, orders: Sequence[Order]) -> tuple[State, Any]:
        now: Mapping[Any, Any] = dict(leaves_of(state))
        losses = list[Any]()
        for one, order in zip(captured, orders, strict=True):
            losses += one(now, data, order)
            now = one.state
        # Copies that lie in CuPy's common memory: the graphs will write over their own.
        return rebuilt(state, lambda path, _: now[path].copy()), self._cupy.concatenate(losses)

    def _of(self, state: State, data: Batch, order: Order) -> Way:
        """The captured step for arrays of this form, checked when it is new; a kernel where that is faster."""
        leaves = tuple((path, array.dtype, array.shape) for path, array in leaves_of(state))
        key = leaves, tuple(forms(data, order)), isinstance(order, int)
        if key not in self._captured:
            self._bench = self._bench or Workbench(self._cupy)
            captured = Captured(self._bench, self._step, state, data, order, self._xp)
            check(captured, self._plain, state, data, order, exact=self._exact)
            self._captured[key] = captured
        if key not in self._settled and enough(order):
            self._settled.add(key)
            self._captured[key] = self._faster(self._captured[key], state, data, order)
        return self._captured[key]

    def _faster(self, graph: Any, state: State, data: Batch, order: Order) -> Way:
        """The graph, or a kernel for whole epochs that has been checked as it was."""

        def kernel() -> Persistent:
            made = Persistent(self._bench, self._step, state, data, order, self._xp)  # type: ignore[arg-type]
            check(made, self._plain, state, data, order, exact=self._exact)
            return made

        return chosen(self._cupy, graph, kernel, dict(leaves_of(state)), data, order, exact=self._exact)

    def _forget(self) -> None:
        """Give the memory back that the attempt has taken."""
        self._captured.clear()
        bench, self._bench = self._bench, None
        if bench is not None:
            with suppress(Exception):
                bench.pool.free_all_blocks()


def _said(error: Exception) -> str:
    what = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Differs):
        return f"since the captured step failed its check: {what}; please report it"
    if isinstance(error, NotRecordable):
        return f"since its step can't be recorded: {what}"
    cure = next((cure for kind, cure in MORE.items() if isinstance(error, kind)), "")
    return f"since its step could not be captured ({type(error).__name__}: {what}){cure}"


def _with_cure(cupy: Any, plain: Epoch) -> Epoch:
    """The plain epoch, with an error that says what to do where the device's memory doesn't suffice."""

    def epoch(state: State, data: Batch, orders: Sequence[Order]) -> tuple[State, Any]:
        try:
            return plain(state, data, orders)
        except cupy.cuda.memory.OutOfMemoryError as error:
            raise BackendError(
                f"the GPU's memory does not suffice for a training step ({error}): take a smaller batch_size"
            ) from error

    return epoch
