"""The table: what a row holds, that what is read again equals what was written, and whose folder it takes."""

import csv
import json
import os

import pytest

import portable_bp as bp
from portable_bp.history import History
from portable_bp.sweeping.definition import read_definition
from portable_bp.sweeping.figures import CURVES, draw
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


DAMAGE = {
    "another header": lambda header, first, *rest: ["a,b\n", first, *rest],
    "a missing row": lambda header, first, *rest: [header, *rest],
    "a row with a cell too few": lambda header, first, *rest: [header, first.rpartition(",")[0] + "\n", *rest],
    "a row with a cell too many": lambda header, first, *rest: [header, first[:-1] + ",x\n", *rest],
    "a status of its own": lambda header, first, *rest: [header, first.replace("finished", "perfect"), *rest],
    "epochs in words": lambda header, first, *rest: [header, first.replace("finished,2", "finished,two"), *rest],
    "a figure in words": lambda header, first, *rest: [header, first.replace("1e-320", "best"), *rest],
    "no seconds": lambda header, first, *rest: [header, first.replace(",0.2,", ",,"), *rest],
    "a cell of great length": lambda header, first, *rest: [header, "1" * 200_000 + "\n", *rest],
    "no text": lambda header, first, *rest: [header, first.replace("abc", "\udcff"), *rest],
    "nothing at all": lambda *lines: [],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_table_is_refused_and_left_alone(damage, table, tmp_path):
    filled(table)
    path = tmp_path / "s/results.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(damage(*lines)), encoding="utf-8", errors="surrogateescape")
    before = path.read_bytes()
    with pytest.raises(bp.FileError, match="is not as this sweep wrote it: name another folder, or delete this one"):
        table()
    assert path.read_bytes() == before


def test_damaged_epochs_are_refused(table, tmp_path):
    filled(table)
    with (tmp_path / "s/epochs.csv").open("a") as file:
        file.write("ten,1,0.5\n")
    with pytest.raises(bp.FileError, match=r"epochs.csv' is not as this sweep wrote it"):
        table()


@pytest.mark.parametrize("name", ["results.csv", "epochs.csv"])
def test_no_table_is_written_through_a_link(name, table, tmp_path):
    filled(table)
    (tmp_path / "s" / name).rename(tmp_path / "foreign")
    (tmp_path / "s" / name).symlink_to(tmp_path / "foreign")
    before = (tmp_path / "foreign").read_bytes()
    with pytest.raises(bp.FileError, match=r"it is a symbolic link to .*foreign', through which nothing is written"):
        table()
    assert (tmp_path / "foreign").read_bytes() == before


@pytest.mark.parametrize("name", ["sweep.json", "results.csv", "epochs.csv"])
def test_a_pipe_in_place_of_a_file_of_the_table_is_refused(name, table, tmp_path):
    filled(table)
    (tmp_path / "s" / name).unlink()
    os.mkfifo(tmp_path / "s" / name)
    with pytest.raises(bp.FileError, match="it is a pipe"):
        table()


def test_the_pictures_of_a_sweep_replace_links(table, tmp_path):
    (tmp_path / "foreign").write_bytes(b"mine")
    folder = tmp_path / "s"
    bp.sweep(GIVEN | {"run_cap": 2}, out=folder, dataset="xor", epochs=1)
    (folder / CURVES).symlink_to(tmp_path / "foreign")
    definition = read_definition(GIVEN | {"run_cap": 2}, {"dataset": "xor", "epochs": 1})
    draw(bp.sweep(GIVEN | {"run_cap": 2}, out=folder, dataset="xor", epochs=1), definition, folder)
    assert (tmp_path / "foreign").read_bytes() == b"mine"
    assert (folder / CURVES).read_bytes().startswith(b"\x89PNG")
    assert not (folder / CURVES).is_symlink()


@pytest.mark.parametrize("out", ["a\0b", "a" * 300])
def test_a_folder_that_cannot_be_is_refused(out, tmp_path):
    with pytest.raises(bp.FileError, match=r"can't write to .*: name another folder"):
        bp.sweep(GIVEN, out=tmp_path / out, dataset="xor")


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
    with pytest.raises(bp.FileError, match=f"process {os.getpid()} is at work in"):
        Table(definition, search_of(definition), FIGURES, tmp_path / "s")


def test_what_a_sweep_killed_at_its_very_beginning_leaves_blocks_nobody(table, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s/.lock").write_text("12345")
    assert table().rows == []
