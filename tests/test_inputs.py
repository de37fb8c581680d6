"""What can't be used is refused by one line with value and cure, and nothing has changed then; the rest is accepted."""

import numpy as np
import pytest

import portable_bp as bp
from portable_bp import inputs

X = np.arange(24.0).reshape(6, 4) / 24
LABELS = np.array([0, 1, 2, 0, 1, 2])
ROWS = np.eye(3)[LABELS]
HALVES = np.array([0, 1, 0.5, 0, 1, 1])
NAN = float("nan")


def classifier(backend="numpy", **options):
    return bp.Network([bp.Dense(4, 3)], bp.SoftmaxCrossEntropy(), backend=backend, **options)


def regression(backend="numpy", **options):
    return bp.Network([bp.Dense(4, 3)], bp.MeanSquaredError(), backend=backend, **options)


def binary(backend="numpy", **options):
    return bp.Network([bp.Dense(4, 1)], bp.BinaryCrossEntropy(), backend=backend, **options)


def single(backend="numpy", **options):
    return bp.Network([bp.Dense(1, 1)], bp.MeanSquaredError(), backend=backend, **options)


def multi_label(backend="numpy", **options):
    return bp.Network([bp.Dense(4, 3)], bp.BinaryCrossEntropy(), backend=backend, **options)


def spoilt(array, value, *place):
    copy = np.array(array, dtype=float)
    copy[place] = value
    return copy


