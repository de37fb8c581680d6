"""Members of a population are the networks trained alone: to the last bit in reproducible arithmetic."""

import numpy as np
import pytest

import portable_bp as bp
import portable_bp.populations.training
from portable_bp.numbers import Numbers

X, Y = np.random.default_rng(0).normal(size=(20, 6)), np.arange(20) % 3
EPOCHS = [4, 2, 5]
RULES = {
    "SGD": lambda k: bp.SGD(0.1 + 0.07 * k),
    "Momentum": lambda k: bp.Momentum(0.1 + 0.03 * k, 0.3 + 0.1 * k),
    "Adam": lambda k: bp.Adam(0.013 + 0.011 * k, 0.9 - 0.07 * k, 0.99 + 0.0013 * k, 1e-8 * (k + 1)),
    "AdamW with a schedule": lambda k: bp.AdamW(bp.CosineDecay(0.01, 9), 0.9 - 0.03 * k, weight_decay=0.01 * k),
    "RMSProp": lambda k: bp.RMSProp(0.01 + 0.003 * k, 0.9 - 0.03 * k, 1e-8 * (k + 1)),
    "L2 of AdaGrad": lambda k: bp.L2(bp.AdaGrad(0.01 + 0.003 * k, 1e-9 * (k + 1)), 0.003 + 0.01 * k),
    "clipped and decayed": lambda k: bp.ClipByGlobalNorm(
        bp.DecoupledWeightDecay(bp.Nesterov(0.1 + 0.03 * k, 0.7 + 0.01 * k), 0.01 * k), 0.2 + 0.13 * k
    ),
}


def networks(count=3, seeds=None, dropout=True, **options):
    masks = [bp.Dropout(0.3)] if dropout else []
    layers = [bp.Dense(6, 5), bp.Tanh(), *masks, bp.Dense(5, 3)]
    return [bp.Network(layers, bp.SoftmaxCrossEntropy(), seed=s, **options) for s in seeds or range(count)]


def trained_both_ways(rule, epochs=EPOCHS, *, options=None, memory=2**28, **fit):
    """The same networks trained together and one after the other."""
    together, alone = (networks(len(epochs), **(options or {})) for _ in range(2))
    rules = [rule(k) for k in range(len(epochs))]
    bp.fit_together(together, X, Y, optimizers=rules, epochs=epochs, memory=memory, **fit)
    for network, own, length in zip(alone, rules, epochs, strict=True):
        network.fit(X, Y, optimizer=own, epochs=length, **fit)
    return together, alone


def measured(network):
    return {name: numbers for name, numbers in network.history.columns.items() if name != "seconds"}


@pytest.mark.parametrize("batch_size", [7, None])
@pytest.mark.parametrize("rule", RULES)
def test_every_member_has_the_bits_of_the_network_trained_alone(rule, batch_size):
    options = {"arithmetic": "reproducible"}
    together, alone = trained_both_ways(
        RULES[rule], options=options, batch_size=batch_size, validation=(X[:9], Y[:9]), measure_training=True
    )
    assert [one.digest() for one in together] == [one.digest() for one in alone]
    assert [measured(one) for one in together] == [measured(one) for one in alone]
    assert [(one.epoch, one.step) for one in together] == [(one.epoch, one.step) for one in alone]


@pytest.mark.parametrize("rule", ["SGD", "Momentum", "Adam"])
@pytest.mark.parametrize("spec", ["torch", "jax"])
def test_on_other_backends_too_with_the_bits_that_numpy_gives_alone(spec, rule):
    pytest.importorskip(spec)
    masks = {"dropout": rule == "Adam"}  # JAX takes seconds to compile them
    together, alone = (networks(backend=place, arithmetic="reproducible", **masks) for place in (spec, "numpy"))
    rules, epochs = [RULES[rule](k) for k in range(3)], [2, 1, 2]  # two of three are no reason to compile once more
    bp.fit_together(together, X, Y, optimizers=rules, epochs=epochs, batch_size=7)
    for network, own, length in zip(alone, rules, epochs, strict=True):
        network.fit(X, Y, optimizer=own, epochs=length, batch_size=7)
    assert [one.digest() for one in together] == [one.digest() for one in alone]


@pytest.mark.parametrize("batch_size", [7, None])
def test_native_arithmetic_agrees_within_rounding(batch_size, backend):
    together, alone = (networks(backend=place, dtype="float64") for place in (backend, "numpy"))
    rules, epochs = [RULES["Adam"](k) for k in range(3)], [2, 1, 2]
    bp.fit_together(together, X, Y, optimizers=rules, epochs=epochs, batch_size=batch_size)
    for one, other, own, length in zip(together, alone, rules, epochs, strict=True):
        other.fit(X, Y, optimizer=own, epochs=length, batch_size=batch_size)
        np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-10, atol=1e-12)
        assert one.history["loss"] == pytest.approx(other.history["loss"], rel=1e-10)


