"""A replayed recording against the plain loop: the same bits, whatever the step; and nothing allocated on the way."""

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import portable_bp as bp
from portable_bp.backend import Backend
from portable_bp.backpropagation import Model, training_step
from portable_bp.checking.cases import LAYERS, LOSSES, OPTIMIZERS
from portable_bp_numpy import chains, recording, replay

NUMPY = bp.get_backend("numpy")
RNG = np.random.default_rng(5)
X, LABELS = RNG.normal(size=(12, 6)), RNG.integers(0, 4, 12)
ONE_HOT = np.eye(4)[LABELS]
ORDER = np.stack([RNG.permutation(12)[:5] for _ in range(6)])


def leaves(tree):
    return dict(replay.leaves_of(tree))


def require_replayed(step, state, data, *orders):
    """Require that the step is recorded, and that the replay ends with the plain loop's bits."""

    def never(*_):
        raise AssertionError("the step was not recorded")

    before = {path: array.copy() for path, array in leaves(state).items()}
    with NUMPY.activate():
        found, losses = replay.CompiledEpoch(step, never)(state, data, orders)
        expected, expected_losses = Backend.compile(NUMPY, step)(state, data, orders)
    np.testing.assert_array_equal(losses, expected_losses)
    assert losses.dtype == expected_losses.dtype
    assert leaves(found).keys() == leaves(expected).keys()
    for path, array in leaves(expected).items():
        np.testing.assert_array_equal(leaves(found)[path], array, err_msg=str(path))
        assert leaves(found)[path].dtype == array.dtype
        np.testing.assert_array_equal(leaves(state)[path], before[path], err_msg=f"{path} was written into")


def network_step(layers, loss, rule, dtype):
    net = bp.Network(layers, loss, dtype=dtype, seed=3)
    return training_step(NUMPY.xp, net.model, NUMPY.lower(rule)), net.start(rule)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rule", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_optimizer_and_schedule_is_replayed_bit_for_bit(rule, dtype):
    step, state = network_step([bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 4)], bp.SoftmaxCrossEntropy(), rule, dtype)
    require_replayed(step, state, (X.astype(dtype), LABELS), ORDER)


def test_chains_cut_into_short_stretches_are_replayed_bit_for_bit(monkeypatch):
    monkeypatch.setattr(chains, "STRETCH", 7)
    for rule in OPTIMIZERS.values():
        layers = [bp.Dense(6, 5), bp.Sigmoid(), bp.Dense(5, 4)]
        step, state = network_step(layers, bp.SoftmaxCrossEntropy(), rule, "float64")
        require_replayed(step, state, (X, LABELS), ORDER)


@pytest.mark.parametrize("arithmetic", ["native", "reproducible"])
@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)
def test_every_layer_is_replayed_bit_for_bit(layer, shape, arithmetic):
    n_out = 4 if isinstance(layer, bp.Dense) else 6
    layers = [bp.Dense(6, 6), layer, bp.Dense(n_out, 4)] if shape == (6,) else [layer, bp.Dense(6, 4)]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), arithmetic=arithmetic)
    with NUMPY.activate():
        step = training_step(net.backend.xp, net.model, bp.Adam())
        require_replayed(step, net.start(bp.Adam()), (X.reshape(12, *shape).astype("float32"), LABELS), ORDER)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_is_replayed_bit_for_bit_with_and_without_weights(loss):
    target = LABELS if loss.target_kind == "labels" else ONE_HOT
    step, state = network_step([bp.Dense(6, 4)], loss, bp.Momentum(), "float64")
    require_replayed(step, state, (X, target), ORDER)
    require_replayed(step, state, (X, target, RNG.random(12)), ORDER)
    require_replayed(step, state, (X, target), ORDER, ORDER[:2, :3], 4)  # batches of 5 and 3, and the whole set


def test_a_population_with_rates_of_its_own_is_replayed_bit_for_bit():
    params = [{"weight": RNG.normal(size=(3, 6, 4)), "bias": np.zeros((3, 1, 4))}]
    rule = bp.Adam(np.asarray([0.1, 0.01, 0.001]).reshape(3, 1, 1))
    state = {"params": params, "optimizer": rule.init(NUMPY.xp, params), "step": np.zeros((), np.int64)}
    model = Model([bp.Dense(6, 4)], bp.SoftmaxCrossEntropy())
    require_replayed(training_step(NUMPY.xp, model, rule), state, (X, LABELS), ORDER)


