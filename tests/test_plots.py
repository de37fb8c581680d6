"""Pictures of a network at work, and the record of its gradients that some are drawn from."""

import sys

import numpy as np
import pytest

import portable_bp as bp

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402 (after the backend without a screen is chosen)

X, Y = bp.datasets.one_hot()


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def encoder(**options):
    layers = [bp.Dense(8, 3), bp.Sigmoid(), bp.Dense(3, 8)]
    return bp.Network(layers, bp.BinaryCrossEntropy(reduction="sum"), seed=1, **options)


@pytest.fixture(scope="module")
def trained():
    net, record = encoder(), bp.RecordGradients(X, Y, every=10)
    net.fit(X, Y, optimizer=bp.SGD(0.5), epochs=40, batch_size=None, callbacks=[record])
    return net, record


def test_a_record_has_the_norms_of_every_layer_before_the_first_epoch_and_after_every_tenth(backend):
    net, record = encoder(backend=backend), bp.RecordGradients(X, Y, every=10)
    before = net.trace(X, Y, optimizer=bp.Adam(0.1)).to_numpy()
    net.fit(X, Y, optimizer=bp.Adam(0.1), epochs=25, batch_size=None, callbacks=[record])
    history = record.history
    assert history["epoch"] == [0, 10, 20]
    names = ["0 Dense", "1 Sigmoid", "2 Dense"]
    parameters = [f"{layer} {name}" for layer in ("0 Dense", "2 Dense") for name in ("weight", "bias")]
    expected = {f"{word} {name}" for word in ("activation", "delta") for name in names}
    expected |= {f"{word} {name}" for word in ("gradient", "weight", "ratio") for name in parameters}
    assert set(history.columns) == {"epoch", *expected}
    for layer in before:
        assert history[f"activation {layer.name}"][0] == pytest.approx(np.sqrt((layer.y**2).sum()), rel=1e-5)
        assert history[f"delta {layer.name}"][0] == pytest.approx(np.sqrt((layer.dy**2).sum()), rel=1e-5)
    weight, update = before[2].params["weight"], before[2].update["weight"]
    assert history["weight 2 Dense weight"][0] == pytest.approx(np.sqrt((weight**2).sum()), rel=1e-5)
    ratio = np.sqrt((update**2).sum() / (weight**2).sum())
    assert history["ratio 2 Dense weight"][0] == pytest.approx(ratio, rel=1e-5)
    assert history["ratio 2 Dense bias"][0] == float("inf")  # it begins at 0
    assert history["gradient 0 Dense weight"][2] < history["gradient 0 Dense weight"][0]


def test_a_recorded_training_is_the_training_without_the_record():
    alone, watched = encoder(), encoder()
    for net, callbacks in ((alone, []), (watched, [bp.RecordGradients(X, Y)])):
        net.fit(X, Y, optimizer=bp.Adam(0.1), epochs=6, batch_size=3, callbacks=callbacks)
    assert alone.digest() == watched.digest()


def test_a_further_fit_begins_a_new_record_at_the_epoch_it_begins_with():
    net, record = encoder(), bp.RecordGradients(X, Y)
    for epochs in (2, 1):
        net.fit(X, Y, epochs=epochs, callbacks=[record])
    assert record.history["epoch"] == [2, 3]


def test_bad_records_are_refused_before_anything_is_trained():
    with pytest.raises(bp.ConfigurationError, match="RecordGradients got every=0"):
        bp.RecordGradients(X, Y, every=0)
    net = encoder()
    with pytest.raises(bp.ShapeError, match=r"y .* must have the outputs' shape \(n, 8\)"):
        net.fit(X, Y, callbacks=[bp.RecordGradients(X, Y[:, :3])])
    assert net.epoch == 0


