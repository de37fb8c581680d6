"""A training that ends at any epoch and goes on from its checkpoint is the training that never ended."""

import json
import os
import re
import warnings
import weakref
from dataclasses import dataclass

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.archive import FORMAT, read, write
from portable_bp.checkpoints import ring
from portable_bp.checkpoints.resuming import CheckpointWarning
from portable_bp.locking import locked

RANDOM = np.random.default_rng(0)
X, LABELS = RANDOM.normal(size=(50, 6)), np.arange(50) % 3
VALIDATION = RANDOM.normal(size=(20, 6)), np.arange(20) % 3
EPOCHS, ENDED = 10, 5
RULES = {
    "SGD": bp.SGD(0.1),
    "Momentum": bp.Momentum(bp.Constant(0.05)),
    "Nesterov, warmed up": bp.Nesterov(bp.WarmUp(20, bp.ExponentialDecay(0.1, 0.01))),
    "AdaGrad, 1/t": bp.AdaGrad(bp.InverseTimeDecay(0.1, 0.05)),
    "RMSProp": bp.RMSProp(0.01),
    "Adam, cosine": bp.Adam(bp.CosineDecay(0.02, steps=60)),
    "AdamW, steps": bp.AdamW(bp.StepDecay(0.02, 0.5, every=30)),
    "L2": bp.L2(bp.Adam(0.01), 0.01),
    "clipped and decayed": bp.ClipByGlobalNorm(bp.DecoupledWeightDecay(bp.Nesterov(0.1), 0.01), 0.2),
}


def network(backend="numpy", **options):
    layers = [bp.Dense(6, 8), bp.Tanh(), bp.Dropout(0.3), bp.Dense(8, 3)]
    return bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=backend, **{"seed": 3, **options})


class Ending(bp.Callback):
    """Ends the training as Ctrl-C would, when others have been told of the epoch and before others are."""

    def __init__(self, epoch=ENDED):
        self.epoch = epoch

    def on_epoch_end(self, net, row):
        if row["epoch"] == self.epoch:
            raise KeyboardInterrupt


def fit(net, *callbacks, **options):
    how = {"optimizer": bp.Adam(0.02), "epochs": EPOCHS, "batch_size": 16, "validation": VALIDATION, **options}
    return net.fit(*how.pop("data", (X, LABELS)), callbacks=list(callbacks), progress=False, **how)


def ended(net, folder, *callbacks, every=1, epoch=ENDED, **options):
    """Train as `fit` does, with checkpoints, and be ended."""
    with pytest.raises(KeyboardInterrupt):
        fit(net, bp.Checkpoint(folder, every=every), *callbacks, Ending(epoch), **options)


def without_seconds(history):
    return {name: column for name, column in history.columns.items() if name != "seconds"}


def assert_same(resumed, undisturbed, histories):
    assert resumed.digest() == undisturbed.digest()
    assert resumed.epoch == undisturbed.epoch
    assert resumed.step == undisturbed.step
    first, second = histories
    assert without_seconds(first) == without_seconds(second)
    assert len(first["seconds"]) == len(second["seconds"])


# -- the same bits -----------------------------------------------------------------------------------------------------


CASES = {name: {"optimizer": rule, "batch_size": 10} for name, rule in RULES.items()}
CASES["SGD"] |= {"batch_size": 16}  # and two in the last one
CASES["Momentum"] |= {"shuffle": False}
CASES["RMSProp"] |= {"batch_size": None}


@pytest.mark.parametrize("how", CASES.values(), ids=CASES)
def test_a_resumed_training_ends_with_the_bits_of_the_undisturbed_one(how, backend, tmp_path):
    undisturbed, resumed = network(backend), network(backend)
    history = fit(undisturbed, bp.EarlyStopping(50), **how)
    ended(network(backend), tmp_path, bp.EarlyStopping(50), every=3, **how)
    assert_same(resumed, undisturbed, (fit(resumed, bp.EarlyStopping(50), resume=tmp_path, **how), history))


