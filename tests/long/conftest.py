"""Where the figures of long tests go: ``pytest tests/long -m long --long-report figures.jsonl``."""

import json
from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption("--long-report", metavar="FILE", help="append the figures of long tests to FILE, a JSON line each")


@pytest.fixture
def report(request):
    """Note what a test found, ``report("kills", survived=300)``."""

    def note(name, **figures):
        line = json.dumps({"name": name, **figures})
        print(line)
        path = request.config.getoption("--long-report", default=None)
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    return note
