"""The two losses by hand, as the NumPy loops and Thinc need them: value, and gradient by the logits."""

from __future__ import annotations

import numpy as np
from problem import Array


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """Mean over the batch, and (softmax - onehot) / batch."""
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    loss = (np.log(total[:, 0]) - shifted[rows, labels]).mean()
    d = e / total
    d[rows, labels] -= 1
    return loss, d / len(labels)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ); the encoder's sums stay far from where float32's exp overflows."""
    return 1 / (1 + np.exp(-x))


def binary_cross_entropy(logits: Array, target: Array) -> tuple[Array, Array]:
    """Mean over the batch of the sum over the outputs, and (σ - t) / batch; K networks may come first."""
    batch = logits.shape[-2]
    terms = np.logaddexp(0, logits) - target * logits
    return terms.sum(axis=(-2, -1)) / batch, (sigmoid(logits) - target) / batch
