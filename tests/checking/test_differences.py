import numpy as np
import pytest

import portable_bp as bp
from portable_bp.checking import Report

NOISE = np.random.default_rng(0)
X = NOISE.normal(size=(4, 3))
LABELS = np.asarray([0, 1, 1, 0])


def network(*layers, backend="numpy", loss=None, **options):
    return bp.Network(layers, loss or bp.SoftmaxCrossEntropy(), backend=backend, **options)


def test_a_right_network_passes_and_the_report_names_every_array(backend):
    net = network(bp.Dense(3, 4), bp.ELU(), bp.Dropout(0.3), bp.Dense(4, 2), backend=backend)
    report = bp.check_gradients(net, X, LABELS)
    assert report.ok
    arrays = [row.cells["array"] for row in report.rows]
    assert arrays == ["0.weight", "0.bias", "3.weight", "3.bias", "input", "logits"]
    assert "SoftmaxCrossEntropy" in str(report)
    assert report.rows[0].cells["elements"] == 12


def wrong_dense(change):
    class Wrong(bp.Dense):
        def backward_params(self, xp, params, cache, dy):
            return change(super().backward_params(xp, params, cache, dy))

    return Wrong


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda grads: {**grads, "weight": 1.00001 * grads["weight"]}, r"Wrong +2\.weight"),
        (lambda grads: {**grads, "bias": 0 * grads["bias"]}, r"Wrong +2\.bias"),
    ],
)
def test_a_wrong_gradient_raises_with_layer_array_and_worst_element(change, words):
    net = network(bp.Dense(3, 4), bp.Tanh(), wrong_dense(change)(4, 2))
    with pytest.raises(bp.GradientError, match=words) as caught:
        bp.check_gradients(net, X, LABELS)
    assert "backpropagation" in str(caught.value)
    assert "0.weight" not in str(caught.value)


def test_a_wrong_gradient_of_the_loss_is_found(monkeypatch):
    backward = bp.MeanSquaredError.backward
    monkeypatch.setattr(bp.MeanSquaredError, "backward", lambda self, xp, cache: 1.00001 * backward(self, xp, cache))
    with pytest.raises(bp.GradientError, match=r"MeanSquaredError +logits"):
        bp.check_gradients(network(bp.Dense(3, 2), loss=bp.MeanSquaredError()), X, X[:, :2])


def test_a_point_at_a_kink_is_moved_and_checked_all_the_same():
    """With zero biases and a zero input every ReLU stands exactly at its kink."""
    net = network(bp.Dense(3, 5), bp.ReLU(), bp.Dense(5, 2))
    report = bp.check_gradients(net, np.zeros((2, 3)), LABELS[:2])
    assert report.ok
    assert all("kink" not in row.cells["worst element"] for row in report.rows)


def test_an_undeclared_kink_is_reported_as_a_wrong_gradient():
    class Abs(bp.Layer):  # forgets kinks = (0.0,)
        def forward(self, xp, params, x):
            return xp.abs(x), x

        def backward(self, xp, params, cache, dy):
            return dy * xp.sign(cache), {}

    with pytest.raises(bp.GradientError, match="input"):
        bp.check_gradients(network(Abs(), bp.Dense(3, 2), input_shape=(3,)), np.full((1, 3), 3e-6), LABELS[:1])


def test_the_check_is_done_in_float64_and_leaves_the_network_alone():
    net = network(bp.Dense(3, 2), dtype="float32")
    before = net.params[0]["weight"].copy()
    worst = max(row.cells["error ÷ tolerance"] for row in bp.check_gradients(net, X, LABELS).rows)
    assert worst < 0.1
    assert np.array_equal(net.params[0]["weight"], before)
    assert net.dtype == "float32"


def test_a_report_prints_as_a_table():
    report = bp.check_gradients(network(bp.Dense(3, 2)), X, LABELS)
    assert isinstance(report, Report)
    lines = str(report).splitlines()
    assert lines[0] == "gradients against central differences"
    assert lines[1].split() == ["layer", "array", "elements", "error", "÷", "tolerance", "worst", "element", "ok"]
    assert len(lines) == 2 + len(report.rows)
