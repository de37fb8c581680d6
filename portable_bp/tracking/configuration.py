"""What a training was asked to do, as every tracker notes it once at the start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from portable_bp.description import describe

if TYPE_CHECKING:
    from portable_bp.network import Network


def configuration(net: Network) -> dict[str, Any]:
    """Architecture, loss, optimizer, batches, seed, backend and dtype of the fit that begins, as plain JSON."""
    noted = {
        "layers": [describe(layer) for layer in net.layers],
        "loss": describe(net.loss),
        **{name: describe(value) for name, value in net.settings.items() if name != "columns"},
        "first_epoch": net.epoch + 1,
        "seed": net.seed,
        "dtype": net.dtype,
        "backend": net.backend.spec,
        "arithmetic": net.backend.arithmetic,
        "precision": net.backend.precision,
    }
    plain: dict[str, Any] = json.loads(json.dumps(noted, default=repr))  # a field may be anything in a user's own part
    return plain
