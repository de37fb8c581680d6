"""Rows fed ahead of the steps, on a fake whose copies happen as late as its streams and events allow."""

import threading

import numpy as np
import pytest
from fake_streams import HOST, Stream

import portable_bp as bp
from portable_bp import streaming
from portable_bp.backend import SHARE

RNG = np.random.default_rng(9)
X, LABELS = RNG.normal(size=(95, 30)).astype("float32"), RNG.integers(0, 4, 95)
CHUNK = 3 * 8 * (30 * 4 + 8)  # bytes of three batches of eight
ROWS = [RNG.integers(0, 95, size) for size in (24, 24, 16, 24, 3)]


def trained(gpu, x, **options):
    net = bp.Network([bp.Dense(30, 40), bp.ReLU(), bp.Dense(40, 4)], bp.SoftmaxCrossEntropy(), backend=gpu, seed=1)
    net.fit(x, LABELS, optimizer=bp.Adam(0.01), epochs=3, batch_size=8, **options)
    return net


@pytest.fixture
def small(gpu, monkeypatch):
    """A device with little room, which is given three batches at a time."""
    monkeypatch.setattr(gpu, "room", lambda: 1000.0)
    monkeypatch.setattr(streaming, "CHUNK", CHUNK)
    return gpu


@pytest.mark.parametrize("make", [lambda: X, lambda: RNG.integers(0, 256, X.shape, dtype=np.uint8)], ids=["f", "bytes"])
def test_captured_steps_are_fed_with_the_bits_of_resident_data(small, monkeypatch, make):
    x = make()
    fed = trained(small, x, validation=(x[:40], LABELS[:40]))
    assert len(fed._compiled[1]._captured) == 2  # batches of eight, and the rest
    monkeypatch.setattr(small, "room", lambda: float("inf"))
    assert fed.digest() == trained(small, x).digest()


def test_every_chunk_is_whole_when_it_is_given(gpu):
    images = RNG.integers(0, 256, (95, 4, 3), dtype=np.uint8)
    found = []
    for x, image, label in gpu.feed((X, images, LABELS), ROWS):
        found.append([gpu.to_numpy(array) for array in (x, image, label)])
        assert all(map(gpu.owns, (x, image, label)))
    for own, rows in zip(found, ROWS, strict=True):
        for array, host in zip(own, (X, images, LABELS), strict=True):
            np.testing.assert_array_equal(array, host[rows], strict=True)


def test_a_chunk_is_written_over_only_behind_the_steps_that_read_it(gpu):
    Stream.log.clear()
    current = Stream.current
    for _ in gpu.feed((X,), ROWS):
        pass
    (copying,) = {stream for stream, _ in Stream.log if stream not in (current, HOST)}
    waits = [event for stream, event in Stream.log if stream is copying]
    assert [event.stream for event in waits] == [current] * 4  # at the start; for three chunks in memory of others
    assert sum(stream is current for stream, _ in Stream.log) == len(ROWS)
    waits = [event for stream, event in Stream.log if stream is HOST]
    assert [event.stream for event in waits] == [copying] * 4  # before three gather into such memory; at the end
    assert Stream.log[-1] == (HOST, waits[-1])


def test_no_rows_feed_nothing(gpu):
    assert list(gpu.feed((X,), [])) == []


def test_an_error_ends_the_feeding_and_its_thread(small):
    before = threading.active_count()
    feed = small.feed((X,), ROWS)
    next(feed)
    assert threading.active_count() == before + 1
    feed.close()
    assert threading.active_count() == before
    with pytest.raises(ValueError, match="no rows"):
        list(small.feed((X,), [ROWS[0], "no rows"]))
    assert threading.active_count() == before


def test_what_is_free_decides_what_lies_on_the_device(gpu):
    assert gpu.room() == SHARE * (2**34 + 2**20)
    assert gpu.at_precision("tf32").room() == gpu.room()
    arrays = [np.broadcast_to(np.float32(0), (2**20, n)) for n in (2**11, 2**11 + 1)]
    assert [type(gpu)().room() < array.nbytes for array in arrays] == [False, True]