STATE = {"a": np.arange(4.0), "b": np.ones(4), "n": np.zeros((), np.int64), "more": [{"c": np.full((2, 2), 3.0)}]}
AWKWARD = {
    "exchanged": lambda s, x: {**s, "a": s["b"], "b": s["a"]},
    "rotated by way of views": lambda s, x: {**s, "a": np.flip(s["b"]), "b": np.flip(s["a"])},
    "the same twice": lambda s, x: {**s, "a": s["a"] + x, "b": s["a"] + x},
    "constant": lambda s, x: {**s, "a": np.full(4, 7.0)},
    "read after its successor": lambda s, x: {**s, "a": s["a"] * 2, "b": (s["a"] * 2) * s["a"] + np.flip(s["a"])},
    "the successor is a view of the successor": lambda s, x: {**s, "a": (s["a"] + x)[::-1], "b": s["a"] + x},
    "reshaped": lambda s, x: {**s, "more": [{"c": s["more"][0]["c"].__class__ and np.reshape(s["a"] * x, (2, 2))}]},
    "counted and used": lambda s, x: {**s, "n": s["n"] + 1, "a": s["a"] * (s["n"] + 1)},
    "where over itself": lambda s, x: {**s, "a": np.where(s["a"] > 1, s["a"] * 2, s["a"] - 1)},
    "a product with itself": lambda s, x: {
        **s, "more": [{"c": np.matmul(s["more"][0]["c"], np.matrix_transpose(s["more"][0]["c"]))}]
    },
}  # fmt: skip


@pytest.mark.parametrize("change", AWKWARD.values(), ids=AWKWARD)
def test_awkward_changes_of_the_state_are_replayed_bit_for_bit(change):
    def step(state, batch):
        return change(state, np.sum(batch[0], axis=0)), np.sum(state["a"]) + np.sum(state["b"])

    require_replayed(step, STATE, (RNG.normal(size=(12, 4)),), ORDER)


def take_down(change, state=STATE):
    """Record a step that changes the state by ``change``; raises NotRecordable where that can't be."""

    def step(state, batch):
        return change(state, np.sum(batch[0], axis=0)), np.sum(state["a"])

    with NUMPY.activate():
        return replay.Replayed(step, state, (np.ones((3, 4)),))


UNRECORDABLE = {
    "another shape": lambda s, x: {**s, "a": np.sum(s["a"], keepdims=True)},
    "another dtype": lambda s, x: {**s, "a": s["a"].astype("float32")},
    "a branch on a value": lambda s, x: {**s, "a": s["a"] if s["a"][0] > 0 else x},
    "as many as a mask selects": lambda s, x: {**s, "a": s["a"] * np.sum(s["a"][s["a"] > 1])},
    "as many as are not zero": lambda s, x: {**s, "a": s["a"] * np.nonzero(s["a"])[0].shape[0]},
    "as many as are true": lambda s, x: {**s, "a": s["a"] * np.where(s["a"] > 1)[0].shape[0]},
    "as many as differ": lambda s, x: {**s, "a": s["a"] * np.unique(s["a"]).shape[0]},
    "as often as a value says": lambda s, x: {**s, "a": np.repeat(s["a"], s["n"] + 1)[:4]},
    "written into": lambda s, x: {**s, "a": np.add(s["a"], x, out=np.zeros(4))},
}


@pytest.mark.parametrize("change", UNRECORDABLE.values(), ids=UNRECORDABLE)
def test_what_could_differ_from_batch_to_batch_is_not_recorded(change):
    with pytest.raises(recording.NotRecordable):
        take_down(change)


def test_single_numbers_in_the_state_are_read_before_they_change():
    def step(state, batch):
        rate, g = state["rates"][0]["r"], np.sum(batch[0], axis=0)
        mean = [{"mean": own["mean"] * (1 - rate) + rate * (g + i)} for i, own in enumerate(state["avg"])]
        return {"rates": [{"r": rate * 0.5}], "avg": mean}, np.sum(g)

    state = {"rates": [{"r": np.asarray(0.5)}], "avg": [{"mean": np.ones(4)}, {"mean": np.zeros(4)}]}
    require_replayed(step, state, (RNG.normal(size=(12, 4)),), ORDER)


def test_signs_of_zeros_and_conditions_that_are_numbers_are_kept():
    signs = np.asarray([0.0, -0.0, 0.0, -0.0])

    def step(state, batch):
        x = np.sum(batch[0], axis=0)
        return {"a": np.where(np.floor(x), np.copysign(state["a"], signs), x**2 + x**-1)}, np.sum(x)

    require_replayed(step, {"a": np.ones(4)}, (RNG.normal(size=(12, 4)),), ORDER)


def test_a_planned_recording_holds_no_arrays_of_the_run_and_few_are_kept():
    step, state = network_step([bp.Dense(6, 4)], bp.SoftmaxCrossEntropy(), bp.Adam(), "float64")
    epoch = replay.CompiledEpoch(step, None)
    with NUMPY.activate():
        for size in range(1, 9):
            epoch(state, (X, LABELS), [ORDER[:, :size][:1]])
    assert len(epoch._recordings) == replay.KEPT
    chained = [chain for one in epoch._recordings.values() for group in one._program._joined for chain in group.members]
    assert chained
    assert all(node.value is None for chain in chained for node in (*chain.nodes, *chain.given))


