"""CSV and JSON lines reach the disk row by row, and only ever grow."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

import portable_bp as bp

KINDS = {"csv": bp.CSVLog, "jsonl": bp.JSONLines}
KILLED = """
import sys, time
import numpy as np
import portable_bp as bp

class Hang(bp.Callback):
    def on_epoch_end(self, net, row):
        if row["epoch"] == 3:
            print("three", flush=True)
            time.sleep(60)

net = bp.Network([bp.Dense(4, 3)], bp.SoftmaxCrossEntropy())
callbacks = [bp.CSVLog("run.csv"), bp.JSONLines("run.jsonl"), Hang()]
net.fit(np.ones((6, 4)), np.array([0, 1, 2, 0, 1, 2]), epochs=9, callbacks=callbacks, progress=False)
"""


def test_rows_survive_a_kill(tmp_path):
    with subprocess.Popen([sys.executable, "-c", KILLED], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "three\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    header, *rows = (tmp_path / "run.csv").read_text().splitlines()
    assert header == "epoch,loss,seconds"
    assert [row.split(",")[0] for row in rows] == ["1", "2", "3"]
    first, *lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert json.loads(first)["configuration"]["epochs"] == 9
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]
    assert json.loads((tmp_path / "run.configuration.jsonl").read_text())["batch_size"] == 6


def test_the_csv_has_the_bytes_that_the_history_writes(fit, tmp_path):
    fit(bp.CSVLog(tmp_path / "run.csv")).to_csv(tmp_path / "history.csv")
    assert (tmp_path / "run.csv").read_bytes() == (tmp_path / "history.csv").read_bytes()


def test_rows_are_appended_only_below_the_same_columns(fit, net, tmp_path):
    fit(bp.CSVLog(tmp_path / "run.csv"), validation=None)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(bp.FileError, match=r"begins with 'epoch,loss,seconds' and this fit's .*validation_loss"):
        fit(bp.CSVLog(tmp_path / "run.csv", append=True))
    assert net.epoch == 3
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_configurations_of_another_run_are_refused_before_the_csv_is_made(fit, tmp_path):
    (tmp_path / "run.configuration.jsonl").write_text("{}\n")
    with pytest.raises(bp.FileError, match=r"run\.configuration\.jsonl' is there already"):
        fit(bp.CSVLog(tmp_path / "run.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["run.configuration.jsonl"]


def test_a_file_that_holds_no_json_lines_is_not_appended_to(fit, net, tmp_path):
    (tmp_path / "diary.txt").write_bytes(b"Dear diary\n")
    with pytest.raises(bp.FileError, match=r"Dear diary.* holds no JSON lines: name another file"):
        fit(bp.JSONLines(tmp_path / "diary.txt", append=True))
    assert (tmp_path / "diary.txt").read_bytes() == b"Dear diary\n"
    assert net.epoch == 0


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_appended_behind_half_a_line(kind, fit, net, tmp_path):
    path = tmp_path / f"run.{kind}"
    fit(KINDS[kind](path))
    torn = path.read_bytes()[:-5]
    path.write_bytes(torn)
    with pytest.raises(bp.FileError, match="ends in the middle of a line: take that line out or name another file"):
        fit(KINDS[kind](path, append=True))
    assert path.read_bytes() == torn
    assert net.epoch == 3


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_file_may_be_appended_to(kind, fit, tmp_path):
    (tmp_path / f"run.{kind}").touch()
    fit(KINDS[kind](tmp_path / f"run.{kind}", append=True))
    assert len((tmp_path / f"run.{kind}").read_text().splitlines()) == 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_appended_through_a_link(there, kind, fit, net, tmp_path):
    foreign = tmp_path / "foreign"
    if there:
        foreign.touch()
    (tmp_path / f"run.{kind}").symlink_to(foreign)
    with pytest.raises(bp.FileError, match=r"symbolic link to .*foreign', through which nothing is written"):
        fit(KINDS[kind](tmp_path / f"run.{kind}", append=True))
    assert foreign.exists() == there
    assert not there or foreign.read_bytes() == b""
    assert net.epoch == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipe_that_nobody_reads_is_refused(kind, fit, tmp_path):
    os.mkfifo(tmp_path / f"run.{kind}")
    with pytest.raises(bp.FileError, match="it is a pipe, which may wait for ever for its reader"):
        fit(KINDS[kind](tmp_path / f"run.{kind}", append=True))


@pytest.mark.parametrize("bad", ["nowhere/run", "null\0byte"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_path_that_cannot_be_opened_is_refused_before_training(kind, bad, fit, net, tmp_path):
    with pytest.raises(bp.FileError, match=r"can't write .*: name a file in a folder that is there"):
        fit(KINDS[kind](f"{tmp_path}/{bad}.{kind}"))
    assert net.epoch == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_full_disk_is_said_in_one_line(fit):
    with pytest.raises(bp.FileError, match=r"can't write '/dev/full' \(No space left on device\): make room"):
        fit(bp.JSONLines("/dev/full", append=True))


def test_a_number_that_json_lacks_becomes_null(net, tmp_path):
    net.fit(np.ones((3, 4)), np.array([0, 1, 2]), progress=False)  # a fit that says how it trained
    log = bp.JSONLines(tmp_path / "run.jsonl")
    log.on_fit_begin(net, 1)
    log.on_epoch_end(net, {"epoch": 1, "loss": float("nan"), "seconds": 0.5})
    log.on_fit_end(net)
    assert (tmp_path / "run.jsonl").read_text().splitlines()[1] == '{"epoch": 1, "loss": null, "seconds": 0.5}'


@dataclass(frozen=True)
class Odd(bp.Identity):
    """A layer of one's own, with a field that JSON has no word for."""

    kind: type = float


def test_a_part_with_a_field_that_json_lacks_is_noted_in_python_s_words(tmp_path):
    net = bp.Network([bp.Dense(4, 3), Odd()], bp.SoftmaxCrossEntropy())
    net.fit(np.ones((3, 4)), np.array([0, 1, 2]), progress=False, callbacks=[bp.JSONLines(tmp_path / "run.jsonl")])
    configuration = json.loads((tmp_path / "run.jsonl").read_text().splitlines()[0])["configuration"]
    assert configuration["layers"][1] == {"class": "Odd", "kind": "<class 'float'>"}


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_closed_at_the_end_of_a_fit_that_was_refused(kind, fit, tmp_path):
    """Warnings are errors here, so that a file left open would fail."""
    path = tmp_path / f"run.{kind}"
    with pytest.raises(bp.FileError, match="is there already"):
        fit(KINDS[kind](path), KINDS[kind](path))
    path.unlink()