# The network, the call, the class of the error, and words that its message has: the value that came, and the cure.
CALLS = {
    # x
    "one example": (classifier, lambda net: net.predict(X[0]), bp.ShapeError, ["(n, 4)", "(4,)", "give x[None]"]),
    "one example as a list": (classifier, lambda net: net.predict(X[0].tolist()), bp.ShapeError, ["(4,)", "give [x]"]),
    "a column without its axis": (
        single,
        lambda net: net.fit(X[:, 0], HALVES),
        bp.ShapeError,
        ["(n, 1)", "got (6,)", "give x[:, None]"],
    ),
    "a list of numbers": (
        single,
        lambda net: net.fit(X[:, 0].tolist(), HALVES),
        bp.ShapeError,
        ["got (6,)", "give np.asarray(x)[:, None]"],
    ),
    "a number": (classifier, lambda net: net.predict(1.0), bp.ShapeError, ["got ()", "one row per example"]),
    "one axis": (classifier, lambda net: net.predict(X[:, 0]), bp.ShapeError, ["got (6,)", "one row per example"]),
    "wrong width": (classifier, lambda net: net.predict(X[:, :3]), bp.ShapeError, ["(n, 4)", "(6, 3)", "first layer"]),
    "images": (
        classifier,
        lambda net: net.predict(X.reshape(6, 2, 2)),
        bp.ShapeError,
        ["(6, 2, 2)", "reshape it to (6, 4)", "Flatten() first"],
    ),
    "images of another size": (
        lambda backend: bp.Network([bp.Flatten(), bp.Dense(4, 3)], bp.MeanSquaredError(), backend=backend),
        lambda net: net.predict(np.zeros((6, 3, 3))),
        bp.ShapeError,
        ["layer 1", "Dense(4, 3)", "(batch, 9)", "write Dense(9, 3)"],
    ),
    "ragged rows": (classifier, lambda net: net.predict([[1, 2, 3, 4], [1]]), bp.DataError, ["(2,)", "equal length"]),
    "strings": (classifier, lambda net: net.predict([["a"] * 4]), bp.DataError, ["<U1", "convert it first"]),
    "complex": (classifier, lambda net: net.predict(X + 1j), bp.DataError, ["complex128", "convert it first"]),
    "None": (classifier, lambda net: net.predict(None), bp.DataError, ["object", "convert it first"]),
    "a generator": (classifier, lambda net: net.predict(row for row in X), bp.DataError, ["object", "convert it"]),
    "NaN": (
        classifier,
        lambda net: net.predict(spoilt(X, NAN, 2, 1)),
        bp.DataError,
        ["1 values", "the first, nan, at [2, 1]", "remove those rows or fill them in"],
    ),
    "infinities": (
        classifier,
        lambda net: net.fit(spoilt(X, -np.inf, slice(3, 5), 2), LABELS),
        bp.DataError,
        ["2 values", "the first, -inf, at [3, 2]", "remove those rows"],
    ),
    "beyond float32": (
        classifier,
        lambda net: net.predict(spoilt(X, 1e300, 5, 0)),
        bp.DataError,
        ["infinite in float32, the first, inf, at [5, 0]", "remove"],
    ),
    "no examples": (
        classifier,
        lambda net: net.fit(X[:0], LABELS[:0]),
        bp.DataError,
        ["(0, 4)", "at least one example"],
    ),
    "an empty list": (classifier, lambda net: net.fit([], []), bp.ShapeError, ["got (0,)", "one row per example"]),
    # Labels
    "labels from 1": (
        classifier,
        lambda net: net.fit(X, LABELS + 1),
        bp.DataError,
        ["y for 3 outputs", "0 to 2", "got 1 to 3", "more outputs"],
    ),
    "negative labels": (
        classifier,
        lambda net: net.gradients(X, LABELS - 1),
        bp.DataError,
        ["got -1 to 1", "number the classes 0 to 2"],
    ),
    "floats as labels": (
        classifier,
        lambda net: net.score(X, LABELS * 1.0),
        bp.DataError,
        ["float64", "give y.astype(int)"],
    ),
    "floats in a list as labels": (
        classifier,
        lambda net: net.fit(X, (LABELS * 1.0).tolist()),
        bp.DataError,
        ["float64", "give np.asarray(y).astype(int)"],
    ),
    **{
        f"strings as {what}": (
            network,
            lambda net, words=words: net.fit(X, words),
            bp.DataError,
            ["y has the dtype", "give numbers: names, y = np.unique(y, return_inverse=True)"],
        )
        for what, network, words in (
            ("labels", classifier, ["a"] * 6),
            ("objects", classifier, np.array(["a"] * 6, dtype=object)),
            ("rows", regression, ["a"] * 6),
        )
    },
    "a validation set's strings as labels": (
        classifier,
        lambda net: net.fit(X, LABELS, validation=(X, ["a"] * 6)),
        bp.DataError,
        ["validation y", "give numbers: y = np.searchsorted(names, y)"],
    ),
    "a single label": (
        classifier,
        lambda net: net.gradients(X[:1], LABELS[0]),
        bp.ShapeError,
        ["(n,)", "got ()", "give [y]"],
    ),
    "a single label in an array": (
        classifier,
        lambda net: net.gradients(X[:1], np.array(1)),
        bp.ShapeError,
        ["got ()", "give y[None]"],
    ),
    "a single target": (
        binary,
        lambda net: net.gradients(X[:1], 1.0),
        bp.ShapeError,
        ["a row per example", "got ()", "give [y]"],
    ),
    "a single row of targets": (
        regression,
        lambda net: net.gradients(X[:1], ROWS[0]),
        bp.ShapeError,
        ["a row per example", "got (3,)", "give y[None]"],
    ),
    "one-hot rows as labels": (
        classifier,
        lambda net: net.fit(X, ROWS),
        bp.ShapeError,
        ["(n,)", "(6, 3)", "give y.argmax(axis=-1)"],
    ),
    "integer one-hot rows as labels": (
        classifier,
        lambda net: net.score(X, ROWS.astype(int)),
        bp.ShapeError,
        ["(6, 3)", "give y.argmax(axis=-1)"],
    ),
    "a column of labels": (classifier, lambda net: net.fit(X, LABELS[:, None]), bp.ShapeError, ["(6, 1)", "y[:, 0]"]),
    # Rows
    "labels as rows": (regression, lambda net: net.fit(X, LABELS), bp.ShapeError, ["(n, 3)", "(6,)", "to_one_hot()"]),
    "rows too narrow": (
        regression,
        lambda net: net.gradients(X, ROWS[:, :2]),
        bp.ShapeError,
        ["(n, 3)", "(6, 2)", "one column per output"],
    ),
    "NaN in rows": (
        regression,
        lambda net: net.fit(X, spoilt(ROWS, NAN, 4, 2)),
        bp.DataError,
        ["y has 1 values", "the first, nan, at [4, 2]", "remove those rows"],
    ),
    "probabilities above 1": (
        binary,
        lambda net: net.fit(X, 2 * HALVES),
        bp.DataError,
        ["BinaryCrossEntropy", "0 to 1", "got 0 to 2", "MeanSquaredError()"],
    ),
    "probabilities below 0": (
        binary,
        lambda net: net.gradients(X, HALVES - 1),
        bp.DataError,
        ["got -1 to 0", "scale them"],
    ),
    "two columns for one output": (
        binary,
        lambda net: net.fit(X, ROWS[:, :2]),
        bp.ShapeError,
        ["(n, 1)", "(6, 2)", "one column per output"],
    ),
    "fewer labels": (classifier, lambda net: net.fit(X, LABELS[:5]), bp.ShapeError, ["5 rows", "x has 6", "give one"]),
    "fewer inputs": (regression, lambda net: net.fit(X[:5], ROWS), bp.ShapeError, ["6 rows", "x has 5", "give one"]),
    "a score of numbers": (
        regression,
        lambda net: net.score(X, ROWS / 3),
        bp.DataError,
        ["score()", "targets that are classes", "use evaluate(x, y)['loss']"],
    ),
    # Weights
    "too few sample weights": (
        classifier,
        lambda net: net.fit(X, LABELS, sample_weight=np.ones(5)),
        bp.ShapeError,
        ["sample_weight", "(6,)", "got (5,)", "one number per example"],
    ),
    "a column of sample weights": (
        classifier,
        lambda net: net.fit(X, LABELS, sample_weight=np.ones((6, 1))),
        bp.ShapeError,
        ["got (6, 1)", "one number per example"],
    ),
    "a negative sample weight": (
        classifier,
        lambda net: net.fit(X, LABELS, sample_weight=spoilt(HALVES, -2, 3)),
        bp.DataError,
        ["sample_weight", "got -2.0 at [3]", "give 0 to leave an example out"],
    ),
    "a sample weight NaN": (
        classifier,
        lambda net: net.fit(X, LABELS, sample_weight=spoilt(HALVES, NAN, 1)),
        bp.DataError,
        ["got nan at [1]", "give 0 to leave an example out"],
    ),
    "a word as sample weight": (
        classifier,
        lambda net: net.fit(X, LABELS, sample_weight="balanced"),
        bp.DataError,
        ["sample_weight", "<U8", "convert it"],
    ),
    "a misspelt class weight": (
        classifier,
        lambda net: net.fit(X, LABELS, class_weight="balance"),
        bp.ConfigurationError,
        ["class_weight='balance'", "write 'balanced', a dict or a list"],
    ),
    "a number as class weight": (
        classifier,
        lambda net: net.fit(X, LABELS, class_weight=3),
        bp.ConfigurationError,
        ["class_weight=3", "write 'balanced', a dict or a list"],
    ),
    "the weight of an unknown class": (
        classifier,
        lambda net: net.fit(X, LABELS, class_weight={7: 1.0}),
        bp.ConfigurationError,
        ["names class 7", "the classes are 0 to 2"],
    ),
    "the weight of a class that is no number": (
        classifier,
        lambda net: net.fit(X, LABELS, class_weight={True: 2.0}),
        bp.ConfigurationError,
        ["names class True", "the classes are 0 to 2"],
    ),
    "more class weights than classes": (
        classifier,
        lambda net: net.fit(X, LABELS, class_weight=[1, 1, 1, 1]),
        bp.ConfigurationError,
        ["names class 3", "the classes are 0 to 2"],
    ),
    "a negative class weight": (
        classifier,
        lambda net: net.fit(X, LABELS, class_weight={1: -1.0}),
        bp.ConfigurationError,
        ["class 1 the weight -1.0", "finite number of at least 0"],
    ),
    "a class weight that is no number": (
        classifier,
        lambda net: net.fit(X, LABELS, class_weight={1: "much"}),
        bp.ConfigurationError,
        ["class 1 the weight 'much'", "finite number of at least 0"],
    ),
    **{
        f"class weights for rows with {what}": (
            network,
            lambda net, rows=rows, weight=weight: net.fit(X, rows, class_weight=weight),
            bp.DataError,
            ["class_weight needs one class per example", "1 rows of y", "the first at [4]", "give sample_weight"],
        )
        for what, rows, weight, network in (
            ("several ones", spoilt(ROWS, 1, 4), "balanced", regression),
            ("no ones", spoilt(ROWS, 0, 4), {1: 2.0}, regression),
            ("two ones", spoilt(ROWS, 1, 4, slice(2)), [1, 2, 3], multi_label),
        )
    },
    # Options of fit
    **{
        f"batch_size {size!r}": (
            classifier,
            lambda net, size=size: net.fit(X, LABELS, batch_size=size),
            bp.ConfigurationError,
            [f"batch_size={size!r}", "whole number from 1 to 6", "None for the whole set"],
        )
        for size in (0, -1, True, 1.5, 7, "all")
    },
    **{
        f"epochs {epochs!r}": (
            classifier,
            lambda net, epochs=epochs: net.fit(X, LABELS, epochs=epochs),
            bp.ConfigurationError,
            [f"epochs={epochs!r}", "whole number from 1 to 2147483647"],
        )
        for epochs in (0, -1, True, 1.5, None)
    },
    "validation x alone": (
        classifier,
        lambda net: net.fit(X, LABELS, validation=X),
        bp.ConfigurationError,
        ["validation must be a pair (x, y)", "got ndarray", "give both"],
    ),
    "validation of three": (
        classifier,
        lambda net: net.fit(X, LABELS, validation=(X, LABELS, LABELS)),
        bp.ConfigurationError,
        ["a pair (x, y)", "got 3 parts", "give both"],
    ),
    "validation as a share": (
        classifier,
        lambda net: net.fit(X, LABELS, validation=0.2),
        bp.ConfigurationError,
        ["a pair (x, y)", "got float", "give both"],
    ),
    "validation x of wrong width": (
        classifier,
        lambda net: net.fit(X, LABELS, validation=(X[:, :3], LABELS)),
        bp.ShapeError,
        ["validation x", "(6, 3)", "first layer"],
    ),
    "one example as validation x": (
        classifier,
        lambda net: net.fit(X, LABELS, validation=(X[0], LABELS)),
        bp.ShapeError,
        ["validation x", "give x[None] for the validation set"],
    ),
    "one-hot rows as validation y": (
        classifier,
        lambda net: net.fit(X, LABELS, validation=(X, ROWS)),
        bp.ShapeError,
        ["validation y", "(6, 3)", "give y.argmax(axis=-1) for the validation set"],
    ),
    "floats as validation y": (
        classifier,
        lambda net: net.fit(X, LABELS, validation=(X, LABELS * 1.0)),
        bp.DataError,
        ["validation y", "give y.astype(int) for the validation set"],
    ),
    "a masked validation x": (
        classifier,
        lambda net: net.fit(X, LABELS, validation=(np.ma.masked_less(X, 0.5), LABELS)),
        bp.DataError,
        ["validation x is a masked array", "give x.filled(…) for the validation set, or leave rows out"],
    ),
    "validation y out of range": (
        classifier,
        lambda net: net.fit(X, LABELS, validation=(X, LABELS + 3)),
        bp.DataError,
        ["validation y", "got 3 to 5", "more outputs"],
    ),
    "the name of an optimizer": (
        classifier,
        lambda net: net.fit(X, LABELS, optimizer="adam"),
        bp.ConfigurationError,
        ["optimizer='adam'", "give an instance such as Adam(1e-3)"],
    ),
    "the class of an optimizer": (
        classifier,
        lambda net: net.fit(X, LABELS, optimizer=bp.Adam),
        bp.ConfigurationError,
        ["Adam'> is no optimizer", "give an instance"],
    ),
    "0 as an optimizer": (
        classifier,
        lambda net: net.fit(X, LABELS, optimizer=0),
        bp.ConfigurationError,
        ["optimizer=0", "give an instance"],
    ),
    "the class of a callback": (
        classifier,
        lambda net: net.fit(X, LABELS, callbacks=[bp.EarlyStopping]),
        bp.ConfigurationError,
        ["EarlyStopping'>]", "give a list of instances"],
    ),
    "a callback without a list": (
        classifier,
        lambda net: net.fit(X, LABELS, callbacks=bp.PrintRows()),
        bp.ConfigurationError,
        ["callbacks=<portable_bp.callbacks.PrintRows", "give a list"],
    ),
    # Parameters
    "parameters of too few layers": (
        classifier,
        lambda net: setattr(net, "params", []),
        bp.ShapeError,
        ["0 entries", "1 layers", "give one dict a layer"],
    ),
    "parameters without a list": (
        classifier,
        lambda net: setattr(net, "params", {"weight": X}),
        bp.ConfigurationError,
        ["got dict", "a list with one dict of arrays a layer"],
    ),
    "parameters that are no dict": (
        classifier,
        lambda net: setattr(net, "params", [None]),
        bp.ConfigurationError,
        ["got ['NoneType']", "one dict of arrays a layer"],
    ),
    "parameters of wrong shape": (
        classifier,
        lambda net: setattr(net, "params", [{"weight": np.zeros((3, 4)), "bias": np.zeros((1, 3))}]),
        bp.ShapeError,
        ["'weight': (4, 3)", "got {'weight': (3, 4)", "give these"],
    ),
}


