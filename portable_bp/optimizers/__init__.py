"""Optimizers: one class a rule; penalties and clipping wrap another optimizer."""

from portable_bp.optimizers.adagrad import AdaGrad
from portable_bp.optimizers.adam import Adam, AdamW
from portable_bp.optimizers.clipping import ClipByGlobalNorm
from portable_bp.optimizers.momentum import Momentum, Nesterov
from portable_bp.optimizers.optimizer import Optimizer
from portable_bp.optimizers.rmsprop import RMSProp
from portable_bp.optimizers.sgd import SGD
from portable_bp.optimizers.weight_decay import L2, DecoupledWeightDecay

__all__ = [
    "L2",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "ClipByGlobalNorm",
    "DecoupledWeightDecay",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSProp",
]