def test_keeping_checkpoints_changes_no_bit(backend, tmp_path):
    how = {"batch_size": None, "validation": None}  # many epochs in one call, where nobody looks between them
    plain, kept = network(backend), network(backend)
    fit(plain, **how)
    fit(kept, bp.Checkpoint(tmp_path), **how)
    assert kept.digest() == plain.digest()


def test_a_network_saved_with_its_optimizer_trains_on_with_the_same_bits(backend, tmp_path):
    rule = RULES["clipped and decayed"]
    undisturbed, first = network(backend), network(backend)
    fit(undisturbed, optimizer=rule)
    fit(first, optimizer=rule, epochs=ENDED)
    first.save(tmp_path / "net", optimizer=True)
    loaded = bp.load(tmp_path / "net", backend=backend)
    assert loaded.optimizer == rule
    fit(loaded, optimizer=None, epochs=EPOCHS - ENDED)
    assert loaded.digest() == undisturbed.digest()


def test_in_reproducible_arithmetic_another_backend_goes_on_with_the_same_bits(backend, tmp_path):
    how = {"optimizer": RULES["clipped and decayed"], "batch_size": 10}
    undisturbed, resumed = network(arithmetic="reproducible"), network(backend, arithmetic="reproducible")
    history = fit(undisturbed, bp.EarlyStopping(50), **how)
    ended(network(arithmetic="reproducible"), tmp_path, bp.EarlyStopping(50), every=3, **how)
    assert_same(resumed, undisturbed, (fit(resumed, bp.EarlyStopping(50), resume=tmp_path, **how), history))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_and_a_fit_behind_another_one_are_resumed_too(dtype, tmp_path):
    how = {"class_weight": [1, 2, 3], "sample_weight": np.linspace(0, 2, 50), "measure_training": True}

    def pretrained():
        net = network(dtype=dtype)
        fit(net, epochs=3, optimizer=bp.SGD(0.1))
        return net

    undisturbed, resumed = pretrained(), network(dtype=dtype)  # the checkpoint has what the first fit learnt
    history = fit(undisturbed, **how)
    ended(pretrained(), tmp_path, epoch=3 + ENDED, **how)
    assert_same(resumed, undisturbed, (fit(resumed, resume=tmp_path, **how), history))
    assert history["epoch"] == list(range(4, 14))


@pytest.mark.parametrize("end", range(1, 12))
def test_early_stopping_stops_at_the_same_epoch_and_gives_the_same_best_parameters(end, tmp_path):
    def stopping():
        return bp.EarlyStopping(4)

    how = {"optimizer": bp.SGD(0.3), "epochs": 100, "validation": (X[:20] + 0.5, LABELS[:20])}
    undisturbed, resumed = network(), network()
    history = fit(undisturbed, stopping(), **how)
    assert 5 < len(history) < 50, "it stops by itself"
    if end < len(history):
        ended(network(), tmp_path, stopping(), epoch=end, **how)
    else:
        fit(network(), bp.Checkpoint(tmp_path), stopping(), **how)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        found = fit(resumed, stopping(), resume=tmp_path, **how)
    assert_same(resumed, undisturbed, (found, history))


class Average(bp.Callback):
    """A user's own: the running mean of the parameters, with a list, a tuple and a word besides."""

    def on_fit_begin(self, net, epochs):
        self.mean, self.seen, self.place = None, [], ("a", 1)

    def on_epoch_end(self, net, row):
        new = {f"{number}.{name}": net.backend.to_numpy(array) for number, own in enumerate(net.params)
               for name, array in own.items()}  # fmt: skip
        self.seen.append(row["loss"])
        self.mean = {n: a if self.mean is None else 0.9 * self.mean[n] + 0.1 * a for n, a in new.items()}

    def state(self):
        return {"mean": self.mean, "seen": self.seen, "place": self.place}

    def restore(self, state):
        self.mean, self.seen, self.place = state["mean"], state["seen"], tuple(state["place"])


