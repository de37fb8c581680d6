"""Callbacks are told in order, may stop a training, and are told of its end however it ends."""

import io
import threading

import numpy as np
import pytest

import portable_bp as bp

X = np.arange(24.0).reshape(6, 4) / 24
LABELS = np.array([0, 1, 2, 0, 1, 2])
ROWS = np.eye(3)[LABELS]


def network(loss=None):
    return bp.Network([bp.Dense(4, 3)], loss or bp.SoftmaxCrossEntropy())


def weights(net):
    return [net.backend.to_numpy(array).copy() for layer in net.params for _, array in sorted(layer.items())]


def assert_same_weights(found, expected):
    assert all(np.array_equal(here, there) for here, there in zip(found, expected, strict=True))


class Diary(bp.Callback):
    """Writes down what it is told."""

    def __init__(self, name="", diary=None, stop_at=None):
        self.name, self.stop_at = name, stop_at
        self.diary = [] if diary is None else diary

    def on_fit_begin(self, net, epochs):
        self.diary.append(f"{self.name}begin {epochs}")

    def on_epoch_end(self, net, row):
        self.diary.append(f"{self.name}epoch {row['epoch']}")
        return row["epoch"] == self.stop_at

    def on_fit_end(self, net):
        self.diary.append(f"{self.name}end")


class Failing(bp.Callback):
    def on_epoch_end(self, net, row):
        raise KeyboardInterrupt


def test_a_callback_is_told_of_begin_epochs_and_end_in_order():
    diary = Diary()
    network().fit(X, LABELS, epochs=3, callbacks=[diary])
    assert diary.diary == ["begin 3", "epoch 1", "epoch 2", "epoch 3", "end"]


def test_callbacks_begin_in_order_and_end_in_reverse_order():
    first = Diary("a ")
    network().fit(X, LABELS, callbacks=(callback for callback in [first, Diary("b ", first.diary)]))
    assert first.diary == ["a begin 1", "b begin 1", "a epoch 1", "b epoch 1", "b end", "a end"]


def test_a_callback_that_returns_true_stops_the_training_after_all_were_told():
    first = Diary("a ", stop_at=2)
    net = network()
    history = net.fit(X, LABELS, epochs=5, callbacks=[first, Diary("b ", first.diary)])
    assert first.diary[-4:] == ["a epoch 2", "b epoch 2", "b end", "a end"]
    assert len(history) == net.epoch == 2


def test_callbacks_are_told_of_the_end_when_the_training_diverges():
    diary, net = Diary(), network(bp.HalfSquaredError())
    with pytest.raises(bp.NonFiniteError, match="of epoch"):
        net.fit(1000 * X, ROWS, optimizer=bp.SGD(1e20), epochs=9, callbacks=[diary])
    assert diary.diary[0] == "begin 9"
    assert diary.diary[-1] == "end"
    assert len(diary.diary) == 2 + net.epoch < 11


def test_callbacks_are_told_of_the_end_when_another_callback_fails():
    diary = Diary()
    with pytest.raises(KeyboardInterrupt):
        network().fit(X, LABELS, epochs=3, callbacks=[diary, Failing()])
    assert diary.diary == ["begin 3", "epoch 1", "end"]


def test_a_callback_without_methods_of_its_own_changes_nothing():
    plain, told = network(), network()
    plain.fit(X, LABELS, epochs=2)
    told.fit(X, LABELS, epochs=2, callbacks=[bp.Callback()])
    assert_same_weights(weights(told), weights(plain))


class Column:
    """Shows an early stopping made-up values of the column that it monitors; the parameters count the epochs."""

    def __init__(self, stopping):
        self.stopping, self.net = stopping, network()
        stopping.on_fit_begin(self.net, 100)

    def feed(self, *values):
        """Numbers of the epochs at which it asked to stop."""
        stops = []
        for epoch, value in enumerate(values, start=1):
            self.net.params = [{"weight": np.full((4, 3), float(epoch)), "bias": np.zeros((1, 3))}]
            if self.stopping.on_epoch_end(self.net, {"epoch": epoch, self.stopping.monitor: value}):
                stops.append(epoch)
        self.stopping.on_fit_end(self.net)
        return stops

    @property
    def kept(self):
        """Number of the epoch whose parameters the network has at the end."""
        return int(self.net.params[0]["weight"][0, 0])


