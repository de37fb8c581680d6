"""Networks of different widths are padded to one: what is added changes nothing, and stays 0."""

import numpy as np
import pytest

import portable_bp as bp
import portable_bp.populations.training
from portable_bp.populations.padding import padded_groups
from portable_bp.testing import check_layer

X, Y = np.random.default_rng(0).normal(size=(20, 6)), np.arange(20) % 3
WIDTHS = [(7, 7), (8, 8), (7, 8), (8, 7), (3, 2)]
"""In reproducible arithmetic the first four are one group, the last is one of its own."""
EPOCHS = [3, 2, 4, 1, 3]
EXACT = "reproducible"
ACTIVATIONS = [bp.Sigmoid(), bp.Softplus(), bp.Tanh(), bp.ReLU(), bp.LeakyReLU(), bp.ELU(), bp.GELU(), bp.Identity()]
RULES = {
    "SGD": lambda k: bp.SGD(0.1 + 0.1 * k),
    "clipped, penalised AdamW": lambda k: bp.ClipByGlobalNorm(
        bp.L2(bp.AdamW(0.01 + 0.01 * k), 0.01 * k), 0.1 + 0.1 * k
    ),
    "RMSProp": lambda k: bp.RMSProp(0.01 + 0.003 * k),
    "decayed Nesterov": lambda k: bp.DecoupledWeightDecay(bp.Nesterov(0.05, 0.5 + 0.1 * k), 0.1),
}


def networks(activation, **options):
    start = {"bias_init": bp.Normal()}
    return [
        bp.Network(
            [bp.Dense(6, a, **start), activation, bp.Dense(a, b, **start), activation, bp.Dense(b, 3)],
            bp.SoftmaxCrossEntropy(),
            seed=seed,
            **options,
        )
        for seed, (a, b) in enumerate(WIDTHS)
    ]


def trained_both_ways(activation, rule, **options):
    together, alone = networks(activation, **options), networks(activation, **options)
    rules = [rule(k) for k in range(len(WIDTHS))]
    given = {"batch_size": 7, "validation": (X[:9], Y[:9]), "measure_training": True}
    bp.fit_together(together, X, Y, optimizers=rules, epochs=EPOCHS, **given)
    for network, own, length in zip(alone, rules, EPOCHS, strict=True):
        network.fit(X, Y, optimizer=own, epochs=length, **given)
    return together, alone


def measured(network):
    return {name: numbers for name, numbers in network.history.columns.items() if name != "seconds"}


def groups(activation, arithmetic):
    given = networks(activation, arithmetic=arithmetic)
    return [numbers for _, numbers in padded_groups(given[0], [(6, *widths, 3) for widths in WIDTHS])]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("activation", [bp.Sigmoid(), bp.ReLU()], ids=str)
def test_a_padded_member_has_the_bits_of_the_network_trained_alone(activation, rule):
    assert groups(activation, EXACT) == [[0, 1, 2, 3], [4]]
    together, alone = trained_both_ways(activation, RULES[rule], arithmetic=EXACT)
    assert [one.digest() for one in together] == [one.digest() for one in alone]
    assert [measured(one) for one in together] == [measured(one) for one in alone]


@pytest.mark.parametrize("memory", [1, 20_000])
def test_members_of_one_form_are_cut_into_chunks_with_the_same_results(memory):
    def made():
        layers = [[bp.Dense(6, n), bp.Sigmoid(), bp.Dense(n, 3)] for n in (7, 7, 8, 5, 5, 6)]
        return [bp.Network(own, bp.SoftmaxCrossEntropy(), seed=k, arithmetic=EXACT) for k, own in enumerate(layers)]

    chunks, whole = made(), made()
    for networks, bytes_ in ((chunks, memory), (whole, 2**28)):
        bp.fit_together(networks, X, Y, optimizers=bp.Momentum(0.2), epochs=2, batch_size=7, memory=bytes_)
    assert [one.digest() for one in chunks] == [one.digest() for one in whole]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_in_native_arithmetic_it_agrees_within_rounding_whatever_the_activation_is_at_0(activation):
    rule = RULES["clipped, penalised AdamW"]
    together, alone = trained_both_ways(activation, rule, dtype="float64")
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-9, atol=1e-11)
        for name, numbers in measured(one).items():
            assert numbers == pytest.approx(measured(other)[name], rel=1e-9)
        one.fit(X, Y, epochs=2)  # goes on alone with the optimizer's own state
        other.fit(X, Y, epochs=2)
        np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-9, atol=1e-11)


def test_what_is_measured_has_the_bits_too_where_an_added_unit_would_be_the_largest():
    """σ(0) = ½ beside σ(-30): exact products see their numbers to some 50 bits below the largest of a row."""

    def made():
        networks = []
        for n in (7, 8):
            layers = [bp.Dense(6, n), bp.Sigmoid(), bp.Dense(n, 1, bias=False)]
            net = bp.Network(layers, bp.MeanSquaredError(), arithmetic=EXACT)
            first, _, last = net.params
            net.params = [{**first, "bias": first["bias"] - 30}, {}, last]
            networks.append(net)
        return networks

    together, alone, y = made(), made(), np.zeros((20, 1))
    bp.fit_together(together, X, y, optimizers=bp.SGD(1e-3), epochs=3, measure_training=True)
    for network in alone:
        network.fit(X, y, optimizer=bp.SGD(1e-3), epochs=3, measure_training=True)
    assert [measured(one) for one in together] == [measured(one) for one in alone]
    assert 0 < together[0].history["training_loss"][-1] < 1e-20


