"""JSON that every reader takes."""

import json

import pytest

from portable_bp.cli.printing import as_json


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
