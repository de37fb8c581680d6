"""What the project wants of its speed: ratios to peers in the same rounds, the limit (must) and the aim of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contenders import BEST, GPU
from measuring import Result


@dataclass(frozen=True)
class Target:
    """Time of ``ours`` ÷ time of ``peer`` at ``work``; ``best`` kernels for ours, where they aren't the default."""

    ours: str
    peer: str
    work: str
    must: float
    aim: float
    best: bool = False


def _targets(ours: str, peer: str, wanted: dict[str, tuple[float, float]], best: bool = False) -> list[Target]:
    return [Target(ours, peer, work, must, aim, best) for work, (must, aim) in wanted.items()]


NUMPY, NUMBA, JAX = "portable_bp numpy", "portable_bp numpy, Numba", "portable_bp jax"
CUPY = "portable_bp cupy" + GPU
TORCH = {"seed": (0.5, 0.35), "small": (0.75, 0.5), "mid": (0.9, 0.6)}
SKLEARN = {"seed": (0.5, 0.33), "small": (0.6, 0.4), "mid": (0.65, 0.45)}
SCAN = {"seed": (1.2, 0.95), "small": (1.5, 0.95), "mid": (1.4, 0.95)}
TARGETS = [
    *(
        target
        for ours in (NUMPY, NUMBA)
        for target in (
            *_targets(ours, "torch eager", TORCH),
            *_targets(ours, "scikit-learn", SKLEARN),
            *_targets(ours, "JAX scan", SCAN, best=True),
        )
    ),
    *_targets(NUMPY, "torch eager", {"tiny": (0.25, 0.15)}),
    *_targets(NUMPY, "numpy hand", {"tiny": (1.3, 1.0)}),
    *_targets(JAX, "JAX scan", dict.fromkeys(("seed", "small", "mid", "tiny"), (1.05, 0.95))),
    *_targets(CUPY, "JAX vmap in a scan" + GPU, {"thousands": (0.3, 0.15)}),
]


def ratios(ours: Result, peer: Result) -> list[float]:
    """The rounds' ratios, sorted: both met the same minute. The median counts, the ends say how noisy it was."""
    return sorted(a / b for a, b in zip(ours.rounds, peer.rounds, strict=True))


def find(results: Sequence[Result], work: str, name: str) -> Result | None:
    """What was measured of a contender at a work, if it was."""
    return next((r for r in results if (r.work, r.contender) == (work, name) and r.milliseconds is not None), None)


def measured(target: Target, results: Sequence[Result]) -> tuple[Result, list[float]] | None:
    """Our result that the target speaks of, and the ratios; None where one of the two wasn't measured."""
    best = find(results, target.work, target.ours + BEST) if target.best else None
    ours, peer = best or find(results, target.work, target.ours), find(results, target.work, target.peer)
    return (ours, ratios(ours, peer)) if ours and peer else None