def test_the_result_does_not_depend_on_the_chunks():
    options = {"arithmetic": "reproducible"}
    epochs = [3, 1, 4, 1, 5]
    digests = {
        memory: [one.digest() for one in trained_both_ways(RULES["Adam"], epochs, options=options, memory=memory)[0]]
        for memory in (1, 20_000, 2**28)
    }
    assert digests[1] == digests[20_000] == digests[2**28]


def test_the_memory_limit_decides_how_many_members_are_trained_at_a_time(monkeypatch):
    seen = []
    group = portable_bp.populations.training.Group
    monkeypatch.setattr(
        "portable_bp.populations.grouping.Group",
        lambda members, *rest: seen.append(len(members)) or group(members, *rest),
    )
    bp.fit_together(networks(5), X, Y, epochs=1, memory=1)
    bp.fit_together(networks(5), X, Y, epochs=1)
    assert seen == [1, 1, 1, 1, 1, 5]


def test_a_further_training_goes_on_where_the_last_one_stopped():
    together, alone = (networks(3, arithmetic="reproducible") for _ in range(2))
    for some in ([0, 1, 2], [0, 1], [0, 1, 2]):  # the third has fewer steps at the last
        bp.fit_together([together[k] for k in some], X, Y, optimizers=bp.Adam(0.01), epochs=2, batch_size=7)
        for k in some:
            alone[k].fit(X, Y, optimizer=bp.Adam(0.01), epochs=2, batch_size=7)
    for one in (*together, *alone):
        one.fit(X, Y, epochs=1, batch_size=7)  # and alone with the optimizer's state
    assert [one.digest() for one in together] == [one.digest() for one in alone]
    assert [one.epoch for one in together] == [7, 7, 5]


@pytest.mark.parametrize("epochs", [[3, 3, 3, 3], [9, 1, 2, 8], [1, 1, 1, 30]])
def test_members_finish_one_by_one_each_after_its_own_epochs(epochs):
    together, alone = trained_both_ways(RULES["SGD"], epochs, options={"arithmetic": "reproducible"}, batch_size=None)
    assert [len(one.history) for one in together] == epochs
    assert [one.digest() for one in together] == [one.digest() for one in alone]


@pytest.mark.parametrize("batch_size", [7, None])
@pytest.mark.parametrize("early", [1e30, 1e4])
def test_a_diverged_member_ends_alone_and_the_others_never_know(batch_size, early):
    rates = [0.1, early, 0.2, 0.3]
    made = {"dropout": False, "arithmetic": "reproducible"}

    def squared():
        layers = [bp.Dense(6, 5), bp.Dense(5, 1)]
        return [bp.Network(layers, bp.MeanSquaredError(), seed=s, arithmetic=made["arithmetic"]) for s in range(4)]

    together, alone, y = squared(), squared(), X[:, :1] * 0.5
    histories = bp.fit_together(
        together, X, y, optimizers=[bp.SGD(rate / 10) for rate in rates], epochs=40, batch_size=batch_size
    )
    for k, network in enumerate(alone):
        if k == 1:
            with pytest.raises(bp.NonFiniteError) as raised:
                network.fit(X, y, optimizer=bp.SGD(rates[k] / 10), epochs=40, batch_size=batch_size)
        else:
            network.fit(X, y, optimizer=bp.SGD(rates[k] / 10), epochs=40, batch_size=batch_size)
    assert [history.error is None for history in histories] == [True, False, True, True]
    assert str(histories[1].error) == str(raised.value)
    assert [one.digest() for one in together] == [one.digest() for one in alone]
    assert [one.epoch for one in together] == [one.epoch for one in alone]
    assert [measured(one) for one in together] == [measured(one) for one in alone]


def test_batches_that_are_not_shuffled_and_weights_of_examples_are_the_same_for_all():
    together, alone = trained_both_ways(
        RULES["SGD"], options={"arithmetic": "reproducible"}, batch_size=7, shuffle=False, class_weight="balanced"
    )
    assert [one.digest() for one in together] == [one.digest() for one in alone]
    together, alone = trained_both_ways(
        RULES["SGD"], options={"arithmetic": "reproducible"}, batch_size=7, sample_weight=np.linspace(0, 2, 20)
    )
    assert [one.digest() for one in together] == [one.digest() for one in alone]