def bytes_of(net):
    return [(name, net.backend.to_numpy(array).tobytes()) for layer in net.params for name, array in layer.items()]


def assert_one_line_with(error, words):
    message = str(error)
    assert "\n" not in message
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize(("network", "call", "kind", "words"), CALLS.values(), ids=CALLS.keys())
def test_a_bad_argument_is_refused_with_value_and_cure_and_nothing_changes(backend, network, call, kind, words):
    net = network(backend)
    state, weights = net._state, bytes_of(net)
    with pytest.raises(bp.PortableBPError) as caught:
        call(net)
    assert type(caught.value) is kind
    assert_one_line_with(caught.value, words)
    assert net._state == state
    assert net._optimizer is None
    assert net.epoch == 0
    assert bytes_of(net) == weights


def test_a_refusal_leaves_a_trained_network_where_it_was(backend):
    net, twin = classifier(backend), classifier(backend)
    for one in (net, twin):
        one.fit(X, LABELS, optimizer=bp.Adam(0.1), epochs=2, batch_size=4)
    with pytest.raises(bp.ShapeError):
        net.fit(X, LABELS[:4], optimizer=bp.SGD(0.5))
    for one in (net, twin):
        one.fit(X, LABELS, epochs=2, batch_size=4)
    assert net.epoch == 4
    assert bytes_of(net) == bytes_of(twin)