# Arguments, values by epoch, the epochs at which it asks to stop, the best epoch.
COURSES = {
    "falls on and on": ({"patience": 1}, [4, 3, 2, 1], [], 4),
    "patience 1": ({"patience": 1}, [4, 3, 3.5, 1], [3], 4),
    "patience 2": ({"patience": 2}, [4, 3, 3.5, 3.2, 3.1], [4, 5], 2),
    "an improvement starts the waiting anew": ({"patience": 2}, [4, 5, 3, 5, 6], [5], 3),
    "no change is no improvement": ({"patience": 2}, [4, 4, 4], [3], 1),
    "improvements within min_delta don't count": ({"patience": 2, "min_delta": 0.5}, [4, 3.75, 3.5, 3], [3], 4),
    "improvements beyond min_delta count": ({"patience": 1, "min_delta": 0.5}, [4, 3.25, 2.5], [], 3),
    "an accuracy is to rise": ({"patience": 1, "monitor": "validation_accuracy"}, [0.5, 0.6, 0.55], [3], 2),
    "an accuracy with min_delta": (
        {"patience": 1, "monitor": "training_accuracy", "min_delta": 0.25},
        [0.25, 0.375, 0.625],
        [2],
        3,
    ),
    "NaN is no improvement": ({"patience": 1}, [4, float("nan"), 3], [2], 3),
}


@pytest.mark.parametrize(("arguments", "values", "stops", "best"), COURSES.values(), ids=COURSES.keys())
def test_early_stopping_asks_to_stop_when_patience_ends(arguments, values, stops, best):
    stopping = bp.EarlyStopping(**arguments)
    column = Column(stopping)
    assert column.feed(*values) == stops
    assert stopping.best_epoch == column.kept == best


def test_early_stopping_may_leave_the_last_parameters():
    column = Column(bp.EarlyStopping(patience=1, restore_best=False))
    assert column.feed(4, 3, 5) == [3]
    assert column.kept == 3


def test_early_stopping_gives_back_the_best_epochs_parameters_on_every_backend(backend):
    """With this rate the loss rises from the first epoch on, so that the first epoch stays the best one."""

    def rising():
        return bp.Network([bp.Dense(4, 3)], bp.HalfSquaredError(), backend=backend, dtype="float64")

    once, stopped = rising(), rising()
    once.fit(X, ROWS, optimizer=bp.SGD(1.0), batch_size=None)
    history = stopped.fit(
        X,
        ROWS,
        optimizer=bp.SGD(1.0),
        batch_size=None,
        epochs=9,
        validation=(X, ROWS),
        callbacks=[bp.EarlyStopping(patience=3)],
    )
    assert history["validation_loss"] == sorted(history["validation_loss"])
    assert len(history) == 4
    assert_same_weights(weights(stopped), weights(once))


def test_early_stopping_begins_anew_with_every_fit():
    stopping, net = bp.EarlyStopping(patience=2, monitor="loss"), network()
    histories = [net.fit(X, LABELS, epochs=3, optimizer=bp.SGD(0.0), callbacks=[stopping]) for _ in range(2)]
    assert [history["epoch"] for history in histories] == [[1, 2, 3], [4, 5, 6]]
    assert stopping.best_epoch == 4


def test_early_stopping_refuses_an_unknown_column():
    with pytest.raises(bp.ConfigurationError) as caught:
        network().fit(X, LABELS, callbacks=[bp.EarlyStopping()])
    assert str(caught.value) == (
        "EarlyStopping monitors 'validation_loss'; the columns are epoch, loss, seconds: name one of them, "
        "or give fit a validation set"
    )