def test_a_callback_of_ones_own_goes_on_where_it_was(tmp_path):
    undisturbed, interrupted, resumed = Average(), Average(), Average()
    fit(network(), undisturbed)
    ended(network(), tmp_path, interrupted)
    fit(network(), resumed, resume=tmp_path)
    assert (resumed.seen, resumed.place) == (undisturbed.seen, undisturbed.place)
    assert resumed.mean.keys() == undisturbed.mean.keys()
    assert all(np.array_equal(resumed.mean[name], undisturbed.mean[name]) for name in resumed.mean)


def test_what_a_callback_does_in_an_epoch_that_fails_is_not_in_the_checkpoint_of_the_last_whole_one(tmp_path):
    class Failing(Average):
        def on_epoch_end(self, net, row):
            super().on_epoch_end(net, row)
            if row["epoch"] == 3:
                raise KeyboardInterrupt  # its own list has grown by then

    with pytest.raises(KeyboardInterrupt):
        fit(network(), bp.Checkpoint(tmp_path, every=100), Failing())
    found = ring.newest(tmp_path)
    assert found.description["epoch"] == 2
    losses = found.tensors[found.training["history"]["loss"]["$array"]]
    assert found.training["callbacks"][0]["seen"] == losses.tolist()
    assert len(losses) == 2


class Looking(bp.Callback):
    """Without a state."""


def test_recorded_gradients_and_growing_files_are_those_of_the_undisturbed_training(tmp_path):
    def callbacks(folder):
        folder.mkdir(exist_ok=True)
        files = [bp.CSVLog(folder / "log.csv"), bp.JSONLines(folder / "log.jsonl"), bp.TensorBoard(folder / "board")]
        return [*files, bp.RecordGradients(X[:5], LABELS[:5], every=2), Looking()]

    there, here = callbacks(tmp_path / "undisturbed"), callbacks(tmp_path / "resumed")
    fit(network(), *there)
    ended(network(), tmp_path / "checkpoints", *callbacks(tmp_path / "resumed"), every=2, epoch=6)
    with (tmp_path / "resumed/log.csv").open("a") as file:
        file.write("5,0.1," * 9999)  # more than what comes now, cut by a kill
    resumed = network()
    fit(resumed, *here, resume=ring.path_of(tmp_path / "checkpoints", 4))
    assert here[3].history.columns == there[3].history.columns
    tables = [(tmp_path / name / "log.csv").read_text().splitlines() for name in ("undisturbed", "resumed")]
    first, second = ([line.rpartition(",")[0] for line in table] for table in tables)
    assert first == second
    lines = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("undisturbed", "resumed")]
    first, second = ([{**json.loads(line), "seconds": 0} for line in one] for one in lines)
    assert first == second
    assert len(list((tmp_path / "resumed/board").iterdir())) == 2


def test_a_growing_file_that_is_gone_or_has_shrunk_is_missed(tmp_path):
    log = tmp_path / "log.csv"
    ended(network(), tmp_path / "checkpoints", bp.CSVLog(log))
    os.truncate(log, 10)
    with pytest.raises(bp.FileError, match=r"'.*log.csv' has 10 bytes and had \d+ when the checkpoint was made"):
        fit(network(), bp.CSVLog(log), resume=tmp_path / "checkpoints")
    log.unlink()
    with pytest.raises(bp.FileError, match=r"log.csv' \(No such file.*\): a resumed fit adds its lines to this file"):
        fit(network(), bp.CSVLog(log), resume=tmp_path / "checkpoints")


def test_a_growing_file_that_has_become_a_link_is_refused_and_what_it_points_to_stays(tmp_path):
    log, foreign = tmp_path / "log.csv", tmp_path / "foreign"
    ended(network(), tmp_path / "checkpoints", bp.CSVLog(log))
    content = log.read_text() * 2
    foreign.write_text(content)
    log.unlink()
    log.symlink_to(foreign)
    with pytest.raises(bp.FileError, match=r"symbolic link to .*foreign', through which nothing is written"):
        fit(network(), bp.CSVLog(log), resume=tmp_path / "checkpoints")
    assert foreign.read_text() == content


