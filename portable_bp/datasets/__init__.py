"""The data that the five reports train on: MNIST, Fashion-MNIST, iris, and the small made-up sets.

Everything here is NumPy on the host; a backend moves it to its device.
"""

from portable_bp.datasets.idx import read_idx
from portable_bp.datasets.iris import iris
from portable_bp.datasets.labels import to_one_hot
from portable_bp.datasets.mnist import fashion_mnist, mnist
from portable_bp.datasets.small import linear, one_hot, xor
from portable_bp.datasets.split import Dataset, Split

__all__ = [
    "Dataset",
    "Split",
    "fashion_mnist",
    "iris",
    "linear",
    "mnist",
    "one_hot",
    "read_idx",
    "to_one_hot",
    "xor",
]
