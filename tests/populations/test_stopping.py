"""Callbacks of a population: each member stops early as it does alone, and is told its own rows."""

from contextlib import nullcontext

import numpy as np
import pytest

import portable_bp as bp

X, Y = np.random.default_rng(0).normal(size=(20, 6)), np.arange(20) % 3
VALIDATION = np.random.default_rng(1).normal(size=(9, 6)), np.arange(9) % 3
RATES = [0.01, 0.3, 1.0, 3.0]


def networks(widths=(5, 5, 5, 5), **options):
    made = {"arithmetic": "reproducible"} | options
    return [
        bp.Network([bp.Dense(6, n), bp.Tanh(), bp.Dense(n, 3)], bp.SoftmaxCrossEntropy(), seed=seed, **made)
        for seed, n in enumerate(widths)
    ]


def trained_both_ways(stopping, epochs=30, given=None, **fit):
    """The same networks together and alone; ``stopping`` makes what stops a network, ``given`` is for all of them."""
    together, alone = networks(), networks()
    told = given if given is not None else [[stopping()] for _ in together]
    bp.fit_together(together, X, Y, optimizers=[bp.SGD(rate) for rate in RATES], epochs=epochs, callbacks=told, **fit)
    for network, rate in zip(alone, RATES, strict=True):
        network.fit(X, Y, optimizer=bp.SGD(rate), epochs=epochs, callbacks=[stopping()], progress=False, **fit)
    return together, alone


def state(network):
    figures = {name: numbers for name, numbers in network.history.columns.items() if name != "seconds"}
    return network.digest(), network.epoch, network.step, network.optimizer, figures


STOPPING = {
    "validation loss": lambda: bp.EarlyStopping(2),
    "its last epoch": lambda: bp.EarlyStopping(3, restore_best=False),
    "accuracy": lambda: bp.EarlyStopping(2, monitor="validation_accuracy"),
    "at least so much better": lambda: bp.EarlyStopping(2, min_delta=0.001),
}


@pytest.mark.parametrize("batch_size", [7, None])
@pytest.mark.parametrize("name", STOPPING)
def test_every_member_stops_where_it_stops_alone_and_keeps_the_same_epoch(name, batch_size):
    together, alone = trained_both_ways(STOPPING[name], validation=VALIDATION, batch_size=batch_size)
    lengths = [len(network.history) for network in alone]
    assert len(set(lengths)) > 1
    assert min(lengths) < 30
    assert [state(one) for one in together] == [state(one) for one in alone]


def test_one_early_stopping_for_all_is_copied_for_each():
    given = bp.EarlyStopping(2)
    together, alone = trained_both_ways(lambda: bp.EarlyStopping(2), given=[given], validation=VALIDATION)
    assert [state(one) for one in together] == [state(one) for one in alone]
    assert not hasattr(given, "best")


def test_the_loss_of_tiny_epochs_is_looked_at_after_each_of_them():
    together, alone = trained_both_ways(lambda: bp.EarlyStopping(1, monitor="loss"), batch_size=None, epochs=40)
    assert [state(one) for one in together] == [state(one) for one in alone]
    assert len(together[-1].history) < 40


def test_members_of_other_widths_and_without_stopping_are_trained_beside_them():
    widths = (5, 6, 5, 6)
    together, alone = (
        networks(widths, arithmetic="native", dtype="float64"),
        networks(widths, arithmetic="native", dtype="float64"),
    )
    told = [[bp.EarlyStopping(2)] if k % 3 else [] for k in range(4)]
    own = [[bp.EarlyStopping(2)] if k % 3 else [] for k in range(4)]
    rules = [bp.SGD(rate) for rate in RATES]
    bp.fit_together(together, X, Y, optimizers=rules, epochs=20, callbacks=told, validation=VALIDATION)
    for network, rule, callbacks in zip(alone, rules, own, strict=True):
        network.fit(X, Y, optimizer=rule, epochs=20, callbacks=callbacks, validation=VALIDATION)
    assert [len(one.history) for one in together] == [len(one.history) for one in alone]
    assert [one.best_epoch for one in (*told[1], *told[2])] == [one.best_epoch for one in (*own[1], *own[2])]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-9)


