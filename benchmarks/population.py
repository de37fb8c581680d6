"""Encoders 8-3-8 trained together by `fit_together`, against one after the other by `fit`: the ratio of the times.

    python benchmarks/population.py --networks 1024 --steps 5000 --backend numpy

Each network has its own seed and learning rate; sigmoid, binary cross-entropy, SGD on the whole batch of eight, as in
the published report on the encoder. One after the other is measured on a sample of the members, half of it before the
population and half after it, and scaled to all: 1,024 of them would take minutes. Both include whatever is compiled:
for the population once, for the sample once a network, since a network compiles its own step. Beside the time on the
clock stands the processor's, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
from time import perf_counter, process_time

import numpy as np

import portable_bp as bp

X = np.eye(8, dtype=np.float32)


def encoders(count: int, backend: str) -> list[bp.Network]:
    layers = [bp.Dense(8, 3), bp.Sigmoid(), bp.Dense(3, 8)]
    return [bp.Network(layers, bp.BinaryCrossEntropy(), backend=backend, seed=seed) for seed in range(count)]


def rules(count: int) -> list[bp.SGD]:
    """Rates of the report's first grid and beyond, 0.001 to 0.5, evenly in their logarithms."""
    return [bp.SGD(rate) for rate in np.geomspace(0.001, 0.5, count)]


def now() -> np.ndarray:
    return np.asarray([perf_counter(), process_time()])


def seconds_together(count: int, steps: int, backend: str) -> np.ndarray:
    networks = encoders(count, backend)
    started = now()
    bp.fit_together(networks, X, X, optimizers=rules(count), epochs=steps, batch_size=None)
    return now() - started


def seconds_alone(members: list[int], count: int, steps: int, backend: str) -> np.ndarray:
    networks, optimizers = encoders(count, backend), rules(count)
    started = now()
    for k in members:
        networks[k].fit(X, X, optimizer=optimizers[k], epochs=steps, batch_size=None, progress=False)
    return now() - started


def main() -> None:
    parser = argparse.ArgumentParser(description="a population against its members one after the other")
    parser.add_argument("--networks", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--sample", type=int, default=16, help="members trained one after the other")
    given = parser.parse_args()
    sample = np.linspace(0, given.networks - 1, min(given.sample, given.networks)).astype(int).tolist()
    size = given.networks, given.steps, given.backend
    seconds_alone(sample[:1], given.networks, 10, given.backend)  # imports, BLAS threads
    before = seconds_alone(sample[::2], *size)
    together = seconds_together(*size)
    after = seconds_alone(sample[1::2], *size)
    alone = (before + after) * given.networks / len(sample)
    print(f"{given.networks} encoders 8-3-8, {given.steps} steps, {given.backend}")
    for name, one, all_of_them in zip(("clock", "processor"), alone, together, strict=True):
        print(
            f"{name:<10} one after the other {one:8.2f} s (measured on {len(sample)}, scaled)   "
            f"together {all_of_them:8.2f} s   ratio {all_of_them / one:.3f}"
        )


if __name__ == "__main__":
    main()
