"""The history has a row an epoch and a column a quantity, and gives them as CSV and DataFrame unchanged."""

import csv
import math
import sys

import numpy as np
import pytest

import portable_bp as bp

X = np.arange(24.0).reshape(6, 4) / 24
LABELS = np.array([0, 1, 2, 0, 1, 2])
AWKWARD = [1 / 3, 1e-320, 0.1 + 0.2, 1.7976931348623157e308, math.pi]


def fitted(loss=None, **options):
    net = bp.Network([bp.Dense(4, 3)], loss or bp.SoftmaxCrossEntropy())
    return net.fit(X, options.pop("y", LABELS), epochs=3, batch_size=2, **options)


def awkward():
    history = bp.History()
    for epoch, number in enumerate(AWKWARD, start=1):
        history.append({"epoch": epoch, "loss": number, "seconds": number / 7})
    return history


COLUMNS = {
    "plain": ({}, ["epoch", "loss", "seconds"]),
    "training measured": (
        {"measure_training": True},
        ["epoch", "loss", "training_loss", "training_accuracy", "seconds"],
    ),
    "validation": (
        {"validation": (X, LABELS)},
        ["epoch", "loss", "validation_loss", "validation_accuracy", "seconds"],
    ),
    "both": (
        {"measure_training": True, "validation": (X, LABELS)},
        ["epoch", "loss", "training_loss", "training_accuracy", "validation_loss", "validation_accuracy", "seconds"],
    ),
    "no classes": (
        {"loss": bp.MeanSquaredError(), "y": X[:, :3], "measure_training": True},
        ["epoch", "loss", "training_loss", "seconds"],
    ),
}


@pytest.mark.parametrize(("options", "names"), COLUMNS.values(), ids=COLUMNS.keys())
def test_the_columns_are_what_was_measured(options, names):
    history = fitted(**options)
    assert list(history.columns) == names
    assert all(len(column) == 3 for column in history.columns.values())


def test_a_column_is_read_by_name_and_a_row_by_iteration():
    history = fitted(measure_training=True)
    assert history["epoch"] == [1, 2, 3]
    assert history["loss"] == [row["loss"] for row in history]
    assert len(history) == len(list(history)) == 3
    assert all(seconds > 0 for seconds in history["seconds"])


def test_the_accuracy_and_the_loss_after_the_last_epoch_are_those_of_evaluate():
    net = bp.Network([bp.Dense(4, 3)], bp.SoftmaxCrossEntropy())
    history = net.fit(X, LABELS, epochs=2, batch_size=2, measure_training=True, validation=(X[:4], LABELS[:4]))
    assert history["training_loss"][-1] == pytest.approx(net.evaluate(X, LABELS)["loss"], rel=1e-6)
    assert history["training_accuracy"][-1] == net.score(X, LABELS)
    assert history["validation_loss"][-1] == pytest.approx(net.evaluate(X[:4], LABELS[:4])["loss"], rel=1e-6)
    assert history["validation_accuracy"][-1] == net.score(X[:4], LABELS[:4])


def test_epochs_count_over_the_life_of_the_network():
    net = bp.Network([bp.Dense(4, 3)], bp.SoftmaxCrossEntropy())
    assert [net.fit(X, LABELS, epochs=2)["epoch"] for _ in range(2)] == [[1, 2], [3, 4]]


def test_an_unknown_column_is_answered_with_the_known_ones():
    with pytest.raises(bp.ConfigurationError) as caught:
        fitted()["validation_loss"]
    assert str(caught.value) == "history has no column 'validation_loss'; it has epoch, loss, seconds"


def test_a_column_of_an_empty_history_is_refused():
    with pytest.raises(bp.ConfigurationError, match="has no column 'loss'; it has no rows yet: train first"):
        bp.History()["loss"]


def test_csv_gives_every_number_back_in_full_precision(tmp_path):
    awkward().to_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["epoch", "loss", "seconds"]
    assert [[float(word) for word in row] for row in rows[1:]] == [list(row.values()) for row in awkward()]


def test_csv_replaces_an_older_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("old " * 1000)
    awkward().to_csv(str(path))
    assert path.read_bytes().startswith(b"epoch,loss,seconds\r\n1,0.3333333333333333,")
    assert [file.name for file in tmp_path.iterdir()] == ["history.csv"]


def test_csv_into_a_missing_folder_is_refused(tmp_path):
    path = tmp_path / "nowhere" / "history.csv"
    with pytest.raises(bp.FileError, match="No such file or directory") as caught:
        awkward().to_csv(path)
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dataframe_has_the_same_columns_and_numbers():
    frame = awkward().to_dataframe()
    assert list(frame.columns) == ["epoch", "loss", "seconds"]
    assert frame["loss"].tolist() == AWKWARD
    assert frame["epoch"].tolist() == [1, 2, 3, 4, 5]


def test_a_dataframe_without_pandas_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(bp.ConfigurationError, match=r"pip install 'portable-bp\[table\]'"):
        awkward().to_dataframe()


def test_the_representation_names_epochs_and_columns():
    assert repr(awkward()) == "<history of 5 epochs: epoch, loss, seconds>"


def test_a_history_without_rows_iterates_to_its_end():
    assert next(iter(bp.History()), "end") == "end"
