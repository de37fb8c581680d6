"""Parts in torch's own combined functions: each call costs microseconds, so a step wants few of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from portable_bp.layers import Dense, ReLU, Sigmoid
from portable_bp.losses import SoftmaxCrossEntropy
from portable_bp.optimizers import Adam
from portable_bp.optimizers.adam import corrected
from portable_bp.optimizers.optimizer import dtype_of, each
from portable_bp.schedules import value_at


@dataclass(frozen=True)
class LoweredDense(Dense):
    """y = b + x W in one call, for matrices."""

    def forward(self, xp: Any, params: Any, x: Any) -> tuple[Any, Any]:
        if not self.bias or not x.ndim == params["weight"].ndim == 2 or x.shape[-1] != self.n_in:
            return super().forward(xp, params, x)
        return torch.addmm(params["bias"], x, params["weight"]), x


@dataclass(frozen=True)
class LoweredReLU(ReLU):
    """The rectifier without an array of zeros."""

    def forward(self, xp: Any, params: Any, x: Any) -> tuple[Any, Any]:
        y = torch.relu(x)
        return y, y


@dataclass(frozen=True)
class LoweredSigmoid(Sigmoid):
    """torch's sigmoid."""

    def forward(self, xp: Any, params: Any, x: Any) -> tuple[Any, Any]:
        y = torch.sigmoid(x)
        return y, y


@dataclass(frozen=True)
class LoweredSoftmaxCrossEntropy(SoftmaxCrossEntropy):
    """log p = log_softmax(y) in one call; J = -c Σ w log p_t, dy = c w (e^(log p) - onehot(t))."""

    def forward(self, xp: Any, y: Any, target: Any, weight: Any = None) -> tuple[Any, Any]:
        if y.shape[-2] != target.shape[-1] or y.ndim != 2 or target.ndim != 1:
            value, cache = super().forward(xp, y, target, weight)
            return value, (None, cache)
        c = self.scale(y.shape[-2])
        log_p, column = torch.log_softmax(y, dim=-1), target.to(torch.int64)[:, None]
        terms = log_p.gather(-1, column)
        weighted = terms if weight is None else terms * weight[:, None]
        return -c * weighted.sum(), ((log_p, column, weight, c), None)

    def backward(self, xp: Any, cache: Any) -> Any:
        own, portable = cache
        if own is None:
            return super().backward(xp, portable)
        log_p, column, weight, c = own
        p = torch.exp(log_p)
        error = p.scatter_add(-1, column, p.new_full(column.shape, -1.0))
        return c * (error if weight is None else error * weight[:, None])


@dataclass(frozen=True)
class LoweredAdam(Adam):
    """Adam's lines in six calls a parameter instead of twelve."""

    def update(self, xp: Any, params: Any, grads: Any, state: Any) -> Any:
        beta1, beta2 = self.beta1, self.beta2
        if not isinstance(beta1, float) or not isinstance(beta2, float):
            return super().update(xp, params, grads, state)
        dtype, t = dtype_of(params), state["t"] + 1
        rate = value_at(xp, self.learning_rate, state["t"], dtype)
        m = each(lambda m, g: torch.lerp(m, g, 1 - beta1), state["m"], grads)
        v = each(lambda v, g: torch.addcmul(beta2 * v, g, g, value=1 - beta2), state["v"], grads)
        rate_t, epsilon_t = corrected(xp, rate, self.epsilon, (beta1, beta2), t, dtype)
        new = each(lambda w, m, v: torch.addcdiv(w, -rate_t * m, torch.sqrt(v) + epsilon_t), params, m, v)
        return new, {"t": t, "m": m, "v": v}


LOWERED: dict[type, type] = {
    Dense: LoweredDense,
    ReLU: LoweredReLU,
    Sigmoid: LoweredSigmoid,
    SoftmaxCrossEntropy: LoweredSoftmaxCrossEntropy,
    Adam: LoweredAdam,
}
