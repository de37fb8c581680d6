"""Every exception that portable_bp raises on purpose, as one tree.

    PortableBPError
    ├── ConfigurationError (ValueError)   an option, hyper-parameter or name that can't be used
    ├── ShapeError (ValueError)           arrays or layers that don't fit together
    ├── DataError (ValueError)            data that can't be trained on: NaN, labels out of range, empty
    ├── BackendError (RuntimeError)       an array library that is missing or whose device doesn't answer
    ├── FileError (OSError)               a file that is missing, truncated, foreign or damaged
    ├── NonFiniteError (ArithmeticError)  training met a NaN or an infinity
    └── GradientError (AssertionError)    a check found gradients that are wrong or differ

Each message is one line that names the value that came, the rule that it breaks, and the cure.
"""


class PortableBPError(Exception):
    """Base of everything that portable_bp raises on purpose."""


class ConfigurationError(PortableBPError, ValueError):
    """An option, hyper-parameter or name that can't be used."""


class ShapeError(PortableBPError, ValueError):
    """Arrays or layers that don't fit together."""


class DataError(PortableBPError, ValueError):
    """Data that can't be trained on."""


class BackendError(PortableBPError, RuntimeError):
    """An array library that is missing, or whose device doesn't answer."""


class FileError(PortableBPError, OSError):
    """A file that is missing, truncated, foreign or damaged."""


class NonFiniteError(PortableBPError, ArithmeticError):
    """Training met a NaN or an infinity: the fields say where, None where that isn't known."""

    def __init__(
        self,
        message: str,
        *,
        epoch: int | None = None,
        step: int | None = None,
        layer: str | None = None,
        array: str | None = None,
    ) -> None:
        super().__init__(message)
        self.epoch = epoch
        """The epoch, counted from 1 over the network's life."""
        self.step = step
        """The step within the epoch, counted from 1."""
        self.layer = layer
        """The layer as `Network.trace` names it, "2 Dense"; None where the array is the loss."""
        self.array = array
        """The first array that isn't finite: "y", "dy", "grads.weight" or "params.weight" as in a trace, "loss", or an
        array of the optimizer, "optimizer.v.weight"."""


class GradientError(PortableBPError, AssertionError):
    """A check found gradients that are wrong, or that differ between backends."""
