"""Data that the device has no room for: moved in chunks, with the result of having all of it there."""

from types import SimpleNamespace

import numpy as np
import pytest

import portable_bp as bp
from portable_bp import streaming, training

RNG = np.random.default_rng(7)
X, LABELS = RNG.normal(size=(53, 6)).astype("float32"), RNG.integers(0, 3, 53)
BATCH = 5 * (6 * 4 + 8)  # bytes of five rows
FED = []
HOSTS = ("numpy", "read-only")
"""Backends whose arrays are the host's."""


@pytest.fixture
def small(backend, monkeypatch):
    """A backend whose device has room for 500 bytes, which are 15 rows, and is given two batches at a time."""
    FED.clear()
    feed = backend.feed

    def noted(data, rows):
        FED.append([len(some) for some in rows])
        return feed(data, rows)

    monkeypatch.setattr(backend, "room", lambda: 500.0)
    monkeypatch.setattr(backend, "feed", noted)
    monkeypatch.setattr(streaming, "CHUNK", 2 * BATCH)
    monkeypatch.setattr(training, "EVALUATED_AT_ONCE", 20)
    return backend


def network(backend, **options):
    layers = [bp.Dense(6, 5), bp.ReLU(), bp.Dropout(0.2), bp.Dense(5, 3)]
    return bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=backend, seed=2, **options)


def trained(backend, x=X, y=LABELS, *, batch_size=5, **options):
    net = network(backend)
    options = {"optimizer": bp.Adam(0.01), "epochs": 3, "batch_size": batch_size, **options}
    net.fit(x, y, measure_training=True, **options)
    return net, [[value for name, value in row.items() if name != "seconds"] for row in net.history.rows]


OPTIONS = {
    "shuffled": {},
    "in order": {"shuffle": False},
    "weighted": {"sample_weight": RNG.random(53), "class_weight": "balanced"},
    "validated on a small set": {"validation": (X[:9], LABELS[:9])},
    "validated on a large set": {"validation": (X[:40], LABELS[:40])},
    "batches larger than a chunk": {"batch_size": 25},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_training_has_the_bits_of_training_on_resident_data(small, options):
    net, rows = trained(small, **options)
    assert FED
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "room", lambda: float("inf"))
        fed = len(FED)
        same, same_rows = trained(small, **options)
        assert len(FED) == fed
    assert net.digest() == same.digest()
    assert rows == same_rows


def test_chunks_are_of_whole_batches_and_nearly_equal(small):
    trained(small, epochs=1)
    assert FED[0] == [10, 10, 10, 10, 10, 3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "CHUNK", 4 * BATCH)
        trained(small, epochs=1)
    assert FED[-2 if small.name not in HOSTS else -1] == [15, 15, 20, 3]  # ten steps in three parts of at most four


def test_bytes_count_as_bytes(small):
    images = RNG.integers(0, 256, (53, 6), dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "room", lambda: 53 * 6 + 53 * 4)
        trained(small, images, epochs=1)
        assert not FED
        trained(small, X, epochs=1)
        assert FED


def test_targets_that_are_given_as_bytes_count_as_the_numbers_that_they_become(small):
    images = RNG.integers(0, 2, (53, 6), dtype=np.uint8)
    net = bp.Network([bp.Dense(6, 6)], bp.BinaryCrossEntropy(), backend=small)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "room", lambda: 53 * 6 + 53 * 6 * 4)
        net.fit(images, images, batch_size=5)
        assert not FED
        patch.setattr(small, "room", lambda: 53 * 6 + 53 * 6 * 4 - 1)
        net.fit(images, images, batch_size=5)
        assert FED


def test_measuring_and_predicting_move_parts(small):
    net, same = network(small), network("numpy")
    assert net.evaluate(X, LABELS) == pytest.approx(same.evaluate(X, LABELS), rel=1e-5)
    np.testing.assert_allclose(net.predict(X), same.predict(X), rtol=1e-4)
    np.testing.assert_array_equal(net.classify(X), same.classify(X))
    if small.name not in HOSTS:
        assert FED == [[20, 20, 13]] * 3
    assert net.predict(X[:3]).shape == (3, 3)


def test_what_is_on_the_device_already_stays_there(small):
    if small.name not in HOSTS:
        trained(small, small.asarray(X), epochs=1)
        trained(small, X, small.asarray(LABELS), epochs=1)
    assert not FED


def test_a_whole_batch_must_be_on_the_device(small):
    net, rows = trained(small, batch_size=None)
    assert all(20 in parts for parts in FED)  # of the measurements alone
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "room", lambda: float("inf"))
        same, same_rows = trained(small, batch_size=None)
    assert net.digest() == same.digest()
    assert rows == same_rows


def test_errors_are_those_of_resident_data(small):
    net, bad = network(small), X.copy()
    bad[50, 3] = np.nan
    with pytest.raises(bp.DataError, match=r"x has 1 values that are NaN.* at \[50, 3\]"):
        net.fit(bad, LABELS)
    with pytest.raises(bp.DataError, match="y for 3 outputs must lie in 0 to 2"):
        net.fit(X, LABELS + 1)
    with pytest.raises(bp.ShapeError, match="y has 52 rows and x has 53"):
        net.fit(X, LABELS[1:])
    net.fit(X, LABELS, epochs=1)
    before = net.digest()
    with pytest.raises(bp.NonFiniteError):
        net.fit(1e30 * X, LABELS, optimizer=bp.SGD(1e30), epochs=2)
    assert net.digest() == before


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_population_is_fed_too(small, shuffle):
    def together():
        nets = [bp.Network([bp.Dense(6, 3)], bp.SoftmaxCrossEntropy(), backend=small, seed=seed) for seed in range(3)]
        options = {"optimizers": bp.Adam(0.01), "epochs": 2, "batch_size": 5, "validation": (X[:30], LABELS[:30])}
        bp.fit_together(nets, X, LABELS, shuffle=shuffle, **options)
        return [net.digest() for net in nets]

    found = together()
    assert FED
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small, "room", lambda: float("inf"))
        assert found == together()


def test_reproducible_arithmetic_is_fed_with_its_bits(small):
    digests = []
    for backend in (small, "numpy"):
        net = network(backend, arithmetic="reproducible")
        net.fit(X, LABELS, optimizer=bp.Adam(0.01), epochs=2, batch_size=5)
        digests.append(net.digest())
    assert digests[0] == digests[1]
    assert FED


def test_rows_come_from_a_file_as_they_are_needed(small, tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert trained(small, mapped)[0].digest() == trained(small, X)[0].digest()


def test_only_devices_with_memory_of_their_own_have_a_limit(backend):
    limit = backend.room()
    assert (limit == float("inf")) == (backend.device in ("cpu", "cpu:0", "CPU_DEVICE", "device1"))
    assert limit > 2**20


class FakeCuda:
    """What torch knows of a GPU's memory."""

    memory_reserved = staticmethod(lambda device: 30)
    memory_allocated = staticmethod(lambda device: 10)
    mem_get_info = staticmethod(lambda device: (100, 1000))


def test_torch_and_jax_on_a_gpu_leave_half_of_what_is_free(monkeypatch):
    for name, wanted in (("torch", 60), ("jax", 45)):
        pytest.importorskip(name)
        place = bp.get_backend(name)
        device = SimpleNamespace(type="cuda", memory_stats=lambda: {"bytes_limit": 100, "bytes_in_use": 10})
        monkeypatch.setattr(place, "_device", device)
        if name == "torch":
            monkeypatch.setattr(place, "_torch", SimpleNamespace(cuda=FakeCuda))
        assert place.room() == wanted
