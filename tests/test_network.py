"""The network's face: construction, parameters, predictions."""

import copy
import pickle

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
    assert "0  Dense(n_in=3, n_out=4)  weight (3, 4), bias (1, 4)" in text
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


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
@pytest.mark.parametrize("spec", ["numpy", "torch", "jax"])
def test_a_copied_or_pickled_network_goes_on_as_the_original_would(copied, spec):
    pytest.importorskip(spec)
    labels = [0, 1, 0, 1, 0, 1]
    net = network(spec)
    net.fit(X, labels, optimizer=bp.Adam(0.1), epochs=2, batch_size=2)
    same = copied(net)
    for one in (net, same):
        one.fit(X, labels, epochs=2, batch_size=2)
    assert same.digest() == net.digest()
    assert same.backend.spec == net.backend.spec


def test_a_parameter_can_t_be_set_alone_and_the_message_says_how_to():
    net = network()
    before = net.digest()
    with pytest.raises(bp.ConfigurationError, match=r"write net.params = new"):
        net.params[0]["weight"] = np.ones((3, 4))
    assert net.digest() == before


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            lambda: bp.Network([*LAYERS, bp.Softmax()], bp.SoftmaxCrossEntropy()),
            r"applies the Softmax itself.*Softmax\(\)",
        ),
        (lambda: bp.Network([*LAYERS, bp.Sigmoid()], bp.BinaryCrossEntropy()), r"applies the Sigmoid itself"),
    ],
)
def test_a_layer_that_the_loss_applies_itself_is_refused(build, words):
    with pytest.raises(bp.ConfigurationError, match=words):
        build()


class PlainLayer(bp.Layer):
    """What many write first: an __init__ where a dataclass field belongs."""

    def __init__(self, a=0.1):
        self.a = a

    def forward(self, xp, params, x):
        return self.a * x, None

    def backward(self, xp, params, cache, dy):
        return self.a * dy, {}


class PlainOptimizer(bp.SGD):
    def __init__(self, speed):
        super().__init__(speed)
        self.speed = speed


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bp.Network([PlainLayer()], bp.MeanSquaredError()), "PlainLayer holds a, no field"),
        (lambda: network().fit(X, [0] * 6, optimizer=PlainOptimizer(1.0)), "PlainOptimizer holds speed, no field"),
        (lambda: bp.L2(PlainOptimizer(1.0), 0.1), "PlainOptimizer holds speed, no field"),
    ],
)
def test_a_setting_that_is_no_field_and_would_be_lost_is_refused(call, words):
    with pytest.raises(bp.ConfigurationError, match=words):
        call()


@pytest.mark.parametrize("spec", ["numpy", "torch", "jax"])
@pytest.mark.parametrize(
    "optimizer",
    [
        bp.SGD(np.float64(0.1)),
        bp.Adam(np.logspace(-2, 0, 3)[0], beta1=np.float64(0.9)),
        bp.L2(bp.SGD(0.1), np.float32(0.1)),
    ],
    ids=str,
)
def test_numpy_numbers_are_hyper_parameters_and_leave_float32_as_it_is(spec, optimizer):
    pytest.importorskip(spec)
    layers = [bp.Dense(3, 4), bp.LeakyReLU(np.float64(0.1)), bp.Dropout(np.float64(0.2)), bp.Dense(4, 2)]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=spec)
    net.fit(X, [0, 1, 0, 1, 0, 1], optimizer=optimizer)
    assert net.predict(X).dtype == "float32"
    assert {str(net.backend.to_numpy(a).dtype) for layer in net.params for a in layer.values()} == {"float32"}


@pytest.mark.parametrize("rate", [np.float64("nan"), np.float64(-1), np.float32("inf")])
def test_numpy_numbers_are_checked_like_others(rate):
    with pytest.raises(bp.ConfigurationError, match="finite number of at least 0"):
        bp.SGD(rate)


def test_rows_with_several_ones_have_no_accuracy():
    net = bp.Network([bp.Dense(3, 2)], bp.BinaryCrossEntropy())
    assert "accuracy" in net.evaluate(X[:2], [[1, 0], [0, 1]])
    assert "accuracy" not in net.evaluate(X[:2], [[1, 1], [0, 1]])


def test_setting_parameters_starts_the_optimizer_afresh_and_keeps_epochs_and_steps():
    labels, net = [0, 1, 0, 1, 0, 1], network(dtype="float64")
    start = [dict(own) for own in net.params]
    first = net.fit(X, labels, optimizer=bp.Adam(0.1), epochs=2, batch_size=None)["loss"]
    net.params = start
    again = net.fit(X, labels, optimizer=bp.Adam(0.1), epochs=2, batch_size=None)
    assert again["loss"] == first
    assert again["epoch"] == [3, 4]
    assert net.step == 4