@pytest.mark.parametrize("spec", ["torch", "jax"])
def test_on_other_backends_too_with_the_bits_that_numpy_gives_alone(spec):
    pytest.importorskip(spec)

    def made(place):
        layers = [[bp.Dense(6, n), bp.Sigmoid(), bp.Dense(n, 3)] for n in (7, 8)]
        return [bp.Network(own, bp.SoftmaxCrossEntropy(), backend=place, arithmetic=EXACT) for own in layers]

    together, alone = made(spec), made("numpy")
    bp.fit_together(together, X, Y, optimizers=bp.Momentum(0.2), epochs=2)
    for network in alone:
        network.fit(X, Y, optimizer=bp.Momentum(0.2), epochs=2)
    assert [one.digest() for one in together] == [one.digest() for one in alone]


@pytest.mark.parametrize("rule", RULES)
def test_what_is_added_stays_exactly_0(rule, monkeypatch):
    seen = []
    real = portable_bp.populations.training.Training._read
    monkeypatch.setattr(
        "portable_bp.populations.training.Training._read",
        lambda self, state, losses: seen.append(state["params"]) or real(self, state, losses),
    )
    together = networks(bp.Softplus())[:4]
    bp.fit_together(together, X, Y, optimizers=[RULES[rule](k) for k in range(4)], epochs=3, batch_size=7)
    first, _, second, _, last = seen[-1]
    assert first["weight"].shape == (4, 6, 8)
    for k, (a, b) in enumerate(WIDTHS[:4]):
        added = [
            first["weight"][k, :, a:],
            first["bias"][k, :, a:],
            second["weight"][k, a:],
            second["weight"][k, :, b:],
        ]
        for array in (*added, second["bias"][k, :, b:], last["weight"][k, b:]):
            assert not array.any()


def test_too_narrow_networks_and_layers_that_mix_units_make_groups_of_their_own():
    def grouped(between, *widths, arithmetic="native"):
        layers = [bp.Dense(6, 4), *between, bp.Dense(4, 3)]
        network = bp.Network(layers, bp.SoftmaxCrossEntropy(), arithmetic=arithmetic)
        return padded_groups(network, [(6, n, 3) for n in widths])

    assert grouped([bp.Tanh()], 2, 8, 3, 32, 2) == [((6, 32, 3), [1, 3]), ((6, 3, 3), [0, 2, 4])]
    exact = grouped([bp.Tanh()], 7, 8, 9, 10, arithmetic=EXACT)
    assert exact == [((6, 10, 3), [2, 3]), ((6, 8, 3), [0, 1])]
    of_whole_arrays = grouped([bp.Tanh()], 5, 8, arithmetic=EXACT)  # 30 and 48 weights
    assert of_whole_arrays == [((6, 8, 3), [1]), ((6, 5, 3), [0])]
    for mixing in (bp.Dropout(0.5), bp.Softmax()):
        assert grouped([mixing], 7, 8, 7) == [((6, 8, 3), [1]), ((6, 7, 3), [0, 2])]


@pytest.mark.parametrize("between", [[bp.Dropout(0.4)], [bp.Tanh(), bp.Softmax()]], ids=str)
def test_where_units_are_mixed_or_dropped_members_keep_their_bits_too(between):
    def made():
        layers = [[bp.Dense(6, n), *between, bp.Dense(n, 3)] for n in (7, 8, 7)]
        return [bp.Network(own, bp.SoftmaxCrossEntropy(), arithmetic=EXACT) for own in layers]

    together, alone = made(), made()
    bp.fit_together(together, X, Y, epochs=2, batch_size=7)
    for network in alone:
        network.fit(X, Y, epochs=2, batch_size=7)
    assert [one.digest() for one in together] == [one.digest() for one in alone]


def test_other_starts_are_no_difference():
    networks = [
        bp.Network([bp.Dense(6, 3, weight_init=init)], bp.SoftmaxCrossEntropy()) for init in (bp.He(), bp.LeCun())
    ]
    assert [len(history) for history in bp.fit_together(networks, X, Y)] == [1, 1]


def test_what_says_that_it_is_elementwise_is_checked():
    class Mixing(bp.Tanh):
        def forward(self, xp, params, x):
            return super().forward(xp, params, x - xp.mean(x, axis=-1, keepdims=True))

        def backward(self, xp, params, cache, dy):
            dx, grads = super().backward(xp, params, cache, dy)
            return dx - xp.mean(dx, axis=-1, keepdims=True), grads

    with pytest.raises(bp.GradientError, match="says that it is elementwise"):
        check_layer(Mixing(), (5,))

    class Root(bp.Tanh):
        def forward(self, xp, params, x):
            return 1 / x, x

        def backward(self, xp, params, cache, dy):
            return -dy / (cache * cache), {}

    with pytest.raises(bp.GradientError, match="must be finite at x = 0"):
        check_layer(Root(), (5,))


def test_a_padded_member_that_diverges_ends_as_alone_and_the_other_never_knows():
    def made():
        layers = [[bp.Dense(6, n), bp.Tanh(), bp.Dense(n, n), bp.Identity(), bp.Dense(n, 1)] for n in (7, 8)]
        return [bp.Network(own, bp.MeanSquaredError(), arithmetic=EXACT) for own in layers]

    together, alone, rules = made(), made(), [bp.SGD(30.0), bp.SGD(0.01)]
    histories = bp.fit_together(together, X, X[:, :1], optimizers=rules, epochs=9, batch_size=7)
    with pytest.raises(bp.NonFiniteError) as raised:
        alone[0].fit(X, X[:, :1], optimizer=rules[0], epochs=9, batch_size=7)
    alone[1].fit(X, X[:, :1], optimizer=rules[1], epochs=9, batch_size=7)
    assert str(histories[0].error) == str(raised.value)
    assert histories[1].error is None
    assert [one.digest() for one in together] == [one.digest() for one in alone]
