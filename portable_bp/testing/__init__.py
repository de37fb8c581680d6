"""Conformance checks for layers, losses, optimizers and backends of your own; portable_bp's go through the same ones.

Each check returns None or raises GradientError (an AssertionError) that names what is wrong:

    from portable_bp import testing
    testing.check_layer(MyLayer(), shape=(6,))
    testing.check_backend(MyBackend())
"""

from portable_bp.testing.backend import check_backend
from portable_bp.testing.layer import check_layer
from portable_bp.testing.loss import check_loss
from portable_bp.testing.optimizer import check_optimizer

__all__ = ["check_backend", "check_layer", "check_loss", "check_optimizer"]
