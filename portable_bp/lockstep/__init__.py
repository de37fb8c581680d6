"""The same training on two sides, step by step, up to the first array in which they differ."""

from portable_bp.lockstep.differ import diff
from portable_bp.lockstep.report import Differences
from portable_bp.lockstep.ulps import ulps

__all__ = ["Differences", "diff", "ulps"]
