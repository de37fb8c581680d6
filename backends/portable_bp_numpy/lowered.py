"""Parts that have a shorter way on NumPy than the portable one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_bp.layers import Sigmoid


@dataclass(frozen=True)
class LoweredSigmoid(Sigmoid):
    """σ(x) = 1 / (1 + e⁻ˣ) as it stands: half the calls of the portable form, which avoids e⁻ˣ = ∞.

    The overflow is harmless, 1 / (1 + ∞) = 0, and the backend's `activate` keeps NumPy from warning of it.
    """

    def forward(self, xp: Any, params: Any, x: Any) -> tuple[Any, Any]:
        y = np.divide(1, 1 + np.exp(-x))
        return y, y


LOWERED: dict[type, Any] = {Sigmoid: LoweredSigmoid()}
