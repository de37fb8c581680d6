"""How a fit takes up a checkpoint."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portable_bp.arguments import whole_number
from portable_bp.checkpoints.agreement import require_agreement
from portable_bp.checkpoints.checkpoint import Checkpoint
from portable_bp.checkpoints.ring import Found, epochs_in, newest
from portable_bp.description import constructed
from portable_bp.errors import ConfigurationError, FileError, PortableBPError
from portable_bp.files import params, restore
from portable_bp.history import History
from portable_bp.optimizers import Optimizer
from portable_bp.packing import unpacked

if TYPE_CHECKING:
    from portable_bp.callbacks import Callback
    from portable_bp.fitting import Fit
    from portable_bp.network import Network


class CheckpointWarning(UserWarning):
    """A damaged checkpoint that was passed over, or a training that had ended when it was resumed."""


@dataclass(frozen=True)
class Resumed:
    """The checkpoint from which a fit goes on."""

    path: Path
    states: list[Any]
    """States of the callbacks that have one, in their order; None before the first epoch."""
    best: dict[str, Any] | None
    """The best checkpoint so far."""

    def hand_over(self, number: int, callback: Callback, net: Network, epochs: int) -> None:
        """Give the ``number``-th callback with a state its own."""
        try:
            callback.on_fit_resume(net, epochs, self.states[number])
        except PortableBPError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise FileError(
                f"{type(callback).__name__} can't take up its state from {str(self.path)!r} ({error!r}): it is that of "
                "another version or damaged; take another checkpoint"
            ) from error


def resume(fit: Fit, source: bool | str | Path, optimizer: Optimizer | None) -> Optimizer | None:
    """Take up the checkpoint that ``source`` names, and give the optimizer to go on with.

    With ``source`` True and no checkpoint in the folder of the fit's `Checkpoint` nothing happens, and nothing is
    changed where the checkpoint is damaged or of another training.
    """
    place = _place(fit, source)
    if place is None:
        return optimizer
    found = newest(place)
    for line in found.damaged:
        warnings.warn(f"{line}; going on from {found.path.name}", CheckpointWarning, stacklevel=4)
    try:
        wanted = _optimizer(fit, found, optimizer)
        require_agreement(fit, wanted, found)
        _take_up(fit, wanted, found)
    except PortableBPError as error:
        if str(found.path) in str(error):
            raise
        raise type(error)(f"{str(found.path)!r}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise FileError(f"{str(found.path)!r} describes no training ({error!r}): take another checkpoint") from error
    if fit.ended:
        end = f"{'stopped by a callback' if fit.stopped else 'complete'} after {fit.done} epochs"
        warnings.warn(
            f"{str(found.path)!r}: this training has ended, {end}; nothing was left to train",
            CheckpointWarning,
            stacklevel=4,
        )
    return wanted


def _place(fit: Fit, source: bool | str | Path) -> Path | None:
    if isinstance(source, (str, Path)):
        return Path(source)
    if source is not True:
        raise ConfigurationError(f"resume={source!r}: write True, or the path of a checkpoint or of their folder")
    folders = [callback.folder for callback in fit.callbacks if isinstance(callback, Checkpoint)]
    if not folders:
        raise ConfigurationError("resume=True needs a Checkpoint(folder) among the callbacks: add it, or give a path")
    return next((folder for folder in folders if epochs_in(folder)), None)


def _optimizer(fit: Fit, found: Found, given: Optimizer | None) -> Optimizer:
    if given is not None:
        return fit.net.optimizer_for(given)
    rule = found.description["optimizer"]["rule"]
    try:
        return fit.net.optimizer_for(constructed(rule, {}))
    except FileError:
        raise ConfigurationError(f"its optimizer is {json.dumps(rule)}: give it as optimizer") from None


def _take_up(fit: Fit, optimizer: Optimizer, found: Found) -> None:
    training = {name: unpacked(found.training[name], found.tensors) for name in ("history", "callbacks")}
    history = History()
    history.extend({name: column.tolist() for name, column in training["history"].items()})
    begun, best = whole_number("its begin", found.training["begun"], 0), _best(found.training["best"])
    if len(training["callbacks"]) != len(fit.with_state) or len(history) != found.description["epoch"] - begun:
        raise FileError("its parts don't fit each other: it is damaged; take another checkpoint")
    fit.net.params = params(found.description, found.tensors)
    restore(fit.net, found.description, found.tensors, optimizer)
    fit.begun, fit.history, fit.stopped = begun, history, bool(found.training["stopped"])
    fit.resumed = Resumed(found.path, training["callbacks"], best)


def _best(saved: Any) -> dict[str, Any] | None:
    """Column, value and epoch of the best checkpoint so far; what a file says may be anything."""
    return saved and {
        "column": str(saved["column"]),
        "value": float(saved["value"]),
        "epoch": whole_number("its best epoch", saved["epoch"], 0),
    }
