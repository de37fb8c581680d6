"""The binary cross-entropy from logits."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from portable_bp.arrays import Array, Namespace
from portable_bp.layers.sigmoid import sigmoid
from portable_bp.layers.softplus import softplus
from portable_bp.losses.loss import CrossEntropy, require_same_shape, weigh


@dataclass(frozen=True)
class BinaryCrossEntropy(CrossEntropy):
    """Cross-entropy behind a sigmoid, from logits: with p = σ(y), J = -c Σ_i w_i Σ_j [t log p + (1 - t) log(1 - p)].

    It takes **logits**: leave the last Sigmoid out, `predict` applies it. A mean (c = 1/batch) or, with
    ``reduction="sum"``, a sum (c = 1) over the batch; always a sum over the outputs.

    Shapes: y and t (batch, n_out), 0 ≤ t ≤ 1. In logits each term is log(1 + eʸ) - t y, which can't overflow.

    Backward: dy = c w (σ(y) - t), the "a - y" of textbooks.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), eqs. 4.90, 4.91 and 5.18.
    """

    target_kind: ClassVar[Literal["labels", "probabilities", "values"]] = "probabilities"
    applies: ClassVar[str] = "Sigmoid"
    threshold: ClassVar[float] = 0.0  # the logit of ½

    def forward(self, xp: Namespace, y: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        require_same_shape(self, y, target)
        c = self.scale(y.shape[-2])
        terms = softplus(xp, y) - target * y
        return c * xp.sum(weigh(xp, terms, weight), axis=(-2, -1)), (y, target, weight, c)

    def backward(self, xp: Namespace, cache: Any) -> Array:
        y, target, weight, c = cache
        return c * weigh(xp, sigmoid(xp, y) - target, weight)

    def output(self, xp: Namespace, y: Array) -> Array:
        return sigmoid(xp, y)
