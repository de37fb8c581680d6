"""What each kind of parameter of a sweep file draws, what a grid makes of it, and what is refused."""

import math

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.streams import Stream
from portable_bp.sweeping.distributions import DISTRIBUTIONS
from portable_bp.sweeping.parameter import read_parameter

DRAWS = 2000


def drawn(name, given):
    parameter = read_parameter(name, given)
    return np.array([parameter.draw(Stream(0, "test", step=step)) for step in range(DRAWS)])


QUARTILES = {
    "uniform": ({"min": 1.0, "max": 5.0}, [2, 3, 4]),
    "log_uniform": ({"min": math.log(1e-4), "max": math.log(1.0)}, [1e-3, 1e-2, 1e-1]),
    "log_uniform_values": ({"min": 1e-4, "max": 1}, [1e-3, 1e-2, 1e-1]),
    "inv_log_uniform": ({"min": math.log(1.0), "max": math.log(1e4)}, [1e-3, 1e-2, 1e-1]),
    "inv_log_uniform_values": ({"min": 1e-4, "max": 1}, [1e-3, 1e-2, 1e-1]),
    "normal": ({"mu": 5, "sigma": 2}, [5 - 2 * 0.6745, 5, 5 + 2 * 0.6745]),
    "log_normal": ({"mu": 1, "sigma": 1}, [math.exp(1 - 0.6745), math.exp(1), math.exp(1 + 0.6745)]),
    "q_uniform": ({"min": 0, "max": 8, "q": 2}, [2, 4, 6]),
    "q_log_uniform": ({"min": math.log(1), "max": math.log(256), "q": 1}, [4, 16, 64]),
    "q_log_uniform_values": ({"min": 1, "max": 256, "q": 1}, [4, 16, 64]),
    "q_normal": ({"mu": 50, "sigma": 20, "q": 1}, [50 - 13.49, 50, 50 + 13.49]),
    "q_log_normal": ({"mu": 5, "sigma": 1, "q": 1}, [math.exp(5 - 0.6745), math.exp(5), math.exp(5 + 0.6745)]),
    "int_uniform": ({"min": 1, "max": 400}, [100, 200, 300]),
}


def test_every_distribution_has_its_quartiles_here():
    assert set(QUARTILES) == set(DISTRIBUTIONS)


@pytest.mark.parametrize("kind", QUARTILES)
def test_draws_have_the_quartiles_of_their_distribution(kind):
    given, expected = QUARTILES[kind]
    values = drawn("rate", {"distribution": kind, **given})
    shares = [np.mean(values < quartile) + np.mean(values == quartile) / 2 for quartile in expected]
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.75], atol=0.04)  # four standard errors of 2,000 draws


@pytest.mark.parametrize("kind", [kind for kind in QUARTILES if "normal" not in kind and not kind.startswith("q_")])
def test_draws_stay_within_their_limits(kind):
    given, _ = QUARTILES[kind]
    low, high = given["min"], given["max"]
    if kind == "log_uniform":
        low, high = math.exp(low), math.exp(high)
    if kind == "inv_log_uniform":
        low, high = math.exp(-high), math.exp(-low)
    values = drawn("rate", {"distribution": kind, **given})
    assert low * (1 - 1e-12) <= values.min() < values.max() <= high * (1 + 1e-12)


def test_whole_limits_alone_draw_whole_numbers_and_both_limits_and_others_reals():
    assert set(drawn("epochs", {"min": 2, "max": 4}).tolist()) == {2, 3, 4}
    assert len(set(drawn("rate", {"min": 0.0, "max": 4}).tolist())) == DRAWS


def test_quantized_draws_are_multiples_and_can_be_whole_options():
    assert set(drawn("batch_size", {"distribution": "q_uniform", "min": 32, "max": 96, "q": 32}).tolist()) == {
        32, 64, 96,
    }  # fmt: skip


def test_values_are_drawn_by_their_probabilities():
    values = drawn("optimizer", {"values": ["sgd", "adam", "adamw"], "probabilities": [0.7, 0.3, 0]})
    assert np.mean(values == "sgd") == pytest.approx(0.7, abs=0.04)
    assert "adamw" not in values
    assert np.mean(drawn("optimizer", {"values": ["sgd", "adam"]}) == "sgd") == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"value": 3}, [3]),
        ({"values": [3, 1, 2]}, [3, 1, 2]),
        ({"values": (3, 1)}, [3, 1]),
        ({"values": np.array([3, 1])}, [3, 1]),
        ({"min": 2, "max": 5}, [2, 3, 4, 5]),
        ({"distribution": "q_uniform", "min": 10, "max": 40, "q": 10}, [10, 20, 30, 40]),
    ],
)
def test_a_grid_runs_through_lists_whole_numbers_and_quantized_ranges(given, expected):
    assert list(read_parameter("epochs", given).in_grid().values) == expected


def test_ranges_of_many_values_take_no_memory_in_a_grid():
    given = {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 2e-6}
    parameter = read_parameter("rate", given).in_grid()
    assert len(parameter.values) == 500_001
    assert [parameter.values[place] for place in (0, 3, -1)] == [0.0, 6e-6, pytest.approx(1.0)]
    assert parameter.values[2:4] == [4e-6, 6e-6]
    assert len(str(parameter.expanded())) < 200


