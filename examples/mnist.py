"""MNIST, 784-128-10: train, test, save, load; on a GPU with --backend cupy.

python examples/mnist.py --data examples/data/mnist
"""

import argparse
import sys
import tempfile
from pathlib import Path

import portable_bp as bp


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="numpy", help="numpy, cupy, torch, torch:cuda:0, jax …")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one epoch on 10,000 images")
    parser.add_argument("--data", help="folder with the four IDX files; else the cache, else a download")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    mnist = bp.datasets.mnist(options.data)
    images, epochs, least = (10_000, 1, 0.85) if options.quick else (50_000, 10, 0.975)
    net = bp.Network(
        [bp.Dense(784, 128, weight_init=bp.He()), bp.ReLU(), bp.Dense(128, 10)],
        loss=bp.SoftmaxCrossEntropy(),
        backend=options.backend,
        seed=options.seed,
    )
    print(net)
    net.fit(
        mnist.train.x[:images],
        mnist.train.y[:images],
        validation=mnist.validation,
        optimizer=bp.Adam(bp.CosineDecay(2e-3, steps=epochs * images // 128)),
        epochs=epochs,
        batch_size=128,
        callbacks=[bp.PrintRows()],
    )
    accuracy = net.score(*mnist.test)
    with tempfile.TemporaryDirectory() as folder:
        net.save(Path(folder) / "mnist.safetensors")
        same = bp.load(Path(folder) / "mnist.safetensors", backend="numpy").score(*mnist.test)
    print(f"test accuracy {accuracy:.4f}; saved and loaded on NumPy {same:.4f}; expected at least {least}")
    return 0 if accuracy >= least and abs(same - accuracy) < 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
