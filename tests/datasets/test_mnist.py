"""MNIST and Fashion-MNIST: the real files byte for byte, the parts, and files that aren't them."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from portable_bp.datasets import fashion_mnist, mnist, read_idx
from portable_bp.errors import ConfigurationError, DataError, FileError

LOADERS = {"mnist": mnist, "fashion-mnist": fashion_mnist}
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# MD5 of the unpacked files. MNIST: of the files that yann.lecun.com published. Fashion-MNIST: of
# Debian's package dataset-fashion-mnist 0.0~git20200523.55506a9.
REAL = {
    "mnist": (
        Path(__file__).parents[2] / "examples/data/mnist",
        "clone the repository: its examples/data/mnist holds the real files",
        "6bbc9ace898e44ae57da46a324031adb a25bea736e30d166cdddb491f175f624 "
        "2646ac647ad5339dbf082846283269ea 27ae3e4e09519cfbb04c329615203637",
    ),
    "fashion-mnist": (
        Path("/usr/share/datasets/fashion-mnist"),
        "to try the real Fashion-MNIST: apt-get install dataset-fashion-mnist",
        "f4a8712d7a061bf5bd6d2ca38dc4d50a 9018921c3c673c538a1fc5bad174d6f9 "
        "8181f5470baa50b63fa0f6fddb340f0a 15d484375f8d13e6eb1aabb0c3f46965",
    ),
}
# Examples of each class in the 60,000 + 10,000. MNIST's are those of LeCun et al.'s files.
CLASS_COUNTS = {
    "mnist": [6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
    "fashion-mnist": [7000] * 10,
}


@pytest.fixture(params=REAL)
def real(request):
    folder, cure, sums = REAL[request.param]
    if not folder.is_dir():
        pytest.skip(cure)
    return request.param, folder, sums.split()


def test_the_real_files_are_the_published_ones_byte_for_byte(real):
    _, folder, sums = real
    assert [md5(folder, name) for name in FILES] == sums


def md5(folder, name):
    packed = folder / f"{name}.gz"
    data = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_the_real_data_has_every_image_beside_its_label(real):
    name, folder, _ = real
    data = LOADERS[name](folder)
    parts = (data.train, data.validation, data.test)
    assert [part.x.shape for part in parts] == [(50_000, 784), (10_000, 784), (10_000, 784)]
    assert sum(np.bincount(part.y) for part in parts).tolist() == CLASS_COUNTS[name]
    packed = folder / f"{FILES[0]}.gz"
    images = read_idx(packed if packed.exists() else folder / FILES[0]).reshape(-1, 784)
    np.testing.assert_array_equal(np.rint(data.train.x[:500] * 255), images[:500])
    np.testing.assert_array_equal(np.rint(data.validation.x[-500:] * 255), images[-500:])


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("validation", [0, 1, 10_000, np.int64(59_999)])
def test_the_last_of_the_60_000_are_the_validation_part(name, validation, mnist_folder):
    data = LOADERS[name](mnist_folder, validation=validation)
    n_train = 60_000 - validation
    assert (data.name, data.n_classes) == (name, 10)
    assert_part(data.train, range(n_train))
    assert_part(data.test, range(10_000))
    if validation:
        assert_part(data.validation, range(n_train, 60_000))
    else:
        assert data.validation is None


def assert_part(part, numbers):
    assert part.x.shape == (len(numbers), 784)
    assert (part.x.dtype, part.y.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(part.y, np.array(numbers) % 10)
    bytes_ = (np.array(numbers) % 256).astype(np.float32)
    np.testing.assert_array_equal(part.x[:, [0, 783]], (bytes_ / 255)[:, None].repeat(2, axis=1))


def test_images_keep_their_rows_and_columns_unless_flattened(mnist_folder):
    flat, square = mnist(mnist_folder), mnist(mnist_folder, flatten=False)
    assert square.train.x.shape == (50_000, 28, 28)
    assert square.test.x.dtype == np.float32
    np.testing.assert_array_equal(square.test.x.reshape(10_000, 784), flat.test.x)


@pytest.mark.parametrize("loader", LOADERS.values(), ids=LOADERS.keys())
@pytest.mark.parametrize("validation", [-1, 60_000, 0.5, 100.0, "100", True, None])
def test_a_validation_part_that_can_not_be_cut_is_refused(loader, validation):
    with pytest.raises(ConfigurationError) as caught:
        loader("/nowhere", validation=validation)
    assert str(caught.value) == (f"validation={validation!r}: it must be a whole number from 0 to 59999")


@pytest.mark.parametrize("loader", LOADERS.values(), ids=LOADERS.keys())
def test_a_folder_without_the_files_is_refused_with_its_name_and_theirs(loader, tmp_path):
    with pytest.raises(FileError) as caught:
        loader(tmp_path)
    assert repr(str(tmp_path)) in str(caught.value)
    assert all(name in str(caught.value) for name in FILES)


FOREIGN = {
    "fewer labels than images": ("train-labels-idx1-ubyte", np.zeros(59_999, "u1"), "(59999,)"),
    "fewer test images than labels": (
        "t10k-images-idx3-ubyte",
        np.zeros((9_999, 28, 28), "u1"),
        "(9999, 28, 28)",
    ),
    "test labels for training": ("train-labels-idx1-ubyte", np.zeros(10_000, "u1"), "(10000,)"),
    "images of another size": (
        "t10k-images-idx3-ubyte",
        np.zeros((10_000, 16, 49), "u1"),
        "(10000, 16, 49)",
    ),
    "images for labels": ("t10k-labels-idx1-ubyte", np.zeros((10_000, 1), "u1"), "(10000, 1)"),
    "labels of another type": ("t10k-labels-idx1-ubyte", np.zeros(10_000, "i2"), "int16"),
}


@pytest.mark.parametrize(("name", "array", "found"), FOREIGN.values(), ids=FOREIGN.keys())
def test_files_that_do_not_fit_together_are_refused(name, array, found, mnist_folder, to_idx):
    (mnist_folder / name).write_bytes(to_idx(array))  # the raw file goes before the .gz
    with pytest.raises(FileError) as caught:
        mnist(mnist_folder)
    assert f"{str(mnist_folder / name)!r} holds" in str(caught.value)
    assert found in str(caught.value)
    assert "copy or download it again" in str(caught.value)


def test_a_label_above_nine_is_refused(mnist_folder, to_idx):
    path = mnist_folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(to_idx(np.arange(10_000).clip(0, 10).astype("u1")))
    with pytest.raises(DataError, match="holds the label 10: labels run from 0 to 9") as caught:
        mnist(mnist_folder)
    assert repr(str(path)) in str(caught.value)


def test_without_a_folder_the_cache_is_read(mnist_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PORTABLE_BP_CACHE", str(tmp_path))
    mnist_folder.rename(tmp_path / "mnist")
    assert mnist().test.x.shape == (10_000, 784)


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS.keys())
def test_bytes_are_the_files_own_and_a_quarter_of_the_numbers(load, mnist_folder):
    numbers, own = load(mnist_folder), load(mnist_folder, as_bytes=True)
    for part in ("train", "validation", "test"):
        x, expected = getattr(own, part).x, getattr(numbers, part).x
        assert x.dtype == np.uint8
        assert 4 * x.nbytes == expected.nbytes
        assert np.array_equal(np.divide(x, 255, dtype=np.float32), expected)
        assert np.array_equal(getattr(own, part).y, getattr(numbers, part).y)
