"""Every array of a forward and a backward pass, kept and named."""

from dataclasses import FrozenInstanceError
from itertools import pairwise

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.tracing import ARRAYS, TREES

NOISE = np.random.default_rng(0)
X, LABELS = NOISE.normal(size=(5, 3)), [0, 1, 1, 0, 1]
LAYERS = [bp.Dense(3, 4), bp.Sigmoid(), bp.Dropout(0.5), bp.Dense(4, 2)]


def network(backend="numpy", **options):
    return bp.Network(LAYERS, bp.SoftmaxCrossEntropy(), backend=backend, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_entries_are_arrays_of_the_backend_in_the_network_s_dtype_and_the_layers_shapes(dtype, backend):
    trace = network(backend, dtype=dtype).trace(X, LABELS, optimizer=bp.SGD(0.1))
    assert isinstance(trace.loss, float)
    assert [layer.name for layer in trace] == ["0 Dense", "1 Sigmoid", "2 Dropout", "3 Dense"]
    widths = [3, 4, 4, 4, 2]
    for number, layer in enumerate(trace):
        assert layer.x.shape == layer.dx.shape == (5, widths[number])
        assert layer.y.shape == layer.dy.shape == (5, widths[number + 1])
        shapes = {"weight": (3, 4), "bias": (1, 4)} if number == 0 else {"weight": (4, 2), "bias": (1, 2)}
        for tree in (layer.params, layer.grads, layer.update):
            assert {n: tuple(a.shape) for n, a in tree.items()} == (shapes if number in (0, 3) else {})
        everything = [getattr(layer, part) for part in ARRAYS]
        everything += [array for part in TREES for array in getattr(layer, part).values()]
        assert all(backend.owns(array) for array in everything)
        assert {str(backend.to_numpy(array).dtype) for array in everything} == {dtype}


def test_the_loss_and_the_gradients_are_those_of_the_network(backend):
    net = network(backend, dtype="float64")
    loss, grads = net.gradients(X, LABELS)
    trace = net.trace(X, LABELS)
    assert trace.loss == loss
    for layer, own in zip(trace, grads, strict=True):
        assert layer.grads.keys() == own.keys()
        assert all(np.array_equal(backend.to_numpy(layer.grads[n]), backend.to_numpy(own[n])) for n in own)


def test_each_layer_gets_what_the_one_before_gave_and_the_other_way_back(backend):
    net = network(backend)
    trace = net.trace(X, LABELS).to_numpy()
    for one, following in pairwise(trace):
        assert np.array_equal(one.y, following.x)
        assert np.array_equal(one.dy, following.dx)
    assert np.array_equal(trace[-1].y, backend.to_numpy(net.forward(X)))
    assert np.array_equal(trace[0].x, X.astype(np.float32))
    assert np.array_equal(trace["2 Dropout"].x, trace["2 Dropout"].y)  # it rests


def test_dx_and_dy_are_the_derivatives_of_the_loss_by_input_and_output():
    """Central differences, in the input of the network and in the input of the loss."""
    net = network(dtype="float64")
    trace, h = net.trace(X, LABELS), 1e-5
    for at in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[at] = h
        difference = (net.gradients(X + step, LABELS)[0] - net.gradients(X - step, LABELS)[0]) / (2 * h)
        assert trace[0].dx[at] == pytest.approx(difference, rel=1e-6, abs=1e-10)
    for at in np.ndindex(trace[-1].y.shape):
        step = np.zeros_like(trace[-1].y)
        step[at] = h
        up, down = (net.loss.forward(np, trace[-1].y + s, np.array(LABELS))[0] for s in (step, -step))
        assert trace[-1].dy[at] == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-10)


