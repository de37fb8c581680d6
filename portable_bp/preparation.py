"""What a network is given to train on or to measure: checked, moved to the device, and cut into batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from portable_bp import inputs
from portable_bp.architecture import Architecture
from portable_bp.arrays import Array
from portable_bp.backend import Backend, Batch
from portable_bp.backpropagation import Model
from portable_bp.training import Batches, Run
from portable_bp.tripwire.looking import Look
from portable_bp.weights import weights


@dataclass(frozen=True)
class Preparation:
    """How examples become arrays of the backend that fit one network; raises what `portable_bp.inputs` raises."""

    backend: Backend
    architecture: Architecture
    model: Model

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
        data, own = self.batch(x, y), self.architecture
        out = own.shapes(tuple(data[0].shape[1:]))[-1]
        weighted = weights(self.backend, *weight, data[1], own.loss, out, own.dtype)
        measured = self._measured(data if measure_training else None, validation)
        cut = Batches.of(data[0].shape[0], *batches)
        accuracy = all(self.has_classes(part[1]) for part in measured.values())
        trained = data if weighted is None else (*data, weighted)
        return Run(self.backend, self.model, trained, cut, measured, accuracy, self.look, own.names)

    def _measured(self, training: Batch | None, validation: tuple[Any, Any] | None) -> dict[str, Batch]:
        measured = {} if training is None else {"training": training}
        if validation is None:
            return measured
        return {**measured, "validation": self.batch(*inputs.pair(validation), "validation ")}

    def has_classes(self, target: Array) -> bool:
        """Whether the targets are class numbers, rows with one 1 and else 0, or a single column of 0 and 1."""
        if self.architecture.loss.target_kind == "labels":
            return True
        xp = self.backend.xp
        zero_or_one = xp.all((target == 0) | (target == 1))
        one_each = xp.all(xp.sum(target, axis=-1) == 1) if target.shape[-1] > 1 else zero_or_one
        return bool(zero_or_one) and bool(one_each)