def test_a_training_ended_before_its_first_epoch_begins_again_with_everything(tmp_path):
    class Early(bp.Callback):
        def on_fit_begin(self, net, epochs):
            raise KeyboardInterrupt

    def callbacks():
        return [bp.Checkpoint(tmp_path / "c"), bp.CSVLog(tmp_path / "log.csv"), bp.EarlyStopping(50)]

    with pytest.raises(KeyboardInterrupt):
        fit(network(), *callbacks(), Early())
    undisturbed, resumed = network(), network()
    history = fit(undisturbed, bp.EarlyStopping(50))
    assert_same(resumed, undisturbed, (fit(resumed, *callbacks(), resume=True), history))
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 1 + EPOCHS


# -- when and what is kept ---------------------------------------------------------------------------------------------


def kept(folder):
    return ring.epochs_in(folder)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, [8, 9, 10]),
        ({"every": 4}, [4, 8, 10]),
        ({"every": 4, "keep": 1}, [10]),
        ({"every": 4, "keep": None}, [0, 4, 8, 10]),
        ({"every": 100}, [0, 10]),
        ({"seconds": 1e6}, [0, 10]),
        ({"seconds": 1e-9, "keep": None}, list(range(11))),
        ({"seconds": 1e-9, "every": 100, "keep": 2}, [9, 10]),
    ],
)
def test_checkpoints_come_by_epochs_or_by_time_and_the_last_ones_stay(how, expected, tmp_path):
    net = bp.Network([bp.Dense(6, 3)], bp.SoftmaxCrossEntropy())
    checkpoint = bp.Checkpoint(tmp_path, monitor="training_loss", **how)  # falls on, so that the last is the best
    fit(net, checkpoint, optimizer=bp.SGD(0.1), batch_size=None, measure_training=True)
    assert kept(tmp_path) == expected
    assert {path.name for path in tmp_path.iterdir()} == {f"epoch-{epoch:06}.safetensors" for epoch in expected}


@pytest.mark.parametrize(
    ("monitor", "best"), [("validation_loss", min), ("validation_accuracy", max), ("loss", min), (None, min)]
)
def test_the_best_checkpoint_stays_as_well(monitor, best, tmp_path):
    net = network()
    history = fit(net, bp.Checkpoint(tmp_path, keep=1, monitor=monitor), optimizer=bp.Adam(0.3), epochs=12)
    column = history[monitor or "validation_loss"]
    epoch = 1 + column.index(best(column))
    assert epoch < 12
    assert kept(tmp_path) == [epoch, 12]
    loaded = bp.load(ring.path_of(tmp_path, epoch))
    assert loaded.evaluate(*VALIDATION)["loss"] == pytest.approx(history["validation_loss"][epoch - 1])


def test_the_data_is_let_go_when_the_fit_ends(tmp_path):
    checkpoint, data = bp.Checkpoint(tmp_path), X.astype("float32")
    watched = weakref.ref(data)
    fit(network(), checkpoint, data=(data, LABELS))
    del data
    assert watched() is None
    assert checkpoint.folder == tmp_path


def test_the_best_stays_the_best_over_a_resume(tmp_path):
    how = {"optimizer": bp.Adam(0.3), "epochs": 12}
    fit(network(), bp.Checkpoint(tmp_path / "a", keep=1), **how)
    ended(network(), tmp_path / "b", epoch=9, **how)
    fit(network(), bp.Checkpoint(tmp_path / "b", keep=1), resume=True, **how)
    assert kept(tmp_path / "b") == kept(tmp_path / "a")
    assert kept(tmp_path / "b")[0] < 9


def test_an_interrupt_writes_the_last_whole_epoch(tmp_path):
    ended(network(), tmp_path, every=100)
    assert kept(tmp_path) == [0, ENDED - 1]  # epoch 5 was not told to everybody


class Meddling(bp.Callback):
    """Sets the parameters after each epoch."""

    def on_epoch_end(self, net, row):
        net.params = [{name: 0 * array for name, array in own.items()} for own in net.params]