@pytest.mark.parametrize("quantity", ["activation", "delta", "gradient", "weight", "ratio"])
def test_each_quantity_is_a_line_a_layer_over_the_epochs(quantity, trained):
    _, record = trained
    axes = bp.plots.over_time(record, quantity)
    columns = {name: its for name, its in record.history.columns.items() if name.startswith(f"{quantity} ")}
    assert [line.get_label() for line in axes.lines] == [name.removeprefix(f"{quantity} ") for name in columns]
    for line, values in zip(axes.lines, columns.values(), strict=True):
        assert list(line.get_xdata()) == [0, 10, 20, 30, 40]
        drawn = [value if 0 < value < np.inf else np.nan for value in values]
        np.testing.assert_array_equal(line.get_ydata(), drawn)
    assert axes.get_yscale() == "log"
    axes.figure.canvas.draw()


def test_a_plot_goes_into_the_axes_that_are_given(trained):
    net, record = trained
    trace = net.trace(X, Y)
    _, grid = pyplot.subplots(2, 2)
    assert bp.plots.over_time(record, axes=grid[0, 0]) is grid[0, 0]
    assert bp.plots.norms(trace, axes=grid[0, 1]) is grid[0, 1]
    assert bp.plots.codes(trace, axes=grid[1, 0]) is grid[1, 0]
    assert bp.plots.weights(net, axes=grid[1, 1]) is grid[1, 1]
    assert len(pyplot.get_fignums()) == 1


def test_the_norms_of_a_trace_are_a_line_a_quantity_with_gradients_only_where_there_are_parameters(trained):
    net, _ = trained
    trace = net.trace(X, Y)
    activation, delta, gradient = bp.plots.norms(trace).lines
    np.testing.assert_allclose(activation.get_ydata(), [np.linalg.norm(layer.y) for layer in trace])
    np.testing.assert_allclose(delta.get_ydata(), [np.linalg.norm(layer.dy) for layer in trace])
    assert list(gradient.get_xdata()) == [0, 2]
    both = np.sqrt(sum((g**2).sum() for g in trace[2].grads.values()))
    assert gradient.get_ydata()[1] == pytest.approx(both)


def test_the_codes_are_the_hidden_layer_s_outputs_with_their_numbers(trained):
    net, _ = trained
    trace = net.trace(X, Y)
    axes = bp.plots.codes(trace, "1 Sigmoid", names="abcdefgh")
    np.testing.assert_array_equal(axes.images[0].get_array(), trace[1].y)
    assert axes.images[0].get_clim() == (0.0, 1.0)
    assert [text.get_text() for text in axes.texts] == [f"{value:.2f}" for value in trace[1].y.reshape(-1)]
    assert [label.get_text() for label in axes.get_yticklabels()] == list("abcdefgh")
    wide = bp.plots.codes(trace, 2)  # logits, beyond 0 and 1
    assert wide.images[0].get_clim() == (trace[2].y.min(), trace[2].y.max())


def xor_network(loss=None, n_out=1):
    points, labels = bp.datasets.xor()
    net = bp.Network([bp.Dense(2, 8), bp.Tanh(), bp.Dense(8, n_out)], loss or bp.BinaryCrossEntropy(), seed=1)
    net.fit(points, labels if n_out == 1 else labels[:, 0].astype(int), optimizer=bp.Adam(0.05), epochs=60)
    return net, points, labels


def test_a_decision_surface_shows_what_the_network_predicts_and_rings_what_is_wrong():
    net, points, labels = xor_network()
    axes = bp.plots.decision_surface(net, points, labels)
    surface, *_ = axes.collections
    x1, x2 = axes.get_xlim()[1], axes.get_ylim()[0]
    corner = surface.get_array().reshape(200, 200)[0, -1]
    assert corner == pytest.approx(float(net.predict([[x1, x2]])[0, 0]), rel=1e-5)
    right, wrong = axes.collections[-2:]
    errors = net.classify(points) != labels[:, 0]
    assert len(right.get_offsets()) == (~errors).sum()
    np.testing.assert_array_equal(wrong.get_offsets(), points[errors])


