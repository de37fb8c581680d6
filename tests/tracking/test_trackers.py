"""All trackers keep the same rows under the same names, and the configuration; each read back from what it wrote."""

import csv
import json
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import portable_bp as bp


@dataclass
class CSV:
    path: str
    exact = True
    needs = None

    def made(self, append=False):
        return bp.CSVLog(f"{self.path}.csv", append=append)

    def rows(self):
        with open(f"{self.path}.csv", newline="") as file:
            return [{name: float(word) for name, word in row.items()} for row in csv.DictReader(file)]

    def configurations(self):
        with open(f"{self.path}.configuration.jsonl") as file:
            return [json.loads(line) for line in file]


@dataclass
class JSON:
    path: str
    exact = True
    needs = None

    def made(self, append=False):
        return bp.JSONLines(f"{self.path}.jsonl", append=append)

    def lines(self):
        with open(f"{self.path}.jsonl") as file:
            return [json.loads(line) for line in file]

    def rows(self):
        return [line for line in self.lines() if "epoch" in line]

    def configurations(self):
        return [line["configuration"] for line in self.lines() if "configuration" in line]


@dataclass
class Board:
    path: str
    exact = False
    needs = "tensorboardX"

    def made(self, append=False):
        return bp.TensorBoard(self.path, append=append)

    def values(self):
        """Step, tag and value of everything in the folder's event files: length, check sum, event, check sum."""
        from tensorboardX.proto.event_pb2 import Event

        for file in sorted(Path(self.path).iterdir()):
            content, start = file.read_bytes(), 0
            while start < len(content):
                (length,) = struct.unpack_from("<Q", content, start)
                event = Event.FromString(content[start + 12 : start + 12 + length])
                yield from ((event.step, value.tag, value) for value in event.summary.value)
                start += length + 16

    def rows(self):
        steps = {}
        for step, tag, value in self.values():
            if value.HasField("simple_value"):
                steps.setdefault(step, {"epoch": step})[tag] = value.simple_value
        return list(steps.values())

    def configurations(self):
        texts = [value.tensor.string_val[0] for _, tag, value in self.values() if tag.startswith("configuration")]
        return [json.loads(text.decode().removeprefix("```json\n").removesuffix("\n```")) for text in texts]


def records_once_finished(file, patience=20.0):
    """Records of an offline run; wandb's own process may write the last ones a moment after `finish` returned."""
    until = time.monotonic() + patience
    while True:
        records = list(records_of(file.read_bytes()))
        if any(record.HasField("exit") for record in records):
            return records
        assert time.monotonic() < until, f"{file} has no end: {len(records)} records"
        time.sleep(0.02)


def records_of(content):
    """LevelDB's log format behind 7 bytes: blocks of 32768 bytes; a record may go on in the next piece."""
    from wandb.proto.wandb_internal_pb2 import Record

    start, pieces = 7, b""
    while start + 7 <= len(content):
        if 32768 - start % 32768 < 7:  # what is left of a block is too short for a head
            start += 32768 - start % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, start)
        pieces += content[start + 7 : start + 7 + length]
        start += 7 + length
        if start > len(content):  # still being written
            return
        if kind in (1, 4):  # whole, or last piece
            yield Record.FromString(pieces)
            pieces = b""