# A construction, the class of the error, and words that its message has.
CONSTRUCTIONS = {
    "no layer": (lambda: bp.Network([], bp.MeanSquaredError()), bp.ConfigurationError, ["at least one layer"]),
    "a layer without a list": (
        lambda: bp.Network(bp.Dense(4, 3), bp.MeanSquaredError()),
        bp.ConfigurationError,
        ["layers=Dense(", "give a list"],
    ),
    "the class of a layer": (
        lambda: bp.Network([bp.Dense(4, 3), bp.ReLU], bp.MeanSquaredError()),
        bp.ConfigurationError,
        ["layer 1", "the class ReLU", "an instance such as ReLU()"],
    ),
    "the name of a layer": (
        lambda: bp.Network(["relu"], bp.MeanSquaredError()),
        bp.ConfigurationError,
        ["layer 0 is 'relu'", "an instance such as ReLU()"],
    ),
    "layers that don't fit": (
        lambda: bp.Network([bp.Dense(4, 3), bp.Tanh(), bp.Dense(5, 2)], bp.MeanSquaredError()),
        bp.ShapeError,
        ["layer 2", "Dense(5, 2)", "(batch, 3)", "write Dense(3, 2)"],
    ),
    "the class of a loss": (
        lambda: bp.Network([bp.Dense(4, 3)], bp.MeanSquaredError),
        bp.ConfigurationError,
        ["MeanSquaredError'> is no loss", "give an instance such as"],
    ),
    "the name of a loss": (
        lambda: bp.Network([bp.Dense(4, 3)], "mse"),
        bp.ConfigurationError,
        ["loss='mse'", "give an instance such as SoftmaxCrossEntropy()"],
    ),
    "half precision": (
        lambda: classifier(dtype="float16"),
        bp.ConfigurationError,
        ["dtype='float16'", "write one of 'float32', 'float64'"],
    ),
    "a dtype of NumPy": (
        lambda: classifier(dtype=np.float32),
        bp.ConfigurationError,
        ["numpy.float32", "write one of 'float32', 'float64'"],
    ),
    "a fraction as seed": (lambda: classifier(seed=1.5), bp.ConfigurationError, ["seed=1.5", "a whole number"]),
    "no seed": (lambda: classifier(seed=None), bp.ConfigurationError, ["seed=None", "a whole number"]),
    "a truth as seed": (lambda: classifier(seed=True), bp.ConfigurationError, ["seed=True", "a whole number"]),
    "an input shape that doesn't fit": (
        lambda: classifier(input_shape=(5,)),
        bp.ShapeError,
        ["layer 0", "(batch, 5)", "write Dense(5, 3)"],
    ),
    **{
        f"an input shape {shape!r}": (
            lambda shape=shape: bp.Network([bp.Flatten()], bp.MeanSquaredError(), input_shape=shape),
            bp.ConfigurationError,
            [f"input_shape={shape!r}", "such as (28, 28)"],
        )
        for shape in (4, (), "44", (0,), (-2, -2), (2.0,), (True,))
    },
    "parameters of another library": (
        lambda: regression(params=[{"weight": [[0.0] * 3] * 4, "bias": [[0.0] * 3]}]),
        bp.ShapeError,
        ["'weight': (4, 3)", "got {'weight': ()", "give these"],
    ),
    # Layers
    "Dense(0, 3)": (lambda: bp.Dense(0, 3), bp.ConfigurationError, ["n_in=0", "whole number of at least 1"]),
    "Dense(3, -1)": (lambda: bp.Dense(3, -1), bp.ConfigurationError, ["n_out=-1", "whole number of at least 1"]),
    "Dense(3.0, 3)": (lambda: bp.Dense(3.0, 3), bp.ConfigurationError, ["n_in=3.0", "whole number of at least 1"]),
    "Dense('3', 3)": (lambda: bp.Dense("3", 3), bp.ConfigurationError, ["n_in='3'", "whole number of at least 1"]),
    "Dense(3, 3, He())": (
        lambda: bp.Dense(3, 3, bp.He()),
        bp.ConfigurationError,
        ["bias=He(", "True or False", "weight_init= takes initializers"],
    ),
    "Dense with a name": (
        lambda: bp.Dense(3, 3, weight_init="he"),
        bp.ConfigurationError,
        ["weight_init='he'", "give an instance such as He()"],
    ),
    "Dense with a class": (
        lambda: bp.Dense(3, 3, bias_init=bp.Zeros),
        bp.ConfigurationError,
        ["bias_init=<class", "give an instance such as He()"],
    ),
    **{
        f"Dropout({rate!r})": (
            lambda rate=rate: bp.Dropout(rate),
            bp.ConfigurationError,
            [f"rate={rate!r}", "at least 0 and below 1"],
        )
        for rate in (1.0, -0.1, NAN, "half", np.float32(1.5))
    },
    **{
        f"LeakyReLU({slope!r})": (
            lambda slope=slope: bp.LeakyReLU(slope),
            bp.ConfigurationError,
            [f"slope={slope!r}", "at least 0 and below 1"],
        )
        for slope in (-1, 1, NAN, None)
    },
    **{
        f"ELU({alpha!r})": (
            lambda alpha=alpha: bp.ELU(alpha),
            bp.ConfigurationError,
            [f"alpha={alpha!r}", "finite number above 0"],
        )
        for alpha in (0, -1.0, NAN, float("inf"), "1")
    },
    **{
        f"Flatten({axes!r})": (
            lambda axes=axes: bp.Flatten(axes),
            bp.ConfigurationError,
            [f"axes={axes!r}", "None for all but the first"],
        )
        for axes in (0, -1, 1.5, "all")
    },
    "a reduction": (
        lambda: bp.BinaryCrossEntropy("average"),
        bp.ConfigurationError,
        ["BinaryCrossEntropy", "reduction='average'", "write 'mean' or 'sum'"],
    ),
    # Optimizers
    **{
        f"Adam({rate!r})": (
            lambda rate=rate: bp.Adam(rate),
            bp.ConfigurationError,
            [f"Adam got learning_rate={rate!r}", "a finite number of at least 0"],
        )
        for rate in (-1, NAN, float("inf"), True, "fast", None, [0.1])
    },
    "Adam(beta1=1)": (lambda: bp.Adam(beta1=1), bp.ConfigurationError, ["beta1=1:", "at least 0 and below 1"]),
    "Adam(epsilon=0)": (lambda: bp.Adam(epsilon=0), bp.ConfigurationError, ["epsilon=0:", "finite number above 0"]),
    "AdamW(weight_decay=-1)": (
        lambda: bp.AdamW(weight_decay=-1),
        bp.ConfigurationError,
        ["AdamW got weight_decay=-1", "at least 0"],
    ),
    "SGD(-1)": (lambda: bp.SGD(-1), bp.ConfigurationError, ["SGD got learning_rate=-1", "at least 0"]),
    "AdaGrad(-1)": (lambda: bp.AdaGrad(-1), bp.ConfigurationError, ["AdaGrad got learning_rate=-1", "at least 0"]),
    "RMSProp(rho=1.0)": (lambda: bp.RMSProp(rho=1.0), bp.ConfigurationError, ["rho=1.0", "below 1"]),
    "Momentum(0.1, 1.0)": (lambda: bp.Momentum(0.1, 1.0), bp.ConfigurationError, ["momentum=1.0", "below 1"]),
    "Nesterov(0.1, -0.1)": (lambda: bp.Nesterov(0.1, -0.1), bp.ConfigurationError, ["momentum=-0.1", "at least 0"]),
    "L2(SGD(), -1)": (lambda: bp.L2(bp.SGD(), -1), bp.ConfigurationError, ["L2 got strength=-1", "at least 0"]),
    "L2(0.1, SGD())": (
        lambda: bp.L2(0.1, bp.SGD()),
        bp.ConfigurationError,
        ["L2 got inner=0.1", "give an optimizer such as SGD(0.1)"],
    ),
    "ClipByGlobalNorm(SGD(), 0)": (
        lambda: bp.ClipByGlobalNorm(bp.SGD(), 0),
        bp.ConfigurationError,
        ["ClipByGlobalNorm got max_norm=0", "a finite number above 0"],
    ),
    "ClipByGlobalNorm(SGD, 1)": (
        lambda: bp.ClipByGlobalNorm(bp.SGD, 1),
        bp.ConfigurationError,
        ["ClipByGlobalNorm got inner=<class", "give an optimizer such as SGD(0.1)"],
    ),
    "DecoupledWeightDecay('sgd', 0.1)": (
        lambda: bp.DecoupledWeightDecay("sgd", 0.1),
        bp.ConfigurationError,
        ["DecoupledWeightDecay got inner='sgd'", "give an optimizer such as SGD(0.1)"],
    ),
    "DecoupledWeightDecay around a wrapper": (
        lambda: bp.DecoupledWeightDecay(bp.L2(bp.SGD(), 0.1), 0.1),
        bp.ConfigurationError,
        ["inner=L2(", "no learning_rate", "the other wrapper outside"],
    ),
    # Backends
    "a backend misspelt": (
        lambda: bp.get_backend("nunpy"),
        bp.BackendError,
        ["no backend 'nunpy'", "installed are cupy, jax, numpy, torch"],
    ),
    "no name of a backend": (lambda: bp.get_backend(""), bp.BackendError, ["no backend ''", "installed are"]),
    "numpy:gpu": (lambda: classifier("numpy:gpu"), bp.BackendError, ["no device 'gpu'", "write 'numpy'"]),
}


