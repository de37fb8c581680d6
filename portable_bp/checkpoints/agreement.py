"""What a fit and the checkpoint that it goes on from must have in common, and where they differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from portable_bp.arrays import Array
from portable_bp.backend import Backend
from portable_bp.description import describe
from portable_bp.digest import digest
from portable_bp.errors import ConfigurationError
from portable_bp.files import architecture
from portable_bp.optimizers import Optimizer

if TYPE_CHECKING:
    from portable_bp.checkpoints.ring import Found
    from portable_bp.fitting import Fit

LONGEST = 60
"""Characters of a value in a message."""


def conditions(fit: Fit) -> dict[str, Any]:
    """Everything that decides the course of a fit besides the network and its optimizer; data as SHA-256."""
    batches, backend = fit.run.batches, fit.net.backend
    arrays = dict(zip(("x", "y", "weights"), fit.run.data, strict=False))
    for name, (x, y) in fit.run.measured.items():
        if name != "training":
            arrays |= {f"{name} x": x, f"{name} y": y}
    return {
        "arithmetic": backend.arithmetic,
        "precision": backend.precision,
        "batch_size": batches.size,
        "shuffle": batches.shuffle,
        "columns": fit.run.columns,
        "callbacks with a state": [type(callback).__name__ for callback in fit.with_state],
        **{name: _fingerprint(backend, array) for name, array in arrays.items()},
    }


def require_agreement(fit: Fit, optimizer: Optimizer, found: Found) -> None:
    """Refuse a checkpoint of another fit, and name the first thing that differs."""
    saved, training = found.description, found.training
    there = {**{name: saved.get(name) for name in architecture(fit.net)}, "optimizer": saved["optimizer"]["rule"]}
    here = {**architecture(fit.net), "optimizer": describe(optimizer)}
    there, here = {**there, **training["conditions"]}, {**here, **fit.conditions}
    different = _first_difference("", there, json.loads(json.dumps(here, default=repr)))
    if different:
        name, old, new = different
        raise ConfigurationError(
            f"{str(found.path)!r} is of another training: its {name} is {_short(old)}, and now it is {_short(new)}; "
            "resume with everything as it was, or train without resume"
        )
    if fit.epochs < training["epochs"]:
        raise ConfigurationError(
            f"{str(found.path)!r} is of a training of {training['epochs']} epochs, and now epochs={fit.epochs}: give "
            "as many or more; those that are trained count"
        )


def _fingerprint(backend: Backend, array: Array) -> dict[str, Any]:
    host = array if isinstance(array, np.ndarray) else backend.to_numpy(array)  # to_numpy copies, also NumPy's own
    return {"shape": list(host.shape), "SHA-256": digest([{"": host}])}


def _first_difference(name: str, old: Any, new: Any) -> tuple[str, Any, Any] | None:
    """Where two JSON values differ first: its name, and what stands there in each."""
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = [(f"{name}.{key}" if name else key, old.get(key), new.get(key)) for key in {**new, **old}]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(f"{name}[{i}]", *entries) for i, entries in enumerate(zip(old, new, strict=True))]
    else:
        return None if old == new else (name, old, new)
    return next((found for pair in pairs if (found := _first_difference(*pair))), None)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