def test_what_a_callback_does_to_the_parameters_is_in_no_checkpoint_as_it_is_in_no_training(tmp_path):
    undisturbed, resumed = network(), network()
    history = fit(undisturbed)
    ended(network(), tmp_path, Meddling())
    assert_same(resumed, undisturbed, (fit(resumed, resume=tmp_path), history))


def test_a_training_that_diverges_leaves_its_last_good_epoch(tmp_path):
    net = network()
    with pytest.raises(bp.NonFiniteError):
        fit(net, bp.Checkpoint(tmp_path, every=100), optimizer=bp.SGD(bp.StepDecay(0.1, 1e30, every=20)), epochs=20)
    assert 5 <= net.epoch < 20
    assert kept(tmp_path) == [0, net.epoch]
    assert bp.load(ring.path_of(tmp_path, net.epoch)).digest() == net.digest()


def test_resume_true_begins_where_there_is_nothing_and_goes_on_where_there_is(tmp_path):
    undisturbed, resumed = network(), network()
    fit(undisturbed)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), bp.Checkpoint(tmp_path / "new"), Ending(), resume=True)
    fit(resumed, bp.Checkpoint(tmp_path / "new"), resume=True)
    assert resumed.digest() == undisturbed.digest()


def test_a_checkpoint_of_its_own_file_takes_the_training_back_and_later_ones_away(tmp_path):
    undisturbed, resumed = network(), network()
    fit(undisturbed, bp.Checkpoint(tmp_path, keep=None))
    fit(resumed, bp.Checkpoint(tmp_path, keep=2), resume=ring.path_of(tmp_path, 3), epochs=EPOCHS)
    assert resumed.digest() == undisturbed.digest()
    assert kept(tmp_path)[-2:] == [9, 10]


def test_a_finished_training_says_so_and_may_be_made_longer(tmp_path):
    undisturbed, finished, longer = network(), network(), network()
    history = fit(undisturbed, epochs=EPOCHS + 5)
    half = fit(finished, bp.Checkpoint(tmp_path))
    told = r"this training has ended, complete after 10 epochs; nothing was left to train"
    with pytest.warns(CheckpointWarning, match=told):
        again = fit(network(), bp.Checkpoint(tmp_path), resume=True)
    assert again.columns == half.columns
    assert_same(longer, undisturbed, (fit(longer, resume=tmp_path, epochs=EPOCHS + 5), history))


def test_a_finished_training_gives_the_network_that_it_ended_with(tmp_path):
    first, second = network(), network()
    how = {"optimizer": bp.Adam(0.3), "epochs": 100}
    fit(first, bp.Checkpoint(tmp_path), bp.EarlyStopping(3), **how)
    with pytest.warns(CheckpointWarning, match="this training has ended, stopped by a callback after"):
        fit(second, bp.EarlyStopping(3), resume=tmp_path, **how)
    assert second.digest() == first.digest()


def test_a_checkpoint_is_a_network_that_load_reads(tmp_path):
    net = network()
    fit(net, bp.Checkpoint(tmp_path), bp.EarlyStopping(50, restore_best=False), epochs=4)
    loaded = bp.load(ring.path_of(tmp_path, 4))
    assert loaded.digest() == net.digest()
    assert (loaded.epoch, loaded.step, loaded.optimizer) == (4, net.step, net.optimizer)
    fit(net, optimizer=None, epochs=2)
    fit(loaded, optimizer=None, epochs=2)
    assert loaded.digest() == net.digest()


# -- what is refused ---------------------------------------------------------------------------------------------------

