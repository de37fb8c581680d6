"""Populations trained by a thread a member, against the plain loop, on the fake CuPy."""

import re

import fake_cupy
import numpy as np
import pytest
from fake_cupy import bare
from test_captured import around

import portable_bp as bp
from portable_bp.backend import Backend
from portable_bp.checking.cases import LAYERS, LOSSES, OPTIMIZERS
from portable_bp_cupy import CupyBackend
from portable_bp_cupy.compiled import CompiledEpoch
from portable_bp_cupy.threads import launching
from portable_bp_cupy.threads.registers import NAME
from portable_bp_numpy.replay import leaves_of

RNG = np.random.default_rng(5)
X, LABELS = RNG.normal(size=(12, 6)), RNG.integers(0, 4, 12)
CLOSE = {"float32": 2e-5, "float64": 1e-11}
NETWORK = [bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 4)]
OWN_NUMBERS = {
    "Adam, own numbers": lambda k: bp.Adam(0.013 + 0.011 * k, 0.9 - 0.07 * k, 0.99 + 0.0013 * k, 1e-8 * (k + 1)),
    "clipped and decayed, own numbers": lambda k: bp.ClipByGlobalNorm(
        bp.DecoupledWeightDecay(bp.Nesterov(0.1 + 0.03 * k, 0.7 + 0.01 * k), 0.01 * k), 0.2 + 0.13 * k
    ),
}
RULES = {**{name: lambda k, rule=rule: rule for name, rule in OPTIMIZERS.items()}, **OWN_NUMBERS}


@pytest.fixture
def compared(gpu, monkeypatch):
    """Every compiled epoch is held to the plain loop in each call; gives the list of those that were called."""
    made = []

    def compile_both(self, step, *, as_written=False):
        plain = Backend.compile(self, step)
        own = CompiledEpoch(self._cupy, self.xp, step, plain, exact=as_written, tf32=False)

        def epoch(state, data, orders):
            if own not in made:
                made.append(own)
            before = {path: np.array(array) for path, array in leaves_of(state)}
            (found, losses), (expected, expected_losses) = own(state, data, orders), plain(state, data, orders)
            pairs = [(losses, expected_losses)]
            pairs += [(array, dict(leaves_of(expected))[path]) for path, array in leaves_of(found)]
            for array, wanted in pairs:
                assert gpu.owns(array)
                tolerance = 0 if as_written else CLOSE[str(losses.dtype)]
                np.testing.assert_allclose(bare(array), bare(wanted), rtol=tolerance, atol=tolerance, strict=True)
            for path, array in leaves_of(state):
                np.testing.assert_array_equal(bare(array), before[path], err_msg=f"{path} was written into")
            return found, losses

        return epoch

    monkeypatch.setattr(CupyBackend, "compile", compile_both)
    return made


def networks(place, layers=NETWORK, loss=None, count=3, **options):
    loss = loss or bp.SoftmaxCrossEntropy()
    return [bp.Network(layers, loss, backend=place, seed=seed, **options) for seed in range(count)]


def require_threads(made, orders):
    """Require that threads trained, on batches of so many forms."""
    assert [epoch.kinds for epoch in made] == [["threads"] * orders]


@pytest.mark.parametrize(("dtype", "batch_size"), [("float64", 5), ("float32", None)])
@pytest.mark.parametrize("rule", RULES)
def test_every_optimizer_and_schedule_is_done_by_threads(gpu, compared, alone, rule, batch_size, dtype):
    alone(batch_size is None)
    rules = [RULES[rule](k) for k in range(3)]
    bp.fit_together(networks(gpu, dtype=dtype), X, LABELS, optimizers=rules, epochs=2, batch_size=batch_size)
    require_threads(compared, 1 if batch_size is None else 2)