REFUSED = [
    (lambda: bp.EarlyStopping(0), "EarlyStopping got patience=0: it must be a whole number of at least 1"),
    (lambda: bp.EarlyStopping(1.5), "EarlyStopping got patience=1.5: it must be a whole number of at least 1"),
    (lambda: bp.EarlyStopping(True), "EarlyStopping got patience=True: it must be a whole number of at least 1"),
    (lambda: bp.EarlyStopping("loss"), "EarlyStopping got patience='loss': it must be a whole number of at least 1"),
    (
        lambda: bp.EarlyStopping(min_delta=-1),
        "EarlyStopping got min_delta=-1: it must be a finite number of at least 0",
    ),
    (
        lambda: bp.EarlyStopping(min_delta=float("nan")),
        "EarlyStopping got min_delta=nan: it must be a finite number of at least 0",
    ),
    (lambda: bp.EarlyStopping(monitor=3), "EarlyStopping got monitor=3: name a column such as 'validation_loss'"),
    (lambda: bp.PrintRows(0), "PrintRows got every=0: it must be a whole number of at least 1"),
    (lambda: bp.PrintRows("2"), "PrintRows got every='2': it must be a whole number of at least 1"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_callback_refuses_bad_arguments(call, message):
    with pytest.raises(bp.ConfigurationError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(("every", "epochs"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4]), (5, [5]), (6, [])])
def test_rows_are_printed_every_so_many_epochs(every, epochs):
    file = io.StringIO()
    network().fit(X, LABELS, epochs=5, callbacks=[bp.PrintRows(every, file)])
    lines = file.getvalue().splitlines()
    assert [int(line.split()[1]) for line in lines] == epochs


def test_a_printed_row_has_losses_accuracies_and_seconds():
    file = io.StringIO()
    row = {"epoch": 7, "loss": 0.123456, "validation_loss": 1234.56, "validation_accuracy": 0.98765, "seconds": 1.5}
    bp.PrintRows(file=file).on_epoch_end(network(), row)
    assert file.getvalue() == "epoch    7  loss 0.1235  validation loss 1235  validation accuracy 98.77 %  1.50 s\n"


@pytest.mark.parametrize(("seconds", "said"), [(0.0102, "0.01 s"), (0.00987, "9.87 ms"), (0.00042, "0.42 ms")])
def test_a_duration_below_a_hundredth_of_a_second_is_printed_in_milliseconds(seconds, said):
    file = io.StringIO()
    bp.PrintRows(file=file).on_epoch_end(network(), {"epoch": 1, "loss": 1.0, "seconds": seconds})
    assert file.getvalue() == f"epoch    1  loss 1  {said}\n"


def test_rows_go_to_stdout_where_no_file_is_given(capsys):
    network().fit(X, LABELS, callbacks=[bp.PrintRows()])
    assert capsys.readouterr().out.startswith("epoch    1  loss ")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal_as_stderr(monkeypatch):
    """A fake terminal; no fixture, since pytest puts a stderr of its own between fixtures and test."""
    fake = Terminal()
    monkeypatch.setattr("sys.stderr", fake)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return fake


def assert_threads_end(before):
    """The bar's thread is told to stop but not waited for, so that it may need a moment."""
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(timeout=5)
    assert not any(thread.is_alive() for thread in left)


BARS = {
    "given as callback": {"callbacks": [bp.ProgressBar()], "progress": False},
    "asked for": {"progress": True},
    "shown by itself on a terminal": {"progress": None},
}


@pytest.mark.parametrize("options", BARS.values(), ids=BARS.keys())
def test_a_progress_bar_draws_on_a_terminal_and_leaves_no_thread_behind(monkeypatch, options):
    terminal, before = terminal_as_stderr(monkeypatch), set(threading.enumerate())
    network().fit(X, LABELS, epochs=3, **options)
    assert "3/3" in terminal.getvalue()
    assert "loss" in terminal.getvalue()
    assert_threads_end(before)


def test_a_progress_bar_ends_with_a_training_that_fails(monkeypatch):
    terminal, before = terminal_as_stderr(monkeypatch), set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        network().fit(X, LABELS, epochs=3, progress=True, callbacks=[Failing()])
    assert "1/3" in terminal.getvalue()
    assert_threads_end(before)


def test_no_progress_bar_is_drawn_where_none_is_wanted(monkeypatch):
    terminal = terminal_as_stderr(monkeypatch)
    network().fit(X, LABELS, epochs=3, progress=False)
    assert terminal.getvalue() == ""


def test_no_progress_bar_is_drawn_where_stderr_is_no_terminal(capfd):
    network().fit(X, LABELS, epochs=3)
    assert capfd.readouterr() == ("", "")


def test_a_callback_can_read_how_the_fit_that_begins_will_train():
    class Settings(bp.Callback):
        def on_fit_begin(self, net, epochs):
            self.seen = dict(net.settings)

    watching, net = Settings(), network()
    assert net.settings == {}
    net.fit(X, LABELS, optimizer=bp.Adam(0.1), epochs=2, batch_size=4, shuffle=False, callbacks=[watching])
    columns = ["epoch", "loss", "seconds"]
    expected = {"epochs": 2, "examples": 6, "batch_size": 4, "shuffle": False, "columns": columns}
    assert watching.seen == net.settings == {"optimizer": bp.Adam(0.1), **expected}
    net.fit(X, LABELS, measure_training=True, callbacks=[watching])
    assert watching.seen["optimizer"] == bp.Adam(0.1)
    assert watching.seen["columns"] == list(net.history.columns)
    assert watching.seen["batch_size"] == 6
