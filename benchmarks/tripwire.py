"""What it costs to look at every array now and then, as a share of the time of the steps between two looks.

OMP_NUM_THREADS=1 python benchmarks/tripwire.py            # NumPy
OMP_NUM_THREADS=1 python benchmarks/tripwire.py torch      # another backend

Steps and looks are timed in turn, in processor time, so that other programs count for little; on a single thread, since
waiting threads count too. Each line holds medians over the rounds; the exit status is 1 where a share is above 1 %.
"""

import sys
from itertools import pairwise
from statistics import median
from time import process_time

import numpy as np

import portable_bp as bp
from portable_bp.backpropagation import training_step
from portable_bp.tripwire.looking import EVERY, ROWS, looked_at

ROUNDS, LOOKS, LIMIT = 9, 10, 0.01
WORKS = {
    "8-3-8, all 8": ((8, 3, 8), 8, None),
    "784-32-10, 128 of 3,000": ((784, 32, 10), 3_000, 128),
    "784-128-10, 128 of 6,400": ((784, 128, 10), 6_400, 128),
    "784-512-512-10, 128 of 2,560": ((784, 512, 512, 10), 2_560, 128),
    "784-128-10, all 6,400": ((784, 128, 10), 6_400, None),
}
"""Widths, examples, and the batch size, None for all of them."""


def shares(spec, widths, n, batch_size):
    """Round by round: time of a look ÷ time of the steps between two looks."""
    layers = [part for pair in pairwise(widths) for part in (bp.Dense(*pair), bp.ReLU())]
    net = bp.Network(layers[:-1], bp.SoftmaxCrossEntropy(), backend=spec)
    draw = np.random.default_rng(0)
    x, y = draw.random((n, widths[0]), dtype=np.float32), draw.integers(0, widths[-1], n)
    net.fit(x, y, optimizer=bp.Adam(1e-3), epochs=2, batch_size=batch_size, progress=False)
    with net.backend.activate():
        run = net.preparation.run(x, y, (batch_size, True), None, False, (None, None))
        state, epoch = net.state_for(net.optimizer), net.backend.compile(step_of(net))
        orders, at_once = run.batches.orders(net.backend, 0, 1), run.at_once(net.params)
        orders = [at_once] if at_once > 1 else orders
        steps = max(at_once, len(run.batches.sizes))
        between = max(at_once, EVERY * min(run.batches.size, ROWS) / run.batches.size, 1)
        works = (
            (lambda: epoch(state, run.data, orders)[1]),
            (lambda: run.look.epoch(state, *looked_at(run.data, orders[0]))[1]),
        )
        for work in works:  # compiled and warm
            timed(net.backend, work)
        for _ in range(ROUNDS):
            step, look = timed(net.backend, works[0]) / steps, timed(net.backend, works[1], LOOKS)
            yield look / (between * step), look, step


def step_of(net):
    """The pure step of a training with the network's optimizer."""
    return training_step(net.backend.xp, net.model, net.backend.lower(net.optimizer))


def timed(backend, call, times=1):
    """Seconds of the processor until a call's result is on the host, a mean over calls."""
    started = process_time()
    for _ in range(times):
        backend.to_numpy(call())
    return (process_time() - started) / times


def main(spec):
    """Print a line a work."""
    worst = 0.0
    for name, (widths, n, batch_size) in WORKS.items():
        rounds = shares(spec, widths, n, batch_size)
        share, look, step = (median(column) for column in zip(*rounds, strict=True))
        worst = max(worst, share)
        print(f"{spec}, {name}: a look {1e6 * look:,.0f} µs, a step {1e6 * step:,.1f} µs, share {100 * share:.2f} %")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "numpy"))
