"""The compiled epoch: captured steps, or a kernel for all of them, where that has been checked; else the plain loop."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from portable_bp.backend import Batch, Epoch, Order, State, Step
from portable_bp_cupy.captured import Captured, forms
from portable_bp_cupy.choice import Way, chosen, enough
from portable_bp_cupy.guard import Differs, check
from portable_bp_cupy.namespace import Namespace
from portable_bp_cupy.persistent.kernel import Persistent
from portable_bp_cupy.recorded import record
from portable_bp_cupy.remembering import place_of
from portable_bp_cupy.threads.axes import Unfit
from portable_bp_cupy.threads.launching import Threads
from portable_bp_cupy.threads.members import members_in
from portable_bp_cupy.workbench import Workbench
from portable_bp_numpy.recording import NotRecordable
from portable_bp_numpy.replay import leaves_of, rebuilt

MORE = {ImportError: ": pip install 'portable-bp[cuda13]' (or [cuda12]) brings nvmath-python and makes it faster"}
"""What to do about an error, by its class."""


class CompiledEpoch:
    """An epoch of captured steps, one graph for each form of the arrays.

    Whatever goes wrong on the way to a graph that has been seen to work, from a step that can't be recorded to a kernel
    that computes something else, the ``plain`` epoch runs instead, now and from then on, and one warning says why.
    ``exact``: the arithmetic is defined to the last bit, and so must the result be. ``tf32``: products of float32
    matrices may round their factors.
    """

    def __init__(self, cupy: Any, xp: Namespace, step: Step, plain: Epoch, *, exact: bool, tf32: bool) -> None:
        self._cupy, self._xp, self._step, self._exact, self._tf32 = cupy, xp, step, exact, tf32
        self._plain = plain
        self._bench: Workbench | None = None
        self._captured: dict[Any, Way] = {}
        self._settled = set[Any]()
        self._possible = True

    @property
    def kinds(self) -> list[str]:
        """What trains, for each form of the arrays: "threads", "persistent", "graph", or "plain" for the plain loop."""
        return [one.kind for one in self._captured.values()] if self._possible else ["plain"]

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
        """What does the steps for arrays of this form, checked when it is new; a kernel where that is faster."""
        leaves = tuple((path, array.dtype, array.shape) for path, array in leaves_of(state))
        key = leaves, tuple(forms(data, order)), isinstance(order, int)
        if key not in self._captured:
            self._captured[key] = self._threads(state, data, order) or self._graph(state, data, order)
        way = self._captured[key]
        if isinstance(way, Captured) and key not in self._settled and enough(order):
            self._settled.add(key)
            self._captured[key] = self._faster(way, state, data, order)
        return self._captured[key]

    def _threads(self, state: State, data: Batch, order: Order) -> Threads | None:
        """One kernel with a thread for each member of a population; None where the step is not fit for that."""
        try:
            members_in(dict(leaves_of(state)))
        except Unfit:
            return None
        recording = record(self._step, state, forms(data, order), self._xp)
        try:
            made = Threads(self._cupy, recording, order, exact=self._exact)
            self._check(made, state, data, order)
        except Unfit:
            return None
        except Exception as error:
            if self._tf32 and isinstance(error, Differs):
                return None  # threads don't round factors, and the plain step does, more than the check allows
            said = f"this population is trained by a captured graph and not by a thread a member, {_said(error)}"
            warnings.warn(said, RuntimeWarning, 4)
            return None
        return made

    def _graph(self, state: State, data: Batch, order: Order) -> Captured:
        self._bench = self._bench or Workbench(self._cupy, tf32=self._tf32)
        captured = Captured(self._bench, self._step, state, data, order, self._xp)
        self._check(captured, state, data, order)
        return captured

    def _faster(self, graph: Captured, state: State, data: Batch, order: Order) -> Way:
        """The graph, or a kernel for whole epochs that has been checked as it was."""

        def kernel() -> Persistent:
            assert self._bench is not None, "the graph was made with it"
            made = Persistent(self._bench, self._step, state, data, order, self._xp)
            self._check(made, state, data, order)
            return made

        now = dict(leaves_of(state))
        shapes = [(path, array.shape) for path, array in now.items()], forms(data, order), self._exact, self._tf32
        place = place_of(self._cupy, graph.source, shapes)
        return chosen(self._cupy, graph, kernel, now, data, order, exact=self._exact, place=place)

    def _check(self, way: Way, state: State, data: Batch, order: Order) -> None:
        check(way, self._plain, state, data, order, exact=self._exact, tf32=self._tf32)

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
