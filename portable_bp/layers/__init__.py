"""Layers: forward and backward next to each other, one idea a file."""

from portable_bp.layers.dense import Dense
from portable_bp.layers.dropout import Dropout
from portable_bp.layers.elu import ELU
from portable_bp.layers.flatten import Flatten
from portable_bp.layers.gelu import GELU
from portable_bp.layers.identity import Identity
from portable_bp.layers.layer import Layer, StochasticLayer
from portable_bp.layers.relu import LeakyReLU, ReLU
from portable_bp.layers.rescale import Rescale
from portable_bp.layers.sigmoid import Sigmoid
from portable_bp.layers.softmax import Softmax
from portable_bp.layers.softplus import Softplus
from portable_bp.layers.tanh import Tanh

__all__ = [
    "ELU",
    "GELU",
    "Dense",
    "Dropout",
    "Flatten",
    "Identity",
    "Layer",
    "LeakyReLU",
    "ReLU",
    "Rescale",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "StochasticLayer",
    "Tanh",
]
