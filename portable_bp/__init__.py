"""Backpropagation written by hand, once, against the Array API standard; the array library is a plug-in.

import portable_bp as bp

mnist = bp.datasets.mnist()
net = bp.Network([bp.Dense(784, 128), bp.ReLU(), bp.Dense(128, 10)], loss=bp.SoftmaxCrossEntropy(), backend="cupy")
net.fit(*mnist.train, optimizer=bp.Adam(1e-3), epochs=5, batch_size=128)
print(net.score(*mnist.test))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from portable_bp.backend import Backend, get_backend, installed_backends
from portable_bp.callbacks import Callback, EarlyStopping, PrintRows, ProgressBar
from portable_bp.errors import (
    BackendError,
    ConfigurationError,
    DataError,
    FileError,
    GradientError,
    NonFiniteError,
    PortableBPError,
    ShapeError,
)
from portable_bp.history import History
from portable_bp.initializers import He, Initializer, LeCun, Normal, Uniform, Xavier, Zeros
from portable_bp.layers import (
    ELU,
    GELU,
    Dense,
    Dropout,
    Flatten,
    Identity,
    Layer,
    LeakyReLU,
    ReLU,
    Rescale,
    Sigmoid,
    Softmax,
    Softplus,
    StochasticLayer,
    Tanh,
)
from portable_bp.losses import (
    BinaryCrossEntropy,
    HalfMeanSquaredError,
    HalfSquaredError,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from portable_bp.optimizers import (
    L2,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    ClipByGlobalNorm,
    DecoupledWeightDecay,
    Momentum,
    Nesterov,
    Optimizer,
    RMSProp,
)
from portable_bp.schedules import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    Schedule,
    StepDecay,
    WarmUp,
)
from portable_bp.tracking import CSVLog, JSONLines, TensorBoard, WandB

if TYPE_CHECKING:
    from portable_bp import datasets, plots, testing
    from portable_bp.checking import check_gradients, compare_backends
    from portable_bp.checkpoints import Checkpoint
    from portable_bp.explanation import explain
    from portable_bp.files import load
    from portable_bp.lockstep import diff
    from portable_bp.network import Network
    from portable_bp.populations import fit_together
    from portable_bp.recording import RecordGradients
    from portable_bp.sweeping.sweep import sweep

# What reads NumPy arrays on the host is imported when it is first asked for: the core itself needs no array library.
_LATER = {
    "Checkpoint": "portable_bp.checkpoints",
    "Network": "portable_bp.network",
    "RecordGradients": "portable_bp.recording",
    "check_gradients": "portable_bp.checking",
    "compare_backends": "portable_bp.checking",
    "datasets": "",
    "diff": "portable_bp.lockstep",
    "explain": "portable_bp.explanation",
    "fit_together": "portable_bp.populations",
    "load": "portable_bp.files",
    "plots": "",
    "sweep": "portable_bp.sweeping.sweep",
    "testing": "",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'portable_bp' has no attribute {name!r}")
    home = _LATER[name]
    return getattr(import_module(home), name) if home else import_module(f"portable_bp.{name}")


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "ELU",
    "GELU",
    "L2",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Backend",
    "BackendError",
    "BinaryCrossEntropy",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "ClipByGlobalNorm",
    "ConfigurationError",
    "Constant",
    "CosineDecay",
    "DataError",
    "DecoupledWeightDecay",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "ExponentialDecay",
    "FileError",
    "Flatten",
    "GradientError",
    "HalfMeanSquaredError",
    "HalfSquaredError",
    "He",
    "History",
    "Identity",
    "Initializer",
    "InverseTimeDecay",
    "JSONLines",
    "Layer",
    "LeCun",
    "LeakyReLU",
    "Loss",
    "MeanSquaredError",
    "Momentum",
    "Nesterov",
    "Network",
    "NonFiniteError",
    "Normal",
    "Optimizer",
    "PortableBPError",
    "PrintRows",
    "ProgressBar",
    "RMSProp",
    "ReLU",
    "RecordGradients",
    "Rescale",
    "Schedule",
    "ShapeError",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "StepDecay",
    "StochasticLayer",
    "Tanh",
    "TensorBoard",
    "Uniform",
    "WandB",
    "WarmUp",
    "Xavier",
    "Zeros",
    "check_gradients",
    "compare_backends",
    "datasets",
    "diff",
    "explain",
    "fit_together",
    "get_backend",
    "installed_backends",
    "load",
    "plots",
    "sweep",
    "testing",
]
