"""JSON that every reader takes, and what a terminal alone is shown."""

import json
import sys

import pytest

from portable_bp.cli.printing import as_json, working


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": float("nan"), "b": [float("inf"), 1.5]}, {"a": None, "b": [None, 1.5]}),
        ({"hidden": (3, 2), "on": True, "none": None, "n": 7}, {"hidden": [3, 2], "on": True, "none": None, "n": 7}),
        ([{"path": "größe"}], [{"path": "größe"}]),
    ],
)
def test_what_json_lacks_becomes_null_and_the_rest_stays(value, expected):
    assert json.loads(as_json(value), parse_constant=pytest.fail) == expected


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_being_worked_on_is_shown_on_a_terminals_stderr_only(capsys, monkeypatch, terminal):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with working("the third training"):
        pass
    out, err = capsys.readouterr()
    assert out == ""
    assert ("the third training" in err) == terminal
    assert terminal or err == ""