@pytest.mark.parametrize(("call", "kind", "words"), CONSTRUCTIONS.values(), ids=CONSTRUCTIONS.keys())
def test_what_can_not_be_built_is_refused_with_value_and_cure(call, kind, words):
    with pytest.raises(bp.PortableBPError) as caught:
        call()
    assert type(caught.value) is kind
    assert_one_line_with(caught.value, words)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("torch:nonsense", ["no device 'nonsense'", "here are cpu"]),
        ("torch:cuda:99", ["can't compute on 'cuda:99'", "here are cpu"]),
        ("torch:meta", ["can't compute on 'meta", "here are cpu"]),
        ("jax:nonsense", ["no device 'nonsense'", "here are ", "cpu:0"]),
        ("jax:cpu:99", ["no device 'cpu:99'", "here are ", "cpu:0"]),
    ],
)
def test_an_unknown_device_is_answered_with_the_known_ones(spec, words):
    pytest.importorskip(spec.partition(":")[0])
    with pytest.raises(bp.BackendError) as caught:
        classifier(spec)
    assert_one_line_with(caught.value, words)


def test_cupy_says_what_to_install_where_it_can_not_run():
    try:
        bp.get_backend("cupy")
    except bp.BackendError as error:
        refusal = error
    else:
        pytest.skip("CuPy runs here")
    assert_one_line_with(refusal, ["backend 'cupy'"])
    assert any(cure in str(refusal) for cure in ("pip install 'portable-bp[cuda", "install NVIDIA's driver"))


