"""What reproducible arithmetic costs: MNIST 784-128-10, batch 128, Adam, an epoch native beside an epoch reproducible.

    python benchmarks/reproducible.py --data examples/data/mnist [--backends numpy,torch]

Both are trained in turn in one process, several rounds; printed are the medians and their ratio, pair by pair.
"""

import argparse
from statistics import median
from time import perf_counter

import portable_bp as bp


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", default="numpy", help="names with commas, such as numpy,torch,cupy")
    parser.add_argument("--data", help="folder with MNIST's four IDX files")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=12_800)
    return parser.parse_args()


def network(backend: str, arithmetic: str) -> bp.Network:
    layers = [bp.Dense(784, 128), bp.ReLU(), bp.Dense(128, 10)]
    return bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=backend, arithmetic=arithmetic)


def epoch(net: bp.Network, x: object, y: object) -> float:
    """Seconds of one epoch; `fit` ends by reading the losses, which waits for the device."""
    started = perf_counter()
    net.fit(x, y, optimizer=bp.Adam(1e-3), batch_size=128, progress=False)
    return perf_counter() - started


def main() -> None:
    options = arguments()
    train = bp.datasets.mnist(options.data).train
    x, y = train.x[: options.images], train.y[: options.images]
    print("| backend | native, ms a step | reproducible, ms a step | ratio |\n|---|---|---|---|")
    for backend in options.backends.split(","):
        nets = [network(backend, arithmetic) for arithmetic in ("native", "reproducible")]
        rounds = [[epoch(net, x, y) for net in nets] for _ in range(options.rounds + 1)][1:]  # the first compiles
        steps = options.images // 128
        native, reproducible = (1e3 * median(column) / steps for column in zip(*rounds, strict=True))
        ratio = median(slow / fast for fast, slow in rounds)
        print(f"| {backend} | {native:.3f} | {reproducible:.3f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
