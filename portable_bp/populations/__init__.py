"""Networks of one architecture trained together, as one network with a leading axis."""

from portable_bp.populations.fitting import fit_together

__all__ = ["fit_together"]