UNARY = [np.negative, np.tanh, np.square, lambda x: np.sum(x, axis=0, keepdims=True) + 0 * x, np.flip]
BINARY = [np.add, np.multiply, np.maximum, np.matmul, lambda x, y: np.where(x > y, x, 0.5), lambda x, y: x - 2 * y.T]
UNARY_CHOICE = st.tuples(st.integers(0, len(UNARY) - 1), st.integers(0, 99))
BINARY_CHOICE = st.tuples(st.integers(0, len(BINARY) - 1), st.integers(0, 99), st.integers(0, 99))


@settings(max_examples=150, deadline=None)
@given(st.lists(UNARY_CHOICE | BINARY_CHOICE, min_size=1, max_size=14), st.lists(st.integers(0, 99), min_size=5))
def test_random_programs_are_replayed_bit_for_bit(program, chosen):
    """A wrong reuse of memory shows as wrong numbers: every program computes on 3 × 3 matrices, in any order."""

    def step(state, batch):
        known = [state["m"][0]["p"], state["m"][0]["q"], state["params"][0]["p"], state["params"][0]["q"], batch[0][0]]
        for which, *of in program:
            arguments = [known[i % len(known)] for i in of]
            known.append(np.tanh((UNARY if len(of) == 1 else BINARY)[which](*arguments)))
        p, q, v, w = (known[i % len(known)] for i in chosen[:4])
        return {"m": [{"p": p, "q": q}], "params": [{"p": v, "q": w}]}, np.sum(known[chosen[4] % len(known)])

    rng = np.random.default_rng(0)
    state = {slot: [{name: rng.normal(size=(3, 3)) for name in "pq"}] for slot in ("m", "params")}
    require_replayed(step, state, (rng.normal(size=(4, 3, 3)),), np.asarray([[0], [3], [1]]))


@dataclass(frozen=True)
class Branching(bp.Layer):
    """A layer that looks at a value, as no pure layer should."""

    def forward(self, xp, params, x):
        return (x if xp.max(x) > 100 else 2 * x), None

    def backward(self, xp, params, cache, dy):
        return 2 * dy, {}


def test_a_step_that_looks_at_values_runs_unrecorded():
    step, state = network_step(
        [bp.Dense(6, 6), Branching(), bp.Dense(6, 4)], bp.SoftmaxCrossEntropy(), bp.SGD(), "float64"
    )
    _, losses = NUMPY.compile(step)(state, (X, LABELS), [ORDER])
    _, expected_losses = Backend.compile(NUMPY, step)(state, (X, LABELS), [ORDER])
    np.testing.assert_array_equal(losses, expected_losses)
    with pytest.raises(AssertionError, match="not recorded"):
        require_replayed(step, state, (X, LABELS), ORDER)


def test_an_error_in_a_step_is_the_error_that_the_user_sees():
    def step(state, batch):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        NUMPY.compile(step)({"a": np.ones(2)}, (X,), [ORDER])


def allocated(width, rule):
    """Bytes that a replayed step holds at once beyond what was planned, at most."""
    net = bp.Network([bp.Dense(6, width), bp.ReLU(), bp.Dense(width, 4)], bp.SoftmaxCrossEntropy())
    x = X.astype("float32")
    with NUMPY.activate():
        step = training_step(NUMPY.xp, net.model, rule)
        replayed = replay.Replayed(step, net.start(rule), (x[:5], LABELS[:5]))
        replayed(leaves(net.start(rule)), (x, LABELS), ORDER)
        losses = np.empty(len(ORDER), np.float32)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            replayed.run((x, LABELS), ORDER, losses)
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("rule", [bp.SGD(), bp.Adam(), bp.ClipByGlobalNorm(bp.Momentum(), 1.0)], ids=str)
def test_a_step_allocates_nothing_that_grows_with_the_network(rule):
    """NumPy converts by way of a buffer of at most 8192 numbers; one hidden activation of the larger has 80,000."""
    small, large = allocated(2048, rule), allocated(16384, rule)
    assert large <= small + 1024, f"{small} bytes at width 2048, {large} at width 16384"
    assert large < 2 * 8192 * 4


def test_the_arrays_of_an_optimizer_lie_one_behind_the_other():
    net = bp.Network([bp.Dense(6, 5), bp.Tanh(), bp.Dense(5, 4)], bp.SoftmaxCrossEntropy())
    step = training_step(NUMPY.xp, net.model, bp.Adam())
    replayed = replay.Replayed(step, net.start(bp.Adam()), (X[:5].astype("float32"), LABELS[:5]))
    for slot in (("params",), ("optimizer", "m"), ("optimizer", "v")):
        arrays = [replayed.state[(*slot, *place)] for place in ((0, "weight"), (0, "bias"), (2, "weight"), (2, "bias"))]
        starts = [array.__array_interface__["data"][0] for array in arrays]
        assert np.diff(starts).tolist() == [array.nbytes for array in arrays[:-1]]
