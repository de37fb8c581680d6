"""The datasets that can be trained on from the command line, each with defaults that learn it well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import portable_bp as bp
from portable_bp.cli.choices import choose
from portable_bp.errors import ConfigurationError

if TYPE_CHECKING:
    from portable_bp.datasets import Dataset, Split


@dataclass(frozen=True)
class Data:
    """A dataset's parts by name ("train", "validation", "test"; only the first is always there)."""

    parts: Mapping[str, Split]
    n_classes: int

    @property
    def reported(self) -> str:
        """The part that a result is reported on: the test part, where there is one."""
        return "test" if "test" in self.parts else "train"

    def part(self, name: str, dataset: str) -> Split:
        """Give a part; refuse one that isn't there."""
        if name not in self.parts:
            raise ConfigurationError(f"{dataset} has no part {name!r}: it has {', '.join(self.parts)}")
        return self.parts[name]


@dataclass(frozen=True)
class Task:
    """How a dataset is loaded, and the options of `train` that suit it with Adam."""

    load: Callable[[Path | None, bool], Data]
    """From a folder of files, where it has any; its images as bytes or as numbers from 0 to 1."""
    loss: str
    hidden: tuple[int, ...]
    rate: float
    epochs: int
    batch_size: int | None = None
    """None takes the whole set."""
    has_files: bool = False


def _with_test(dataset: Dataset) -> Data:
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return Data({name: part for name, part in parts.items() if part is not None}, dataset.n_classes)


def _all_for_training(split: Split, n_classes: int) -> Data:
    return Data({"train": split}, n_classes)


TASKS = {
    "mnist": Task(
        lambda folder, as_bytes: _with_test(bp.datasets.mnist(folder, as_bytes=as_bytes)),
        "softmax-cross-entropy", hidden=(128,), rate=1e-3, epochs=12, batch_size=128, has_files=True,
    ),
    "fashion-mnist": Task(
        lambda folder, as_bytes: _with_test(bp.datasets.fashion_mnist(folder, as_bytes=as_bytes)),
        "softmax-cross-entropy", hidden=(128,), rate=1e-3, epochs=12, batch_size=128, has_files=True,
    ),
    "iris": Task(
        lambda *_: _with_test(bp.datasets.iris()),
        "softmax-cross-entropy", hidden=(8,), rate=0.02, epochs=300,
    ),
    "linear": Task(
        lambda *_: _all_for_training(bp.datasets.linear(), 2),
        "binary-cross-entropy", hidden=(8, 8), rate=0.02, epochs=500,
    ),
    "xor": Task(
        lambda *_: _all_for_training(bp.datasets.xor(), 2),
        "binary-cross-entropy", hidden=(8, 8), rate=0.05, epochs=500,
    ),
    "one-hot": Task(
        lambda *_: _all_for_training(bp.datasets.one_hot(), 8),
        "binary-cross-entropy", hidden=(3,), rate=0.02, epochs=1000,
    ),
}  # fmt: skip


def load(dataset: str, folder: Path | None, *, as_bytes: bool = False) -> Data:
    """Load a dataset, the image sets from ``folder`` where it is given, and ``as_bytes`` where that is asked for."""
    task = choose("dataset", dataset, TASKS)
    if folder is not None and not task.has_files:
        named = ", ".join(name for name, other in TASKS.items() if other.has_files)
        raise ConfigurationError(f"--data {str(folder)!r} is for {named}: leave it out with {dataset}")
    return task.load(folder, as_bytes)


def as_bytes(net: bp.Network, given: bool | None) -> bool:
    """Whether images are to be given to a network as bytes; refuses to guess where it rescales them itself."""
    rescale = next((layer for layer in net.layers if isinstance(layer, bp.Rescale)), None)
    if given is None and rescale is not None:
        raise ConfigurationError(
            f"the network has a {rescale}, so its images may be bytes or numbers: say --bytes where they were bytes "
            "from 0 to 255 in its training, --no-bytes where they were numbers from 0 to 1"
        )
    return bool(given)


def targets(y: Any, loss: bp.Loss, n_classes: int) -> Any:
    """Turn a dataset's targets into what the loss wants: class numbers, or one row an example."""
    if loss.target_kind != "labels":
        return y if y.ndim > 1 else bp.datasets.to_one_hot(y, n_classes)
    if y.ndim == 1:
        return y
    return y.argmax(axis=-1) if y.shape[-1] > 1 else y[:, 0].astype("int64")