CHANGES = {
    "a layer": (lambda: {"net": bp.Network([bp.Dense(6, 3)], bp.SoftmaxCrossEntropy(), seed=3)}, "its layers is"),
    "a seed": (lambda: {"net": network(seed=4)}, "its seed is 3, and now it is 4"),
    "a dtype": (lambda: {"net": network(dtype="float64")}, 'its dtype is "float32", and now it is "float64"'),
    "an arithmetic": (lambda: {"net": network(arithmetic="reproducible")}, 'its arithmetic is "native", and now'),
    "an optimizer": (lambda: {"optimizer": bp.SGD(0.1)}, 'its optimizer.class is "Adam", and now it is "SGD"'),
    "a rate": (lambda: {"optimizer": bp.Adam(0.5)}, "its optimizer.learning_rate is 0.02, and now it is 0.5"),
    "a batch size": (lambda: {"batch_size": 8}, "its batch_size is 16, and now it is 8"),
    "shuffling": (lambda: {"shuffle": False}, "its shuffle is true, and now it is false"),
    "fewer examples": (lambda: {"data": (X[:-1], LABELS[:-1])}, "its x.shape[0] is 50, and now it is 49"),
    "other inputs": (lambda: {"data": (X[::-1], LABELS)}, "its x.SHA-256 is"),
    "other targets": (lambda: {"data": (X, LABELS[::-1])}, "its y.SHA-256 is"),
    "weights": (lambda: {"class_weight": [1, 2, 3]}, "its weights is null, and now it is {"),
    "another validation set": (lambda: {"validation": (X, LABELS)}, "its validation x.shape[0] is 20, and now it"),
    "no validation set": (lambda: {"validation": None, "callbacks": []}, "is of another training: its columns is"),
    "a callback too few": (lambda: {"callbacks": []}, 'its callbacks with a state is ["EarlyStopping"], and now'),
    "another monitor": (
        lambda: {"callbacks": [bp.EarlyStopping(50, monitor="loss")]},
        "EarlyStopping monitors 'loss', and monitored 'validation_loss' when the checkpoint was made",
    ),
    "fewer epochs": (lambda: {"epochs": 9}, "is of a training of 10 epochs, and now epochs=9: give as many or more"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), CHANGES.values(), ids=CHANGES)
def test_a_fit_that_differs_from_the_checkpoint_is_refused_and_told_where(change, words, tmp_path):
    ended(network(), tmp_path, bp.EarlyStopping(50))
    options = change()
    net, callbacks = options.pop("net", None) or network(), options.pop("callbacks", [bp.EarlyStopping(50)])
    with pytest.raises(bp.ConfigurationError) as caught:
        fit(net, *callbacks, resume=tmp_path, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_refused_fit_leaves_the_network_and_the_folder_as_they_were(tmp_path):
    ended(network(), tmp_path)
    net, before = network(), sorted(path.read_bytes() for path in tmp_path.iterdir())
    digest = net.digest()
    with pytest.raises(bp.ConfigurationError, match="batch_size"):
        fit(net, bp.Checkpoint(tmp_path), resume=True, batch_size=8)
    assert (net.digest(), net.epoch, net.step, net.optimizer) == (digest, 0, 0, None)
    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == before


@dataclass(frozen=True)
class Own(bp.SGD):
    """A user's own rule."""


def test_without_an_optimizer_the_checkpoints_is_taken_unless_it_is_ones_own(tmp_path):
    undisturbed, resumed = network(), network()
    fit(undisturbed)
    ended(network(), tmp_path / "a")
    fit(resumed, resume=tmp_path / "a", optimizer=None)
    assert resumed.digest() == undisturbed.digest()
    ended(network(), tmp_path / "b", optimizer=Own(0.1))
    with pytest.raises(bp.ConfigurationError, match=r'its optimizer is {"class": "Own".*}: give it as optimizer'):
        fit(network(), resume=tmp_path / "b", optimizer=None)
    fit(network(), resume=tmp_path / "b", optimizer=Own(0.1))


REFUSED = {
    "a missing folder": (lambda folder: folder / "nowhere", "there is no checkpoint in"),
    "an empty folder": (lambda folder: folder, "there is no checkpoint in"),
    "True without a Checkpoint": (lambda folder: True, "resume=True needs a Checkpoint(folder) among the callbacks"),
    "a number": (lambda folder: 3, "resume=3: write True, or the path of a checkpoint"),
}


@pytest.mark.parametrize(("source", "words"), REFUSED.values(), ids=REFUSED)
def test_what_names_no_checkpoint_is_refused(source, words, tmp_path):
    with pytest.raises(bp.PortableBPError, match=re.escape(words)):
        fit(network(), resume=source(tmp_path))


def test_a_network_that_was_saved_is_no_checkpoint(tmp_path):
    network().save(tmp_path / "net", optimizer=True)
    with pytest.raises(bp.FileError, match=r"is a network and no checkpoint: take it up with load\(\)"):
        fit(network(), resume=tmp_path / "net")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folder": ""}, "folder=''"),
        ({"folder": 3}, "folder=3"),
        ({"every": 0}, "every=0"),
        ({"every": 0, "seconds": 1}, "every=0"),
        ({"seconds": 0}, "seconds=0"),
        ({"seconds": float("nan")}, "seconds=nan"),
        ({"keep": 0}, "keep=0"),
        ({"monitor": "accuracy"}, "Checkpoint monitors 'accuracy'; the columns are"),
        ({"note": X}, "can't save this"),
    ],
)
def test_options_of_a_checkpoint_are_checked(options, words, tmp_path):
    with pytest.raises(bp.ConfigurationError, match=re.escape(words)):
        fit(network(), bp.Checkpoint(**{"folder": tmp_path / "c", **options}))


