"""Losses: value and gradient next to each other."""

from portable_bp.losses.binary_cross_entropy import BinaryCrossEntropy
from portable_bp.losses.loss import Loss
from portable_bp.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from portable_bp.losses.squared_error import HalfMeanSquaredError, HalfSquaredError, MeanSquaredError

__all__ = [
    "BinaryCrossEntropy",
    "HalfMeanSquaredError",
    "HalfSquaredError",
    "Loss",
    "MeanSquaredError",
    "SoftmaxCrossEntropy",
]
