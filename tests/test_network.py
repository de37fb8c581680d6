"""The network's face: construction, parameters, predictions."""

import numpy as np
import pytest

import portable_bp as bp

X = np.random.default_rng(0).normal(size=(6, 3))
LAYERS = [bp.Dense(3, 4), bp.ReLU(), bp.Dense(4, 2)]


def network(backend="numpy", **options):
    return bp.Network(LAYERS, options.pop("loss", bp.SoftmaxCrossEntropy()), backend=backend, **options)


def test_equal_seeds_give_equal_networks_on_every_backend_and_other_seeds_others(backend):
    here, reference, other = network(backend, seed=5), network(seed=5), network(seed=6)
    for own, expected, different in zip(here.params, reference.params, other.params, strict=True):
        for name, array in own.items():
            assert np.array_equal(backend.to_numpy(array), expected[name])
            assert name == "bias" or not np.array_equal(expected[name], different[name])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_gradients_and_predictions_have_the_network_s_dtype_and_device(dtype, backend):
    net = network(backend, dtype=dtype)
    loss, grads = net.gradients(X, [0, 1, 0, 1, 0, 1])
    assert isinstance(loss, float)
    for tree in (net.params, grads):
        for array in (array for layer in tree for array in layer.values()):
            assert backend.owns(array)
            assert str(backend.to_numpy(array).dtype) == dtype
    assert net.predict(X).dtype == dtype


def test_predictions_are_numpy_arrays_and_classes_are_their_largest_entries(backend):
    net = network(backend)
    probabilities, classes = net.predict(X), net.classify(X)
    assert type(probabilities) is type(classes) is np.ndarray
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert np.array_equal(classes, probabilities.argmax(axis=1))
    assert net.score(X, classes) == 1.0
    assert net.score(X, 1 - classes) == 0.0


def test_parameters_can_be_set_and_are_checked():
    net = network(dtype="float64")
    new = [
        {"weight": np.ones((3, 4)), "bias": np.zeros((1, 4))},
        {},
        {"weight": np.ones((4, 2)), "bias": np.ones((1, 2))},
    ]
    net.params = new
    assert net.forward(np.ones((1, 3))).tolist() == [[13.0, 13.0]]
    with pytest.raises(bp.ShapeError, match="layer 0, Dense, has parameters"):
        net.params = [{"weight": np.ones((4, 3)), "bias": np.zeros((1, 4))}, {}, new[2]]
    with pytest.raises(bp.ShapeError, match="3 layers"):
        net.params = new[:2]
    assert net.forward(np.ones((1, 3))).tolist() == [[13.0, 13.0]]


def test_changing_the_arrays_that_were_given_doesn_t_change_the_network():
    weight = np.ones((1, 1))
    net = bp.Network([bp.Dense(1, 1, bias=False)], bp.MeanSquaredError(), dtype="float64", params=[{"weight": weight}])
    weight[0, 0] = 5.0
    assert net.predict([[1.0]]).tolist() == [[1.0]]


def test_images_pass_through_flatten(backend):
    net = bp.Network([bp.Flatten(), bp.Dense(12, 2)], bp.SoftmaxCrossEntropy(), backend=backend)
    images = np.zeros((5, 3, 4))
    net.fit(images, [0, 1, 0, 1, 0])
    assert net.predict(images).shape == (5, 2)
    with pytest.raises(bp.ShapeError, match=r"layer 1: Dense\(12, 2\) expects"):
        net.predict(np.zeros((5, 3, 5)))


def test_a_network_prints_its_layers_and_the_number_of_parameters():
    text = repr(network())
    assert "Network on numpy, float32, seed 0, 26 parameters" in text
    assert "Dense(n_in=3, n_out=4)" in text
    assert "16 parameters" in text
    assert "SoftmaxCrossEntropy" in text


class Scale(bp.Layer):
    """A layer of a user's own: y = s x with one parameter s of shape (1, 1)."""

    def init(self, stream, shape):
        return {"s": 1 + 0.1 * stream.named("s").normal((1, 1))}

    def forward(self, xp, params, x):
        return params["s"] * x, x

    def backward(self, xp, params, cache, dy):
        ds = xp.sum(dy * cache, axis=(-2, -1), keepdims=True)
        return params["s"] * dy, {"s": ds}


def test_a_layer_of_a_user_s_own_trains_like_any_other(backend):
    bp.testing.check_layer(Scale(), (3,), backend=backend)
    net = bp.Network([bp.Dense(3, 2), Scale()], bp.MeanSquaredError(), backend=backend, dtype="float64")
    history = net.fit(X, X[:, :2], optimizer=bp.Adam(0.1), epochs=60, batch_size=None)
    assert history["loss"][-1] < 0.05 * history["loss"][0]
