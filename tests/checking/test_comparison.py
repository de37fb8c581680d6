import numpy as np
import pytest

import portable_bp as bp
from portable_bp.checking import verify_backends
from portable_bp.checking.comparison import TOLERANCE, difference

X = np.random.default_rng(0).normal(size=(5, 3))
LABELS = np.asarray([0, 1, 1, 0, 1])


def network(dtype="float64"):
    return bp.Network(
        [bp.Dense(3, 4), bp.ReLU(), bp.Dropout(0.2), bp.Dense(4, 2)], bp.SoftmaxCrossEntropy(), dtype=dtype
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_backend_has_numpy_s_gradients(dtype, backend):
    report = bp.compare_backends(network(dtype), X, LABELS, ["numpy", backend])
    assert [row.cells["array"] for row in report.rows] == ["loss", "0.weight", "0.bias", "3.weight", "3.bias", "input"]
    assert all(row.cells["difference"] <= TOLERANCE[dtype] for row in report.rows)


class Off(type(bp.get_backend("numpy"))):
    """NumPy with a product that is off in the ninth digit."""

    def __init__(self):
        super().__init__()
        self.xp = type("Namespace", (), {"__getattr__": lambda self, name: getattr(np, name)})()
        self.xp.matmul = lambda a, b: np.matmul(a, b) * (1 + 1e-9)


def test_a_backend_that_computes_something_else_is_named_with_the_array():
    with pytest.raises(bp.GradientError, match=r"0\.weight"):
        bp.compare_backends(network(), X, LABELS, ["numpy", Off()])


def test_no_backends_are_refused():
    with pytest.raises(bp.ConfigurationError, match="name at least one"):
        bp.compare_backends(network(), X, LABELS, [])


@pytest.mark.parametrize(
    ("array", "expected"), [([1.0, 2.5], 0.25), ([1.0, np.nan], np.nan), ([1.0, 2.0, 3.0], np.inf)]
)
def test_a_difference_is_relative_to_the_largest_element(array, expected):
    assert difference(np.asarray(array), np.asarray([1.0, 2.0])) == pytest.approx(expected, nan_ok=True)


def test_verification_covers_every_layer_loss_and_optimizer_within_1e_11():
    rows = verify_backends(["numpy"])
    assert {row["case"].split()[0] for row in rows} == {"layer", "loss", "optimizer", "training"}
    assert all(row["ok"] and row["difference"] == 0 for row in rows)
    assert {row["tolerance"] for row in rows if row["dtype"] == "float64"} == {1e-11}


def test_verification_says_why_a_backend_can_t_run():
    (row,) = verify_backends(["nunpy"])
    assert not row["ok"]
    assert row["difference"] is None
    assert "there is no backend 'nunpy'" in row["message"]
