"""A training between two epochs: taken at no cost, written when it is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from portable_bp.archive import Description, Tensors
from portable_bp.arrays import HostArray
from portable_bp.backend import Backend, State
from portable_bp.files import contents
from portable_bp.history import Row
from portable_bp.packing import packed

if TYPE_CHECKING:
    from portable_bp.fitting import Fit


@dataclass(frozen=True)
class Snapshot:
    """Where a fit is after an epoch. Arrays are kept by reference: training makes new ones and writes into none."""

    fit: Fit
    epoch: int
    state: State
    rows: int
    stopped: bool
    states: tuple[Any, dict[str, Any]]
    """The callbacks' states as JSON, and by name the arrays that belong into it."""

    @classmethod
    def of(cls, fit: Fit, *, begun: bool) -> Snapshot:
        """Take one now; callbacks that haven't ``begun`` have no state yet."""
        arrays: dict[str, Any] = {}

        def array(leaf: Any) -> Any:
            return leaf if _is_array(leaf) or fit.net.backend.owns(leaf) else None

        states = [callback.state() if begun else None for callback in fit.with_state]
        taken = packed(states, "training.callbacks", array, arrays)
        return cls(fit, fit.net.epoch, fit.state, len(fit.history), fit.stopped, (taken, arrays))

    @property
    def row(self) -> Row:
        """Its epoch's row of the history; empty before the first epoch."""
        return self.fit.history.rows[self.rows - 1] if self.rows else {}

    def contents(self, best: Mapping[str, Any] | None, note: Any) -> tuple[Description, Tensors]:
        """Description and tensors of its file, a network's file with more in it."""
        fit, backend = self.fit, self.fit.net.backend
        description, tensors = contents(fit.net, self.state, self.epoch, fit.net.settings["optimizer"])
        states, arrays = self.states
        tensors |= {name: _host(backend, array) for name, array in arrays.items()}
        history = {name: np.asarray(column[: self.rows]) for name, column in fit.history.columns.items()}
        description["training"] = {
            "begun": fit.begun,
            "epochs": fit.epochs,
            "stopped": self.stopped,
            "backend": backend.spec,
            "conditions": fit.conditions,
            "history": packed(history, "training.history", lambda column: column, tensors),
            "callbacks": states,
            "best": best,
            "note": note,
        }
        return description, tensors


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (np.ndarray, np.generic))


def _host(backend: Backend, array: Any) -> HostArray:
    return np.asarray(array) if _is_array(array) else backend.to_numpy(array)
