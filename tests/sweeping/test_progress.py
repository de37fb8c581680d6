"""What is said while a sweep runs."""

import pytest

from portable_bp.sweeping.metrics import Metric
from portable_bp.sweeping.progress import bar, describe, duration, lines, silence

METRIC = Metric("training_loss", rises=False)
ROW = {"run": 3, "rate": 0.123456, "status": "finished", "final_training_loss": 0.5, "epochs_done": 2, "seconds": 1.5}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0002, "0.2 ms"), (0.05, "50 ms"), (0.5, "0.5 s"), (119, "119 s"), (180, "3.0 min"), (7300, "2.0 hours"),
     (86400 * 9000, "9,000 days")],
)  # fmt: skip
def test_times_are_said_in_the_unit_that_suits_them(seconds, said):
    assert duration(seconds) == said


def test_a_row_is_said_with_its_figure_or_with_what_became_of_it():
    assert describe(ROW, ["rate"], METRIC) == "rate=0.1235  training loss 0.5  1.5 s"
    assert describe({**ROW, "status": "diverged"}, ["rate"], METRIC) == "rate=0.1235  diverged after 2 epochs"


def test_lines_say_the_number_and_the_time_left(capsys, monkeypatch):
    clock = iter([100.0, 104.0, 106.0, 108.0])
    monkeypatch.setattr("portable_bp.sweeping.progress.perf_counter", lambda: next(clock))
    with lines(5, 2, ["rate"], METRIC) as told:
        for run in (3, 4, 5):
            told({**ROW, "run": run})
    ends = [line.split("1.5 s")[1] for line in capsys.readouterr().out.splitlines()]
    assert ends == ["  about 8.0 s left", "  about 3.0 s left", ""]


def test_runs_that_ended_together_count_before_they_are_told(capsys, monkeypatch):
    clock = iter([100.0, 104.0, 104.0, 110.0])
    monkeypatch.setattr("portable_bp.sweeping.progress.perf_counter", lambda: next(clock))
    with lines(6, 2, ["rate"], METRIC) as told:
        for run, behind in ((3, 1), (4, 0), (5, 1)):
            told({**ROW, "run": run}, behind)
    ends = [line.split("1.5 s")[1] for line in capsys.readouterr().out.splitlines()]
    assert ends == ["  about 4.0 s left", "  about 4.0 s left", ""]


@pytest.mark.parametrize("kind", [bar, silence])
def test_neither_bar_nor_silence_writes_to_stdout(kind, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes stderr for a terminal
    monkeypatch.setenv("TERM", "xterm")
    with kind(5, 2, ["rate"], METRIC) as told:
        told(ROW)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("/5" in err) == (kind is bar)
