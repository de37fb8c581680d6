"""A whole sweep: its table, the same after a kill, however it is spread, whatever diverges."""

import signal
import subprocess
import sys
import time

import pytest

import portable_bp as bp
from portable_bp.sweeping import sweep as module

GRID = {
    "method": "grid",
    "parameters": {"rate": {"values": [0.05, 0.1]}, "seed": {"values": [0, 1, 2]}, "epochs": {"value": 4}},
}
TIMES = ("seconds",)


def timeless(rows):
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def timeless_files(folder):
    """Both CSV files without their columns of seconds."""
    found = {}
    for name in ("results.csv", "epochs.csv"):
        lines = [line.split(",") for line in (folder / name).read_text().splitlines()]
        place = lines[0].index("seconds")
        found[name] = [[*line[:place], *line[place + 1 :]] for line in lines]
    return found


def test_the_table_is_a_list_of_rows_and_a_dataframe_on_request():
    results = bp.sweep(GRID, dataset="xor")
    assert [(row["rate"], row["seed"]) for row in results] == [(r, s) for r in (0.05, 0.1) for s in (0, 1, 2)]
    assert {row["status"] for row in results} == {"finished"}
    assert len({row["digest"] for row in results}) == 6
    frame = results.to_dataframe()
    assert list(frame.columns) == results.columns
    assert frame["rate"].tolist() == [row["rate"] for row in results]
    assert {tuple(point.values) for point in results.points()} == {("rate",)}


def test_missing_pandas_names_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(bp.ConfigurationError, match=r"pip install 'portable-bp\[table\]'"):
        bp.sweep(GRID, dataset="xor").to_dataframe()


KILLED = """
import sys, time
import portable_bp as bp
from portable_bp.sweeping import spread
real, number = spread.run, 0
def run(options):
    global number
    number += 1
    if number == 4:
        print("fourth", flush=True)
        time.sleep(60)
    return real(options)
spread.run = run
bp.sweep({grid!r}, dataset="xor", out={out!r})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_killed_sweep_goes_on_where_it_stopped_and_ends_with_the_same_table(tmp_path):
    program = KILLED.format(grid=GRID, out=str(tmp_path / "killed"))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"fourth\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "killed/results.csv").read_text().count("\n") == 1 + 3
    with (tmp_path / "killed/epochs.csv").open("a") as file:
        file.write("4,1,0.5")  # as where it is killed in the middle of a line
    taken = []
    real = module.results
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "results", lambda points, jobs: real((taken.append(p) or p for p in points), jobs))
        resumed = bp.sweep(GRID, dataset="xor", out=tmp_path / "killed")
    assert len(taken) == 3
    whole = bp.sweep(GRID, dataset="xor", out=tmp_path / "whole")
    assert timeless(resumed) == timeless(whole)
    assert timeless_files(tmp_path / "killed") == timeless_files(tmp_path / "whole")


def test_a_sweep_over_processes_ends_with_the_same_table(tmp_path):
    alone = bp.sweep(GRID, dataset="xor")
    spread = bp.sweep(GRID, dataset="xor", jobs=2, out=tmp_path / "s")
    assert timeless(spread) == timeless(alone)


def test_a_run_that_diverges_is_a_row_and_not_the_end():
    rates = {"rate": {"values": [0.01, 1e30, 0.02]}, "optimizer": {"value": "sgd"}, "epochs": {"value": 5}}
    loss = {"loss": {"value": "mean-squared-error"}}
    results = bp.sweep({"method": "grid", "parameters": rates | loss}, dataset="xor")
    assert [row["status"] for row in results] == ["finished", "diverged", "finished"]
    assert "after epoch 1: the update of " in results[1]["reason"]
    assert results.points()[-1].values == {"rate": 1e30}


def test_a_longer_random_sweep_goes_on_from_a_shorter_one(tmp_path):
    given = {"method": "random", "parameters": {"rate": {"min": 0.01, "max": 0.1}}}
    short = bp.sweep(given, dataset="xor", runs=2, out=tmp_path / "s", epochs=2)
    longer = bp.sweep(given, dataset="xor", runs=3, out=tmp_path / "s", epochs=2)
    assert (len(short), len(longer)) == (2, 3)
    assert longer[:2] == short


def test_every_point_s_options_are_checked_before_the_first_run(monkeypatch):
    monkeypatch.setattr(module, "results", lambda *_: pytest.fail("a run was started"))
    names = {"values": ["relu", "tanh", "sigmod"]}
    with pytest.raises(bp.ConfigurationError, match="'sigmod': write one of relu, sigmoid"):
        bp.sweep({"method": "grid", "parameters": {"activation": names}}, dataset="xor")


def test_a_metric_that_no_run_has_is_refused_before_the_first_run(monkeypatch):
    monkeypatch.setattr(module, "results", lambda *_: pytest.fail("a run was started"))
    with pytest.raises(bp.ConfigurationError, match="metric 'validation_loss': no run of this sweep has it"):
        bp.sweep({**GRID, "metric": {"name": "validation_loss"}}, dataset="xor")


MILLION = {"method": "grid", "parameters": {"seed": {"min": 0, "max": 999_999}, "epochs": {"value": 1}}}


def test_a_million_runs_are_refused_after_the_first_with_number_and_time(tmp_path):
    started = time.perf_counter()
    with pytest.raises(bp.ConfigurationError) as caught:
        bp.sweep(MILLION, dataset="xor", out=tmp_path / "s")
    assert time.perf_counter() - started < 15
    said = str(caught.value)
    assert said.startswith("the sweep has 1,000,000 runs; the first took ")
    assert "so the other 999,999 would take about " in said
    assert said.endswith(": write fewer values, a run_cap, or yes=True")
    assert (tmp_path / "s/results.csv").read_text().count("\n") == 2


def test_many_runs_that_are_wanted_are_carried_out(monkeypatch):
    monkeypatch.setattr(module, "MANY", 5)
    with pytest.raises(bp.ConfigurationError, match="the sweep has 6 runs"):
        bp.sweep(GRID, dataset="xor")
    assert len(bp.sweep(GRID, dataset="xor", yes=True)) == 6
