"""MNIST and Fashion-MNIST: 70,000 images of 28 × 28 bytes in ten classes, as four IDX files."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from portable_bp.arguments import whole_number
from portable_bp.datasets.fetch import Source, locate
from portable_bp.datasets.idx import read_idx
from portable_bp.datasets.split import Dataset, Split
from portable_bp.errors import DataError, FileError

N_TRAIN, N_TEST, SIDE, N_CLASSES = 60_000, 10_000, 28, 10
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

MNIST = Source(
    name="mnist",
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    sha256={
        TRAIN_IMAGES: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        TRAIN_LABELS: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        TEST_IMAGES: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        TEST_LABELS: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    example="examples/data/mnist of the repository",
)
FASHION_MNIST = Source(
    name="fashion-mnist",
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
    sha256={
        TRAIN_IMAGES: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        TRAIN_LABELS: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        TEST_IMAGES: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        TEST_LABELS: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    example="/usr/share/datasets/fashion-mnist after `apt-get install dataset-fashion-mnist`",
)


def mnist(
    folder: str | os.PathLike[str] | None = None,
    *,
    flatten: bool = True,
    validation: int = 10_000,
    as_bytes: bool = False,
) -> Dataset:
    """Handwritten digits 0 to 9.

    x: (n, 784), or (n, 28, 28) with flatten=False; float32 in [0, 1], byte / 255, 0 = paper. With
    as_bytes=True the bytes themselves, uint8, a quarter of the memory: for networks that begin with
    Rescale(1 / 255).
    y: (n,) int64. Of the 60,000 the last `validation` are the validation part (None for 0) and the
    rest is for training, in the files' order; test: 10,000.

    The files come from `folder`, else from the cache (`$PORTABLE_BP_CACHE`, or the operating
    system's), else from the network into the cache.
    FileError: a file that is missing, damaged or foreign. DataError: a label above 9.
    Source: LeCun, Cortes, Burges (1998), from NIST Special Databases 1 and 3.
    """
    return _load(MNIST, folder, flatten, validation, as_bytes)


def fashion_mnist(
    folder: str | os.PathLike[str] | None = None,
    *,
    flatten: bool = True,
    validation: int = 10_000,
    as_bytes: bool = False,
) -> Dataset:
    """Zalando's clothes, 0 to 9: T-shirt, trousers, pullover, dress, coat, sandal, shirt, sneaker,
    bag, ankle boot.

    Shapes, parts, places and errors as in `mnist`, whose stand-in it is made to be, only harder.
    Source: Xiao, Rasul, Vollgraf, Fashion-MNIST, arXiv:1708.07747 (2017), MIT licence.
    """
    return _load(FASHION_MNIST, folder, flatten, validation, as_bytes)


def _load(
    source: Source, folder: str | os.PathLike[str] | None, flatten: bool, validation: int, as_bytes: bool
) -> Dataset:
    n_train = N_TRAIN - whole_number("validation", validation, 0, N_TRAIN - 1)
    train_x, train_y, test_x, test_y = locate(source, folder)
    x, y = _part(train_x, train_y, N_TRAIN, flatten, as_bytes)
    return Dataset(
        train=Split(x[:n_train], y[:n_train]),
        validation=Split(x[n_train:], y[n_train:]) if n_train < N_TRAIN else None,
        test=_part(test_x, test_y, N_TEST, flatten, as_bytes),
        n_classes=N_CLASSES,
        name=source.name,
    )


def _part(images: Path, labels: Path, n: int, flatten: bool, as_bytes: bool) -> Split:
    x = _bytes(images, (n, SIDE, SIDE))
    y = _bytes(labels, (n,))
    if y.max() >= N_CLASSES:
        raise DataError(
            f"{str(labels)!r} holds the label {y.max()}: labels run from 0 to {N_CLASSES - 1}; "
            "copy or download the file again"
        )
    shape = (n, SIDE * SIDE) if flatten else (n, SIDE, SIDE)
    x = x.reshape(shape)
    return Split(x if as_bytes else np.divide(x, 255, dtype=np.float32), y.astype(np.int64))


def _bytes(path: Path, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    array = read_idx(path)
    if array.shape != shape or array.dtype != np.uint8:
        raise FileError(
            f"{str(path)!r} holds {array.dtype} of shape {array.shape}: this file must hold uint8 "
            f"of shape {shape}, an image for each label; copy or download it again"
        )
    return array
