"""The loop around the step: batches, what is measured, what is moved, and that every backend does the same."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.batches import Batches
from portable_bp.philox import mask_key
from portable_bp.training import Run

NOISE = np.random.default_rng(0)
X = NOISE.normal(size=(50, 4))
LABELS = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int)


def network(backend="numpy", *, layers=None, loss=None, **options):
    layers = layers or [bp.Dense(4, 8), bp.Tanh(), bp.Dense(8, 2)]
    return bp.Network(layers, loss or bp.SoftmaxCrossEntropy(), backend=backend, **{"dtype": "float64", **options})


class Counting(bp.Backend):
    """Another backend, with its transfers counted."""

    def __init__(self, inner):
        self.inner, self.name, self.device, self.xp = inner, inner.name, inner.device, inner.xp
        self.to_device = self.to_host = 0

    def asarray(self, host):
        self.to_device += 1
        return self.inner.asarray(host)

    def to_numpy(self, array):
        self.to_host += 1
        return self.inner.to_numpy(array)

    def owns(self, array):
        return self.inner.owns(array)

    def activate(self):
        return self.inner.activate()

    def compile(self, step, *, as_written=False):
        return self.inner.compile(step, as_written=as_written)


def test_an_epoch_costs_one_transfer_in_each_direction(backend):
    def transfers(epochs):
        counting = Counting(backend)
        net = network(counting)
        net.fit(X, LABELS, epochs=epochs, batch_size=8, validation=(X, LABELS), measure_training=True, progress=False)
        return counting.to_device, counting.to_host

    (to_device, to_host), (more_to_device, more_to_host) = transfers(1), transfers(4)
    assert more_to_device - to_device == 3  # the order of each further epoch
    assert more_to_host - to_host == 3  # everything measured in each further epoch


@pytest.mark.parametrize("batch_size", [7, 25, 50, None])
def test_every_example_is_used_once_an_epoch(batch_size):
    backend = bp.get_backend("numpy")
    batches = Batches(50, batch_size or 50, shuffle=True)
    orders = batches.orders(backend, seed=0, epoch=1)
    assert sum(batches.sizes) == 50
    if batch_size in (50, None):
        assert orders == [1]  # one step on the whole set, as it lies
    else:
        rows = np.concatenate([order.ravel() for order in orders])
        assert sorted(rows) == list(range(50))
        assert list(rows) != list(range(50))


def test_orders_change_from_epoch_to_epoch_and_with_the_seed_and_are_the_same_on_every_backend(backend):
    batches = Batches(20, 20 // 2, shuffle=True)

    def rows(place, seed, epoch):
        return place.to_numpy(batches.orders(place, seed, epoch)[0]).tolist()

    numpy = bp.get_backend("numpy")
    assert rows(backend, 0, 1) == rows(numpy, 0, 1)
    assert rows(backend, 0, 1) != rows(backend, 0, 2)
    assert rows(backend, 0, 1) != rows(backend, 1, 1)


def test_without_shuffling_the_batches_come_in_the_order_of_the_rows():
    whole, parts = network(), network()
    options = {"optimizer": bp.Adam(0.01), "shuffle": False}
    whole.fit(X, LABELS, epochs=2, batch_size=20, **options)
    for rows in [slice(0, 20), slice(20, 40), slice(40, 50)] * 2:
        parts.fit(X[rows], LABELS[rows], batch_size=None, **options)
    for own, other in zip(whole.params, parts.params, strict=True):
        assert all(np.array_equal(own[name], other[name]) for name in own)


def test_training_takes_the_same_way_on_every_backend(backend):
    layers = [bp.Dense(4, 8), bp.Dropout(0.2), bp.Tanh(), bp.Dense(8, 2)]
    options = {"optimizer": bp.Adam(0.01), "epochs": 3, "batch_size": 8, "validation": (X, LABELS)}
    here, reference = network(backend, layers=layers), network(layers=layers)
    history, expected = here.fit(X, LABELS, **options), reference.fit(X, LABELS, **options)
    for name in ("loss", "validation_loss", "validation_accuracy"):
        assert history[name] == pytest.approx(expected[name], rel=1e-10), name
    for own, other in zip(here.params, reference.params, strict=True):
        for name, array in own.items():
            np.testing.assert_allclose(backend.to_numpy(array), other[name], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("loss", [bp.SoftmaxCrossEntropy(), bp.SoftmaxCrossEntropy(reduction="sum")], ids=str)
def test_the_loss_of_an_epoch_is_the_mean_over_examples_also_with_an_unequal_last_batch(loss):
    net = network(loss=loss)
    before = net.evaluate(X, LABELS)["loss"]
    history = net.fit(X, LABELS, optimizer=bp.SGD(0.0), batch_size=7, validation=(X, LABELS), measure_training=True)
    for name in ("loss", "training_loss", "validation_loss"):
        assert history[name] == pytest.approx([before], rel=1e-13), name


def test_one_full_batch_step_of_sgd_is_theta_minus_eta_times_gradient():
    net, still = network(), network()
    _, grads = still.gradients(X, LABELS)
    net.fit(X, LABELS, optimizer=bp.SGD(0.3), batch_size=None)
    for after, before, grad in zip(net.params, still.params, grads, strict=True):
        for name in before:
            np.testing.assert_allclose(after[name], before[name] - 0.3 * grad[name], rtol=1e-13)


def test_sample_weights_count_examples_more_than_once():
    weight = np.ones(50)
    weight[:10] = 3
    repeated = np.concatenate([np.arange(50), np.arange(10), np.arange(10)])
    loss = bp.SoftmaxCrossEntropy(reduction="sum")
    weighted, copied = network(loss=loss), network(loss=loss)
    weighted.fit(X, LABELS, sample_weight=weight, optimizer=bp.SGD(0.01), batch_size=None)
    copied.fit(X[repeated], LABELS[repeated], optimizer=bp.SGD(0.01), batch_size=None)
    np.testing.assert_allclose(weighted.params[0]["weight"], copied.params[0]["weight"], rtol=1e-12)


@pytest.mark.parametrize("class_weight", [{1: 3.0}, [1.0, 3.0]], ids=str)
def test_class_weights_are_sample_weights_by_class(class_weight):
    by_class, by_sample = network(), network()
    by_class.fit(X, LABELS, class_weight=class_weight, optimizer=bp.SGD(0.1))
    by_sample.fit(X, LABELS, sample_weight=np.where(LABELS == 1, 3.0, 1.0), optimizer=bp.SGD(0.1))
    assert np.array_equal(by_class.params[0]["weight"], by_sample.params[0]["weight"])


RISING = np.linspace(0.5, 2.0, 50)
THIRDS = np.arange(50) % 3
ROWS = {"labels": (bp.SoftmaxCrossEntropy(), THIRDS), "rows of 0 and 1": (bp.BinaryCrossEntropy(), np.eye(3)[THIRDS])}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("sample_weight", [None, RISING], ids=["alone", "with sample weights"])
def test_class_weights_multiply_sample_weights_whatever_form_the_classes_have(name, sample_weight):
    loss, target = ROWS[name]
    product = np.asarray([1.0, 3.0, 0.5])[THIRDS] * (1.0 if sample_weight is None else sample_weight)
    by_class, by_product = (network(layers=[bp.Dense(4, 3)], loss=loss) for _ in range(2))
    by_class.fit(X, target, class_weight=[1.0, 3.0, 0.5], sample_weight=sample_weight, optimizer=bp.SGD(0.1))
    by_product.fit(X, target, sample_weight=product, optimizer=bp.SGD(0.1))
    np.testing.assert_allclose(by_class.params[0]["weight"], by_product.params[0]["weight"], rtol=1e-13)


def test_a_single_target_is_of_class_1_above_one_half():
    target = np.asarray([0.0, 0.46, 0.5, 0.51, 1.0])
    by_class, by_sample = (network(layers=[bp.Dense(4, 1)], loss=bp.BinaryCrossEntropy()) for _ in range(2))
    by_class.fit(X[:5], target, class_weight={1: 3.0}, optimizer=bp.SGD(0.1))
    by_sample.fit(X[:5], target, sample_weight=[1, 1, 1, 3, 3], optimizer=bp.SGD(0.1))
    assert np.array_equal(by_class.params[0]["weight"], by_sample.params[0]["weight"])


def test_balanced_class_weights_leave_out_a_class_that_is_absent():
    labels = np.where(LABELS == 1, 2, 0)  # of the classes 0, 1 and 2
    balanced, by_sample = (network(layers=[bp.Dense(4, 3)]) for _ in range(2))
    balanced.fit(X, labels, class_weight="balanced", optimizer=bp.SGD(0.1))
    by_sample.fit(X, labels, sample_weight=(50 / (2 * np.bincount(LABELS)))[LABELS], optimizer=bp.SGD(0.1))
    np.testing.assert_allclose(balanced.params[0]["weight"], by_sample.params[0]["weight"], rtol=1e-13)


def test_balanced_class_weights_give_every_class_the_same_total():
    balanced, by_sample = network(), network()
    balanced.fit(X, LABELS, class_weight="balanced", optimizer=bp.SGD(0.1))
    counts = np.bincount(LABELS)
    by_sample.fit(X, LABELS, sample_weight=(50 / (2 * counts))[LABELS], optimizer=bp.SGD(0.1))
    np.testing.assert_allclose(balanced.params[0]["weight"], by_sample.params[0]["weight"], rtol=1e-13)


def test_fitting_twice_goes_on_where_the_first_fit_stopped():
    whole, parts = network(), network()
    whole.fit(X, LABELS, optimizer=bp.Adam(0.01), epochs=5, batch_size=8)
    parts.fit(X, LABELS, optimizer=bp.Adam(0.01), epochs=2, batch_size=8)
    history = parts.fit(X, LABELS, epochs=3, batch_size=8)
    assert history["epoch"] == [3, 4, 5]
    assert np.array_equal(whole.params[0]["weight"], parts.params[0]["weight"])


def test_another_optimizer_starts_afresh():
    net = network()
    net.fit(X, LABELS, optimizer=bp.Adam(0.01), epochs=2)
    before = net.params[0]["weight"]
    _, grads = net.gradients(X, LABELS)
    net.fit(X, LABELS, optimizer=bp.Adam(0.02), batch_size=None)
    step = before - net.params[0]["weight"]  # the first step of Adam has the length of the rate in every direction
    np.testing.assert_allclose(step, 0.02 * np.sign(grads[0]["weight"]), rtol=1e-4)


def test_dropout_draws_while_training_and_rests_in_predictions():
    net = network(layers=[bp.Dense(4, 8), bp.Dropout(0.5), bp.Dense(8, 2)])
    assert np.array_equal(net.predict(X), net.predict(X))
    other = network(layers=[bp.Dense(4, 8), bp.Identity(), bp.Dense(8, 2)])
    assert np.array_equal(net.predict(X), other.predict(X))
    for one in (net, other):
        one.fit(X, LABELS, batch_size=None)
    assert not np.allclose(net.params[0]["weight"], other.params[0]["weight"])


@dataclass(frozen=True)
class Noted(bp.layers.StochasticLayer):
    """The identity, which notes the key and the step of every draw that it is given."""

    notes: list = field(default_factory=list)

    def forward(self, xp, params, x, draw=None):
        if draw is not None:
            self.notes.append((draw.key, int(draw.step)))
        return x, None

    def backward(self, xp, params, cache, dy):
        return dy, {}


def test_masks_follow_seed_layer_and_step_through_new_optimizers_and_new_parameters():
    noted = Noted()
    net = bp.Network([bp.Dense(4, 3), noted, bp.Dense(3, 2)], bp.SoftmaxCrossEntropy(), seed=7)
    for optimizer in (bp.SGD(0.1), bp.SGD(0.2)):
        net.params = net.params
        net.fit(X[:10], LABELS[:10], optimizer=optimizer, epochs=2, batch_size=4, measure_training=True)
    assert noted.notes == [(mask_key(7, 1), step) for step in range(12)]


@dataclass(frozen=True)
class InfiniteAbove15(bp.losses.Loss):
    """J = -Σ y, and infinite where any y is above 15."""

    averages = False

    def forward(self, xp, y, target, weight=None):
        return xp.sum(xp.where(y > 15.0, float("inf"), -y)), y

    def backward(self, xp, cache):
        return -xp.ones_like(cache)


def test_the_first_step_whose_loss_is_not_finite_is_named_with_its_epoch():
    """With y = w x and dJ/dy = -1 each x is added to w: y is 0, 3, 8 in epoch 1 and 6, 21, 20 in epoch 2."""
    net = network(layers=[bp.Dense(1, 1, bias=False)], loss=InfiniteAbove15(), params=[{"weight": np.zeros((1, 1))}])
    with pytest.raises(bp.NonFiniteError, match=r"^the loss is inf in step 2 of epoch 2: .*, with y up to 21\."):
        net.fit([[1.0], [3.0], [2.0]], np.zeros(3), optimizer=bp.SGD(1.0), epochs=3, batch_size=1, shuffle=False)
    assert net.epoch == 1
    assert net.params[0]["weight"].tolist() == [[6.0]]


def test_a_run_that_overflows_stops_with_the_step_and_keeps_the_last_good_parameters(backend):
    """E2: without activation functions and with too large a rate, squared error overflows."""
    x, y = bp.datasets.linear()
    layers = [bp.Dense(2, 8), bp.Dense(8, 8), bp.Dense(8, 1)]
    net = network(backend, layers=layers, loss=bp.HalfSquaredError(), dtype="float32")
    with pytest.raises(bp.NonFiniteError, match=r"^the loss is inf in step 1 of epoch 3: the loss grew") as caught:
        net.fit(x, y, optimizer=bp.SGD(0.5), epochs=100, batch_size=None)
    assert "no activation stands between 0 Dense and 1 Dense" in str(caught.value)
    assert all(np.all(np.isfinite(backend.to_numpy(a))) for layer in net.params for a in layer.values())


def test_columns_are_those_that_were_asked_for():
    columns = list(network().fit(X, LABELS).columns)
    assert columns == ["epoch", "loss", "seconds"]
    measured = network().fit(X, LABELS, validation=(X, LABELS), measure_training=True).columns
    words = ["training_loss", "training_accuracy", "validation_loss", "validation_accuracy"]
    assert list(measured) == ["epoch", "loss", *words, "seconds"]


def test_targets_that_are_no_classes_have_no_accuracy():
    net = network(layers=[bp.Dense(4, 2)], loss=bp.MeanSquaredError())
    assert list(net.fit(X, X[:, :2], validation=(X, X[:, :2])).columns) == [
        "epoch",
        "loss",
        "validation_loss",
        "seconds",
    ]
    with pytest.raises(bp.DataError, match="score"):
        net.score(X, X[:, :2])


CLASSES = np.eye(2)[LABELS]


@pytest.mark.parametrize(("target", "other"), [(CLASSES, X[:, :2]), (X[:, :2], CLASSES)], ids=["first", "second"])
def test_accuracy_is_measured_only_where_every_measured_set_has_classes(target, other):
    net = network(layers=[bp.Dense(4, 2)], loss=bp.MeanSquaredError())
    columns = net.fit(X, target, validation=(X, other), measure_training=True).columns
    assert list(columns) == ["epoch", "loss", "training_loss", "validation_loss", "seconds"]


def test_large_sets_are_measured_in_parts(monkeypatch, backend):
    net = network(backend)
    whole = net.evaluate(X, LABELS)
    monkeypatch.setattr("portable_bp.training.EVALUATED_AT_ONCE", 7)
    assert net.evaluate(X, LABELS) == pytest.approx(whole, rel=1e-13)


def test_the_readme_s_network_learns_xor_on_every_backend(backend):
    x, y = bp.datasets.xor()
    layers = [bp.Dense(2, 8), bp.Tanh(), bp.Dense(8, 1)]
    net = network(backend, layers=layers, loss=bp.BinaryCrossEntropy(), dtype="float32")
    net.fit(x, y, optimizer=bp.Adam(0.05), epochs=150, batch_size=None)
    assert net.score(x, y) == 1.0


def test_the_history_of_a_failed_fit_is_kept():
    x, y = bp.datasets.linear()
    net = network(layers=[bp.Dense(2, 8), bp.Dense(8, 1)], loss=bp.HalfSquaredError(), dtype="float32")
    with pytest.raises(bp.NonFiniteError):
        net.fit(x, y, optimizer=bp.SGD(0.05), epochs=500, batch_size=None)
    assert len(net.history) == net.epoch > 0


def test_a_last_update_that_overflows_is_found_though_every_loss_was_finite(backend):
    x, y = np.full((4, 1), 1e3), np.full((4, 1), -1e3)
    net = network(backend, layers=[bp.Dense(1, 1)], loss=bp.HalfSquaredError(), dtype="float32")
    with pytest.raises(bp.NonFiniteError, match="after the update is inf in step 1 of epoch 1: "):
        net.fit(x, y, optimizer=bp.SGD(1e36), batch_size=None)
    assert np.all(np.isfinite(backend.to_numpy(net.params[0]["weight"])))


def test_a_validation_loss_that_is_not_finite_stops_the_training():
    net = network(layers=[bp.Dense(1, 1)], loss=bp.HalfSquaredError(), dtype="float32")
    with pytest.raises(bp.NonFiniteError, match="validation loss after epoch 1 is inf"):
        net.fit([[1.0]], [[1.0]], optimizer=bp.SGD(0.1), validation=([[3e38]], [[-3e38]]))


def test_an_optimizer_that_fails_to_start_leaves_the_network_as_it_was(monkeypatch):
    net = network()
    init, calls = bp.Adam.init, []

    def failing_once(self, xp, params):
        calls.append(None)
        if len(calls) == 1:
            raise MemoryError
        return init(self, xp, params)

    monkeypatch.setattr(bp.Adam, "init", failing_once)
    with pytest.raises(MemoryError):
        net.fit(X, LABELS, optimizer=bp.Adam(0.01))
    assert len(net.fit(X, LABELS, optimizer=bp.Adam(0.01))) == 1


def test_a_callback_that_needs_what_is_not_measured_is_refused_before_training():
    net = network()
    before = net.digest()
    with pytest.raises(
        bp.ConfigurationError, match="EarlyStopping monitors 'validation_loss'; the columns are epoch, loss"
    ):
        net.fit(X, LABELS, callbacks=[bp.EarlyStopping()])
    assert (net.digest(), net.epoch) == (before, 0)


def test_a_saved_network_goes_on_with_the_masks_of_its_own_steps(tmp_path):
    def build():
        return network(layers=[bp.Dense(4, 8), bp.Dropout(0.5), bp.Dense(8, 2)])

    whole, first = build(), build()
    whole.fit(X, LABELS, optimizer=bp.SGD(0.1), epochs=3, batch_size=8)
    first.fit(X, LABELS, optimizer=bp.SGD(0.1), epochs=2, batch_size=8)
    first.save(tmp_path / "net")
    second = bp.load(tmp_path / "net")
    second.fit(X, LABELS, optimizer=bp.SGD(0.1), epochs=1, batch_size=8)
    assert second.digest() == whole.digest()


def run_of(width, n=8):
    net = bp.Network([bp.Dense(4, width), bp.Tanh(), bp.Dense(width, 3)], bp.SoftmaxCrossEntropy())
    data = net.preparation.batch(np.ones((n, 4)), np.zeros(n, int))
    return Run(net.backend, net.model, data, Batches(n, n, True), {}, False), net.params


def test_epochs_of_one_step_run_many_at_once_but_only_while_they_are_small():
    (small, its), (large, theirs) = run_of(3), run_of(20_000)
    assert small.at_once(its) == 8192
    assert 1 <= large.at_once(theirs) < 200
    assert replace(small, batches=Batches(8, 4, True)).at_once(its) == 1


class Stopper(bp.PrintRows):
    """Derived from a callback that only reads rows, it does more."""

    def on_epoch_end(self, net, row):
        assert net.epoch == row["epoch"]
        return row["epoch"] == 7


def test_a_callback_derived_from_one_that_only_reads_rows_sees_every_epoch():
    net = network("numpy")
    net.fit(X, LABELS, epochs=50, batch_size=None, callbacks=[Stopper(every=100)], progress=False)
    assert net.epoch == len(net.history) == 7


def test_many_epochs_in_a_call_are_the_epochs_one_by_one(backend):
    together, alone = network(backend), network(backend)
    history = together.fit(X, LABELS, epochs=9, batch_size=None, progress=False)
    for _ in range(9):
        alone.fit(X, LABELS, epochs=1, batch_size=None, progress=False)
    assert together.epoch == alone.epoch == 9
    assert [row["epoch"] for row in history] == list(range(1, 10))
    np.testing.assert_allclose(
        backend.to_numpy(together.params[0]["weight"]), backend.to_numpy(alone.params[0]["weight"]), rtol=1e-5
    )


def test_an_epoch_among_many_that_diverges_leaves_the_last_good_one():
    def diverged(rate, **how):
        net = bp.Network([bp.Dense(3, 3), bp.Dense(3, 2)], bp.MeanSquaredError(), dtype="float64", seed=1)
        with pytest.raises(bp.NonFiniteError, match="of epoch") as caught:
            net.fit(np.ones((4, 3)), np.ones((4, 2)), optimizer=bp.SGD(rate), epochs=500, batch_size=None, **how)
        return str(caught.value), net.epoch, net.digest(), len(net.history)

    class Looking(bp.Callback):
        """It looks at the network, so that epochs run one by one."""

    assert diverged(30.0, progress=False) == diverged(30.0, progress=False, callbacks=[Looking()])
