"""Datasets, and the targets that losses want of them."""

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.cli.tasks import TASKS, targets

SMALL = sorted(name for name, task in TASKS.items() if not task.has_files)
LABELS, ROWS, COLUMN = np.array([2, 0]), np.array([[0.0, 0, 1], [1, 0, 0]]), np.array([[1.0], [0]])


@pytest.mark.parametrize(
    ("loss", "given", "expected"),
    [
        (bp.SoftmaxCrossEntropy(), LABELS, LABELS),
        (bp.SoftmaxCrossEntropy(), ROWS, LABELS),
        (bp.SoftmaxCrossEntropy(), COLUMN, np.array([1, 0])),
        (bp.BinaryCrossEntropy(), LABELS, ROWS),
        (bp.BinaryCrossEntropy(), ROWS, ROWS),
        (bp.MeanSquaredError(), LABELS, ROWS),
        (bp.MeanSquaredError(), COLUMN, COLUMN),
    ],
)
def test_targets_become_what_the_loss_wants(loss, given, expected):
    found = targets(given, loss, 3)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", SMALL)
def test_the_number_of_classes_is_the_datas(name):
    data = TASKS[name].load(None, False)
    labels = targets(data.parts["train"].y, bp.SoftmaxCrossEntropy(), data.n_classes)
    assert set(labels.tolist()) == set(range(data.n_classes))
