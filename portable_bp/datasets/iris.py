"""Fisher's iris flowers: 150 flowers, four lengths each, three species."""

from importlib.resources import files

import numpy as np
import numpy.typing as npt

from portable_bp.arguments import whole_number
from portable_bp.datasets.small import MAX_SEED
from portable_bp.datasets.split import Dataset, Split

FLOWERS = 150


def iris(seed: int = 4, test: int = 20) -> Dataset:
    """150 flowers, shuffled by NumPy's Philox keyed by seed; the last `test` of them are the test.

    x: (n, 4) float64, raw centimetres: sepal length, sepal width, petal length, petal width.
    y: (n,) int64: 0 setosa, 1 versicolor, 2 virginica. There is no validation part.

    Source: R. A. Fisher, The use of multiple measurements in taxonomic problems, Annals of Eugenics
    7 (1936), table I, with Fisher's own figures in rows 35 and 38, as in scikit-learn and R; the
    copy in the UCI repository differs there. The order is not that of scikit-learn's
    train_test_split(random_state=4), which E4 used.
    """
    seed = whole_number("seed", seed, 0, MAX_SEED)
    test = whole_number("test", test, 1, FLOWERS - 1)
    x, y = _table()
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(FLOWERS)
    train, held_out = order[: FLOWERS - test], order[FLOWERS - test :]
    return Dataset(
        train=Split(x[train], y[train]),
        validation=None,
        test=Split(x[held_out], y[held_out]),
        n_classes=3,
        name="iris",
    )


def _table() -> Split:
    text = files("portable_bp.datasets").joinpath("iris.csv").read_text(encoding="ascii")
    rows: npt.NDArray[np.float64] = np.loadtxt(text.splitlines(), delimiter=",", skiprows=1)
    return Split(rows[:, :4], rows[:, 4].astype(np.int64))