def test_whole_limits_of_hidden_are_sizes_of_one_layer():
    assert read_parameter("hidden", {"min": 2, "max": 4}).in_grid().values == ["2", "3", "4"]
    assert set(drawn("hidden", {"min": 2, "max": 4}).tolist()) == {"2", "3", "4"}


REFUSED = [
    ("rate", "0.1\n0.2", r"parameter 'rate' is '0.1\\n0.2': write value: '0.1\\n0.2', values"),
    ("rate", {"values": [1], "a\u2028b": 0}, r"has a value or values and 'a\\u2028b': leave"),
    ("rate", {"values": [1], "distribution": "a\nb"}, r"distribution: 'a\\nb'"),
    ("rate", {"distribution": "uniform", "min": 0, "max": 1, "a\rb": 2}, r"has 'a\\rb': uniform takes min, max"),
    ("rate", {"min": 0.0, "max": 10**400}, "uniform needs a finite number there"),
    ("seed", {"min": -(10**400), "max": 0}, "int_uniform needs a whole number there"),
    ("rate", {"values": [1, 2], "probabilities": [1e308, 1e308]}, "not all 0 and of a finite sum"),
    ("rate", 0.1, "parameter 'rate' is 0.1: write value: 0.1, values"),
    ("rate", {"values": []}, r"has values: \[\]: write a list of at least one value"),
    ("rate", {"values": 0.1}, "has values: 0.1: write a list"),
    ("rate", {"values": [0.1, "high"]}, "has the value 'high': it must be a number"),
    ("rate", {"value": 0.1, "min": 0}, "has a value or values and 'min'"),
    ("rate", {"values": [0.1], "distribution": "normal"}, "and distribution: 'normal'"),
    ("rate", {"values": [0.1, 0.2], "probabilities": [1]}, "one number of at least 0 for each of its 2 values"),
    ("rate", {"values": [0.1, 0.2], "probabilities": [0, 0]}, "not all 0"),
    ("rate", {"distribution": "gaussian", "mu": 1}, "'gaussian': write one of constant, .*log_uniform_values"),
    ("rate", {"distribution": "uniform", "min": 0, "max": 1, "sigma": 2}, "has 'sigma': uniform takes min, max"),
    ("rate", {"min": 0.1}, "has max: None: uniform needs a finite number there"),
    ("rate", {"min": "low", "max": 1.0}, "has min: 'low': uniform needs a finite number"),
    ("rate", {"min": 0.0, "max": float("inf")}, "has max: inf"),
    ("rate", {"min": 1.0, "max": 0.5}, "runs from 1.0 to 0.5: its min must not be above its max"),
    ("rate", {"distribution": "log_uniform_values", "min": 0, "max": 1}, "log_uniform_values needs limits above 0"),
    ("rate", {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "has q: 0: it must be above 0"),
    ("rate", {"distribution": "normal", "sigma": -1}, "has sigma: -1: it must be of at least 0"),
    ("epochs", {"min": 0.5, "max": 9.5}, "has the value 0.5: it must be a whole number"),
    ("epochs", {"distribution": "int_uniform", "min": 1.5, "max": 9}, "int_uniform needs a whole number"),
    ("optimizer", {"min": 1, "max": 2}, "parameter 'optimizer' is no number, so it has no int_uniform"),
    ("rate", {"parameters": {"a": {"value": 1}}}, "has parameters of its own"),
]


@pytest.mark.parametrize(("name", "given", "said"), REFUSED)
def test_wrong_entries_are_refused_in_one_line_with_value_and_cure(name, given, said):
    with pytest.raises(bp.ConfigurationError, match=said) as caught:
        read_parameter(name, given)
    assert "\n" not in str(caught.value)


def test_a_grid_refuses_what_has_no_list_and_what_has_too_long_a_one():
    with pytest.raises(bp.ConfigurationError, match=r"'rate' is uniform .* grid can't run through: .*method: random"):
        read_parameter("rate", {"min": 0.0, "max": 1}).in_grid()
    with pytest.raises(bp.ConfigurationError, match="more than 1,000,000 values"):
        read_parameter("seed", {"min": 0, "max": 10**9}).in_grid()


@pytest.mark.parametrize("q", [1e-300, 1e-10], ids=str)
def test_a_grid_refuses_what_no_number_can_count(q):
    given = {"distribution": "q_uniform", "min": -1e308, "max": 1e308, "q": q}
    with pytest.raises(bp.ConfigurationError, match="more than 1,000,000 values"):
        read_parameter("rate", given).in_grid()


@pytest.mark.parametrize(
    "given",
    [
        {"distribution": "inv_log_uniform", "min": -2000, "max": -1000},
        {"distribution": "q_uniform", "min": -1e308, "max": 1e308, "q": 1},
        {"distribution": "q_normal", "mu": 1e308, "sigma": 0, "q": 1e-10},
    ],
    ids=lambda given: given["distribution"],
)
def test_a_draw_that_divides_by_zero_or_has_no_end_is_refused(given):
    with pytest.raises(bp.ConfigurationError, match="drew a number that no float holds"):
        read_parameter("rate", given).draw(Stream(0, "test"))


def test_a_draw_that_no_float_holds_names_the_cure():
    parameter = read_parameter("rate", {"distribution": "log_uniform", "min": 1000, "max": 2000})
    with pytest.raises(bp.ConfigurationError, match="log_uniform takes exponents, log_uniform_values takes values"):
        parameter.draw(Stream(0, "test"))
