"""`train --checkpoint-every` and `--resume`: what is kept, who may go on, and how a run is ended."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import portable_bp as bp
from portable_bp.checkpoints import ring
from portable_bp.cli.tasks import TASKS, Data
from portable_bp.locking import locked

IRIS = ("train", "iris", "--hidden", "6", "--dropout", "0.2", "--batch-size", "16", "--train-size", "60")
RESULTS = {"configuration.json", "history.csv", "model.safetensors"}


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """As where matplotlib is missing, which also saves the time of drawing."""
    monkeypatch.setattr("portable_bp.cli.training_run.can_draw", lambda: False)


class Ending(bp.Callback):
    def __init__(self, epoch, error):
        self.epoch, self.error = epoch, error

    def on_epoch_end(self, net, row):
        if row["epoch"] == self.epoch:
            raise self.error


@pytest.fixture
def ended(run, monkeypatch):
    """Train until an error ends it after the epoch named, and give the outcome."""

    def call(*arguments, epoch=4, error=KeyboardInterrupt):
        real = bp.Network.fit

        def fit(net, *data, callbacks, **options):
            return real(net, *data, callbacks=[*callbacks, Ending(epoch, error)], **options)

        with monkeypatch.context() as patch:
            patch.setattr(bp.Network, "fit", fit)
            return run(*arguments)

    return call


def rows(folder, name="history.csv"):
    with Path(folder, name).open(newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def configuration(folder):
    return json.loads(Path(folder, "configuration.json").read_text())


def test_an_interrupted_run_tells_the_command_that_goes_on_and_ends_as_the_undisturbed_one(run, ended):
    options = (*IRIS, "--epochs", "9", "--track", "csv", "--track", "jsonl", "--optimizer", "adamw")
    run(*options, "--output", "whole")
    outcome = ended(*options, "--output", "a run", "--checkpoint-every", "2")
    assert outcome.status == 130
    assert outcome.stderr == (
        "portable-bp: interrupted, epoch 3 is kept: go on with `portable-bp train --resume 'a run'`\n"
    )
    assert not RESULTS & {path.name for path in Path("a run").iterdir()}
    resumed = run("train", "--resume", "a run")
    assert (resumed.status, resumed.stderr) == (0, "")
    assert [line.split()[1] for line in resumed.stdout.splitlines()[:6]] == ["4", "5", "6", "7", "8", "9"]
    for name in ("history.csv", "epochs.csv"):
        assert rows("a run", name) == rows("whole", name)
    assert configuration("a run") == configuration("whole")
    assert (Path("a run") / "model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()


@pytest.fixture
def misleading(monkeypatch):
    """A dataset whose validation set first gets better and then worse, so that early stopping stops."""
    x, y = bp.datasets.xor()
    flipped = y.copy()
    flipped[:4] = 1 - y[:4]
    data = Data({"train": bp.datasets.Split(x, y), "validation": bp.datasets.Split(x, flipped)}, 2)
    monkeypatch.setitem(TASKS, "xor", replace(TASKS["xor"], load=lambda *_: data))


@pytest.mark.usefixtures("misleading")
def test_a_run_that_stops_early_is_resumed_to_the_same_end_and_says_that_it_has_ended(run, ended):
    options = ("train", "xor", "--patience", "9", "--epochs", "400", "--rate", "0.03", "--json")
    whole = json.loads(run(*options, "--output", "whole").stdout)
    assert 10 < whole["epochs"] < 400
    ended(*options, "--output", "o", "--checkpoint-every", "4", epoch=whole["epochs"] - 3)
    assert json.loads(run("train", "--resume", "o", "--json").stdout)["digest"] == whole["digest"]
    assert rows("o") == rows("whole")
    again = run("train", "--resume", "o", "--json")
    assert (again.status, json.loads(again.stdout)["digest"]) == (0, whole["digest"])
    assert f"this training has ended, stopped by a callback after {whole['epochs']} epochs" in again.stderr
    assert again.stderr.count("\n") == 1


def test_a_finished_run_may_be_made_longer_and_moved_to_another_backend(run, require_backend):
    require_backend("torch")
    options = (*IRIS, "--arithmetic", "reproducible")
    run(*options, "--epochs", "6", "--output", "whole")
    run(*options, "--epochs", "3", "--output", "o", "--checkpoint-every", "1")
    report = json.loads(run("train", "--resume", "o", "--epochs", "6", "--backend", "torch", "--json").stdout)
    assert (report["digest"], report["epochs"]) == (configuration("whole")["digest"], 6)
    assert report["backend"] == configuration("o")["backend"] == "torch:cpu"
    assert rows("o") == rows("whole")


def test_the_damaged_are_passed_over_with_a_line_each(run, ended):
    run(*IRIS, "--epochs", "6", "--output", "whole")
    ended(*IRIS, "--epochs", "6", "--output", "o", "--checkpoint-every", "1")
    newest = ring.path_of(Path("o/checkpoints"), 3)
    newest.write_bytes(newest.read_bytes()[:-1])
    outcome = run("train", "--resume", "o", "--json")
    assert outcome.stderr.startswith(f"portable-bp: {str(newest)!r} can't be read")
    assert outcome.stderr.endswith("; going on from epoch-000002.safetensors\n")
    assert outcome.stderr.count("\n") == 1
    assert json.loads(outcome.stdout)["digest"] == configuration("whole")["digest"]


def test_results_that_were_lost_are_written_again(run):
    run(*IRIS, "--epochs", "3", "--output", "o", "--checkpoint-every", "1")
    before = configuration("o")
    for name in RESULTS:
        (Path("o") / name).unlink()
    unfinished = Path("o/.unfinished-abc")
    unfinished.mkdir()
    (unfinished / "model.safetensors").touch()
    (Path("o/checkpoints") / ".epoch-000003.safetensors.abc").touch()
    assert run("train", "--resume", "o").status == 0
    assert {path.name for path in Path("o").iterdir()} == {*RESULTS, "checkpoints"}
    assert not list(Path("o/checkpoints").glob(".*"))
    assert configuration("o") == before


def test_a_run_interrupted_before_its_first_epoch_leaves_nothing(run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(bp.Network, "fit", interrupted)
    outcome = run(*IRIS, "--output", "deep/o", "--checkpoint-every", "1")
    assert (outcome.status, outcome.stderr) == (130, "portable-bp: interrupted: nothing was written\n")
    assert list(Path.cwd().iterdir()) == []


REFUSED = {
    "an unknown rhythm": ([*IRIS, "--checkpoint-every", "often"], "--checkpoint-every 'often': write a number of epo"),
    "no epochs": ([*IRIS, "--checkpoint-every", "0"], "--checkpoint-every '0': write a number of epochs, such as 5"),
    "no time": ([*IRIS, "--checkpoint-every", "0s"], "--checkpoint-every '0s'"),
    "no unit": ([*IRIS, "--checkpoint-every", "1.5"], "--checkpoint-every '1.5'"),
    "none kept": ([*IRIS, "--checkpoint-every", "1", "--checkpoint-keep", "0"], "keep=0"),
    "no rhythm": ([*IRIS, "--checkpoint-keep", "2"], "--checkpoint-keep 2 needs --checkpoint-every: give it"),
    "the same folder": ([*IRIS, "--output", "o"], "or go on with the run there: `portable-bp train --resume o`"),
    "an unfinished network": (["predict", "o", "x.csv"], "go on with it, `portable-bp train --resume o`, or name one"),
    "a missing folder": (["train", "--resume", "nowhere"], "there is no folder 'nowhere'"),
    "a folder without checkpoints": (["train", "--resume", "."], "there is no checkpoint in 'checkpoints'"),
    "no dataset": (["train"], "Missing argument 'DATASET'"),
    "a dataset": (["train", "iris", "--resume", "o"], ": a dataset can't be given with --resume, which takes"),
    "a rate": (["train", "--resume", "o", "--rate", "1"], "only --epochs, --backend, --data can: leave it out"),
    "an output": (["train", "--resume", "o", "--output", "p"], "--output can't be given with --resume"),
    "fewer epochs": (["train", "--resume", "o", "--epochs", "2"], "is of a training of 5 epochs, and now epochs=2"),
    "foreign checkpoints": (["train", "--resume", "python"], "is no checkpoint of `portable-bp train`: resume it"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_what_can_t_be_resumed_or_kept_is_refused(arguments, words, ended, refused):
    ended(*IRIS, "--epochs", "5", "--output", "o", "--checkpoint-every", "1")
    bp.Network([bp.Dense(1, 1)], bp.MeanSquaredError()).fit(
        [[1]], [[1]], callbacks=[bp.Checkpoint("python/checkpoints")], progress=False
    )
    before = sorted(Path.cwd().rglob("*"))
    assert words in refused(*arguments)
    assert sorted(Path.cwd().rglob("*")) == before


def test_a_run_that_is_under_way_is_left_alone(refused, ended):
    ended(*IRIS, "--epochs", "5", "--output", "o", "--checkpoint-every", "1")
    with locked(Path("o")):
        assert f"process {os.getpid()} is at work in 'o'" in refused("train", "--resume", "o")
        assert f"process {os.getpid()} is at work in 'o'" in refused(*IRIS, "--output", "o")


@pytest.mark.parametrize(("rhythm", "expected"), [("0.000001s", 4), ("60s", 2), ("2min", 2), ("0.5 h", 2), ("2", 3)])
def test_times_and_numbers_of_epochs_are_understood(rhythm, expected, run):
    options = ("--epochs", "3", "--output", "o", "--checkpoint-every", rhythm, "--checkpoint-keep", "9")
    assert run(*IRIS, *options).status == 0
    assert len(ring.epochs_in(Path("o/checkpoints"))) == expected  # with the one before the first epoch and the last


# -- signals -----------------------------------------------------------------------------------------------------------

COMMAND = "import sys; from portable_bp.cli import main; sys.exit(main())"
LONG = (*IRIS, "--epochs", "1000000", "--output", "o", "--checkpoint-every", "1h")
SLOW = """
import time
from portable_bp.checkpoints.snapshot import Snapshot