@dataclass
class Run:
    path: str
    exact = True
    needs = "wandb.sdk"

    def made(self, append=True):  # a fit is a run of its own
        Path(self.path).mkdir(exist_ok=True)  # older versions would go to the system's temporary folder
        return bp.WandB("tests", mode="offline", dir=self.path)

    def records(self):
        """Records of all offline runs, in the order in which these began."""
        runs = [records_once_finished(file) for file in Path(self.path).rglob("*.wandb")]
        began = [next(r.run.start_time.ToNanoseconds() for r in run if r.HasField("run")) for run in runs]
        return [record for _, run in sorted(zip(began, runs, strict=True), key=lambda pair: pair[0]) for record in run]

    def rows(self):
        rows = []
        for record in self.records():
            if record.HasField("history"):
                items = {(item.key or item.nested_key[0]): json.loads(item.value_json) for item in record.history.item}
                rows.append({name: value for name, value in items.items() if not name.startswith("_")})
        return rows

    def configurations(self):
        """Config at the end of each run; a run begins with a record of its own."""
        found = []
        for record in self.records():
            if record.HasField("run"):
                found.append({})
            config = record.run.config if record.HasField("run") else record.config
            for item in config.update:
                found[-1][item.key or item.nested_key[0]] = json.loads(item.value_json)
        return [{name: value for name, value in config.items() if not name.startswith("_")} for config in found]

    def axes(self):
        """Axis of the chart of every metric."""
        return {r.metric.name: r.metric.step_metric for r in self.records() if r.HasField("metric")}


@pytest.fixture(params=[CSV, JSON, Board, Run], ids=["CSVLog", "JSONLines", "TensorBoard", "WandB"])
def tracker(request, tmp_path):
    if request.param.needs:
        pytest.importorskip(request.param.needs, reason=f"{request.param.needs} isn't installed")
    return request.param(str(tmp_path / "tracked"))


def assert_rows(tracker, expected):
    kept = tracker.rows()
    assert [sorted(row) for row in kept] == [sorted(row) for row in expected]
    for here, there in zip(kept, expected, strict=True):
        for name, value in there.items():
            assert here[name] == (value if tracker.exact or name == "epoch" else float(np.float32(value))), name


def test_a_tracker_keeps_the_names_and_numbers_of_the_history(tracker, fit):
    history = fit(tracker.made())
    assert list(history.columns) == ["epoch", "loss", "validation_loss", "validation_accuracy", "seconds"]
    assert len(history) == 3
    assert_rows(tracker, history.rows)


def test_a_tracker_notes_the_configuration_once_at_the_start(tracker, fit):
    fit(tracker.made())
    (configuration,) = tracker.configurations()
    dense = {"class": "Dense", "n_in": 4, "n_out": 3, "bias": True}
    (layer,) = configuration.pop("layers")
    assert dense.items() <= layer.items()
    assert configuration.pop("optimizer")["inner"]["learning_rate"] == 0.01
    assert configuration == {
        "loss": {"class": "SoftmaxCrossEntropy", "reduction": "mean"},
        "epochs": 3,
        "examples": 6,
        "batch_size": 4,
        "shuffle": True,
        "first_epoch": 1,
        "seed": 7,
        "dtype": "float64",
        "backend": "numpy",
        "arithmetic": "native",
        "precision": "full",
    }


def test_a_further_fit_goes_on_where_the_last_one_stopped(tracker, fit):
    logged = tracker.made(append=True)
    both = [row for _ in range(2) for row in fit(logged).rows]
    assert [row["epoch"] for row in both] == [1, 2, 3, 4, 5, 6]
    assert_rows(tracker, both)
    assert [found["first_epoch"] for found in tracker.configurations()] == [1, 4]


def test_a_tracker_keeps_the_rows_from_before_a_failure(tracker, fit):
    class Failing(bp.Callback):
        def on_epoch_end(self, net, row):
            if row["epoch"] == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tracker.made(), Failing())
    assert [row["epoch"] for row in tracker.rows()] == [1, 2]


@pytest.mark.parametrize("kind", [CSV, JSON, Board])
def test_a_further_fit_into_what_is_there_is_refused_before_training(kind, fit, net, tmp_path):
    if kind.needs:
        pytest.importorskip(kind.needs, reason=f"{kind.needs} isn't installed")
    tracker = kind(str(tmp_path / "tracked"))
    history = fit(tracker.made())
    with pytest.raises(bp.FileError, match="append=True") as caught:
        fit(tracker.made())
    assert "\n" not in str(caught.value)
    assert net.epoch == 3
    assert_rows(tracker, history.rows)
    assert len(tracker.configurations()) == 1


