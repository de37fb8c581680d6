"""The softmax cross-entropy from logits and class numbers."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from portable_bp.arrays import Array, Namespace
from portable_bp.errors import ShapeError
from portable_bp.layers.softmax import softmax
from portable_bp.losses.loss import CrossEntropy, weigh


def one_hot(xp: Namespace, labels: Array, like: Array) -> Array:
    """Rows of 0 and 1 with the 1 at the label: (..., batch) to (..., batch, n), n and dtype those of ``like``."""
    classes = xp.arange(like.shape[-1], dtype=labels.dtype)
    return xp.astype(xp.expand_dims(labels, axis=-1) == classes, like.dtype)


@dataclass(frozen=True)
class SoftmaxCrossEntropy(CrossEntropy):
    """Cross-entropy behind a softmax, from logits and class numbers: J = c Σ_i w_i (log Σ_j e^y_ij - y_i,t_i).

    It takes **logits**: leave the last Softmax out, `predict` applies it. A mean (c = 1/batch) or, with
    ``reduction="sum"``, a sum (c = 1) over the batch.

    Shapes: y (batch, n_out), t integer class numbers 0 .. n_out-1 (batch,). The logarithm is taken after subtracting
    each row's largest logit, so that nothing overflows.

    Backward: dy = c w (softmax(y) - onehot(t)).

    Source: Bishop, Pattern Recognition and Machine Learning (2006), eqs. 4.108 and 4.109.
    """

    target_kind: ClassVar[Literal["labels", "probabilities", "values"]] = "labels"
    applies: ClassVar[str] = "Softmax"

    def forward(self, xp: Namespace, y: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        if y.shape[-2] != target.shape[-1] or target.ndim > y.ndim - 1:
            raise ShapeError(
                f"SoftmaxCrossEntropy expects class numbers of shape ({y.shape[-2]},); got {tuple(target.shape)}: "
                "give one integer an example, not rows"
            )
        c = self.scale(y.shape[-2])
        hot = one_hot(xp, target, y)
        shifted = y - xp.max(y, axis=-1, keepdims=True)
        e = xp.exp(shifted)
        total = xp.sum(e, axis=-1, keepdims=True)
        terms = xp.log(total) - xp.sum(shifted * hot, axis=-1, keepdims=True)
        return c * xp.sum(weigh(xp, terms, weight), axis=(-2, -1)), (e, total, hot, weight, c)

    def backward(self, xp: Namespace, cache: Any) -> Array:
        e, total, hot, weight, c = cache
        return c * weigh(xp, xp.divide(e, total) - hot, weight)

    def output(self, xp: Namespace, y: Array) -> Array:
        return softmax(xp, y)

    def correct(self, xp: Namespace, y: Array, target: Array) -> Array:
        return self.classify(xp, y) == target
