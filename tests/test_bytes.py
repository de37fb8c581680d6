"""Inputs of bytes: they stay bytes on the device, and everything is as if they had been numbers from the start."""

import numpy as np
import pytest

import portable_bp as bp

RNG = np.random.default_rng(6)
X, LABELS = RNG.integers(0, 256, (30, 4, 2), dtype=np.uint8), RNG.integers(0, 3, 30)
LAYERS = [bp.Rescale(1 / 255), bp.Flatten(), bp.Dense(8, 5), bp.ReLU(), bp.Dense(5, 3)]
VALIDATION = X[:7], LABELS[:7]


def network(backend, layers=LAYERS, **options):
    return bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=backend, seed=2, **options)


def trained(backend, x, *, dtype="float32", batch_size=8, layers=LAYERS, **options):
    net = network(backend, layers, dtype=dtype, **options)
    validation = x[:7], LABELS[:7]
    net.fit(x, LABELS, optimizer=bp.Adam(0.01), epochs=3, batch_size=batch_size, validation=validation)
    return net, [[value for name, value in row.items() if name != "seconds"] for row in net.history.rows]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [8, None])
def test_training_on_bytes_has_the_bits_of_training_on_the_same_numbers(backend, dtype, batch_size):
    net, rows = trained(backend, X, dtype=dtype, batch_size=batch_size)
    same, same_rows = trained(backend, X.astype(dtype), dtype=dtype, batch_size=batch_size)
    assert net.digest() == same.digest()
    assert rows == same_rows


def test_bytes_stay_bytes_on_the_device(backend):
    net = network(backend)
    for given in (X, backend.asarray(X)):
        run = net.preparation.run(given, LABELS, (8, True), VALIDATION, True, (None, None))
        for data in (run.data, *run.measured.values()):
            assert backend.to_numpy(data[0]).dtype == np.uint8
    for other in (X.tolist(), X.astype("int16"), X > 9):
        assert str(backend.to_numpy(net.preparation.inputs(other)).dtype) == "float32"


def test_everything_that_takes_inputs_takes_bytes(backend):
    net, numbers = network(backend, dtype="float64"), X.astype("float64")
    np.testing.assert_array_equal(net.predict(X), net.predict(numbers))
    np.testing.assert_array_equal(net.classify(X), net.classify(numbers))
    assert net.evaluate(X, LABELS) == net.evaluate(numbers, LABELS)
    (loss, grads), (same_loss, same_grads) = net.gradients(X, LABELS), net.gradients(numbers, LABELS)
    assert loss == same_loss
    for own, same in zip(grads, same_grads, strict=True):
        for name in own:
            np.testing.assert_array_equal(*(backend.to_numpy(tree[name]) for tree in (own, same)))
    for own, same in zip(*(net.trace(x, LABELS).to_numpy() for x in (X, numbers)), strict=True):
        np.testing.assert_array_equal(own.x, same.x, strict=True)
        np.testing.assert_array_equal(own.dx, same.dx, strict=True)
    assert bp.check_gradients(net, X, LABELS).ok


def test_a_first_layer_sees_numbers_and_not_bytes(backend):
    """The square of a byte would overflow."""

    net = network(backend, [bp.Flatten(), bp.GELU(), bp.Dense(8, 3)])
    same = network(backend, [bp.Flatten(), bp.GELU(), bp.Dense(8, 3)])
    np.testing.assert_array_equal(net.predict(X), same.predict(X.astype("float32")))


def test_reproducible_training_on_bytes_has_the_same_digest_everywhere(backend):
    options = {"layers": [*LAYERS[:4], bp.Dropout(0.3), LAYERS[4]], "arithmetic": "reproducible"}
    assert trained(backend, X, **options)[0].digest() == trained("numpy", X.astype("float32"), **options)[0].digest()


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_population_takes_bytes(backend, shuffle):
    def together(x):
        nets = [bp.Network(LAYERS, bp.SoftmaxCrossEntropy(), backend=backend, seed=seed) for seed in range(3)]
        bp.fit_together(nets, x, LABELS, optimizers=bp.Adam(0.01), epochs=2, batch_size=8, shuffle=shuffle)
        return [net.digest() for net in nets]

    assert together(X) == together(X.astype("float32"))


def test_rescale_keeps_float32_and_is_saved_with_its_numbers(tmp_path):
    net = network("numpy", [bp.Rescale(2 / 255, -1), *LAYERS[1:]])
    net.save(tmp_path / "net.safetensors")
    again = bp.load(tmp_path / "net.safetensors")
    assert again.layers[0] == bp.Rescale(2 / 255, -1.0)
    np.testing.assert_array_equal(again.predict(X), net.predict(X), strict=True)
    y, _ = bp.Rescale(np.float64(0.5), np.float64(1)).forward(np, {}, np.ones((1, 2), "float32"))
    assert y.dtype == "float32"


@pytest.mark.parametrize("name", ["scale", "offset"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "1", True, None])
def test_rescale_refuses_what_is_no_number(name, value):
    with pytest.raises(bp.ConfigurationError, match=rf"Rescale got {name}={value!r}: it must be a finite number$"):
        bp.Rescale(**{"scale": 1.0, name: value})
