"""The squared error in the three conventions that textbooks use; they differ by a constant factor."""

from abc import abstractmethod
from dataclasses import dataclass

from portable_bp.arrays import Array, Namespace
from portable_bp.losses.loss import Loss, require_same_shape, weigh


@dataclass(frozen=True)
class SquaredError(Loss):
    """J = c Σ_i w_i Σ_j (y_ij - t_ij)², with the factor c of a convention.

    Shapes: y and t (batch, n_out). Backward: dy = 2 c w (y - t).

    Source: Rumelhart, Hinton and Williams, Nature 323 (1986), eq. 3, is the convention c = ½.
    """

    @abstractmethod
    def factor(self, batch: int, n_out: int) -> float:
        """The factor c."""

    def forward(
        self, xp: Namespace, y: Array, target: Array, weight: Array | None = None
    ) -> tuple[Array, tuple[Array, float]]:
        require_same_shape(self, y, target)
        c = self.factor(y.shape[-2], y.shape[-1])
        error = y - target
        weighted = weigh(xp, error, weight)
        return c * xp.sum(weighted * error, axis=(-2, -1)), (weighted, c)

    def backward(self, xp: Namespace, cache: tuple[Array, float]) -> Array:
        weighted, c = cache
        return (2.0 * c) * weighted


@dataclass(frozen=True)
class HalfSquaredError(SquaredError):
    """J = ½ Σ_ij (y_ij - t_ij)², a sum over the batch; dy = y - t."""

    @property
    def averages(self) -> bool:
        return False

    def factor(self, batch: int, n_out: int) -> float:
        return 0.5


@dataclass(frozen=True)
class HalfMeanSquaredError(SquaredError):
    """J = 1/(2m) Σ_ij (y_ij - t_ij)², a mean over the batch of m examples, a sum over outputs; dy = (y - t) / m."""

    @property
    def averages(self) -> bool:
        return True

    def factor(self, batch: int, n_out: int) -> float:
        return 0.5 / batch


@dataclass(frozen=True)
class MeanSquaredError(SquaredError):
    """J = 1/(m n) Σ_ij (y_ij - t_ij)², a mean over the batch of m and the n outputs; dy = 2 (y - t) / (m n)."""

    @property
    def averages(self) -> bool:
        return True

    def factor(self, batch: int, n_out: int) -> float:
        return 1.0 / (batch * n_out)
