"""From "a loss was not finite" to the step, layer and array where it began, and to what was measured there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from portable_bp.backend import Epoch, State
from portable_bp.errors import NonFiniteError
from portable_bp.history import History
from portable_bp.step_arrays import Place
from portable_bp.training import Run, parts
from portable_bp.tripwire.causes import Scene, likely_causes, training_causes
from portable_bp.tripwire.replaying import Replayed, replay

KEPT = "The network keeps the parameters from before this epoch"
CURES = "lower the learning rate, scale the data, put activations between Dense layers, or clip with ClipByGlobalNorm"
EPOCHS = 4
"""Losses of epochs before that are shown."""


@dataclass(frozen=True, eq=False)
class Locator:
    """What it takes to train an epoch again: the run and its compiled ``epoch``."""

    run: Run
    epoch: Epoch

    def located(self, state: State, history: History, error: NonFiniteError) -> NonFiniteError:
        """Give the error with its place and what was measured there, from the ``state`` before the epoch that failed.

        ``history`` is that of the epochs before. Where the same steps, computed array by array, stay finite (a
        compiler may round otherwise), what was known is said, and that.
        """
        number, measured = error.epoch or 0, error.array is not None
        shown = replay(self.run, self.epoch, state, number, error.step, thorough=not measured)
        place = shown[-1].bad
        if place is None and measured:
            return self._measured(state, shown, error)
        if place is None:
            told = f"{error}, though the same steps, computed array by array, stay finite: {CURES}. {KEPT}"
            return NonFiniteError(told, epoch=number, step=error.step)
        step, value = shown[-1].number, shown[-1].largest[place]
        cause = likely_causes(Scene(self.run, shown, place, history.columns.get("loss", [])[-EPOCHS:]))
        inside = 1 <= step <= len(self.run.batches.sizes)
        when = f"in step {step} of epoch" if inside else "before epoch" if step == 0 else "after epoch"
        told = f"{self._words(place)} is {value:g} {when} {number}: {cause}. {KEPT}"
        layer = self._layer(place)
        return NonFiniteError(told, epoch=number, step=step if inside else None, layer=layer, array=place[1])

    def _measured(self, state: State, shown: Sequence[Replayed], error: NonFiniteError) -> NonFiniteError:
        """The same for a set that was measured after the epoch."""
        number, which = error.epoch or 0, str(error.array).rpartition("_")[0]
        orders = self.run.orders(self.run.model.seed, number)
        params = self.epoch(state, self.run.data, orders)[0]["params"]
        for place, largest, before in self._forward(params, which):
            if not isfinite(largest):
                cause = training_causes(Scene(self.run, shown, place, ()))
                told = f"{error}: {self._words(place)} is {largest:g}, from numbers up to {before:.3g}{cause}. {KEPT}"
                return NonFiniteError(told, epoch=number, layer=self._layer(place), array=place[1])
        return NonFiniteError(f"{error}, though each example's is finite. {KEPT}", epoch=number)

    def _forward(self, params: list[dict[str, object]], which: str) -> Iterator[tuple[Place, float, float]]:
        """Each layer's output and the loss for a measured set: its place, its largest |number|, and its input's."""
        xp, model, data = self.run.backend.xp, self.run.model, self.run.measured[which]
        for given, *rest in parts(self.run.backend, data):
            x = model.numbers(xp, given)
            before = float(xp.max(xp.abs(x)))
            for n, own in enumerate(params):
                x, _ = model.forward_layer(xp, n, own, x)
                largest = float(xp.max(xp.abs(x)))
                yield (n, "y"), largest, before
                before = largest
            yield (None, "loss"), float(model.loss.forward(xp, x, *rest)[0]), before

    def _layer(self, place: Place) -> str | None:
        return None if place[0] is None else self.run.names[place[0]]

    def _words(self, place: Place) -> str:
        """The array in words."""
        name, (tree, _, array) = self._layer(place), place[1].rpartition(".")
        if name is None:
            return "the loss"
        symbol = tree.removeprefix("optimizer.")
        words = {
            "y": "the output of {name}",
            "dy": "∂J/∂y of {name}",
            "grads": "the gradient of {name}'s {array}",
            "params": "{name}'s {array} after the update",
        }
        return words.get(tree or array, "the optimizer's {symbol} of {name}'s {array}").format(
            name=name, array=array, symbol=symbol
        )