def contents(snapshot, *more):
    if snapshot.epoch:
        print("writing", flush=True)
        time.sleep(60)
    return real(snapshot, *more)

real, Snapshot.contents = Snapshot.contents, contents
"""
IGNORING = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"


@pytest.fixture
def started(tmp_path):
    """A process that trains in tmp_path."""

    def start(program=COMMAND):
        command, pipe = [sys.executable, "-c", program, *LONG], subprocess.PIPE
        process = subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True)
        begun.append(process)
        while not (tmp_path / "o/checkpoints/epoch-000000.safetensors").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        time.sleep(1.0)  # a thousand epochs, or some on a busy machine
        return process

    begun = []
    yield start
    for process in begun:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_keeps_the_last_epoch_and_tells_how_to_go_on(number, started, tmp_path):
    process = started()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    first, epoch = ring.epochs_in(tmp_path / "o/checkpoints")
    assert (first, epoch > 0) == (0, True)
    assert said == f"portable-bp: interrupted, epoch {epoch} is kept: go on with `portable-bp train --resume o`\n"
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"checkpoints"}


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_at_once(second, started, tmp_path):
    process = started(SLOW + COMMAND)
    process.send_signal(signal.SIGINT)
    assert "writing\n" in iter(process.stdout.readline, "")
    sent = time.monotonic()
    process.send_signal(second)
    process.communicate(timeout=30)
    assert time.monotonic() - sent < 10
    assert process.returncode == -second
    assert ring.epochs_in(tmp_path / "o/checkpoints") == [0]


def test_a_signal_that_is_ignored_from_the_start_stays_so(started):
    process = started(IGNORING + COMMAND)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