def test_a_state_that_no_file_can_hold_is_refused(tmp_path):
    class Odd(Average):
        def state(self):
            return {"net": object()}

    class Marked(Average):
        def state(self):
            return {"$array": 1}

    for callback, words in ((Odd(), "can't save this"), (Marked(), "has the key '$array'")):
        with pytest.raises(bp.ConfigurationError, match=re.escape(words)):
            fit(network(), bp.Checkpoint(tmp_path / type(callback).__name__), callback)


def test_a_folder_with_checkpoints_of_another_fit_is_refused(tmp_path):
    ended(network(), tmp_path)
    with pytest.raises(bp.FileError, match="holds the checkpoints of another fit: go on with it by resume=True"):
        fit(network(), bp.Checkpoint(tmp_path))


def test_a_second_fit_in_the_folder_is_refused_while_the_first_one_trains_and_free_afterwards(tmp_path):
    class Second(bp.Callback):
        def on_epoch_end(self, net, row):
            with pytest.raises(bp.FileError, match=f"process {os.getpid()} is at work in"):
                fit(network(), bp.Checkpoint(tmp_path), resume=True)

    fit(network(), bp.Checkpoint(tmp_path), Second(), epochs=2)
    with locked(tmp_path):
        assert (tmp_path / ".lock").exists()
    assert not (tmp_path / ".lock").exists()


# -- damage ------------------------------------------------------------------------------------------------------------


