"""The arrays of a work: made once by the driver, read from files by every contender, the same for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from works import Work

Array = npt.NDArray[Any]
Images = tuple[Array, Array]


@dataclass(frozen=True)
class Problem:
    """x (rows, n_in) float32; y (rows,) int64 or, for an encoder, x again; start: (W, b) of every layer, float32.

    W (n_in, n_out) and b (n_out,); with K networks (K, n_in, n_out) and (K, 1, n_out), and ``rates`` (K, 1, 1).
    """

    work: Work
    x: Array
    y: Array
    start: list[Images]
    rates: Array | None


def start_of(work: Work) -> list[Images]:
    """Initial weights: He's for ReLU, Xavier's for sigmoid, both normal; biases 0."""
    noise = np.random.default_rng(0)
    lead = (work.networks,) if work.networks else ()
    start = []
    for n_in, n_out in zip(work.widths[:-1], work.widths[1:], strict=True):
        deviation = np.sqrt(2 / n_in if work.softmax else 2 / (n_in + n_out))
        weight = (deviation * noise.normal(size=(*lead, n_in, n_out))).astype(np.float32)
        start.append((weight, np.zeros((*lead, 1, n_out) if lead else n_out, np.float32)))
    return start


def write(work: Work, images: Callable[[], Images], folder: Path) -> None:
    """Write what the contenders will read; ``images`` gives MNIST's training x and y, asked for only where needed."""
    folder.mkdir(parents=True)
    if work.softmax:
        rows = np.arange(work.rows) % len(images()[0])  # wide takes the first 1,440 again
        np.save(folder / "x.npy", images()[0][rows])
        np.save(folder / "y.npy", images()[1][rows])
    else:
        np.save(folder / "x.npy", np.eye(work.widths[0], dtype=np.float32))
    for number, (weight, bias) in enumerate(start_of(work)):
        np.save(folder / f"weight{number}.npy", weight)
        np.save(folder / f"bias{number}.npy", bias)


def read(work: Work, folder: Path) -> Problem:
    """Read a problem; a process that only reads has no more in memory than its arrays."""
    x = np.load(folder / "x.npy")
    y = np.load(folder / "y.npy") if work.softmax else x
    layers = range(len(work.widths) - 1)
    start = [(np.load(folder / f"weight{i}.npy"), np.load(folder / f"bias{i}.npy")) for i in layers]
    rates = np.linspace(0.5, 8, work.networks, dtype=np.float32).reshape(-1, 1, 1) if work.networks else None
    return Problem(work, x, y, start, rates)
