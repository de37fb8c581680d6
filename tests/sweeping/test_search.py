"""Which points a sweep has, and that point k depends on nothing but the definition and k."""

import pytest

import portable_bp as bp
from portable_bp.sweeping.definition import read_definition
from portable_bp.sweeping.search import search_of


def search(seed=0, **given):
    return search_of(read_definition({"method": "grid", **given}, {"dataset": "xor"}, seed))


RANDOM = {
    "method": "random",
    "run_cap": 6,
    "parameters": {"rate": {"min": 0.0, "max": 1.0}, "epochs": {"min": 1, "max": 10**6}},
}


def test_a_grid_is_every_combination_and_the_last_parameter_changes_fastest():
    found = search(parameters={"rate": {"values": [0.1, 0.2]}, "seed": {"values": [0, 1, 2]}})
    assert found.runs == 6
    points = [found.point(number) for number in range(6)]
    assert points == [{"rate": rate, "seed": seed} for rate in (0.1, 0.2) for seed in (0, 1, 2)]


def test_run_cap_ends_a_grid_early_and_never_adds_to_it():
    parameters = {"seed": {"values": [0, 1, 2]}}
    assert [search(parameters=parameters, run_cap=cap).runs for cap in (2, 5)] == [2, 3]


def test_a_grid_of_more_points_than_memory_costs_nothing_to_count():
    values = {"values": list(range(1, 1001))}
    names = ("epochs", "seed", "rate", "l2", "clip", "train_size", "batch_size")
    found = search(parameters=dict.fromkeys(names, values))
    assert found.runs == 1000**7
    assert found.point(1000**7 - 1) == dict.fromkeys(names, 1000)


def test_random_points_are_the_same_in_any_order_and_another_seed_gives_others():
    found = search(**RANDOM)
    forwards = [found.point(number) for number in range(6)]
    assert [search(**RANDOM).point(number) for number in reversed(range(6))] == forwards[::-1]
    assert len({point["rate"] for point in forwards}) == 6
    assert search(1, **RANDOM).point(0) != forwards[0]


def test_a_parameter_draws_the_same_whatever_stands_beside_it():
    alone = search(**{**RANDOM, "parameters": {"epochs": RANDOM["parameters"]["epochs"]}})
    assert [alone.point(k)["epochs"] for k in range(6)] == [search(**RANDOM).point(k)["epochs"] for k in range(6)]


def test_a_random_search_runs_every_listed_seed_at_each_point():
    found = search(**{**RANDOM, "parameters": {**RANDOM["parameters"], "seed": {"values": [7, 8, 9]}}})
    points = [found.point(number) for number in range(6)]
    assert [point["seed"] for point in points] == [7, 8, 9, 7, 8, 9]
    assert [len({point["rate"] for point in points[i : i + 3]}) for i in (0, 3)] == [1, 1]
    assert points[0]["rate"] != points[3]["rate"]


def test_a_random_search_without_an_end_is_refused():
    with pytest.raises(bp.ConfigurationError, match="write run_cap: N in the sweep, or --runs N"):
        _ = search(**{**RANDOM, "run_cap": None}).runs