def test_any_flipped_bit_or_cut_is_noticed_and_the_checkpoint_before_it_taken(tmp_path):
    undisturbed = network()
    fit(undisturbed)
    ended(network(), tmp_path, epoch=7)
    path = ring.path_of(tmp_path, 6)
    whole, generator = path.read_bytes(), np.random.default_rng(1)
    for place in [*generator.integers(0, len(whole), 40).tolist(), None]:
        damaged = bytearray(whole) if place is not None else bytearray(whole[: len(whole) // 2])
        if place is not None:
            damaged[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        resumed = network()
        with pytest.warns(CheckpointWarning, match="going on from epoch-000005.safetensors") as told:
            fit(resumed, resume=tmp_path)
        assert len(told) == 1
        assert "\n" not in str(told[0].message)
        assert resumed.digest() == undisturbed.digest()


def test_damaged_checkpoints_are_written_again_and_sound_ones_outlive_them(tmp_path):
    ended(network(), tmp_path, epoch=7)
    for epoch in (5, 6):
        ring.path_of(tmp_path, epoch).write_bytes(b"damaged")
    with pytest.warns(CheckpointWarning), pytest.raises(KeyboardInterrupt):
        fit(network(), bp.Checkpoint(tmp_path, keep=1, monitor="loss"), Ending(6), resume=True)
    assert bp.load(ring.path_of(tmp_path, kept(tmp_path)[-1])).epoch == 5


def test_where_every_checkpoint_is_damaged_nothing_is_trained(tmp_path):
    ended(network(), tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(bp.FileError, match=r"no checkpoint in .* is sound; of the newest: .*epoch-000004"):
        fit(network(), resume=tmp_path)


CRAFTED = {
    "no training": lambda d, t: d.update(training=None),
    "an empty training": lambda d, t: d.update(training={}),
    "no optimizer": lambda d, t: d.pop("optimizer"),
    "an optimizer without state": lambda d, t: d["optimizer"].pop("state"),
    "an array that is missing": lambda d, t: t.pop("optimizer.m.0.weight"),
    "an array of another shape": lambda d, t: t.update({"optimizer.m.0.weight": np.zeros((1, 1), "f4")}),
    "a parameter of another shape": lambda d, t: t.update({"0.weight": np.zeros((1, 1), "f4")}),
    "a history that is too short": lambda d, t: t.update({"training.history.loss": np.zeros(1)}) or [
        t.update({name: t[name][:1]}) for name in list(t) if name.startswith("training.history")],
    "a negative epoch": lambda d, t: d.update(epoch=-1),
    "an epoch that is a word": lambda d, t: d.update(epoch="four"),
    "states that are a number": lambda d, t: d["training"].update(callbacks=3),
    "a state that is a word": lambda d, t: d["training"].update(callbacks=["a"]),
    "a state without its entries": lambda d, t: d["training"].update(callbacks=[{}]),
    "a state with words for numbers": lambda d, t: d["training"]["callbacks"][0].update(waited="long"),
    "epochs that are a word": lambda d, t: d["training"].update(epochs="ten"),
    "conditions that are a list": lambda d, t: d["training"].update(conditions=[]),
    "a best that is a word": lambda d, t: d["training"].update(best="the best"),
    "a best whose value is a word": lambda d, t: d["training"]["best"].update(value="low"),
    "a best epoch that is a word": lambda d, t: d["training"]["best"].update(epoch="four"),
}  # fmt: skip


@pytest.mark.parametrize("craft", CRAFTED.values(), ids=CRAFTED)
def test_a_crafted_checkpoint_is_refused_in_one_line_that_names_it(craft, tmp_path):
    ended(network(), tmp_path, bp.EarlyStopping(50))
    path = ring.path_of(tmp_path, 4)
    description, tensors = read(path)
    craft(description, tensors)
    write(path, description, tensors)
    with pytest.raises(bp.PortableBPError) as caught:
        fit(network(), bp.EarlyStopping(50), bp.Checkpoint(tmp_path), resume=path)
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_without_a_checksum_is_not_trusted(tmp_path):
    from safetensors.numpy import save

    ended(network(), tmp_path)
    path = ring.path_of(tmp_path, 4)
    description, tensors = read(path)
    path.write_bytes(save(tensors, {FORMAT: json.dumps(description)}))
    with pytest.raises(bp.FileError, match="it holds no checksum"):
        fit(network(), resume=path)


# -- a disk that is full, a folder that can't be written ---------------------------------------------------------------


def test_a_full_disk_ends_the_training_and_what_was_written_resumes(tmp_path, monkeypatch):
    undisturbed, resumed = network(), network()
    fit(undisturbed)
    real = os.fsync
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 9:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(bp.FileError, match=r"\(No space left on device\): make room") as caught:
        fit(network(), bp.Checkpoint(tmp_path))
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert all(path.name.startswith("epoch-") for path in tmp_path.iterdir())
    fit(resumed, bp.Checkpoint(tmp_path), resume=True)
    assert resumed.digest() == undisturbed.digest()


@pytest.mark.parametrize("name", ["a file", "a file/within", "null\0"])
def test_a_folder_that_can_t_be_made_is_refused_before_training(name, tmp_path):
    (tmp_path / "a file").touch()
    net = network()
    with pytest.raises(bp.FileError, match="can't make the folder"):
        fit(net, bp.Checkpoint(tmp_path / name))
    assert net.epoch == 0