FOREIGN = {
    "torch to numpy": ("torch", "numpy", "x.numpy(force=True)"),
    "torch to jax": ("torch", "jax", "x.numpy(force=True)"),
    "jax to numpy": ("jax", "numpy", "numpy.asarray(x)"),
    "jax to torch": ("jax", "torch", "numpy.asarray(x)"),
    "cupy to numpy": ("cupy", "numpy", "cupy.asnumpy(x)"),
    "cupy to torch": ("cupy", "torch", "cupy.asnumpy(x)"),
    "numpy to torch": ("numpy", "torch", None),
    "numpy to jax": ("numpy", "jax", None),
    "numpy to cupy": ("numpy", "cupy", None),
}


def backends_or_skip(*specs):
    try:
        return [bp.get_backend(spec) for spec in specs]
    except bp.BackendError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("origin", "home", "cure"), FOREIGN.values(), ids=FOREIGN.keys())
def test_arrays_of_another_library_are_refused_but_numpys_are_taken(origin, home, cure):
    source, target = backends_or_skip(origin, home)
    with source.activate():
        x = source.asarray(X)
    net = classifier(target)
    if cure is None:
        np.testing.assert_array_equal(net.predict(x), net.predict(X))
        return
    with pytest.raises(bp.DataError) as caught:
        net.predict(x)
    assert_one_line_with(
        caught.value,
        [f"x is an array of {origin}", repr(target.spec), cure, f"build the network with backend={origin!r}"],
    )


