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
    assert arrays == ["0.weight", "0.bias", "3.weight", "3.bias", "input", "outputs"]
    assert "SoftmaxCrossEntropy" in str(report)
    assert report.rows[0].cells["elements"] == 12


def wrong_dense(change):
    class Wrong(bp.Dense):
        def backward_params(self, xp, params, cache, dy):
            return change(super().backward_params(xp, params, cache, dy))

    return Wrong


def weight_off(grads):
    return {**grads, "weight": 1.00001 * grads["weight"]}


def bias_dropped(grads):
    return {**grads, "bias": 0 * grads["bias"]}


@pytest.mark.parametrize(
    ("change", "wrong"), [(weight_off, r"Wrong +2\.weight.* NO\n"), (bias_dropped, r"Wrong +2\.bias.* NO\n")]
)
def test_a_wrong_gradient_raises_with_every_row_and_says_where_to_look(change, wrong):
    net = network(bp.Dense(3, 4), bp.Tanh(), wrong_dense(change)(4, 2))
    with pytest.raises(bp.GradientError, match=wrong) as caught:
        bp.check_gradients(net, X, LABELS)
    assert str(caught.value).count(" NO\n") == 1
    assert str(caught.value).endswith("look at the backward of 2 Wrong")


class WrongTanh(bp.Tanh):
    def backward(self, xp, params, cache, dy):
        return dy * (1 - cache), {}


@pytest.mark.parametrize(
    ("layers", "suspects"),
    [
        ((bp.Dense(3, 4), WrongTanh(), bp.Dense(4, 2)), "back to layer 2 .* backward of 0 Dense, 1 WrongTanh, 2 Dense"),
        ((bp.Dense(3, 4), bp.Dense(4, 2), WrongTanh()), "backward of 1 Dense, 2 WrongTanh"),
    ],
)
def test_a_wrong_layer_is_among_the_suspects_and_what_is_behind_it_is_not(layers, suspects):
    with pytest.raises(bp.GradientError, match=suspects):
        bp.check_gradients(network(*layers, loss=bp.MeanSquaredError()), X, X[:, :2])


def test_a_wrong_gradient_of_the_loss_is_named_first(monkeypatch):
    backward = bp.MeanSquaredError.backward
    monkeypatch.setattr(bp.MeanSquaredError, "backward", lambda self, xp, cache: 1.00001 * backward(self, xp, cache))
    with pytest.raises(bp.GradientError, match="the gradient of MeanSquaredError itself is wrong: mend it first"):
        bp.check_gradients(network(bp.Dense(3, 2), loss=bp.MeanSquaredError()), X, X[:, :2])


def test_elements_draws_so_many_from_each_array():
    report = bp.check_gradients(network(bp.Dense(3, 4), bp.Tanh(), bp.Dense(4, 2)), X, LABELS, elements=5)
    assert [row.cells["elements"] for row in report.rows] == [5, 4, 5, 2, 5, 5]


@pytest.mark.parametrize("size", [1.0, 1e3, 1e5])
@pytest.mark.parametrize("seed", range(3))
def test_right_gradients_pass_however_large_the_loss_is(size, seed):
    noise = np.random.default_rng(seed)
    net = network(bp.Dense(4, 6), bp.Tanh(), bp.Dense(6, 1), loss=bp.HalfSquaredError(), seed=seed)
    assert bp.check_gradients(net, noise.normal(size=(8, 4)), size * noise.normal(1, 1.5, size=(8, 1))).ok


def test_a_gradient_that_is_nan_is_wrong_whatever_comes_after_it():
    class Nan(bp.Identity):
        def backward(self, xp, params, cache, dy):
            return xp.where(xp.arange(dy.shape[-1]) == 0, xp.full_like(dy, float("nan")), dy), {}

    with pytest.raises(bp.GradientError, match="nan"):
        bp.check_gradients(network(Nan(), bp.Dense(3, 2), input_shape=(3,)), X, LABELS)


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
