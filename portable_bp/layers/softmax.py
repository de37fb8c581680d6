"""The softmax as a layer, with its full Jacobian."""

from dataclasses import dataclass

from portable_bp.arrays import Array, Namespace, Params
from portable_bp.layers.layer import Layer


def softmax(xp: Namespace, x: Array) -> Array:
    """e^(x_i - max x) / Σ_j e^(x_j - max x) along the last axis; the shift prevents overflow and cancels."""
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return xp.divide(e, xp.sum(e, axis=-1, keepdims=True))


@dataclass(frozen=True)
class Softmax(Layer):
    """Softmax y_i = e^x_i / Σ_j e^x_j along the last axis: (batch, n) to (batch, n), each row sums to 1.

    Backward: the Jacobian is ∂y_i/∂x_j = y_i (δ_ij - y_j), so dx_j = y_j (dy_j - Σ_i dy_i y_i).

    In front of a cross-entropy leave it out: SoftmaxCrossEntropy takes the logits, and its p - t is more exact.

    Source: Bridle, NIPS 1989, "Training stochastic model recognition algorithms …".
    """

    def forward(self, xp: Namespace, params: Params, x: Array) -> tuple[Array, Array]:
        y = softmax(xp, x)
        return y, y

    def backward(self, xp: Namespace, params: Params, cache: Array, dy: Array) -> tuple[Array, Params]:
        y = cache
        return y * (dy - xp.sum(dy * y, axis=-1, keepdims=True)), {}
