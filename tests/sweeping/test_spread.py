"""Runs spread over processes have the results, and the order, of runs one after the other."""

import gc
import sys

import pytest

import portable_bp as bp
from portable_bp.sweeping.definition import read_definition
from portable_bp.sweeping.spread import results

DEFINITION = read_definition({"method": "grid", "parameters": {"seed": {"values": [0, 1, 2]}}}, {"dataset": "xor"})
POINTS = [{**DEFINITION.options({"seed": seed}), "epochs": epochs} for seed, epochs in ((0, 60), (1, 5), (2, 1))]


def every(*arguments, **named):
    return [result for some in results(*arguments, **named) for result in some]


def test_processes_give_the_same_results_in_the_same_order():
    for batch in (True, False):
        expected = [(result.digest, len(result.history)) for result in every(POINTS, batch=batch)]
        assert [epochs for _, epochs in expected] == [60, 5, 1]
        found = [(result.digest, len(result.history)) for result in every(POINTS, jobs=2, batch=batch)]
        assert found == expected


def test_an_interrupted_sweep_in_processes_ends_without_joblibs_advice(recwarn):
    points = [{**POINTS[0], "epochs": epochs} for epochs in (1, 200_000, 200_000)]
    found = results(points, jobs=2, batch=False)
    assert [len(result.history) for result in next(found)] == [1]
    found.close()  # as where KeyboardInterrupt leaves the loop
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


@pytest.fixture
def trained(monkeypatch):
    """The batches that are trained, by the numbers of their points; each point's result is its number."""
    seen = []
    monkeypatch.setattr("portable_bp.sweeping.spread.run_together", lambda task: seen.append(task) or task)
    monkeypatch.setattr("portable_bp.sweeping.spread.batches", lambda points: [[0, 3, 4], [1], [2, 5]])
    return seen


def test_results_come_in_the_order_of_the_points_as_soon_as_they_can(trained):
    found = results(range(6))
    assert [next(found), len(trained)] == [[0], 1]
    assert [next(found), len(trained)] == [[1], 2]
    assert [*found] == [[2, 3, 4, 5]]


@pytest.mark.parametrize(
    ("done", "batches"),
    [(1, [[1], [2, 5], [0, 3, 4]]), (2, [[2, 5], [0, 3, 4]]), (4, [[0, 3, 4], [2, 5]]), (5, [[2, 5]]), (6, [])],
)
def test_where_runs_are_missing_their_whole_batches_are_trained_again(trained, done, batches):
    assert every(range(6), done=done) == [*range(done, 6)]
    assert trained == batches


def test_without_batches_each_missing_run_is_one_of_its_own(trained):
    assert every(range(6), batch=False, done=4) == [4, 5]
    assert trained == [[4], [5]]


def test_missing_joblib_and_no_number_of_jobs_name_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(bp.ConfigurationError, match=r"jobs=2 needs joblib: pip install 'portable-bp\[sweep\]'"):
        results(POINTS, jobs=2)
    with pytest.raises(bp.ConfigurationError, match="jobs=0: it must be a whole number from 1"):
        results(POINTS, jobs=0)
