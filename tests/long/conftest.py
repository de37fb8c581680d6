"""Tests that take minutes; ``pytest -m long tests/long --long-report report.jsonl`` runs them and keeps figures."""

import json
from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption("--long-report", metavar="FILE", help="append each figure that a long test reports, a JSON line")


@pytest.fixture
def report(request):
    """``report(name, **figures)`` appends a line to the file of --long-report, where one is given."""
    path = request.config.getoption("long_report", None)

    def append(name, **figures):
        if path is not None:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"name": name, **figures}) + "\n")

    return append