@pytest.mark.parametrize("batch_size", [3, None])
@pytest.mark.parametrize(
    "layers",
    [
        [bp.Flatten(), bp.Dense(6, 4), bp.ReLU(), bp.Dense(4, 3)],
        [bp.Dropout(0.4), bp.Flatten(), bp.Dense(6, 3)],
        [bp.Tanh(), bp.Flatten(), bp.Dense(6, 3)],
    ],
    ids=str,
)
def test_images_and_what_stands_before_the_first_dense_layer_get_the_leading_axis_too(layers, batch_size):
    x = X.reshape(20, 2, 3)
    together, alone = (
        [
            bp.Network(layers, bp.SoftmaxCrossEntropy(), seed=s, input_shape=(2, 3), arithmetic="reproducible")
            for s in (4, 5)
        ]
        for _ in range(2)
    )
    bp.fit_together(together, x, Y, epochs=3, batch_size=batch_size)
    for network in alone:
        network.fit(x, Y, epochs=3, batch_size=batch_size)
    assert [one.digest() for one in together] == [one.digest() for one in alone]


def test_numbers_compute_as_a_python_number_does_in_float32():
    """Were β an array of float32, 1 - β would be rounded twice: the members would lose their bits."""
    place = bp.get_backend("numpy")
    g = np.random.default_rng(1).normal(size=(2, 50, 3)).astype("float32")
    betas = [0.9, 0.99]
    both = Numbers(place.xp, np.reshape(betas, (2, 1, 1)))
    for found, rule in (
        ((1 - both) * g, lambda b: (1 - b) * g),
        (g + both * 0.3, lambda b: g + b * 0.3),
        (-both * g, lambda b: -b * g),
    ):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, np.stack([rule(b)[k] for k, b in enumerate(betas)]))
    twice_rounded = (1 - both.values.astype("float32")) * g
    assert not np.array_equal(twice_rounded, (1 - both) * g)


DIFFERENT = {
    "layer 0": lambda: bp.Network([bp.Dense(6, 5, bias=False), bp.Tanh(), bp.Dense(5, 3)], bp.SoftmaxCrossEntropy()),
    "layer 1": lambda: bp.Network([bp.Dense(6, 4), bp.ReLU(), bp.Dense(4, 3)], bp.SoftmaxCrossEntropy()),
    "number of inputs": lambda: bp.Network([bp.Dense(5, 5), bp.Tanh(), bp.Dense(5, 3)], bp.SoftmaxCrossEntropy()),
    "number of outputs": lambda: bp.Network([bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 4)], bp.SoftmaxCrossEntropy()),
    "loss": lambda: bp.Network([bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 3)], bp.MeanSquaredError()),
    "dtype": lambda: networks(1, dropout=False, dtype="float64")[0],
    "arithmetic": lambda: networks(1, dropout=False, arithmetic="reproducible")[0],
    "number of layers": lambda: networks(1)[0],
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_networks_that_differ_are_refused_by_the_first_difference(what):
    with pytest.raises(bp.ConfigurationError, match=rf"networks\[2\] has the {what} .* and networks\[0\]"):
        bp.fit_together([*networks(2, dropout=False), DIFFERENT[what]()], X, Y)


SAME = networks(1)[0]
REFUSED = {
    "optimizers[1] is Momentum and optimizers[0] SGD": {"optimizers": [bp.SGD(), bp.Momentum(), bp.SGD()]},
    "optimizers[1].learning_rate is Constant(initial=0.1) and optimizers[0].learning_rate 0.1": {
        "optimizers": [bp.SGD(0.1), bp.SGD(bp.Constant(0.1)), bp.SGD(0.1)]
    },
    "optimizers[2].inner is Momentum and optimizers[0].inner SGD": {
        "optimizers": [bp.L2(bp.SGD(), 0.1), bp.L2(bp.SGD(), 0.2), bp.L2(bp.Momentum(), 0.1)]
    },
    "a list of 3, one a network; got 2": {"optimizers": [bp.SGD()] * 2},
    "is no optimizer": {"optimizers": [bp.SGD()] * 2 + [0.1]},
    "epochs[1]=0": {"epochs": [1, 0, 1]},
    "epochs[2]=2147483648: it must be a whole number from 1 to 2147483647": {"epochs": [1, 1, 2**31]},
    "epochs must be one for all": {"epochs": 1.5},
    "memory=0": {"memory": 0},
    "networks is []: give a list of at least one Network": {"networks": []},
    "networks is a Network: give a list": {"networks": SAME},
    "networks is a list: give a list of at least one Network, and nothing else": {"networks": [SAME, "numpy"]},
    "networks[1] is networks[0] itself": {"networks": [SAME, SAME]},
}


@pytest.mark.parametrize("words", REFUSED)
def test_bad_arguments_are_refused_in_one_line_before_anything_is_trained(words):
    given = {"networks": networks(3), **REFUSED[words]}
    with pytest.raises(bp.ConfigurationError) as raised:
        bp.fit_together(given.pop("networks"), X, Y, **given)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
