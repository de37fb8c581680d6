"""The chain rule written out for a small network, with the numbers filled in."""

from portable_bp.explanation.derivation import Explanation
from portable_bp.explanation.explaining import explain

__all__ = ["Explanation", "explain"]
