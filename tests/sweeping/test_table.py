"""The table: what a row holds, that what is read again equals what was written, and whose folder it takes."""

import csv
import json

import pytest

import portable_bp as bp
from portable_bp.history import History
from portable_bp.sweeping.definition import read_definition
from portable_bp.sweeping.run import Result
from portable_bp.sweeping.search import search_of
from portable_bp.sweeping.table import Table

FIGURES = ["loss", "training_accuracy", "test_loss"]
GIVEN = {
    "method": "grid",
    "parameters": {"hidden": {"values": ["", [4, 2]]}, "bias": {"value": False}, "batch_size": {"values": [None, 2]}},
}


def history(*losses):
    made = History()
    for epoch, loss in enumerate(losses, start=1):
        made.append({"epoch": epoch, "loss": loss, "training_accuracy": 1 / 3, "seconds": 0.1})
    return made


RESULTS = [
    Result("finished", history(0.1 + 0.2, 1e-320), {"final_test_loss": 2 / 3}, "abc"),
    Result("diverged", history(5.0), reason='loss is inf, said "he"; stop'),
    Result("refused", history(), reason="größer"),
]


@pytest.fixture
def table(tmp_path):
    opened = []

    def opened_again(given=GIVEN, figures=FIGURES):
        for other in opened:
            other.close()
        definition = read_definition(given, {"dataset": "xor"})
        opened.append(Table(definition, search_of(definition), figures, tmp_path / "s"))
        return opened[-1]

    yield opened_again
    for other in opened:
        other.close()


def filled(table):
    made = table()
    for number, result in enumerate(RESULTS):
        made.add(search_of(read_definition(GIVEN, {"dataset": "xor"})).point(number), result)
    return made.rows


def test_a_row_has_parameters_figures_status_seconds_digest_and_reason(table):
    first, second, third = filled(table)
    assert first == {
        "run": 1, "hidden": "", "bias": False, "batch_size": None, "status": "finished", "epochs_done": 2,
        "final_loss": 1e-320, "final_training_accuracy": 1 / 3, "final_test_loss": 2 / 3, "best_loss": 1e-320,
        "best_training_accuracy": 1 / 3, "seconds": 0.2, "digest": "abc", "reason": "",
    }  # fmt: skip
    assert (second["hidden"], second["batch_size"], second["status"], second["final_loss"]) == ("", 2, "diverged", 5.0)
    assert (third["hidden"], third["status"], third["final_loss"], third["reason"]) == (
        "4,2",
        "refused",
        None,
        "größer",
    )


def test_what_is_read_again_equals_what_was_written(table):
    assert table().rows == [] == table().rows
    rows = filled(table)
    assert table().rows == rows


def test_each_row_is_in_the_files_as_soon_as_it_is_added(table, tmp_path):
    filled(table)
    with (tmp_path / "s/results.csv").open(newline="") as file:
        assert [row["run"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    with (tmp_path / "s/epochs.csv").open(newline="") as file:
        rows = [(row["run"], row["epoch"], row["loss"]) for row in csv.DictReader(file)]
    assert rows == [("1", "1", "0.30000000000000004"), ("1", "2", "1e-320"), ("2", "1", "5.0")]


def test_half_a_row_and_epochs_of_a_run_without_a_row_are_cut_off(table, tmp_path):
    rows = filled(table)
    whole = {name: (tmp_path / "s" / name).read_bytes() for name in ("results.csv", "epochs.csv")}
    for name, rest in (("results.csv", b"4,,False,2,fini"), ("epochs.csv", b"4,1,0.5,0.5,0.1\n4,2,0")):
        with (tmp_path / "s" / name).open("ab") as file:
            file.write(rest)
    assert table().rows == rows
    assert {name: (tmp_path / "s" / name).read_bytes() for name in whole} == whole


def test_a_smaller_run_cap_shows_fewer_rows_and_loses_none(table):
    rows = filled(table)
    assert table({**GIVEN, "run_cap": 1}).rows == rows[:1]
    assert table().rows == rows


def test_the_folder_of_another_sweep_and_of_something_else_is_refused_and_left_alone(table, tmp_path):
    filled(table)
    before = (tmp_path / "s/results.csv").read_bytes()
    other = {**GIVEN, "parameters": {"seed": {"values": [0]}}}
    with pytest.raises(bp.FileError, match="holds the results of another sweep: name another one as out, or delete it"):
        table(other)
    assert (tmp_path / "s/results.csv").read_bytes() == before
    (tmp_path / "s/sweep.json").unlink()
    with pytest.raises(bp.FileError, match="holds other files: a sweep needs one of its own"):
        table()


@pytest.mark.parametrize("damage", ["header", "missing row"])
def test_a_damaged_table_is_refused(table, tmp_path, damage):
    filled(table)
    lines = (tmp_path / "s/results.csv").read_text().splitlines(keepends=True)
    kept = ["a,b\n", *lines[1:]] if damage == "header" else [lines[0], *lines[2:]]
    (tmp_path / "s/results.csv").write_text("".join(kept))
    with pytest.raises(bp.FileError, match="is not as this sweep wrote it"):
        table()


def test_a_damaged_definition_is_refused(table, tmp_path):
    table()
    (tmp_path / "s/sweep.json").write_text("[")
    with pytest.raises(bp.FileError, match="another sweep"):
        table()


def test_the_definition_lies_beside_with_its_hash(table, tmp_path):
    table()
    found = json.loads((tmp_path / "s/sweep.json").read_text())
    definition = read_definition(GIVEN, {"dataset": "xor"})
    assert found["sha256"] == definition.digest
    assert found["definition"]["parameters"]["hidden"][1] == ["", "4,2"]


def test_two_sweeps_at_once_don_t_share_a_folder(table, tmp_path):
    pytest.importorskip("fcntl")
    table()
    definition = read_definition(GIVEN, {"dataset": "xor"})
    with pytest.raises(bp.FileError, match="another process is writing to"):
        Table(definition, search_of(definition), FIGURES, tmp_path / "s")
