"""A training whose numbers stop being finite says in which step, layer and array, and what was measured there."""

import pickle
import re
from dataclasses import dataclass

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.training import Run
from portable_bp.tripwire.replaying import replay

NOISE = np.random.default_rng(0)
X = NOISE.normal(size=(40, 4))
LABELS = (X[:, 0] > 0).astype(int)
LINEAR = bp.datasets.linear()
SIZES = {"all at once": None, "batches": 10, "batches and a rest": 7}


def diverged(net, x, y, **options):
    """The error that stops this training."""
    with pytest.raises(bp.NonFiniteError) as caught:
        net.fit(x, y, progress=False, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("The network keeps the parameters from before this epoch")
    return caught.value


def place(error):
    return error.epoch, error.step, error.layer, error.array


def without_activations(backend="numpy", **options):
    """E2's network with two hidden layers of 8, and nothing but affine layers."""
    return bp.Network(
        [bp.Dense(2, 8), bp.Dense(8, 8), bp.Dense(8, 1)], bp.MeanSquaredError(), backend=backend, seed=1, **options
    )


def test_a_network_without_activations_is_stopped_with_step_layer_array_and_cause(backend):
    error = diverged(without_activations(backend), *LINEAR, optimizer=bp.SGD(2.0), epochs=10, batch_size=1)
    assert place(error) == (1, 4, "1 Dense", "y")
    assert str(error).startswith("the output of 1 Dense is ")
    assert " in step 4 of epoch 1: the outputs grew from step to step: 1.3, 9.6e+02, 1e+17; " in str(error)
    assert "the update of 0 Dense in step 3 was " in str(error)
    assert "no activation stands between 0 Dense and 1 Dense: put one there" in str(error)


def test_reproducible_arithmetic_gives_the_same_message_on_every_backend(backend):
    options = {"optimizer": bp.SGD(2.0), "epochs": 10, "batch_size": None}
    here, there = (
        diverged(without_activations(place, arithmetic="reproducible"), *LINEAR, **options)
        for place in (backend, "numpy")
    )
    assert str(here) == str(there)
    assert place(here) == place(there)


def network(*layers, loss=None, **options):
    return bp.Network(layers, loss or bp.SoftmaxCrossEntropy(), **options)


@pytest.mark.parametrize("size", SIZES)
def test_an_infinity_that_an_activation_hides_from_the_loss_is_found_within_1024_steps(size, backend):
    """σ(±∞) is 0 or 1: the loss stays finite, and so do all gradients."""
    net = network(bp.Dense(4, 8), bp.ReLU(), bp.Dense(8, 2), backend=backend)
    weight = np.full((4, 8), -3e38)
    net.params = [{"weight": weight, "bias": np.zeros((1, 8))}, *net.params[1:]]
    before = net.digest()
    error = diverged(net, np.abs(X) + 1, LABELS, optimizer=bp.SGD(0.0), epochs=600, batch_size=SIZES[size])
    assert place(error)[1:] == (1, "0 Dense", "y")
    assert str(error).startswith("the output of 0 Dense is inf in step 1 of epoch ")
    assert "0 Dense's weight was up to 3e+38 before the step" in str(error)
    assert len(net.history) == net.epoch == error.epoch - 1
    assert net.epoch * len(SIZES_OF[size]) <= 1024
    assert net.digest() == before


SIZES_OF = {"all at once": [40], "batches": [10] * 4, "batches and a rest": [7] * 5 + [5]}


@pytest.mark.parametrize("size", SIZES)
def test_a_square_in_the_optimizer_that_overflows_is_found_though_nothing_moves_any_more(size, backend):
    net = network(bp.Dense(4, 2), backend=backend)
    error = diverged(net, X * 1e25, LABELS, optimizer=bp.Adam(0.1), epochs=600, batch_size=SIZES[size])
    assert (error.layer, error.array) == ("0 Dense", "optimizer.v.weight")
    assert "the optimizer's v of 0 Dense's weight is inf" in str(error)
    assert "the inputs are not scaled, |x| up to 2.39823e+25: scale them to about 1" in str(error)
    if size == "all at once":
        assert error.epoch == 1
        assert "its gradient is up to 3.43e+24, whose square float32 can't hold" in str(error)


def test_a_network_that_its_last_update_has_spoilt_is_told_from_the_measurement_after_it(backend):
    net = without_activations(backend)
    error = diverged(net, *LINEAR, optimizer=bp.SGD(1e25), batch_size=None, measure_training=True)
    assert place(error)[:2] == (1, None)
    assert error.layer in ("1 Dense", "2 Dense")
    assert str(error).startswith(f"the output of {error.layer} is ")
    assert " after epoch 1: the update of " in str(error)
    assert "times its parameters: lower the learning rate; no activation stands between" in str(error)


@dataclass(frozen=True)
class Apply(bp.Layer):
    """A function of xp by its name, and a gradient that is 0, or what is given."""

    function: str
    gradient: float = 0.0

    def forward(self, xp, params, x):
        return getattr(xp, self.function)(x), x

    def backward(self, xp, params, cache, dy):
        return dy * self.gradient, {}


HINTS = {
    "log": (0.0, "inf", "its input there is 0, where a logarithm or a quotient is infinite: keep it away from 0"),
    "sqrt": (-2.5, "nan", "its input there is -2.5, where logarithms and roots are nan: keep it above 0"),
    "exp": (1000.0, "inf", "its input there is 1000, where an exponential or a power overflows: scale it down"),
}


@pytest.mark.parametrize("function", HINTS)
def test_a_function_without_a_value_is_told_with_its_argument(function, backend):
    value, result, words = HINTS[function]
    x = np.ones((3, 4))
    x[1, 2] = value
    net = network(bp.Flatten(), Apply(function), bp.Dense(4, 2), backend=backend, input_shape=(4,))
    error = diverged(net, x, [0, 1, 0], optimizer=bp.SGD(0.1))
    assert place(error) == (1, 1, "1 Apply", "y")
    assert str(error).startswith(f"the output of 1 Apply is {result} in step 1 of epoch 1: {words}")


def test_the_causes_are_those_that_were_measured():
    layers = bp.Dense(2, 8), bp.ReLU(), bp.Dense(8, 1)
    squared = {"loss": bp.MeanSquaredError()}
    x, y = LINEAR
    cases = {
        (1e6, 1.0, 0.5): "the inputs are not scaled, |x| up to 999320: scale them to about 1",
        (1.0, 1e25, 0.5): "an output is off by 1e+25, and float32 can't hold the sum of such squares; "
        "the targets are not scaled, |y| up to 1e+25",
        (1.0, 1.0, 1e36): "lower the learning rate",
    }
    for (of_x, of_y, rate), words in cases.items():
        error = diverged(network(*layers, **squared, seed=1), x * of_x, y * of_y, optimizer=bp.SGD(rate), epochs=9)
        assert words in str(error)
        assert ("not scaled" in words) == ("not scaled" in str(error))
        assert "no activation" not in str(error)


@pytest.mark.parametrize("batch_size", [None, 10])
def test_a_gradient_that_overflows_is_named_with_the_layer_whose_output_it_is_by(batch_size, backend):
    layers = [bp.Dense(4, 3), Apply("abs", 1e30), Apply("abs", 1e30), bp.Dense(3, 2)]
    error = diverged(network(*layers, backend=backend), X, LABELS, optimizer=bp.SGD(0.1), batch_size=batch_size)
    assert place(error) == (1, 1, "0 Dense", "dy")
    words = (
        r"∂J/∂y of 0 Dense is inf in step 1 of epoch 1: made by 1 Apply of ∂J/∂y up to \d\S+e\+\d\d, it overflows float"
    )
    assert re.match(words, str(error))


def test_a_backward_pass_that_divides_by_0_is_no_overflow(backend):
    net = network(bp.Dense(4, 3), Apply("abs", float("inf")), bp.Dense(3, 2), backend=backend)
    error = diverged(net, X, LABELS, optimizer=bp.SGD(0.1))
    assert place(error) == (1, 1, "0 Dense", "dy")
    assert " in step 1 of epoch 1: made by 1 Apply of ∂J/∂y up to 0." in str(error)
    assert "overflow" not in str(error)


def test_an_error_of_a_callback_s_own_stays_what_it_is():
    class Failing(bp.Callback):
        def on_epoch_end(self, net, row):
            raise bp.NonFiniteError("of another training", epoch=7)

    with pytest.raises(bp.NonFiniteError, match=r"^of another training$"):
        network(bp.Dense(4, 2)).fit(X, LABELS, callbacks=[Failing()], progress=False)


def test_a_gradient_of_a_parameter_and_an_update_are_named(backend):
    options = {"loss": bp.SoftmaxCrossEntropy("sum"), "backend": backend}
    large = np.full((40, 1), 1e38)
    zeros = [{"weight": np.zeros((1, 2)), "bias": np.zeros((1, 2))}]
    first = diverged(network(bp.Dense(1, 2), params=zeros, **options), large, 0 * LABELS, optimizer=bp.SGD(0.0))
    assert place(first) == (1, 1, "0 Dense", "grads.weight")
    assert str(first).startswith("the gradient of 0 Dense's weight is inf in step 1 of epoch 1: made of ")
    assert "x up to 1e+38, it overflows float32: clip" in str(first)
    second = diverged(network(bp.Dense(4, 2), **options), X, LABELS, optimizer=bp.SGD(3e38), batch_size=None)
    assert place(second)[:3] == (1, 1, "0 Dense")
    assert second.array.startswith("params.")
    assert " after the update is inf in step 1 of epoch 1: its gradient was finite, up to " in str(second)
    assert "the learning rate is too high, lower it" in str(second)


def test_a_measurement_that_is_not_finite_is_followed_through_the_layers(backend):
    net = network(bp.Dense(1, 1), bp.ReLU(), bp.Dense(1, 1), loss=bp.HalfSquaredError(), backend=backend)
    zero, one = np.zeros((1, 1)), np.ones((1, 1))
    net.params = [{"weight": 1e3 * one, "bias": zero}, {}, {"weight": one, "bias": zero}]
    error = diverged(net, [[1e-3]], [[1.0]], optimizer=bp.SGD(0.1), validation=([[3e38]], [[0.0]]))
    assert place(error) == (1, None, "0 Dense", "y")
    assert str(error).startswith(
        "validation loss after epoch 1 is inf: the output of 0 Dense is inf, from numbers up to 3e+38"
    )


class Miscompiled(bp.Backend):
    """NumPy, with a compiler that gets the loss of every third step wrong where several steps are in one call."""

    name, device, xp = "miscompiled", "cpu", bp.get_backend("numpy").xp

    def asarray(self, host):
        return np.array(host)

    def to_numpy(self, array):
        return np.array(array)

    def owns(self, array):
        return isinstance(array, (np.ndarray, np.generic))

    def compile(self, step, *, as_written=False):
        plain = super().compile(step)

        def epoch(state, data, orders):
            state, losses = plain(state, data, orders)
            losses[2::3] = np.nan
            return state, losses

        return epoch


def test_what_is_not_reproduced_is_said_with_what_is_known():
    error = diverged(network(bp.Dense(4, 2), backend=Miscompiled()), X, LABELS, optimizer=bp.SGD(0.1), batch_size=10)
    assert place(error) == (1, 3, None, None)
    assert str(error).startswith(
        "the loss of step 3 in epoch 1 is nan, though the same steps, computed array by array, stay finite: lower"
    )


def test_the_steps_computed_again_have_the_batches_masks_and_weights_of_the_training(backend):
    net = network(bp.Dense(4, 8), bp.Dropout(0.5), bp.Tanh(), bp.Dense(8, 2), backend=backend, dtype="float64")
    net.fit(X, LABELS, optimizer=bp.Adam(0.1), epochs=2, batch_size=7, progress=False)
    with net.backend.activate():
        weight = (np.linspace(0.5, 2, 40), None)
        run: Run = net.preparation.run(X, LABELS, (7, True), None, False, weight)
        state, epoch = net.state_for(net.optimizer), net._use(None)
        after, losses = epoch(state, run.data, run.batches.orders(backend, net.seed, 3))
        shown = replay(run, epoch, state, 3, None)
        expected = backend.to_numpy(losses).tolist()
        assert [one.number for one in shown] == [2, 3, 4, 5, 6, 7]  # the last is a look behind the epoch
        found = [float(one.largest[None, "loss"]) for one in shown[:-1]]
        assert found == pytest.approx(expected[1:], rel=1e-9)
        weight = float(backend.xp.max(backend.xp.abs(after["params"][3]["weight"])))
        assert shown[-2].largest[3, "params.weight"] == pytest.approx(weight, rel=1e-9)
        moved = shown[-2].largest[0, "update.weight"]
        assert 0 < moved < 0.5  # Adam's is about the rate


def test_the_message_does_not_depend_on_how_many_epochs_run_in_a_call():
    class Looking(bp.Callback):
        """It looks at the network, so that epochs run one by one."""

    options = {"optimizer": bp.SGD(0.4), "epochs": 500, "batch_size": None}
    together = diverged(without_activations(), *LINEAR, **options)
    alone = diverged(without_activations(), *LINEAR, **options, callbacks=[Looking()])
    assert str(together) == str(alone)
    assert place(together) == place(alone)


@pytest.mark.parametrize("batch_size", [None, 10])
def test_a_member_of_a_population_has_the_error_that_it_gets_alone(batch_size):
    options = {"epochs": 20, "batch_size": batch_size}
    rates = [0.01, 2.0, 0.02]
    together = [without_activations() for _ in rates]
    histories = bp.fit_together(together, *LINEAR, optimizers=[bp.SGD(rate) for rate in rates], **options)
    alone = diverged(without_activations(), *LINEAR, optimizer=bp.SGD(2.0), **options)
    assert [history.error is None for history in histories] == [True, False, True]
    assert place(histories[1].error) == place(alone)
    assert str(histories[1].error).partition(":")[0] == str(alone).partition(":")[0]


def test_the_error_goes_to_other_processes_with_its_fields():
    error = bp.NonFiniteError("it is", epoch=1, step=2, layer="0 Dense", array="y")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), place(again)) == ("it is", (1, 2, "0 Dense", "y"))
