"""Every layer on every backend, and each activation's values against the formula in plain Python."""

import math

import numpy as np
import pytest

import portable_bp as bp
from portable_bp import testing
from portable_bp.checking.cases import LAYERS

POINTS = [-30.0, -2.5, -1.0, -0.1, -1e-9, 1e-9, 0.1, 0.7, 3.0, 30.0]
VALUES = {
    "Sigmoid": (bp.Sigmoid(), lambda x: 1 / (1 + math.exp(-x))),
    "Tanh": (bp.Tanh(), math.tanh),
    "ReLU": (bp.ReLU(), lambda x: max(x, 0)),
    "LeakyReLU": (bp.LeakyReLU(0.1), lambda x: x if x > 0 else 0.1 * x),
    "ELU": (bp.ELU(0.7), lambda x: x if x > 0 else 0.7 * math.expm1(x)),
    "Softplus": (bp.Softplus(), lambda x: max(x, 0) + math.log1p(math.exp(-abs(x)))),
    "GELU": (bp.GELU(), lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    "Identity": (bp.Identity(), lambda x: x),
    "Rescale": (bp.Rescale(-0.7, 0.3), lambda x: -0.7 * x + 0.3),
    "Rescale without offset": (bp.Rescale(1 / 255), lambda x: 1 / 255 * x),
}
EXTREMES = [-1e30, -800.0, 0.0, 800.0, 1e30]


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_passes_the_conformance_checks(name, backend):
    layer, shape = LAYERS[name]
    testing.check_layer(layer, shape, backend=backend)


def test_the_table_of_cases_holds_every_public_layer():
    public = {name for name in bp.layers.__all__ if name not in ("Layer", "StochasticLayer")}
    assert {type(layer).__name__ for layer, _ in LAYERS.values()} == public


@pytest.mark.parametrize("name", VALUES)
def test_every_activation_has_the_values_of_its_formula_to_the_last_digits_also_of_small_ones(name, backend):
    layer, formula = VALUES[name]
    y, _ = layer.forward(backend.xp, {}, backend.asarray(np.asarray([POINTS])))
    np.testing.assert_allclose(backend.to_numpy(y)[0], [formula(x) for x in POINTS], rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_activation_overflows_or_turns_to_nan_at_extreme_inputs(name, dtype):
    layer, _ = VALUES[name]
    backend = bp.get_backend("numpy")
    x = np.asarray([EXTREMES], dtype=dtype)
    y, cache = layer.forward(backend.xp, {}, x)  # a NumPy warning would fail the test
    dx, _ = layer.backward(backend.xp, {}, cache, np.ones_like(x))
    assert np.all(np.isfinite(y))
    assert np.all(np.isfinite(dx))


def test_the_tanh_form_of_gelu_is_close_to_the_exact_one():
    x = np.linspace(-6, 6, 1001)[None]
    y, _ = bp.GELU().forward(np, {}, x)
    exact = [0.5 * t * (1 + math.erf(t / math.sqrt(2))) for t in x[0]]
    assert np.max(np.abs(y[0] - exact)) < 5e-4


def test_softmax_sums_to_one_and_survives_large_logits(backend):
    x = np.asarray([[1000.0, 1001.0, 999.0], [0.0, 0.0, 0.0]])
    y, _ = bp.Softmax().forward(backend.xp, {}, backend.asarray(x))
    expected = np.exp(x - x.max(axis=1, keepdims=True))
    np.testing.assert_allclose(backend.to_numpy(y), expected / expected.sum(axis=1, keepdims=True), rtol=1e-14)


def test_the_backward_pass_of_softmax_is_its_full_jacobian():
    y, cache = bp.Softmax().forward(np, {}, np.asarray([[0.3, -1.2, 2.0]]))
    jacobian = np.diag(y[0]) - np.outer(y[0], y[0])
    for j in range(3):
        dx, _ = bp.Softmax().backward(np, {}, cache, np.eye(3)[j : j + 1])
        np.testing.assert_allclose(dx[0], jacobian[j], rtol=1e-14)


@pytest.mark.parametrize(("layer", "slope"), [(bp.ReLU(), 0.0), (bp.LeakyReLU(0.1), 0.1), (bp.ELU(0.7), 0.7)], ids=str)
def test_the_derivative_at_a_kink_is_the_documented_one(layer, slope):
    _, cache = layer.forward(np, {}, np.zeros((1, 1)))
    dx, _ = layer.backward(np, {}, cache, np.ones((1, 1)))
    assert dx[0, 0] == slope


@pytest.mark.parametrize("shape", [(2, 3), (6,)])
def test_flatten_refuses_an_input_without_a_batch_axis(shape):
    with pytest.raises(bp.ShapeError, match=r"expects a batch axis before 2 others; got x of shape"):
        bp.Flatten(axes=2).forward(np, {}, np.zeros(shape))


def test_a_layer_prints_what_was_chosen():
    assert str(bp.Dense(3, 2, weight_init=bp.He())) == "Dense(n_in=3, n_out=2, weight_init=He(distribution='normal'))"
    assert str(bp.ReLU()) == "ReLU()"
