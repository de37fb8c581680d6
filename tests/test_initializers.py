"""Every initializer draws the variance of its formula, the same numbers for the same seed on every backend."""

from math import sqrt

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.streams import Stream

N_IN, N_OUT = 500, 200
N = N_IN * N_OUT
# The variance that each formula gives for 500 inputs and 200 outputs, and the shape of its distribution.
INITIALIZERS = {
    "Normal": (bp.Normal(), 1.0, "normal"),
    "Normal, scaled": (bp.Normal(0.05), 0.0025, "normal"),
    "Uniform": (bp.Uniform(), 1 / 3, "uniform"),
    "Uniform, scaled": (bp.Uniform(0.3), 0.03, "uniform"),
    "Xavier": (bp.Xavier(), 2 / 700, "normal"),
    "Xavier, uniform": (bp.Xavier("uniform"), 2 / 700, "uniform"),
    "He": (bp.He(), 2 / 500, "normal"),
    "He, uniform": (bp.He("uniform"), 2 / 500, "uniform"),
    "LeCun": (bp.LeCun(), 1 / 500, "normal"),
    "LeCun, uniform": (bp.LeCun("uniform"), 1 / 500, "uniform"),
}
initializers = pytest.mark.parametrize(
    ("initializer", "variance", "distribution"), INITIALIZERS.values(), ids=INITIALIZERS.keys()
)
# Var(w²) in units of σ⁴: 2 for a normal, 9/5 - 1 for a uniform distribution.
SPREAD = {"normal": 2.0, "uniform": 0.8}


@initializers
def test_mean_and_variance_are_the_formulas(initializer, variance, distribution):
    drawn = initializer(Stream(0, "init"), (N_IN, N_OUT))
    assert drawn.shape == (N_IN, N_OUT)
    assert drawn.dtype == np.float64
    assert np.mean(drawn) == pytest.approx(0, abs=5 * sqrt(variance / N))
    assert np.mean(drawn**2) == pytest.approx(variance, rel=5 * sqrt(SPREAD[distribution] / N))


@initializers
def test_the_distribution_has_the_kurtosis_and_the_bounds_of_its_name(initializer, variance, distribution):
    drawn = initializer(Stream(0, "init"), (N_IN, N_OUT)) / sqrt(variance)
    if distribution == "uniform":
        assert sqrt(3) * 0.999 < np.abs(drawn).max() <= sqrt(3) * (1 + 1e-15)
        assert np.mean(drawn**4) == pytest.approx(9 / 5, abs=0.03)
    else:
        assert 4 < np.abs(drawn).max() < 6
        assert np.mean(drawn**4) == pytest.approx(3, abs=0.2)


@initializers
def test_an_initializer_repeats_itself_for_a_stream_and_differs_for_another(initializer, variance, distribution):
    here, again, there = (initializer(Stream(seed, "init"), (40, 5)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(here, again)
    assert not np.any(here == there)


def test_zeros_are_zeros():
    assert bp.Zeros()(Stream(0, "init"), (1, 4)).tolist() == [[0.0] * 4]


WRONG_SCALES = [0, -1, float("nan"), float("inf"), "1", None, np.ones(2)]


@pytest.mark.parametrize("scale", WRONG_SCALES, ids=str)
@pytest.mark.parametrize("kind", [bp.Normal, bp.Uniform])
def test_a_scale_that_is_no_positive_number_is_refused(kind, scale):
    with pytest.raises(bp.ConfigurationError) as caught:
        kind(scale)
    assert str(caught.value) == f"{kind.__name__} got scale={scale!r}: it must be a finite number above 0"


@pytest.mark.parametrize("distribution", ["gauss", "", None, 1])
@pytest.mark.parametrize("kind", [bp.Xavier, bp.He, bp.LeCun])
def test_an_unknown_distribution_is_refused(kind, distribution):
    with pytest.raises(bp.ConfigurationError) as caught:
        kind(distribution)
    assert str(caught.value) == f"{kind.__name__} got distribution={distribution!r}: write 'normal' or 'uniform'"


def network(backend, seed, dtype="float64"):
    layers = [
        bp.Dense(6, 5, weight_init=bp.He(), bias_init=bp.Uniform(0.1)),
        bp.Tanh(),
        bp.Dense(5, 5, weight_init=bp.LeCun("uniform"), bias_init=bp.Normal(0.1)),
        bp.Dense(5, 5),
    ]
    return bp.Network(layers, bp.MeanSquaredError(), backend=backend, seed=seed, dtype=dtype)


def bytes_of(net):
    return [(name, net.backend.to_numpy(array).tobytes()) for layer in net.params for name, array in layer.items()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_seeds_give_equal_weights_bit_for_bit_on_every_backend(backend, dtype):
    assert bytes_of(network(backend, 3, dtype)) == bytes_of(network("numpy", 3, dtype))


def test_other_seeds_give_other_weights(backend):
    drawn = zip(bytes_of(network(backend, 3)), bytes_of(network(backend, 4)), strict=True)
    assert [name for (name, here), (_, there) in drawn if here == there] == ["bias"]  # the last layer's zeros


def test_layers_and_parameters_of_a_network_are_drawn_apart():
    twins = bp.Network([bp.Dense(5, 5), bp.Dense(5, 5)], bp.MeanSquaredError()).params
    assert not np.any(twins[0]["weight"] == twins[1]["weight"])
    alike = bp.Dense(1, 5, weight_init=bp.Normal(), bias_init=bp.Normal())
    drawn = alike.init(Stream(0, "init"), None)
    assert not np.any(drawn["weight"] == drawn["bias"])
