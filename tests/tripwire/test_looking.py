"""The look at every array: when it is due, and that it sees each of them."""

from dataclasses import dataclass

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.step_arrays import state_arrays
from portable_bp.tripwire.looking import Look, looked_at, looking

X, LABELS = np.random.default_rng(0).normal(size=(10, 4)), np.arange(10) % 2


@dataclass(frozen=True)
class Spoiling(bp.Layer):
    """The identity but for one number that isn't finite, in its output or its gradient; what follows hides it."""

    forward_to: float = 1.0
    backward_to: float = 1.0

    def forward(self, xp, params, x):
        return x * self.forward_to, x

    def backward(self, xp, params, cache, dy):
        return dy * self.backward_to, {}


@dataclass(frozen=True)
class Hiding(bp.Layer):
    """Lets nothing through, in either direction."""

    def forward(self, xp, params, x):
        return xp.zeros_like(x), None

    def backward(self, xp, params, cache, dy):
        return xp.zeros_like(dy), {}


INFINITY = float("inf")
NETWORKS = {
    "finite": ([bp.Dense(4, 3), bp.Tanh(), bp.Dense(3, 2)], True),
    "an output": ([bp.Dense(4, 3), Spoiling(INFINITY), Hiding(), bp.Dense(3, 2)], False),
    "an output in front of all parameters": ([Spoiling(INFINITY), Hiding(), bp.Dense(4, 2)], False),
    "a δ": ([bp.Dense(4, 3), Hiding(), Spoiling(1.0, INFINITY), bp.Dense(3, 2)], False),
    "a δ that no training computes": ([Spoiling(1.0, INFINITY), bp.Dense(4, 2)], True),
}


def state_of(net):
    return net.start(bp.Adam(0.1))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_array_that_a_training_computes_is_seen(name, backend):
    layers, finite = NETWORKS[name]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=backend, input_shape=(4,))
    with backend.activate():
        data = net.preparation.batch(X, LABELS)
        for order in (1, backend.asarray(np.arange(10).reshape(2, 5))):
            epoch = Look(backend, net.model).epoch
            found = backend.to_numpy(epoch(state_of(net), *looked_at(data, order))[1])
            assert found.shape == (1,)
            assert found[0] == 0 if finite else np.isnan(found[0])


@pytest.mark.parametrize("symbol", ["m", "v"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_every_array_of_the_optimizer_is_seen(symbol, value, backend):
    net = bp.Network([bp.Dense(4, 2)], bp.SoftmaxCrossEntropy(), backend=backend)
    with backend.activate():
        data, state = net.preparation.batch(X, LABELS), state_of(net)
        state["optimizer"][symbol][0]["bias"] = backend.asarray(np.asarray([[0.0, value]], np.float32))
        after, flag = looking(backend.xp, net.model)(state, data)
        assert np.isnan(float(flag))
        assert after is state


def test_an_optimizer_may_keep_its_state_in_any_form():
    """Arrays that belong to layers are found in nested dicts and lists; counters and what belongs to none are not."""
    state = {"t": np.asarray(3), "norm": np.asarray(1.0), "inner": {"m": [{"weight": X}, {}]}, "flat": [LABELS]}
    found = state_arrays({"optimizer": state, "params": [{"weight": X}]})
    assert {place: array is X for place, array in found.items()} == {
        (0, "optimizer.inner.m.weight"): True, (0, "optimizer.flat"): False, (0, "params.weight"): True
    }  # fmt: skip


@pytest.mark.parametrize(("n", "batch", "steps"), [(8, 8, 512), (1000, 100, 512), (50_000, 128, 512), (9000, 9000, 8)])
def test_a_look_is_due_after_512_steps_on_at_most_128_examples(n, batch, steps):
    look = bp.Network([bp.Dense(4, 2)], bp.SoftmaxCrossEntropy()).preparation.look
    assert [look.due(batch, batch) for _ in range(steps)] == [False] * (steps - 1) + [True]


def test_looks_change_no_result_and_no_number_of_transfers():
    def trained(looked):
        net = bp.Network([bp.Dense(4, 3), bp.Dropout(0.3), bp.Dense(3, 2)], bp.SoftmaxCrossEntropy())
        if not looked:
            net.preparation.__dict__["look"] = None
        net.fit(X, LABELS, optimizer=bp.Adam(0.1), epochs=300, batch_size=4, progress=False)
        return net.digest()

    assert trained(True) == trained(False)
