"""Every layer, loss and optimizer once, as the small cases that all the checks go through."""

from __future__ import annotations

from portable_bp import layers, losses, optimizers, schedules
from portable_bp.arrays import Shape
from portable_bp.layers import Layer
from portable_bp.losses import Loss
from portable_bp.optimizers import SGD, Adam, Optimizer

LAYERS: dict[str, tuple[Layer, Shape]] = {
    "Dense": (layers.Dense(6, 4), (6,)),
    "Dense without bias": (layers.Dense(6, 4, bias=False), (6,)),
    "Identity": (layers.Identity(), (6,)),
    "Sigmoid": (layers.Sigmoid(), (6,)),
    "Tanh": (layers.Tanh(), (6,)),
    "ReLU": (layers.ReLU(), (6,)),
    "LeakyReLU": (layers.LeakyReLU(0.1), (6,)),
    "ELU": (layers.ELU(0.7), (6,)),
    "GELU": (layers.GELU(), (6,)),
    "Softplus": (layers.Softplus(), (6,)),
    "Softmax": (layers.Softmax(), (6,)),
    "Flatten": (layers.Flatten(axes=2), (2, 3)),
    "Rescale": (layers.Rescale(0.5, -1), (6,)),
    "Dropout": (layers.Dropout(0.3), (6,)),
}
"""A layer and the shape of one of its inputs, by name."""

LOSSES: dict[str, Loss] = {
    "HalfSquaredError": losses.HalfSquaredError(),
    "HalfMeanSquaredError": losses.HalfMeanSquaredError(),
    "MeanSquaredError": losses.MeanSquaredError(),
    "BinaryCrossEntropy": losses.BinaryCrossEntropy(),
    "BinaryCrossEntropy, sum": losses.BinaryCrossEntropy(reduction="sum"),
    "SoftmaxCrossEntropy": losses.SoftmaxCrossEntropy(),
    "SoftmaxCrossEntropy, sum": losses.SoftmaxCrossEntropy(reduction="sum"),
}

OPTIMIZERS: dict[str, Optimizer] = {
    "SGD": SGD(0.1),
    "Momentum": optimizers.Momentum(0.1, 0.9),
    "Nesterov": optimizers.Nesterov(0.1, 0.9),
    "AdaGrad": optimizers.AdaGrad(0.1),
    "RMSProp": optimizers.RMSProp(0.01),
    "Adam": Adam(0.01),
    "AdamW": optimizers.AdamW(0.01, weight_decay=0.1),
    "L2": optimizers.L2(SGD(0.1), 0.01),
    "DecoupledWeightDecay": optimizers.DecoupledWeightDecay(optimizers.Momentum(0.1), 0.01),
    "ClipByGlobalNorm": optimizers.ClipByGlobalNorm(SGD(0.1), 0.5),
    "Constant": SGD(schedules.Constant(0.1)),
    "StepDecay": SGD(schedules.StepDecay(0.1, 0.5, every=2)),
    "ExponentialDecay": Adam(schedules.ExponentialDecay(0.1, 0.3)),
    "InverseTimeDecay": optimizers.Momentum(schedules.InverseTimeDecay(0.1, 0.5)),
    "CosineDecay": Adam(schedules.CosineDecay(0.1, steps=4, final=0.01)),
    "WarmUp": SGD(schedules.WarmUp(3, then=schedules.CosineDecay(0.1, steps=4))),
}
"""Every rule, wrapper and schedule by name; a schedule is shown on a rule."""