def test_labels_weights_and_parameters_of_another_library_are_refused_by_name():
    source, target = backends_or_skip("torch", "numpy")
    net, foreign = classifier(target), source.asarray(LABELS)
    params = [{"weight": source.asarray(np.zeros((4, 3))), "bias": source.asarray(np.zeros((1, 3)))}]
    calls = {
        "y is an array of torch": lambda: net.fit(X, foreign),
        "validation y is an array of torch": lambda: net.fit(X, LABELS, validation=(X, foreign)),
        "sample_weight is an array of torch": lambda: net.fit(X, LABELS, sample_weight=foreign),
        "params[0]['weight'] is an array of torch": lambda: setattr(net, "params", params),
    }
    for words, call in calls.items():
        with pytest.raises(bp.DataError) as caught:
            call()
        assert_one_line_with(caught.value, [words, ".numpy(force=True)"])


def test_arrays_of_any_library_of_the_standard_are_refused_with_its_name():
    strict = pytest.importorskip("array_api_strict")
    for spec in ("numpy", "torch", "jax"):
        (home,) = backends_or_skip(spec)
        with pytest.raises(bp.DataError) as caught:
            classifier(home).fit(X, LABELS, validation=(strict.asarray(X), LABELS))
        words = ["validation x is an array of array_api_strict", repr(home.spec), "give numpy.from_dlpack(x) for the"]
        assert_one_line_with(caught.value, words)
        assert "build the network" not in str(caught.value)
    np.testing.assert_array_equal(np.from_dlpack(strict.asarray(X)), X)  # the cure


def test_the_cure_for_another_library_s_validation_set_is_python():
    source, target = backends_or_skip("torch", "numpy")
    with pytest.raises(bp.DataError) as caught:
        classifier(target).fit(X, LABELS, validation=(source.asarray(X), LABELS))
    assert_one_line_with(caught.value, ["give x.numpy(force=True) for the validation set, or build the network"])


def test_arrays_on_another_device_of_the_same_library_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(bp.DataError) as caught:
        classifier("torch").predict(torch.zeros((6, 4), device="meta"))
    assert_one_line_with(caught.value, ["an array of torch on meta", "computes on 'torch:cpu'", "or move it there"])


def test_complex_arrays_on_the_device_are_refused(backend):
    with backend.activate():
        x = backend.asarray(X + 1j)
    with pytest.raises(bp.DataError) as caught:
        classifier(backend).predict(x)
    assert_one_line_with(caught.value, ["complex128", "it must hold real numbers"])


ACCEPTED = {
    "lists": lambda x, y: (x.tolist(), y.tolist()),
    "tuples": lambda x, y: (tuple(map(tuple, x.tolist())), tuple(y.tolist())),
    "integers": lambda x, y: (x.astype(np.int32), y.astype(np.uint8)),
    "float32": lambda x, y: (x.astype(np.float32), y.astype(np.int32)),
    "float16": lambda x, y: (x.astype(np.float16), y.astype(np.int8)),
    "big-endian numbers": lambda x, y: (x.astype(">f8"), y.astype(">i4")),
    "every other row": lambda x, y: (np.repeat(x, 2, axis=0)[::2], np.repeat(y, 2)[::2]),
    "columns first": lambda x, y: (np.asfortranarray(x), y),
    "backwards": lambda x, y: (x[::-1].copy()[::-1], y[::-1].copy()[::-1]),
}