def test_a_diverged_member_gets_its_best_epoch_back():
    def squared():
        return [bp.Network([bp.Dense(6, 1)], bp.MeanSquaredError(), arithmetic="reproducible") for _ in RATES]

    together, alone, y = squared(), squared(), X[:, :1]
    rules = [bp.SGD(rate) for rate in (0.1, 20.0, 0.2, 0.3)]
    given = {"validation": (X[:5], y[:5]), "batch_size": None, "epochs": 60}
    stopping = {"patience": 100}
    histories = bp.fit_together(together, X, y, optimizers=rules, callbacks=[bp.EarlyStopping(**stopping)], **given)
    for k, (network, rule) in enumerate(zip(alone, rules, strict=True)):
        with pytest.raises(bp.NonFiniteError) if k == 1 else nullcontext():
            network.fit(X, y, optimizer=rule, callbacks=[bp.EarlyStopping(**stopping)], progress=False, **given)
    assert [history.error is None for history in histories] == [True, False, True, True]
    assert [state(one) for one in together] == [state(one) for one in alone]


class Diary(bp.Callback):
    only_reads_rows = True

    def __init__(self):
        self.notes = []

    def on_fit_begin(self, net, epochs):
        self.notes.append(("begin", net.seed, epochs, net.settings["optimizer"], net.settings["batch_size"]))

    def on_epoch_end(self, net, row):
        self.notes.append((net.seed, row["epoch"], row["loss"]))

    def on_fit_end(self, net):
        self.notes.append(("end", net.epoch))


@pytest.mark.parametrize("batch_size", [7, None])
def test_callbacks_that_only_read_rows_are_told_each_member_s_own(batch_size):
    together, alone = networks(), networks()
    told, own = ([Diary() for _ in RATES] for _ in range(2))
    given = {"optimizers": [bp.SGD(rate) for rate in RATES], "epochs": [3, 1, 4, 2], "batch_size": batch_size}
    bp.fit_together(together, X, Y, callbacks=[[diary] for diary in told], **given)
    for k, network in enumerate(alone):
        network.fit(
            X, Y, optimizer=bp.SGD(RATES[k]), epochs=given["epochs"][k], batch_size=batch_size, callbacks=[own[k]]
        )
    assert [diary.notes for diary in told] == [diary.notes for diary in own]


class Looks(bp.Callback):
    """Says nothing of itself."""


LOSS = bp.EarlyStopping(monitor="loss")
REFUSED = {
    "Looks may look at the network or stop it": [[Looks()], [], [], []],
    "one PrintRows for all networks: give a list of lists": [bp.PrintRows()],
    "callbacks has 2 lists: give one for each of the 4 networks": [[], []],
    "the same EarlyStopping in two lists": [[LOSS], [], [LOSS], []],
    "more than one EarlyStopping": [bp.EarlyStopping(), bp.EarlyStopping(monitor="loss")],
    "EarlyStopping monitors 'validation_loss'; the columns are epoch, loss, seconds": [bp.EarlyStopping()],
    "give a list of instances": 5,
}


@pytest.mark.parametrize("words", REFUSED)
def test_other_callbacks_are_refused_in_one_line_before_anything_is_trained(words):
    validation = VALIDATION if "more than" in words else None
    made = networks()
    with pytest.raises(bp.ConfigurationError) as raised:
        bp.fit_together(made, X, Y, callbacks=REFUSED[words], validation=validation)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert {network.epoch for network in made} == {0}


class Interrupt(bp.Callback):
    """Ends the training as Ctrl-C would."""

    only_reads_rows = True

    def on_epoch_end(self, net, row):
        if row["epoch"] == 4:
            raise KeyboardInterrupt


def test_an_interrupted_training_leaves_every_network_as_it_was_also_those_that_had_finished():
    made = networks()
    before = [state(one) for one in made]
    told = [[bp.EarlyStopping(9)], [bp.EarlyStopping(9), Interrupt()], [], []]
    with pytest.raises(KeyboardInterrupt):
        bp.fit_together(made, X, Y, epochs=[2, 9, 9, 9], callbacks=told, validation=VALIDATION)
    assert [state(one) for one in made] == before
