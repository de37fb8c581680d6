"""A process that trains for a long time grows in nothing but the history that it is asked to keep.

Each test comes in two sizes: a small one for every day, and a large one with the marker ``long``.
"""

import gc
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import pytest

import portable_bp as bp

STATM = Path("/proc/self/statm")
PARTS = 8
WARM = 2
"""Parts at the beginning in which modules are imported, steps recorded and compiled, and memory taken."""
ROOM = {"numpy": 4, "torch": 12, "jax": 24}
"""MB that a library's allocator may take besides; what is lost a step shows above it in the long form."""
X = np.eye(8)
MANY = np.random.default_rng(0).uniform(size=(320, 8))

pytestmark = pytest.mark.skipif(not STATM.exists(), reason="no /proc/self/statm on this system")


def runs(**steps):
    """Backends with numbers of steps: small ones for every day, and large ones."""
    everyday = {"numpy": 2_400, "torch": 800, "jax": 2_400}
    small = [pytest.param(name, everyday[name], id=f"{name}-short") for name in steps]
    large = [pytest.param(name, n, id=f"{name}-{n}", marks=pytest.mark.long) for name, n in steps.items()]
    return pytest.mark.parametrize(("spec", "steps"), [*small, *large])


@dataclass
class Meter:
    """What the process holds at the end of each part of the work."""

    memory: list[float] = field(default_factory=list)
    """MB in use."""
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Of the processor, at the end of each part."""

    def read(self):
        gc.collect()
        self.memory.append(int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
        self.descriptors.append(len(os.listdir("/proc/self/fd")))
        self.threads.append(threading.active_count())
        self.seconds.append(process_time())

    def figures(self, steps):
        times = np.diff(self.seconds[WARM:])
        return {
            "steps": steps,
            "growth_mb": round(self.memory[-1] - self.memory[WARM], 2),
            "descriptors": self.descriptors[-1] - self.descriptors[WARM],
            "threads": self.threads[-1] - self.threads[WARM],
            "slower": round(median(times[-3:]) / max(1e-3, median(times[:3])), 2),
        }


def require_level(meter, spec, steps, report, name, allowed=0.0):
    """Nothing has grown since the parts that warm up; ``allowed`` MB are asked for."""
    figures = meter.figures(steps)
    report(f"{name}: {spec}", **figures)
    assert figures["growth_mb"] < ROOM[spec] + allowed
    assert figures["descriptors"] == 0
    assert figures["threads"] <= 0
    if meter.seconds[-1] - meter.seconds[WARM] > 10:  # shorter times are mostly noise
        assert figures["slower"] < 2


def network(spec, seed=0):
    drop = [bp.Dropout(0.1)] if spec == "numpy" else []  # masks take torch a millisecond
    layers = [bp.Dense(8, 3), bp.Sigmoid(), *drop, bp.Dense(3, 8)]
    return bp.Network(layers, bp.BinaryCrossEntropy(), backend=spec, seed=seed)


@runs(numpy=1_000_000, torch=24_000, jax=1_000_000)
def test_many_small_fits_grow_in_nothing(spec, steps, require_backend, report):
    require_backend(spec)
    net, meter = network(spec), Meter()
    for _ in range(PARTS):
        for _ in range(steps // PARTS // 100):
            net.fit(X, X, optimizer=bp.Adam(0.01), epochs=100, batch_size=None, progress=False)
        meter.read()
    assert net.epoch == steps // PARTS // 100 * 100 * PARTS
    require_level(meter, spec, steps, report, "many fits of 100 full-batch steps")


@dataclass
class Sampled(bp.Callback):
    """Reads a meter after each part of a fit."""

    meter: Meter
    every: int
    only_reads_rows = True

    def on_epoch_end(self, net, row):
        if row["epoch"] % self.every == 0:
            self.meter.read()


@runs(numpy=1_000_000, torch=24_000, jax=1_000_000)
def test_one_long_fit_grows_by_its_history_alone(spec, steps, require_backend, report):
    require_backend(spec)
    net, meter = network(spec), Meter()
    history = net.fit(
        X, X, optimizer=bp.Adam(0.01), epochs=steps, batch_size=None, progress=False,
        callbacks=[Sampled(meter, steps // PARTS)],
    )  # fmt: skip
    assert len(history) == steps
    rows = steps - WARM * (steps // PARTS)
    report(f"history: {spec}", bytes_a_row=round(1e6 * (meter.memory[-1] - meter.memory[WARM]) / rows))
    require_level(meter, spec, steps, report, "one fit of full-batch steps", allowed=130e-6 * steps)


@runs(numpy=1_000_000, torch=24_000, jax=1_000_000)
def test_mini_batches_grow_in_nothing(spec, steps, require_backend, report):
    require_backend(spec)
    net, meter = network(spec), Meter()
    for _ in range(PARTS):
        options = {"optimizer": bp.Momentum(0.01), "epochs": steps // PARTS // 10, "batch_size": 32}
        net.fit(MANY, MANY, validation=(MANY[:40], MANY[:40]), **options, progress=False)
        meter.read()
    require_level(meter, spec, steps, report, "mini-batches of 32 rows")


@pytest.mark.parametrize(
    ("spec", "number"),
    [
        ("numpy", 40),
        ("torch", 16),
        pytest.param("numpy", 2_400, marks=pytest.mark.long),
        pytest.param("torch", 600, marks=pytest.mark.long),
        pytest.param("jax", 60, marks=pytest.mark.long),
    ],
)
def test_networks_that_are_dropped_leave_nothing_behind(spec, number, require_backend, report):
    require_backend(spec)
    meter = Meter()
    for part in range(PARTS):
        for seed in range(number // PARTS):
            net = network(spec, seed + part)
            net.fit(X, X, optimizer=bp.Adam(0.01), epochs=20, batch_size=5, progress=False)
            net.predict(X)
        del net
        meter.read()
    require_level(meter, spec, number, report, "networks made, trained and dropped")


@pytest.mark.parametrize("spec", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("number", [16, pytest.param(1_200, marks=pytest.mark.long)])
def test_files_saved_loaded_and_refused_leave_no_descriptor_open(spec, number, require_backend, tmp_path, report):
    require_backend(spec)
    meter, net = Meter(), network(spec)
    (tmp_path / "damaged").write_bytes(b"damaged")
    for _ in range(PARTS):
        for _ in range(number // PARTS):
            net.save(tmp_path / "net")
            assert bp.load(tmp_path / "net", backend=spec).digest() == net.digest()
            with pytest.raises(bp.FileError):
                bp.load(tmp_path / "damaged", backend=spec)
            with pytest.raises(bp.FileError):
                bp.datasets.read_idx(tmp_path / "damaged")
        meter.read()
    require_level(meter, spec, number, report, "files saved and loaded")


def test_jax_keeps_few_of_the_epochs_that_it_compiled(require_backend):
    """JAX itself keeps what joins the losses, one for each number of them; the epochs are ours."""
    client, net = require_backend("jax")._device.client, network("jax")
    counts = []
    for epochs in range(20, 38):
        net.fit(X, X, epochs=epochs, batch_size=None, progress=False)
        gc.collect()
        counts.append(len(client.live_executables()))
    assert counts[-1] - counts[8] <= 9 + 1  # and the look at all arrays, when it is due for the first time
