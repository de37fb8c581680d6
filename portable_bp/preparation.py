"""What a network is given to train on or to measure: checked, moved to the device, and cut into batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from portable_bp import inputs
from portable_bp.architecture import Architecture
from portable_bp.arrays import Array
from portable_bp.backend import Backend, Batch
from portable_bp.backpropagation import Model
from portable_bp.batches import Batches
from portable_bp.streaming import host
from portable_bp.training import Run
from portable_bp.tripwire.looking import Look
from portable_bp.weights import weights


@dataclass(frozen=True)
class Preparation:
    """How examples become arrays of the backend that fit one network; raises what `portable_bp.inputs` raises."""

    backend: Backend
    architecture: Architecture
    model: Model

    def placed(self, x: Any, *others: Any) -> Preparation:
        """Itself; or, where these arrays are more than the device has room for, one that leaves them on the host."""
        too_large = inputs.exceed(self.backend, x, others, self.architecture.dtype)
        return replace(self, backend=host()) if too_large else self

    @cached_property
    def look(self) -> Look:
        """The look at a step's arrays, compiled once for all trainings."""
        return Look(self.backend, self.model)

    def inputs(self, x: Any, which: str = "") -> Array:
        """Check x (n, …) and move it to the device; ``which`` names it in errors."""
        array = inputs.inputs(self.backend, x, self.architecture.input_shape, self.architecture.dtype, f"{which}x")
        self.architecture.shapes(tuple(array.shape[1:]))
        return array

    def batch(self, x: Any, y: Any, which: str = "") -> Batch:
        """Check x and y and move them to the device; ``which`` names them in errors."""
        own, moved = self.architecture, self.inputs(x, which)
        out = own.shapes(tuple(moved.shape[1:]))[-1]
        return moved, inputs.targets(self.backend, y, own.loss, moved.shape[0], out, own.dtype, f"{which}y")

    def run(
        self,
        x: Any,
        y: Any,
        batches: tuple[int | Literal["auto"] | None, bool],
        validation: tuple[Any, Any] | None,
        measure_training: bool,
        weight: tuple[Any, Any],
    ) -> Run:
        """Check and move what `fit` is given; ``batches``: size and shuffle; ``weight``: of samples and of classes."""
        place, own = self.placed(x, y, weight[0]), self.architecture
        data = place.batch(x, y)
        out = own.shapes(tuple(data[0].shape[1:]))[-1]
        weighted = weights(place.backend, *weight, data[1], own.loss, out, own.dtype)
        cut = Batches.of(data[0].shape[0], *batches)
        measured, accuracy = self._measured({"training": (place, data)} if measure_training else {}, validation)
        trained = data if weighted is None else (*data, weighted)
        on_host = place is not self and cut.size < cut.n
        if place is not self and not on_host:  # each step reads all of it
            trained = tuple(map(self.backend.asarray, trained))
        return Run(self.backend, self.model, trained, cut, measured, accuracy, on_host, self.look, own.names)

    def _measured(
        self, placed: dict[str, tuple[Preparation, Batch]], validation: tuple[Any, Any] | None
    ) -> tuple[dict[str, Batch], bool]:
        """The sets to measure, the validation set among them, each where there is room; whether all have classes."""
        if validation is not None:
            pair = inputs.pair(validation)
            place = self.placed(*pair)
            placed = {**placed, "validation": (place, place.batch(*pair, "validation "))}
        accuracy = all(place.has_classes(data[1]) for place, data in placed.values())
        return {name: data for name, (_, data) in placed.items()}, accuracy

    def has_classes(self, target: Array) -> bool:
        """Whether the targets are class numbers, rows with one 1 and else 0, or a single column of 0 and 1."""
        if self.architecture.loss.target_kind == "labels":
            return True
        xp = self.backend.xp
        zero_or_one = xp.all((target == 0) | (target == 1))
        one_each = xp.all(xp.sum(target, axis=-1) == 1) if target.shape[-1] > 1 else zero_or_one
        return bool(zero_or_one) and bool(one_each)
