"""Initial values of parameters, drawn on the host from a stream: equal weights would stay equal for ever."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from portable_bp.arguments import real_number, settle
from portable_bp.arrays import HostArray, Shape
from portable_bp.errors import ConfigurationError
from portable_bp.streams import Stream


@dataclass(frozen=True)
class Initializer(ABC):
    """Draws one parameter of ``shape`` = (n_in, n_out), float64."""

    @abstractmethod
    def __call__(self, stream: Stream, shape: Shape) -> HostArray:
        """Draw the parameter."""


@dataclass(frozen=True)
class Zeros(Initializer):
    """All zeros; right for a bias, wrong for a weight (the hidden neurons would stay alike)."""

    def __call__(self, stream: Stream, shape: Shape) -> HostArray:
        return stream.constant(shape, 0.0)


@dataclass(frozen=True)
class Normal(Initializer):
    """w ~ N(0, scale²)."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        settle(self, "scale", real_number(f"{type(self).__name__} got scale", self.scale, above=True))

    def __call__(self, stream: Stream, shape: Shape) -> HostArray:
        return self.scale * stream.normal(shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """w ~ U[-scale, scale)."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        settle(self, "scale", real_number(f"{type(self).__name__} got scale", self.scale, above=True))

    def __call__(self, stream: Stream, shape: Shape) -> HostArray:
        return self.scale * stream.uniform(shape)


@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Weights of a variance that keeps signals and gradients of one size from layer to layer.

    ``distribution`` "normal" draws N(0, σ²), "uniform" U[-√3 σ, √3 σ), which has the same variance σ².
    """

    distribution: Literal["normal", "uniform"] = "normal"

    def __post_init__(self) -> None:
        if self.distribution not in ("normal", "uniform"):
            raise ConfigurationError(
                f"{type(self).__name__} got distribution={self.distribution!r}: write 'normal' or 'uniform'"
            )

    @abstractmethod
    def variance(self, n_in: int, n_out: int) -> float:
        """σ² of a weight between ``n_in`` and ``n_out`` neurons."""

    def __call__(self, stream: Stream, shape: Shape) -> HostArray:
        deviation = sqrt(self.variance(shape[-2], shape[-1]))
        if self.distribution == "normal":
            return deviation * stream.normal(shape)
        return sqrt(3.0) * deviation * stream.uniform(shape)


@dataclass(frozen=True)
class Xavier(VarianceScaling):
    """σ² = 2 / (n_in + n_out), for sigmoid and tanh. Source: Glorot and Bengio, AISTATS 2010, eq. 12."""

    def variance(self, n_in: int, n_out: int) -> float:
        return 2.0 / (n_in + n_out)


@dataclass(frozen=True)
class He(VarianceScaling):
    """σ² = 2 / n_in, for ReLU and its kin. Source: He, Zhang, Ren and Sun, ICCV 2015, eq. 10."""

    def variance(self, n_in: int, n_out: int) -> float:
        return 2.0 / n_in


@dataclass(frozen=True)
class LeCun(VarianceScaling):
    """σ² = 1 / n_in. Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998), eq. 16."""

    def variance(self, n_in: int, n_out: int) -> float:
        return 1.0 / n_in
