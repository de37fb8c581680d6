"""An IDX writer independent of the reader, and full-size MNIST files that cost no disk."""

import gzip
import struct

import numpy as np
import pytest

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


@pytest.fixture(scope="session")
def to_idx():
    def encode(array):
        kind = array.dtype.newbyteorder(">").str[1:]
        header = struct.pack(f">HBB{array.ndim}I", 0, CODES[kind], array.ndim, *array.shape)
        return header + array.astype(f">{kind}").tobytes()

    return encode


@pytest.fixture(scope="session")
def mnist_bytes(to_idx):
    """The four files, gzipped, by name: image i is all i % 256, its label i % 10."""

    def part(n):
        images = np.repeat(np.arange(n, dtype="u1"), 784).reshape(n, 28, 28)
        labels = (np.arange(n) % 10).astype("u1")
        return [gzip.compress(to_idx(array), 1, mtime=0) for array in (images, labels)]

    (train_x, train_y), (test_x, test_y) = part(60_000), part(10_000)
    return {
        "train-images-idx3-ubyte.gz": train_x,
        "train-labels-idx1-ubyte.gz": train_y,
        "t10k-images-idx3-ubyte.gz": test_x,
        "t10k-labels-idx1-ubyte.gz": test_y,
    }


@pytest.fixture
def mnist_folder(tmp_path, mnist_bytes):
    folder = tmp_path / "mnist-files"
    folder.mkdir()
    for name, data in mnist_bytes.items():
        (folder / name).write_bytes(data)
    return folder