def test_without_an_optimizer_there_is_no_update_and_with_gradient_descent_it_is_minus_rate_times_gradient(backend):
    net = network(backend, dtype="float64")
    assert all(layer.update == {} for layer in net.trace(X, LABELS))
    for layer in net.trace(X, LABELS, optimizer=bp.SGD(0.25)).to_numpy():
        for name, update in layer.update.items():
            np.testing.assert_allclose(update, -0.25 * layer.grads[name], rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("optimizer", [bp.Momentum(0.1), bp.Adam(0.01)], ids=["Momentum", "Adam"])
def test_the_update_is_the_one_that_training_makes_next_and_nothing_is_changed(optimizer, backend):
    net = bp.Network([LAYERS[0], LAYERS[1], LAYERS[3]], bp.SoftmaxCrossEntropy(), backend=backend, dtype="float64")
    net.fit(X, LABELS, optimizer=optimizer, epochs=3, batch_size=None)
    before, digest = [dict(own) for own in net.params], net.digest()
    trace = net.trace(X, LABELS, optimizer=optimizer).to_numpy()
    fresh = bp.Network(net.layers, net.loss, backend=backend, dtype="float64", params=net.params)
    assert net.digest() == digest
    net.fit(X, LABELS, epochs=1, batch_size=None)
    assert net.optimizer == optimizer
    for layer, after, old in zip(trace, net.params, before, strict=True):
        for name, update in layer.update.items():
            moved = backend.to_numpy(after[name]) - backend.to_numpy(old[name])
            np.testing.assert_allclose(update, moved, rtol=1e-6, atol=1e-12)
    start = fresh.trace(X, LABELS, optimizer=optimizer).to_numpy()  # another network begins with a fresh state
    assert not np.allclose(start[0].update["weight"], trace[0].update["weight"], rtol=1e-3)


def test_another_optimizer_than_the_one_in_use_begins_with_a_fresh_state():
    net = network(dtype="float64")
    net.fit(X, LABELS, optimizer=bp.Momentum(0.1), epochs=3, batch_size=None)
    for layer in net.trace(X, LABELS, optimizer=bp.Momentum(0.2)):  # v = 0 at first, so that it is -η g
        for name, update in layer.update.items():
            np.testing.assert_allclose(update, -0.2 * layer.grads[name], rtol=1e-10, atol=1e-15)


def test_to_dict_gives_numpy_arrays_by_name(backend):
    trace = network(backend).trace(X, LABELS, optimizer=bp.SGD(0.1))
    arrays = trace.to_dict()
    assert list(arrays) == ["loss", "0 Dense", "1 Sigmoid", "2 Dropout", "3 Dense"]
    assert list(arrays["0 Dense"]) == ["x", "y", "dy", "dx", "params", "grads", "update"]
    assert type(arrays["3 Dense"]["grads"]["weight"]) is np.ndarray
    assert np.array_equal(arrays["1 Sigmoid"]["y"], backend.to_numpy(trace[1].y))
    assert all(type(layer.dx) is np.ndarray for layer in trace.to_numpy())


def test_it_prints_a_table_of_shapes_and_norms():
    trace = network(dtype="float64").trace(X, LABELS, optimizer=bp.SGD(0.5))
    lines = repr(trace).splitlines()
    assert lines[0] == f"trace of 5 examples, loss {trace.loss:.6g}"
    assert lines[1].split() == [
        *(
            "layer",
            "output",
            "‖x‖",
            "‖y‖",
            "‖dy‖",
            "‖dx‖",
            "parameter",
            "‖θ‖",
            "‖∂J/∂θ‖",
            "‖update‖",
            "update",
            "÷",
            "θ",
        )
    ]
    assert len(lines) == 2 + 6
    weight = trace[0].params["weight"]
    for cell in (
        "0 Dense",
        "(5, 4)",
        "weight (3, 4)",
        f"{np.sqrt((weight**2).sum()):.3g}",
        f"{np.sqrt((X**2).sum()):.3g}",
    ):
        assert cell in lines[2]
    assert lines[3].endswith("inf")  # a bias of zeros is moved
    assert "‖update‖" not in repr(network().trace(X, LABELS))


def test_a_trace_is_frozen_and_a_sequence_of_its_layers():
    trace = network().trace(X[:1], LABELS[:1])
    assert len(trace) == len(list(trace)) == 4
    assert trace[-1] is trace["3 Dense"]
    assert repr(trace).startswith("trace of 1 example, ")
    with pytest.raises(FrozenInstanceError):
        trace.loss = 0.0
    with pytest.raises(bp.ConfigurationError, match="no layer 'Dense': its layers are '0 Dense', '1 Sigmoid'"):
        trace["Dense"]
    with pytest.raises(bp.ConfigurationError, match="can't be set alone"):
        trace[0].params["weight"] = 0


def test_bad_arguments_are_refused():
    net = network()
    with pytest.raises(bp.ConfigurationError, match=r"optimizer=0\.1 is no optimizer"):
        net.trace(X, LABELS, optimizer=0.1)
    with pytest.raises(bp.ShapeError, match="y has 2 rows and x has 5"):
        net.trace(X, LABELS[:2])