@pytest.mark.parametrize("form", ["class numbers", "one-hot", "column"])
def test_a_surface_of_classes_has_a_colour_a_class_and_takes_targets_in_every_form(form):
    net, points, labels = xor_network(bp.SoftmaxCrossEntropy(), n_out=2)
    numbers = labels[:, 0].astype(int)
    given = {"class numbers": numbers, "one-hot": np.eye(2)[numbers], "column": labels}[form]
    axes = bp.plots.decision_surface(net, points, given)
    assert set(np.unique(axes.collections[0].get_array())) == {0, 1}
    drawn = np.concatenate([np.asarray(collection.get_array()) for collection in axes.collections[1:]])
    assert sorted(drawn) == sorted(numbers)


def test_weights_are_tiled_as_images_where_the_inputs_are_a_square(trained):
    net = bp.Network([bp.Dense(16, 5), bp.Tanh(), bp.Dense(5, 2)], bp.MeanSquaredError())
    weight = net.params[0]["weight"]
    tiles = bp.plots.weights(net, 0).images[0].get_array()
    assert tiles.shape == (2 * 5 - 1, 3 * 5 - 1)
    np.testing.assert_array_equal(tiles[:4, 5:9], weight[:, 1].reshape(4, 4))
    np.testing.assert_array_equal(tiles[5:, :4], weight[:, 3].reshape(4, 4))
    assert np.isnan(np.ma.filled(tiles, np.nan)[4]).all()
    low, high = bp.plots.weights(net, 0).images[0].get_clim()
    assert -low == high == np.abs(weight).max()
    behind = bp.Network([bp.Dense(16, 16), bp.Tanh(), bp.Dense(16, 2)], bp.MeanSquaredError())
    assert bp.plots.weights(behind, 2).images[0].get_array().shape == (16, 2)  # hidden neurons are no image
    oblong = bp.plots.weights(net, 0, shape=(2, 8)).images[0].get_array()
    np.testing.assert_array_equal(oblong[:2, :8], weight[:, 0].reshape(2, 8))
    plain = bp.plots.weights(trained[0], 2).images[0].get_array()
    np.testing.assert_array_equal(plain, trained[0].params[2]["weight"])


@pytest.mark.parametrize(
    ("draw", "error", "said"),
    [
        (lambda net, record: bp.plots.over_time(record, "loss"), bp.ConfigurationError, "write one of 'activation'"),
        (lambda net, record: bp.plots.over_time(bp.RecordGradients(X, Y)), bp.ConfigurationError, "record is empty"),
        (lambda net, record: bp.plots.codes(net.trace(X, Y), 3), bp.ConfigurationError, "layer=3"),
        (lambda net, record: bp.plots.codes(net.trace(X, Y), "Sigmoid"), bp.ConfigurationError, "no layer 'Sigmoid'"),
        (lambda net, record: bp.plots.decision_surface(net, X), bp.ShapeError, r"shape \(n, 2\); got \(8, 8\)"),
        (
            lambda net, record: bp.plots.weights(net, 1),
            bp.ConfigurationError,
            "layer 1 is Sigmoid.., which has no weight",
        ),
        (lambda net, record: bp.plots.weights(net, 0, shape=(3, 3)), bp.ShapeError, "holds 9 weights.* 8 inputs"),
    ],
    ids=["quantity", "empty", "number", "name", "inputs", "no weight", "shape"],
)
def test_what_can_t_be_drawn_is_refused(draw, error, said, trained):
    with pytest.raises(error, match=said):
        draw(*trained)


@pytest.mark.parametrize("draw", ["norms", "codes"])
def test_without_matplotlib_one_line_says_what_to_install(draw, trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(bp.ConfigurationError, match=r"plots need matplotlib: pip install 'portable-bp\[plot\]'"):
        getattr(bp.plots, draw)(trained[0].trace(X, Y))
