"""The network, loss and data in torch, as its own users write them."""

from __future__ import annotations

from typing import Any

import torch
from problem import Array, Problem
from torch.nn import functional


def network(problem: Problem, device: str) -> Any:
    """A Sequential with the problem's initial weights."""
    layers: list[Any] = []
    for weight, bias in problem.start:
        linear = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T.copy()))
            linear.bias.copy_(torch.from_numpy(bias))
        layers += [linear, torch.nn.ReLU() if problem.work.softmax else torch.nn.Sigmoid()]
    return torch.nn.Sequential(*layers[:-1]).to(device)


def loss_of(softmax: bool) -> Any:
    """A function of logits and targets: mean over the batch, for the sigmoid a sum over the outputs."""
    if softmax:
        return functional.cross_entropy
    return lambda y, t: functional.binary_cross_entropy_with_logits(y, t, reduction="sum") / y.shape[0]


def data(problem: Problem, device: str) -> tuple[Any, Any]:
    """x and y as tensors on the device."""
    return torch.from_numpy(problem.x).to(device), torch.from_numpy(problem.y).to(device)


def logits(net: Any, x: Array, device: str) -> Array:
    """Outputs of the network."""
    with torch.no_grad():
        return net(torch.from_numpy(x).to(device)).cpu().numpy()
