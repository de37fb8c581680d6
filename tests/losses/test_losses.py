"""Every loss on every backend; values worked by hand, extremes, weights, and the reading of outputs as classes."""

import math

import numpy as np
import pytest

import portable_bp as bp
from portable_bp import testing
from portable_bp.checking.cases import LOSSES

Y = np.asarray([[1.0, -2.0, 0.5], [0.0, 3.0, 0.0]])
T = np.asarray([[0.0, 1.0, 0.5], [1.0, 1.0, 0.0]])  # Σ (y - t)² = 1 + 9 + 0 + 1 + 4 + 0 = 15
LABELS = np.asarray([2, 0])


def bce(y, t):
    p = 1 / (1 + math.exp(-y))
    return -(t * math.log(p) + (1 - t) * math.log(1 - p))


BCE = sum(bce(y, t) for y, t in zip(Y.ravel(), T.ravel(), strict=True))
SCE = sum(math.log(sum(math.exp(v) for v in row)) - row[label] for row, label in zip(Y, LABELS, strict=True))
BY_HAND = [
    (bp.HalfSquaredError(), T, 7.5),
    (bp.HalfMeanSquaredError(), T, 15 / 4),
    (bp.MeanSquaredError(), T, 15 / 6),
    (bp.BinaryCrossEntropy(), T, BCE / 2),
    (bp.BinaryCrossEntropy(reduction="sum"), T, BCE),
    (bp.SoftmaxCrossEntropy(), LABELS, SCE / 2),
    (bp.SoftmaxCrossEntropy(reduction="sum"), LABELS, SCE),
]


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_passes_the_conformance_checks(name, backend):
    testing.check_loss(LOSSES[name], backend=backend)


def test_the_table_of_cases_holds_every_public_loss():
    assert {type(loss).__name__ for loss in LOSSES.values()} == set(bp.losses.__all__) - {"Loss"}


@pytest.mark.parametrize(("loss", "target", "value"), BY_HAND, ids=lambda part: str(part)[:40])
def test_values_agree_with_numbers_worked_by_hand(loss, target, value, backend):
    found, _ = loss.forward(backend.xp, backend.asarray(Y), backend.asarray(target))
    assert float(found) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("loss", [loss for loss, _, _ in BY_HAND], ids=str)
def test_the_stated_reduction_is_the_one_computed(loss):
    target = LABELS if loss.target_kind == "labels" else T
    once, _ = loss.forward(np, Y, target)
    twice, _ = loss.forward(np, np.concatenate([Y, Y]), np.concatenate([target, target]))
    assert twice == pytest.approx(once if loss.averages else 2 * once, rel=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", [bp.BinaryCrossEntropy(), bp.SoftmaxCrossEntropy()], ids=str)
def test_cross_entropies_of_extreme_logits_are_finite_and_exact(loss, dtype):
    y = np.asarray([[1000.0, -1000.0], [-1000.0, 1000.0]], dtype=dtype)
    target = np.asarray([0, 0]) if loss.target_kind == "labels" else np.asarray([[1, 0], [1, 0]], dtype=dtype)
    value, cache = loss.forward(np, y, target)  # a NumPy warning would fail the test
    assert value == {"labels": 1000.0, "probabilities": 1000.0}[loss.target_kind]
    assert np.all(np.isfinite(loss.backward(np, cache)))


def test_the_softmax_cross_entropy_takes_the_maximum_of_each_row(backend):
    y, e = np.asarray([[1000.0, 0.0], [0.0, 1.0]]), math.e  # e^(y - 1000) of the second row would be 0
    value, cache = bp.SoftmaxCrossEntropy().forward(backend.xp, backend.asarray(y), backend.asarray(np.asarray([0, 0])))
    dy = backend.to_numpy(bp.SoftmaxCrossEntropy().backward(backend.xp, cache))
    assert float(value) == pytest.approx(math.log(1 + e) / 2, rel=1e-14)
    np.testing.assert_allclose(dy, [[0.0, 0.0], [-0.5 * e / (1 + e), 0.5 * e / (1 + e)]], rtol=1e-14)


@pytest.mark.parametrize("target", [np.zeros((2,)), np.zeros((2, 1)), np.zeros((3, 2)), np.zeros((1, 3))], ids=np.shape)
def test_targets_that_would_be_broadcast_are_refused(target):
    with pytest.raises(bp.ShapeError, match="expects targets of the outputs' shape"):
        bp.MeanSquaredError().forward(np, Y, target)


@pytest.mark.parametrize("labels", [np.zeros((3,), int), np.zeros((2, 3), int)], ids=np.shape)
def test_class_numbers_of_a_wrong_shape_are_refused(labels):
    with pytest.raises(bp.ShapeError, match=r"expects class numbers of shape \(2,\)"):
        bp.SoftmaxCrossEntropy().forward(np, Y, labels)


@pytest.mark.parametrize(
    ("loss", "y", "classes"),
    [
        (bp.SoftmaxCrossEntropy(), Y, [0, 1]),
        (bp.MeanSquaredError(), Y, [0, 1]),
        (bp.MeanSquaredError(), np.asarray([[0.4], [0.6]]), [0, 1]),
        (bp.BinaryCrossEntropy(), np.asarray([[-0.1], [0.1]]), [0, 1]),
    ],
    ids=str,
)
def test_outputs_are_read_as_classes(loss, y, classes, backend):
    assert backend.to_numpy(loss.classify(backend.xp, backend.asarray(y))).tolist() == classes


def test_correctness_compares_classes_and_never_broadcasts():
    one_hot = np.asarray([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    assert bp.MeanSquaredError().correct(np, Y, one_hot).tolist() == [False, True]
    assert bp.SoftmaxCrossEntropy().correct(np, Y, np.asarray([0, 0])).tolist() == [True, False]
    single = np.asarray([[0.4], [0.6]])
    assert bp.MeanSquaredError().correct(np, single, np.asarray([[1.0], [1.0]])).tolist() == [False, True]


AROUND_HALF = np.asarray([[0.0], [0.4], [0.499999], [0.5], [0.500001], [1.0]])


@pytest.mark.parametrize(
    ("loss", "y"),
    [(bp.MeanSquaredError(), AROUND_HALF), (bp.BinaryCrossEntropy(), AROUND_HALF - 0.5)],
    ids=lambda part: type(part).__name__,
)
def test_a_single_output_or_target_is_of_class_1_above_one_half_and_not_at_it(loss, y):
    of_class_1 = [False, False, False, False, True, True]
    assert loss.classify(np, y).tolist() == of_class_1
    assert loss.correct(np, np.full_like(y, 5.0), AROUND_HALF).tolist() == of_class_1  # y is of class 1 throughout


def test_outputs_are_shown_as_probabilities_behind_a_cross_entropy(backend):
    y = backend.asarray(Y)
    softmax = backend.to_numpy(bp.SoftmaxCrossEntropy().output(backend.xp, y))
    sigmoid = backend.to_numpy(bp.BinaryCrossEntropy().output(backend.xp, y))
    np.testing.assert_allclose(softmax.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-Y)), rtol=1e-14)
    assert bp.MeanSquaredError().output(backend.xp, y) is y


def test_an_unknown_reduction_is_refused():
    with pytest.raises(bp.ConfigurationError, match="reduction='none': write 'mean' or 'sum'"):
        bp.BinaryCrossEntropy(reduction="none")
