"""The command `sweep`: its output, its files, and what it refuses."""

import json
from pathlib import Path

import pytest
import yaml

import portable_bp as bp
from portable_bp.sweeping import sweep as module
from portable_bp.sweeping.definition import read_definition
from portable_bp.sweeping.sweep import Sweep

GRID = """
program: train.py
method: grid
metric: {name: training_accuracy, goal: maximize}
parameters:
  learning_rate: {values: [0.05, 0.1]}
  seed: {values: [0, 1]}
  epochs: {value: 2}
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "grid.yaml").write_text(GRID)
    return "grid.yaml"


@pytest.mark.parametrize("batch", [True, False])
def test_a_sweep_prints_lines_and_a_summary_and_leaves_its_files(run, file, tmp_path, batch):
    outcome = run("sweep", file, "--dataset", "xor", *([] if batch else ["--no-batch"]))
    assert (outcome.status, outcome.stderr) == (0, "")
    lines = outcome.stdout.splitlines()
    assert lines[0] == "ignored, for they are for Weights & Biases: program"
    assert lines[1].startswith("run 1/4  learning_rate=0.05 seed=0  training accuracy ")
    assert lines[1].endswith(" left") != batch, "where all are trained together all have ended"
    assert "mean training accuracy" in outcome.stdout
    assert lines[-1] == "results in sweeps/grid"
    assert {path.name for path in (tmp_path / "sweeps/grid").iterdir()} == {
        "sweep.json", "results.csv", "epochs.csv", "curves.png",
    }  # fmt: skip


def test_json_is_the_only_thing_on_stdout_and_a_second_call_does_nothing_anew(run, file, tmp_path):
    words = ("sweep", file, "--set", "dataset=xor", "--out", "o", "--json")
    first, before = json.loads(run(*words).stdout), (tmp_path / "o/results.csv").read_bytes()
    assert first["batched"] == 4
    assert json.loads(run(*words).stdout) == first | {"batched": 0}
    assert (tmp_path / "o/results.csv").read_bytes() == before
    assert (first["runs"], len(first["points"]), first["folder"]) == (4, 2, "o")
    assert first["metric"] == {"name": "training_accuracy", "goal": "maximize"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.yaml"], "can't read the sweep file 'none.yaml'"),
        (["grid.yaml"], "names no dataset"),
        (["grid.yaml", "--set", "dataset"], "--set 'dataset': write NAME=VALUE"),
        (["grid.yaml", "--dataset", "xor", "--set", "layers=3"], "unknown parameter 'layers'"),
        (["grid.yaml", "--dataset", "mnits"], "'mnits': write one of mnist"),
        (["grid.yaml", "--dataset", "xor", "--jobs", "0"], "jobs=0: it must be a whole number"),
        (["grid.yaml", "--dataset", "xor", "--runs", "0"], "runs=0: it must be a whole number"),
    ],
)
def test_wrong_calls_are_one_line(refused, file, words, said):
    assert said in refused("sweep", *words)


def test_many_runs_are_refused_without_a_terminal(run, file, monkeypatch):
    monkeypatch.setattr(module, "MANY", 3)
    outcome = run("sweep", file, "--dataset", "xor", "--json")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert "the sweep has 4 runs; the first took " in outcome.stderr
    assert outcome.stderr.endswith("or give --yes\n")
    assert run("sweep", file, "--dataset", "xor", "--json", "--yes").status == 0


def test_the_table_is_written_as_parquet_too_on_request(run, file, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    report = json.loads(run("sweep", file, "--dataset", "xor", "--table", "t.parquet", "--out", "o", "--json").stdout)
    found, rows = pandas.read_parquet("t.parquet"), pandas.read_csv("o/results.csv")
    assert len(found) == report["runs"]
    for name in ("run", "seed", "final_training_accuracy", "digest"):
        assert found[name].tolist() == rows[name].tolist()


def test_a_missing_pyarrow_is_found_before_the_first_run(refused, file, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    said = refused("sweep", file, "--dataset", "xor", "--table", "t.parquet")
    assert "a Parquet file needs pandas and pyarrow: pip install 'portable-bp[parquet]'" in said


@pytest.mark.parametrize("name", ["t.csv", "none/t.parquet"])
def test_a_table_of_another_kind_or_in_no_folder_is_refused_before_the_first_run(refused, file, name):
    said = refused("sweep", file, "--dataset", "xor", "--table", name)
    assert f"can't write the table {name!r}: name a file that ends in .parquet" in said


def test_an_interrupted_sweep_says_how_to_go_on(run, file, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "results", interrupted)
    outcome = run("sweep", file, "--dataset", "xor", "--json")
    assert outcome.status == 130
    assert "the runs that ended are in sweeps/grid; the same command goes on" in outcome.stderr


MNIST = Path(__file__).parents[2] / "examples/data/mnist"
EXAMPLES = sorted((Path(__file__).parents[2] / "examples/sweeps").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_sweeps_run(path):
    given = yaml.safe_load(path.read_text())
    data = {"data": str(MNIST)} if given["parameters"]["dataset"]["value"] == "mnist" else {}
    if data and not MNIST.is_dir():
        pytest.skip("clone the repository: its examples/data/mnist holds the real files")
    Sweep(read_definition(path, data))  # its options go together
    shorter = given["parameters"] | {"epochs": {"value": 1}}
    results = bp.sweep(given | {"parameters": shorter}, runs=2, **data)
    assert [row["status"] for row in results] == ["finished"] * 2


def test_the_example_sweeps_say_their_command():
    for path in EXAMPLES:
        assert f"# portable-bp sweep examples/sweeps/{path.name}" in path.read_text()


def test_the_reports_studies_are_there():
    names = ["encoder_high", "encoder_low", "iris", "mnist_layers", "mnist_rates", "xor_rates", "xor_widths"]
    assert [path.stem for path in EXAMPLES] == names
