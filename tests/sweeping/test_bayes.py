"""Bayesian search: what optuna proposes, again the same after a kill, and what is refused."""

import sys

import pytest

import portable_bp as bp
from portable_bp.sweeping.definition import read_definition
from portable_bp.sweeping.search import search_of

GIVEN = {
    "method": "bayes",
    "metric": {"name": "training_loss", "goal": "minimize"},
    "parameters": {
        "rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
        "activation": {"values": ["relu", "tanh", "sigmoid"]},
        "hidden": {"min": 2, "max": 9},
        "dropout": {"distribution": "q_uniform", "min": 0.0, "max": 0.3, "q": 0.1},
        "seed": {"values": [0, 1]},
        "epochs": {"value": 6},
    },
    "run_cap": 26,
}
KEPT = ("run", "rate", "activation", "hidden", "dropout", "seed", "status", "final_training_loss", "digest")


def shown(rows):
    return [[row[name] for name in KEPT] for row in rows]


def lacks_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)


def test_missing_optuna_names_the_cure(monkeypatch):
    lacks_optuna(monkeypatch)
    with pytest.raises(bp.ConfigurationError, match=r"needs optuna: pip install 'portable-bp\[bayes\]'"):
        bp.sweep(GIVEN, dataset="xor")


def test_a_sweep_without_metric_is_refused_and_without_end_too():
    with pytest.raises(bp.ConfigurationError, match="method: bayes needs a metric to improve: write metric:"):
        read_definition({**GIVEN, "metric": None}, {"dataset": "xor"})
    pytest.importorskip("optuna")
    with pytest.raises(bp.ConfigurationError, match="method: bayes has no end of its own: write run_cap: N"):
        bp.sweep({**GIVEN, "run_cap": None}, dataset="xor")


def test_wrong_options_are_refused_before_the_first_run(monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.setattr("portable_bp.sweeping.sweep.results", lambda *_, **__: pytest.fail("a run was started"))
    wrong = {**GIVEN["parameters"], "activation": {"values": ["relu", "tanh", "sigmod"]}}
    with pytest.raises(bp.ConfigurationError, match="'sigmod': write one of relu"):
        bp.sweep({**GIVEN, "parameters": wrong}, dataset="xor")


def test_points_are_proposed_within_their_limits_for_all_seeds_and_again_the_same(tmp_path):
    pytest.importorskip("optuna")
    whole = bp.sweep(GIVEN, dataset="xor", out=tmp_path / "whole")
    assert len(whole) == 26
    pairs = [whole[i : i + 2] for i in range(0, 26, 2)]
    assert [[row["seed"] for row in pair] for pair in pairs] == [[0, 1]] * 13
    assert all(first[name] == second[name] for first, second in pairs for name in ("rate", "hidden", "activation"))
    assert len({first["rate"] for first, _ in pairs}) == 13
    assert all(1e-5 <= row["rate"] <= 1 and row["hidden"] in map(str, range(2, 10)) for row in whole)
    assert {row["dropout"] for row in whole} <= {0.0, 0.1, 0.2, 0.1 * 3}
    assert whole.batched == 26
    for rows in (0, 3, 4, 25):  # as where it was killed: between points, and between the seeds of one
        lines = (tmp_path / "whole/results.csv").read_text().splitlines(keepends=True)[: rows + 1]
        bp.sweep(GIVEN, dataset="xor", out=tmp_path / f"{rows}", runs=1)
        (tmp_path / f"{rows}/results.csv").write_text("".join(lines))
        assert shown(bp.sweep(GIVEN, dataset="xor", out=tmp_path / f"{rows}")) == shown(whole)
    other = bp.sweep(GIVEN, dataset="xor", sweep_seed=1, runs=2)
    assert other[0]["rate"] != whole[0]["rate"]


@pytest.mark.parametrize(("goal", "towards"), [("minimize", 0.0), ("maximize", 1.0)])
def test_it_finds_where_the_metric_is_good_and_passes_by_what_fails(goal, towards):
    pytest.importorskip("optuna")
    parameters = {"dropout": {"min": 0.0, "max": 0.99}}
    given = {"method": "bayes", "metric": {"name": "loss", "goal": goal}, "parameters": parameters, "run_cap": 40}
    search, rows = search_of(read_definition(given, {"dataset": "xor"})), []
    for number in range(40):
        at = search.point(number, rows)["dropout"]
        failed = number in (3, 30)
        rows.append({
            "run": number + 1, "dropout": at, "status": "diverged" if failed else "finished",
            "final_loss": None if failed else at,
        })  # fmt: skip
    late = [row["dropout"] for row in rows[20:]]
    assert sum(abs(at - towards) < 0.25 for at in late) > 14


DISTRIBUTIONS = {
    "uniform": ({"min": -1.0, "max": 3.0}, 1.0),
    "log_uniform": ({"min": 0.0, "max": 2.0}, 2.718281828),
    "inv_log_uniform": ({"min": 0.0, "max": 2.0}, 1 / 2.718281828),
    "normal": ({"mu": 5.0, "sigma": 2.0}, 5.0),
    "log_normal": ({"mu": 1.0, "sigma": 2.0}, 2.718281828),
    "q_normal": ({"mu": 5.2, "sigma": 2.0, "q": 2}, 6.0),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_half_of_a_distribution_s_share_is_its_median(name):
    pytest.importorskip("optuna")
    keys, median = DISTRIBUTIONS[name]
    parameters = {"rate": {"distribution": name, **keys}}
    given = {"method": "bayes", "metric": {"name": "loss"}, "parameters": parameters, "run_cap": 1}
    search = search_of(read_definition(given, {"dataset": "xor"}))
    assert next(search.tried(1))["rate"] == pytest.approx(median)


def test_a_table_with_other_proposals_is_refused(tmp_path):
    """As another version of optuna may make them: the figures would be those of other points."""
    pytest.importorskip("optuna")
    bp.sweep(GIVEN, dataset="xor", out=tmp_path / "s", runs=2)
    path = tmp_path / "s/results.csv"
    path.write_text(path.read_text().replace("\n1,", "\n1,0"))
    with pytest.raises(bp.FileError, match="is not as this sweep wrote it"):
        bp.sweep(GIVEN, dataset="xor", out=tmp_path / "s", runs=4)
