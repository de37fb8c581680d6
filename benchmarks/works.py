"""What is trained: seven works, from one small epoch of MNIST to thousands of networks at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True)
class Work:
    """A network, its data and the part of its training that is timed, here called its epoch.

    ``kind`` "mnist" is ReLU, softmax cross-entropy, Adam(0.001) and mini-batches that are shuffled anew every epoch;
    "encoder" is inputs = targets = the one-hot vectors, sigmoid, binary cross-entropy behind a sigmoid (mean over the
    batch, sum over the outputs), SGD, and ``steps`` full-batch steps.
    """

    name: str
    kind: Literal["mnist", "encoder"]
    widths: tuple[int, ...]
    rows: int
    batch: int
    rate: float = 0.001
    steps: int = 0
    networks: int = 0
    """Networks trained at once, each with a rate of its own; 0 is one network without a leading axis."""
    repeat: int = 1
    """Epochs a turn, of which the median counts: a few milliseconds alone would meet cold caches, sleeping threads."""
    warm: int = 0
    """Epochs between the first and the measured ones, about a second, in which just-in-time compilers take notice."""
    accuracy: float = 0.0
    """Share of right classes that every sound contender passes after one epoch and a round; below it is no training."""
    gpu_only: bool = False

    @property
    def softmax(self) -> bool:
        """Whether the outputs are logits of a softmax; otherwise of sigmoids."""
        return self.kind == "mnist"

    @property
    def timed(self) -> str:
        """What the milliseconds of the table stand for."""
        if self.networks:
            return "a step"
        return f"{self.steps:,} steps" if self.steps else "an epoch"

    def milliseconds(self, seconds: float) -> float:
        """The table's number for an epoch that took ``seconds``."""
        return 1e3 * seconds / (self.steps if self.networks else 1)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Work:
        return cls(**{**fields, "widths": tuple(fields["widths"])})


ENCODER = (8, 3, 8)
WORKS = {
    work.name: work
    for work in (
        Work("seed", "mnist", (784, 32, 10), 3_000, 128, repeat=50, warm=250, accuracy=0.75),
        Work("small", "mnist", (784, 128, 10), 60_000, 128, repeat=5, warm=5, accuracy=0.9),
        Work("mid", "mnist", (784, 512, 512, 10), 20_000, 128, repeat=5, warm=5, accuracy=0.9),
        Work("wide", "mnist", (784, 4096, 4096, 4096, 10), 61_440, 4096, accuracy=0.5, gpu_only=True),
        Work("tiny", "encoder", ENCODER, 8, 8, rate=0.5, steps=5_000),
        Work("population", "encoder", ENCODER, 8, 8, steps=200, networks=1_024),
        Work("thousands", "encoder", ENCODER, 8, 8, steps=5_000, networks=16_384, gpu_only=True),
    )
}


def sized(work: Work, gpu: bool, images: int | None, steps: int | None) -> Work:
    """The work as this machine is to do it: all images for `mid` on a GPU, fewer images or steps for a quick look."""
    if work.steps:
        return replace(work, steps=steps or work.steps)
    rows = 60_000 if gpu and work.name == "mid" else work.rows
    if images is None or images >= rows:
        return replace(work, rows=rows)
    return replace(work, rows=images, batch=min(work.batch, images), accuracy=0.0, warm=0)