@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)
def test_every_layer_is_done_by_threads(gpu, compared, alone, layer, shape, batch_size):
    alone(batch_size is None)
    made = networks(gpu, around(layer, shape, 6), dtype="float64", input_shape=(6,) if shape == (6,) else shape)
    x = X if shape == (6,) else X.reshape(12, *shape)
    bp.fit_together(made, x, LABELS, optimizers=bp.Adam(), epochs=2, batch_size=batch_size)
    require_threads(compared, 1 if batch_size is None else 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_is_done_by_threads_with_and_without_weights(gpu, compared, alone, loss, weighted):
    alone(weighted)
    target = LABELS if loss.target_kind == "labels" else np.eye(4)[LABELS]
    weights = {"sample_weight": RNG.random(12)} if weighted else {}
    made = networks(gpu, [bp.Dense(6, 4)], loss, dtype="float64")
    bp.fit_together(made, X, target, optimizers=bp.Momentum(), epochs=3, batch_size=None, **weights)
    require_threads(compared, 1)


FIRST = {
    "images": [bp.Flatten(), bp.Dense(6, 4)],
    "dropout of images": [bp.Dropout(0.4), bp.Flatten(), bp.Dense(6, 4)],
    "a function of images": [bp.Tanh(), bp.Flatten(), bp.Dense(6, 4)],
}


@pytest.mark.parametrize("batch_size", [None, 5, 11])
@pytest.mark.parametrize("layers", FIRST.values(), ids=FIRST)
def test_what_stands_before_the_first_dense_layer_is_done_by_threads(gpu, compared, alone, layers, batch_size):
    alone(batch_size is None)
    made = networks(gpu, layers, dtype="float64", input_shape=(2, 3))
    bp.fit_together(made, X.reshape(12, 2, 3), LABELS, optimizers=bp.SGD(), epochs=2, batch_size=batch_size)
    require_threads(compared, 1 if batch_size is None else 2)  # of 12 rows, 11 leave a batch of one


def test_batches_that_are_the_same_for_all_members_are_read_once_for_each(gpu, compared):
    bp.fit_together(networks(gpu, dtype="float64"), X, LABELS, epochs=2, batch_size=5, shuffle=False)
    require_threads(compared, 2)


def test_arrays_with_a_number_for_each_member_may_be_constants_of_the_step(gpu, compared):
    rates = gpu.asarray(np.asarray([0.1, 0.01, 0.001]).reshape(3, 1, 1))
    model = bp.backpropagation.Model([bp.Dense(6, 4)], bp.SoftmaxCrossEntropy())
    params = [{"weight": gpu.asarray(RNG.normal(size=(3, 6, 4))), "bias": gpu.asarray(np.zeros((3, 1, 4)))}]
    rule = bp.Adam(rates)
    state = {"params": params, "optimizer": rule.init(gpu.xp, params), "step": gpu.asarray(np.zeros((), np.int64))}
    epoch = gpu.compile(bp.backpropagation.training_step(gpu.xp, model, rule))
    epoch(*epoch(state, (gpu.asarray(X), gpu.asarray(LABELS)), [4])[:1], (gpu.asarray(X), gpu.asarray(LABELS)), [3])
    require_threads(compared, 1)


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("one", [True, False], ids=["a thread", "several"])
@pytest.mark.parametrize("middle", [[bp.ReLU()], [bp.Sigmoid(), bp.Dropout(0.3)]], ids=str)
def test_reproducible_arithmetic_keeps_its_bits(gpu, compared, alone, middle, batch_size, one):
    alone(one)
    layers = [bp.Dense(6, 3), *middle, bp.Dense(3, 2)]
    together, singly = (networks(place, layers, arithmetic="reproducible") for place in (gpu, "numpy"))
    rules = [bp.Momentum(0.1 + 0.03 * k, 0.3 + 0.1 * k) for k in range(3)]
    bp.fit_together(together, X[:8], LABELS[:8] % 2, optimizers=rules, epochs=[3, 2, 3], batch_size=batch_size)
    for network, rule, epochs in zip(singly, rules, [3, 2, 3], strict=True):
        network.fit(X[:8], LABELS[:8] % 2, optimizer=rule, epochs=epochs, batch_size=batch_size)
    assert [network.digest() for network in together] == [network.digest() for network in singly]
    assert set(compared[0].kinds) == {"threads"}


def test_only_native_arithmetic_rounds_quotients_as_it_likes(gpu, monkeypatch):
    seen, original = [], fake_cupy.RawModule.__init__

    def compiled(self, code, options):
        if NAME in code:
            seen.append(("-prec-div=false" in options, "log1p_straight(v" in code))
        original(self, code, options)

    monkeypatch.setattr(fake_cupy.RawModule, "__init__", compiled)
    layers = [bp.Dense(6, 2), bp.Softplus(), bp.Dense(2, 4)]
    for arithmetic in ("native", "reproducible"):
        made = networks(gpu, layers, arithmetic=arithmetic)
        bp.fit_together(made, X[:4], LABELS[:4], optimizers=bp.SGD(), epochs=2, batch_size=None)
    assert seen == [(True, True), (False, False)]


@pytest.mark.parametrize("batch_size", [None, 2])
def test_more_steps_than_a_launch_is_given_are_done_in_parts(gpu, compared, monkeypatch, batch_size):
    monkeypatch.setattr(launching, "STEPS", 4)
    bp.fit_together(networks(gpu, dtype="float64"), X, LABELS, optimizers=bp.Adam(), epochs=9, batch_size=batch_size)
    require_threads(compared, 1)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
def test_a_member_that_diverges_does_so_alone(gpu):
    layers, y = [bp.Dense(6, 5), bp.Dense(5, 1)], X[:, :1] * 0.5
    together, singly = (networks(place, layers, bp.MeanSquaredError(), 4, dtype="float64") for place in (gpu, "numpy"))
    rules = [bp.SGD(rate) for rate in (0.01, 1e30, 0.02, 1e3)]
    histories = bp.fit_together(together, X, y, optimizers=rules, epochs=[40, 40, 30, 40], batch_size=None)
    for network, rule, history, epochs in zip(singly, rules, histories, [40, 40, 30, 40], strict=True):
        if history.error is None:
            network.fit(X, y, optimizer=rule, epochs=epochs, batch_size=None)
        else:
            with pytest.raises(bp.NonFiniteError, match=re.escape(str(history.error))):
                network.fit(X, y, optimizer=rule, epochs=epochs, batch_size=None)
    assert [history.error is None for history in histories] == [True, False, True, False]
    for one, other in zip(together, singly, strict=True):
        np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-9)
        assert one.history["loss"] == pytest.approx(other.history["loss"], rel=1e-9)


def test_networks_too_large_for_a_thread_are_captured(gpu, compared):
    layers = [bp.Dense(6, 40), bp.Tanh(), bp.Dense(40, 4)]
    bp.fit_together(networks(gpu, layers, dtype="float64"), X, LABELS, optimizers=bp.Adam(), epochs=2, batch_size=None)
    assert compared[0].kinds == ["graph"]


def test_one_kernel_serves_any_number_of_members_and_steps(gpu, compared):
    before = len(fake_cupy.RawModule.sources)
    for count in (2, 3, 33):
        bp.fit_together(networks(gpu, count=count), X, LABELS, optimizers=bp.SGD(), epochs=count % 5, batch_size=None)
    assert len(set(fake_cupy.RawModule.sources[before:])) == 1
