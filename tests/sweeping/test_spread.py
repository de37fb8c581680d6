"""Runs spread over processes have the results, and the order, of runs one after the other."""

import sys

import pytest

import portable_bp as bp
from portable_bp.sweeping.definition import read_definition
from portable_bp.sweeping.spread import results

DEFINITION = read_definition({"method": "grid", "parameters": {"seed": {"values": [0, 1, 2]}}}, {"dataset": "xor"})
POINTS = [{**DEFINITION.options({"seed": seed}), "epochs": epochs} for seed, epochs in ((0, 60), (1, 5), (2, 1))]


def test_processes_give_the_same_results_in_the_same_order():
    expected = [(result.digest, len(result.history)) for result in results(POINTS)]
    assert [epochs for _, epochs in expected] == [60, 5, 1]
    assert [(result.digest, len(result.history)) for result in results(POINTS, jobs=2)] == expected


def test_results_come_one_by_one():
    taken = []
    found = results(taken.append(point) or point for point in POINTS)
    next(found)
    assert len(taken) == 1


def test_missing_joblib_and_no_number_of_jobs_name_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(bp.ConfigurationError, match=r"jobs=2 needs joblib: pip install 'portable-bp\[sweep\]'"):
        results(POINTS, jobs=2)
    with pytest.raises(bp.ConfigurationError, match="jobs=0: it must be a whole number from 1"):
        results(POINTS, jobs=0)
