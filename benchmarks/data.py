"""How the data lie and how products are rounded: MNIST 784-128-10 and 784-4096-10, batch 128, Adam, one backend.

    python benchmarks/data.py --data examples/data/mnist [--backend cupy] [--epochs 5] [--images 50000]

Numbers beside bytes, on the device beside fed from the host, full precision beside TF32 where the device has it.
Printed are medians of an epoch, without the first and without moving resident data, and their ratio to float32 on the
device. Fed and resident training must end in the same bits: the script fails where they don't.
"""

import argparse
from itertools import product
from statistics import median

import portable_bp as bp

WIDTHS = (128, 4096)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--data", help="folder with MNIST's four IDX files")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--widths", default=",".join(map(str, WIDTHS)))
    return parser.parse_args()


def trained(backend: bp.Backend, x: object, y: object, width: int, precision: str, epochs: int) -> tuple[float, str]:
    """Seconds of an epoch behind the first, and the digest of the weights."""
    layers = [bp.Rescale(1 / 255), bp.Dense(784, width, weight_init=bp.He()), bp.ReLU(), bp.Dense(width, 10)]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=backend, precision=precision)
    net.fit(x, y, optimizer=bp.Adam(1e-4), epochs=epochs + 1, batch_size=128, progress=False)
    return median(net.history["seconds"][1:]), net.digest()


def main() -> None:
    options = arguments()
    backend = bp.get_backend(options.backend)
    train = bp.datasets.mnist(options.data, as_bytes=True).train
    y = train.y[: options.images]
    kinds = {"float32": train.x[: options.images].astype("float32"), "bytes": train.x[: options.images]}
    rooms = {"on the device": float("inf"), "fed": 0.0}
    print("| width | precision | inputs | where | ms an epoch | ratio |\n|---|---|---|---|---|---|")
    for width, precision in product(map(int, options.widths.split(",")), sorted(backend.precisions)):
        first, digests = None, set()
        for kind, where in product(kinds, rooms):
            backend.room = lambda where=where: rooms[where]
            seconds, digest = trained(backend, kinds[kind], y, width, precision, options.epochs)
            first = first or seconds
            digests.add(digest)
            print(f"| {width} | {precision} | {kind} | {where} | {1e3 * seconds:.1f} | {seconds / first:.2f} |")
        if len(digests) > 1:
            raise SystemExit("the same training did not end in the same bits")


if __name__ == "__main__":
    main()