@pytest.mark.parametrize("kind", [CSV, JSON, Board])
def test_what_cannot_be_written_is_refused_before_training(kind, fit, net, tmp_path):
    if kind.needs:
        pytest.importorskip(kind.needs, reason=f"{kind.needs} isn't installed")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(bp.FileError, match=r"can't write.*Not a directory.*name a ") as caught:
        fit(kind(str(tmp_path / "file" / "tracked")).made())
    assert "\n" not in str(caught.value)
    assert net.epoch == 0


MISSING = {
    "tensorboardX": (lambda: bp.TensorBoard("runs"), r"TensorBoard needs tensorboardX: pip install 'portable-bp\[ten"),
    "wandb": (lambda: bp.WandB("mine"), r"WandB needs wandb: pip install 'portable-bp\[wandb\]'"),
}


@pytest.mark.parametrize(("library", "call", "message"), [(name, *rest) for name, rest in MISSING.items()])
def test_a_missing_library_is_one_line_at_construction(library, call, message, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(bp.ConfigurationError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_folder_of_runs_called_wandb_is_not_taken_for_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", ModuleType("wandb"))  # as Python imports such a folder
    with pytest.raises(bp.ConfigurationError, match="WandB needs wandb: pip install"):
        bp.WandB("mine")


@pytest.mark.parametrize("cls", [bp.CSVLog, bp.JSONLines, bp.TensorBoard])
@pytest.mark.parametrize("path", ["", None, 3])
def test_what_is_no_path_is_refused(cls, path):
    with pytest.raises(bp.ConfigurationError, match=f"{cls.__name__} got {path!r}: give the path"):
        cls(path)


@pytest.mark.parametrize("cls", [bp.CSVLog, bp.JSONLines, bp.TensorBoard, bp.WandB])
def test_a_tracker_leaves_small_epochs_to_run_many_at_once(cls):
    assert vars(cls)["only_reads_rows"] is True


def test_importing_the_trackers_imports_neither_library():
    program = (
        "import sys, portable_bp as bp; bp.WandB, bp.TensorBoard; print({'wandb', 'tensorboardX'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_wandb_draws_every_column_over_the_epochs(fit, wandb, tmp_path):
    run = Run(str(tmp_path))
    history = fit(run.made())
    assert run.axes() == {name: "" if name == "epoch" else "epoch" for name in history.columns}


def test_a_run_that_is_active_is_logged_to_and_left_open_with_its_own_config(fit, wandb, tmp_path):
    with wandb.init(project="outer", mode="offline", dir=str(tmp_path), config={"seed": "swept"}) as outer:
        history = fit(bp.WandB("inner"))
        assert wandb.run is outer
        assert outer.config["seed"] == "swept"
        assert outer.config["batch_size"] == 4
    assert Run(str(tmp_path)).rows() == list(history.rows)


@pytest.mark.usefixtures("wandb")
def test_a_relative_folder_of_wandb_is_the_one_that_python_means(fit, tmp_path, monkeypatch):
    fit(Run(str(tmp_path / "first")).made())  # starts wandb's own process, which stays in the folder of then
    (tmp_path / "elsewhere" / "runs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    history = fit(Run("runs").made())
    assert Run(str(tmp_path / "elsewhere" / "runs")).rows() == list(history.rows)


def test_wandb_refuses_what_its_init_does_not_know_at_construction(wandb):
    with pytest.raises(bp.ConfigurationError, match=r"WandB got an unexpected keyword argument 'proyect'"):
        bp.WandB(proyect="mine")


def test_wandb_says_in_one_line_why_a_run_could_not_begin(fit, wandb, net, tmp_path):
    with pytest.raises(bp.ConfigurationError, match=r"wandb.init refused \(") as caught:
        fit(bp.WandB("tests", mode="onlyne", dir=str(tmp_path)))
    assert "\n" not in str(caught.value)
    assert net.epoch == 0