@pytest.mark.parametrize("form", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_whatever_numpy_reads_as_numbers_is_accepted(backend, form):
    """The inputs are small whole numbers, which every one of these dtypes holds."""
    x, net = np.round(24 * X), classifier(backend)
    given_x, given_y = form(x, LABELS)
    (value, grads), (plain_value, plain_grads) = net.gradients(given_x, given_y), net.gradients(x, LABELS)
    assert value == plain_value
    for name, array in grads[0].items():
        np.testing.assert_array_equal(backend.to_numpy(array), backend.to_numpy(plain_grads[0][name]))
    np.testing.assert_array_equal(net.predict(given_x), net.predict(x))


def test_booleans_are_accepted_as_inputs_and_targets(backend):
    net = regression(backend)
    assert net.evaluate(X > 0.5, ROWS > 0.5) == net.evaluate((X > 0.5) * 1.0, ROWS)


def test_booleans_are_accepted_as_the_labels_0_and_1(backend):
    net, truths = classifier(backend), LABELS > 0
    with backend.activate():
        on_device = backend.asarray(truths)
    expected = net.evaluate(X, truths.astype(int))
    assert [net.evaluate(X, given) for given in (truths, truths.tolist(), on_device)] == [expected] * 3


def test_the_cure_for_strings_as_labels_trains():
    words = ["iris", "rose", "tulip", "iris", "rose", "tulip"]
    names, y = np.unique(words, return_inverse=True)
    net = classifier()
    net.fit(X, y, validation=(X, np.searchsorted(names, words)))
    assert net.score(X, y) == net.score(X, LABELS)


def test_class_weights_take_rows_with_one_largest_number_as_classes():
    smoothed = 0.9 * ROWS + 0.1 / 3
    by_class, by_sample = multi_label(), multi_label()
    by_class.fit(X, smoothed, class_weight=[1, 2, 3])
    by_sample.fit(X, smoothed, sample_weight=LABELS + 1)
    assert bytes_of(by_class) == bytes_of(by_sample)


def test_move_copies_an_own_array_on_request_and_else_takes_it_as_it_is(backend):
    with backend.activate():
        own = backend.asarray(np.ones((2, 3), np.float32))
        copied = inputs.move(backend, own, "w", "float32", copy=True)
        cast = inputs.move(backend, own, "w", "float64", copy=True)
    assert copied is not own
    assert backend.owns(copied)
    assert copied.dtype == own.dtype
    assert (backend.to_numpy(cast).dtype, backend.to_numpy(cast).tolist()) == (np.float64, [[1.0] * 3] * 2)
    if not isinstance(own, np.ndarray):  # NumPy's arrays are the host's, and always copied
        assert inputs.move(backend, own, "w", "float32") is own


@pytest.mark.parametrize("spec", ["numpy", "torch"])
def test_a_write_into_an_array_does_not_reach_its_copy(spec):
    (backend,) = backends_or_skip(spec)
    own = backend.asarray(np.ones((2, 3), np.float32))
    copied = inputs.move(backend, own, "w", "float32", copy=True)
    own *= 0
    assert backend.to_numpy(copied).tolist() == [[1.0] * 3] * 2


def test_a_single_output_takes_targets_without_a_column(backend):
    net = binary(backend)
    assert net.evaluate(X, HALVES) == net.evaluate(X, HALVES[:, None])


def test_the_users_arrays_are_not_written_into(backend):
    x, y = X.copy(), LABELS.copy()
    x.flags.writeable = y.flags.writeable = False
    classifier(backend).fit(x, y, epochs=2, batch_size=4)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, LABELS)


def test_a_network_does_not_share_memory_with_the_parameters_that_it_was_given(backend):
    weight, bias = np.ones((4, 3), np.float32), np.ones((1, 3), np.float32)
    net = regression(backend, params=[{"weight": weight, "bias": bias}])
    weight[:] = 0
    assert np.all(backend.to_numpy(net.params[0]["weight"]) == 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_on_the_device_are_used_without_a_copy_to_the_host(backend, dtype, monkeypatch):
    with backend.activate():
        x, y, rows = (backend.asarray(array) for array in (X.astype(dtype), LABELS, ROWS.astype(dtype)))
    nets, read = (classifier(backend), regression(backend)), []
    to_numpy = backend.to_numpy
    monkeypatch.setattr(backend, "to_numpy", lambda array: read.append(tuple(array.shape)) or to_numpy(array))
    if not isinstance(x, np.ndarray):  # NumPy's own arrays are the host's
        monkeypatch.setattr(inputs, "_host", lambda value, name: pytest.fail(f"{name} was read on the host"))
    for net, target in zip(nets, (y, rows), strict=True):
        net.fit(x, target, batch_size=4, validation=(x, target))
        net.evaluate(x, target)
        net.gradients(x, target)
        net.forward(x)
    assert read == [(5,), (2,)] * 2  # two losses and whether they are finite; loss and accuracy, twice


@pytest.mark.parametrize("at_once", [1, 7, 10, 11, 1000])
def test_what_is_not_finite_is_found_wherever_it_lies(at_once, backend, monkeypatch):
    monkeypatch.setattr(inputs, "LOOKED_AT", at_once)
    for place in [(0, 0), (3, 4), (6, 4)]:
        x = np.zeros((7, 5))
        assert inputs.require_finite(backend, backend.asarray(x), "x").shape == (7, 5)
        x[place] = np.inf
        with pytest.raises(bp.DataError, match=rf"1 values .* at \[{place[0]}, {place[1]}\]"):
            inputs.require_finite(backend, backend.asarray(x), "x")
