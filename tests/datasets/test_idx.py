"""read_idx gives the written array back, and answers every other file with one FileError."""

import gzip
import re
import struct
import tracemalloc

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from portable_bp.datasets import idx, read_idx
from portable_bp.errors import FileError

PACKERS = {"raw": bytes, "gzip": lambda data: gzip.compress(data, mtime=0)}
packers = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS.keys())

arrays = st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]).flatmap(
    lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5))
)
LABELS = np.array([5, 0, 4, 1], "u1")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "file"


@packers
@settings(max_examples=60, deadline=None)
@given(array=arrays)
def test_what_was_written_is_read_back(pack, array, file, to_idx):
    file.write_bytes(pack(to_idx(array)))
    read = read_idx(file)
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


@packers
def test_values_of_many_chunks_are_read_whole(pack, file, to_idx):
    array = np.arange(700_000, dtype="i4").reshape(700, 1000)
    file.write_bytes(pack(to_idx(array)))
    np.testing.assert_array_equal(read_idx(str(file)), array)


@packers
@settings(max_examples=60, deadline=None)
@given(array=arrays, data=st.data())
def test_a_file_cut_anywhere_is_refused(pack, array, data, file, to_idx):
    whole = pack(to_idx(array))
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(FileError) as caught:
        read_idx(file)
    assert_one_line_with_the_path(caught.value, file)


@packers
@settings(max_examples=200, deadline=None)
@given(array=arrays, data=st.data())
def test_a_flipped_bit_gives_an_array_or_a_file_error(pack, array, data, file, to_idx):
    damaged = bytearray(pack(to_idx(array)))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(damaged)
    assert_array_or_file_error(file)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80).map(lambda tail: b"\0\0\x08" + tail) | st.binary(max_size=80))
def test_any_bytes_give_an_array_or_a_file_error(file, data):
    file.write_bytes(data)
    assert_array_or_file_error(file)


def assert_array_or_file_error(file):
    try:
        outcome = read_idx(file)
    except FileError as error:
        outcome = error
    if isinstance(outcome, FileError):
        assert_one_line_with_the_path(outcome, file)
    else:
        assert outcome.size > 0
        assert outcome.dtype.isnative


def assert_one_line_with_the_path(error, file):
    assert repr(str(file)) in str(error)
    assert "\n" not in str(error)
    assert "; " in str(error), "rule and cure are parted by a semicolon"


def header(code, *shape):
    return struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape)


GZIPPED = gzip.compress(header(8, 4) + LABELS.tobytes(), mtime=0)
REFUSED = {
    "nothing at all": (b"", "ends within its header"),
    "a cut magic number": (b"\0\0\x08", "ends within its header"),
    "a cut header": (header(8, 4, 4)[:-1], "ends within its header"),
    "a foreign magic number": (b"\x89PNG\r\n\x1a\n", "begins with 89 50 4e 47"),
    "an unknown type code": (header(0x0A, 4) + LABELS.tobytes(), "begins with 00 00 0a 01"),
    "no dimension": (header(8) + b"\5", "declares 0 dimensions: an array has from 1 to 64"),
    "too many dimensions": (header(8, *[1] * 65) + b"\5", "declares 65 dimensions"),
    "a dimension of size 0": (header(8, 4, 0), "declares the shape (4, 0)"),
    "one value too few": (header(8, 5) + LABELS.tobytes(), "declares 5 bytes of values"),
    "half a value": (header(0x0B, 2) + b"\0\1\0", "declares 4 bytes of values and holds only 3"),
    "a trailing byte": (header(8, 3) + LABELS.tobytes(), "3 bytes of values and holds more"),
    "a line of text": (b"404: Not Found\n", "begins with 34 30 34 3a"),
    "gzip within gzip": (gzip.compress(GZIPPED, mtime=0), "begins with 1f 8b"),
    "nothing but gzip's magic": (b"\x1f\x8b", "damaged gzip"),
    "an unknown packing": (b"\x1f\x8b\x07" + bytes(20), "damaged gzip"),
    "gzip with a wrong sum": (GZIPPED[:-8] + b"\0\0\0\0" + GZIPPED[-4:], "damaged gzip (CRC"),
    "gzip cut in its sum": (GZIPPED[:-2], "damaged gzip"),
    "gzip and then rubbish": (GZIPPED + b"rubbish", "damaged gzip"),
    "gzip with a trailing byte": (
        gzip.compress(header(8, 3) + LABELS.tobytes()),
        "3 bytes of values and holds more",
    ),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_whole_idx_file_is_refused_with_the_reason(data, reason, file):
    file.write_bytes(data)
    with pytest.raises(FileError, match=re.escape(reason)) as caught:
        read_idx(file)
    assert_one_line_with_the_path(caught.value, file)


def test_truncated_images_are_refused_with_the_cure(file, to_idx):
    file.write_bytes(to_idx(np.zeros((3, 28, 28), "u1"))[:-1])
    with pytest.raises(FileError) as caught:
        read_idx(file)
    assert str(caught.value) == (
        f"{str(file)!r} declares 2352 bytes of values and holds only 2351: both must agree; "
        "copy or download the file again"
    )


@packers
@pytest.mark.parametrize("shape", [(2**32 - 1,), (2**32 - 1,) * 3, (2**32 - 1,) * 64])
def test_a_huge_declared_shape_allocates_no_more_than_the_file_holds(pack, shape, file):
    file.write_bytes(pack(header(0x0E, *shape) + bytes(1000)))
    message, peak = refused_with_peak(file)
    assert "holds only 1000" in message
    assert peak < 8 << 20


def test_a_gzip_bomb_is_read_no_further_than_its_declared_end(file):
    file.write_bytes(gzip.compress(header(8, 10) + bytes(100 << 20), 1))
    message, peak = refused_with_peak(file)
    assert "declares 10 bytes of values and holds more" in message
    assert peak < 8 << 20


@pytest.mark.parametrize(("packed", "refused"), [(1000, False), (999, True)])
def test_a_large_gzip_may_become_a_hundred_times_as_large(packed, refused, file, monkeypatch, to_idx):
    monkeypatch.setattr(idx, "HARMLESS", 50_000)
    values = np.zeros(100_000, "u1")
    whole = gzip.compress(to_idx(values), mtime=0)
    comment = bytes(packed - len(whole) - 1).replace(b"\0", b"x") + b"\0"
    file.write_bytes(whole[:3] + bytes([whole[3] | 16]) + whole[4:10] + comment + whole[10:])
    if refused:
        with pytest.raises(FileError, match="unpacks to more than 99,900 bytes, 100 times its own size"):
            read_idx(file)
    else:
        np.testing.assert_array_equal(read_idx(file), values)


def test_a_small_gzip_may_hold_whatever_it_likes(file, to_idx):
    values = np.zeros(10**6, "u1")
    file.write_bytes(gzip.compress(to_idx(values), mtime=0))
    assert file.stat().st_size < 2000
    np.testing.assert_array_equal(read_idx(file), values)


def refused_with_peak(file):
    """The message, and the most bytes that Python and NumPy held during the call."""
    tracemalloc.start()
    try:
        with pytest.raises(FileError) as caught:
            read_idx(file)
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match="missing: an IDX file is needed; check the path"):
        read_idx(tmp_path / "nowhere")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(FileError, match="can't be read"):
        read_idx(tmp_path)


def test_a_name_that_no_file_can_have_is_refused_on_one_line():
    with pytest.raises(FileError, match=r"'a\\n\\x00b' can't be read") as caught:
        read_idx("a\n\0b")
    assert "\n" not in str(caught.value)
