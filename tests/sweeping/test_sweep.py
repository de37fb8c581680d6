"""A whole sweep: its table, the same after a kill, however it is spread, whatever diverges."""

import csv
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
        lines = [*csv.reader((folder / name).read_text().splitlines())]
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
real, number = spread.run_together, 0
def run_together(points):
    global number
    number += 1
    if number == {call}:
        print("killed", flush=True)
        time.sleep(60)
    return real(points)
spread.run_together = run_together
bp.sweep({grid!r}, dataset="xor", out={out!r}, batch={batch})
"""
TWO_KINDS = {**GRID, "parameters": {"hidden": {"values": [4, [4, 4]]}, **GRID["parameters"]}}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
@pytest.mark.parametrize(("batch", "call", "rows"), [(False, 4, 3), (True, 2, 6)])
def test_a_killed_sweep_goes_on_where_it_stopped_and_ends_with_the_same_table(tmp_path, batch, call, rows):
    program = KILLED.format(grid=TWO_KINDS, out=str(tmp_path / "killed"), batch=batch, call=call)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"killed\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "killed/results.csv").read_text().count("\n") == 1 + rows
    with (tmp_path / "killed/epochs.csv").open("a") as file:
        file.write(f"{rows + 1},1,0.5")  # as where it is killed in the middle of a line
    before = (tmp_path / "killed/results.csv").read_bytes()
    resumed = bp.sweep(TWO_KINDS, dataset="xor", out=tmp_path / "killed", batch=batch)
    assert (tmp_path / "killed/results.csv").read_bytes().startswith(before)
    whole = bp.sweep(TWO_KINDS, dataset="xor", out=tmp_path / "whole", batch=batch)
    assert (resumed.batched, whole.batched) == ((6, 12) if batch else (0, 0))
    assert timeless(resumed) == timeless(whole)
    assert timeless_files(tmp_path / "killed") == timeless_files(tmp_path / "whole")


def test_a_batch_of_which_a_part_is_written_ends_with_the_same_table_too(tmp_path):
    whole = bp.sweep(TWO_KINDS, dataset="xor", out=tmp_path / "s")
    expected = timeless_files(tmp_path / "s")
    lines = (tmp_path / "s/results.csv").read_text().splitlines(keepends=True)
    (tmp_path / "s/results.csv").write_text("".join(lines[:9]))
    resumed = bp.sweep(TWO_KINDS, dataset="xor", out=tmp_path / "s")
    assert resumed.batched == 4
    assert timeless(resumed) == timeless(whole)
    assert timeless_files(tmp_path / "s") == expected


def test_what_is_trained_together_does_not_depend_on_what_is_done(monkeypatch, tmp_path):
    """Where rows are missing, all points of their window are looked at again."""
    monkeypatch.setattr(module, "WINDOW", 4)
    bp.sweep(GRID, dataset="xor", out=tmp_path / "s")
    lines = (tmp_path / "s/results.csv").read_text().splitlines(keepends=True)
    asked, real = [], module.results

    def results(points, jobs, *, batch, done):
        asked.append(([point["seed"] for point in points], done))
        return real(points, jobs, batch=batch, done=done)

    monkeypatch.setattr(module, "results", results)
    (tmp_path / "s/results.csv").write_text("".join(lines[:4]))
    bp.sweep(GRID, dataset="xor", out=tmp_path / "s")
    assert asked == [([0, 1, 2, 0], 3), ([1, 2], 0)]


def test_trained_together_or_one_by_one_the_table_is_the_same(tmp_path):
    """In reproducible arithmetic to the last digit; only seconds differ."""
    wide = {**GRID, "parameters": {"hidden": {"values": [5, 6, 9]}, **GRID["parameters"], "epochs": {"values": [2, 4]}}}
    given = {"dataset": "iris", "arithmetic": "reproducible", "patience": 2, "monitor": "training_accuracy"}
    together = bp.sweep(wide, out=tmp_path / "together", **given)
    alone = bp.sweep(wide, out=tmp_path / "alone", batch=False, **given)
    assert (together.batched, alone.batched) == (36, 0)
    assert timeless(together) == timeless(alone)
    assert timeless_files(tmp_path / "together") == timeless_files(tmp_path / "alone")


def test_a_sweep_longer_than_a_window_has_all_its_rows_in_order(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "WINDOW", 4)
    expected = timeless(bp.sweep(GRID, dataset="xor", batch=False))
    assert timeless(bp.sweep(GRID, dataset="xor", out=tmp_path / "s", runs=5)) == expected[:5]
    assert timeless(bp.sweep(GRID, dataset="xor", out=tmp_path / "s")) == expected


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
    monkeypatch.setattr(module, "results", lambda *_, **__: pytest.fail("a run was started"))
    names = {"values": ["relu", "tanh", "sigmod"]}
    with pytest.raises(bp.ConfigurationError, match="'sigmod': write one of relu, sigmoid"):
        bp.sweep({"method": "grid", "parameters": {"activation": names}}, dataset="xor")


def test_a_metric_that_no_run_has_is_refused_before_the_first_run(monkeypatch):
    monkeypatch.setattr(module, "results", lambda *_, **__: pytest.fail("a run was started"))
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
