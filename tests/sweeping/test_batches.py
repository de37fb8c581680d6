"""Which runs are trained together, and that each then ends as it does alone."""

import pytest

import portable_bp as bp
from portable_bp.sweeping import batches as module
from portable_bp.sweeping.batches import batches, run_together
from portable_bp.sweeping.definition import read_definition
from portable_bp.sweeping.run import run


def points(*changes, **options):
    definition = read_definition(
        {"method": "grid", "parameters": {"seed": {"value": 0}}}, {"dataset": "xor", **options}
    )
    return [{**definition.options({"seed": 0}), **change} for change in changes]


def figures(result):
    columns = {name: numbers for name, numbers in result.history.columns.items() if name != "seconds"}
    return result.status, result.digest, result.test, result.reason, columns


OWN = {
    "hidden": "5,8", "rate": 0.3, "momentum": 0.5, "l2": 0.1, "clip": 0.2, "init": "lecun", "epochs": 3, "seed": 4,
    "patience": 2, "min_delta": 0.01, "monitor": "training_accuracy",
}  # fmt: skip
SHARED = {
    "dataset": "linear", "hidden": "5", "activation": "tanh", "dropout": 0.2, "loss": "mean-squared-error",
    "reduction": "sum", "optimizer": "nesterov", "bias": False, "batch_size": 5, "train_size": 7, "dtype": "float64",
    "arithmetic": "reproducible",
}  # fmt: skip
GIVEN = {"optimizer": "momentum", "l2": 0.0, "clip": 9.0, "epochs": 5, "patience": 9, "monitor": "training_loss"}


@pytest.mark.parametrize("name", OWN)
def test_runs_that_differ_in_these_options_are_trained_together_and_end_as_alone(name):
    both = points({}, {name: OWN[name]}, arithmetic="reproducible", **GIVEN)
    assert batches(both) == [[0, 1]]
    together = run_together(both)
    assert {result.together for result in together} == {2}
    assert [figures(result) for result in together] == [figures(run(options)) for options in both]
    assert figures(together[0]) != figures(together[1]) or name in ("patience", "min_delta", "monitor")


@pytest.mark.parametrize("name", SHARED)
def test_runs_that_differ_in_others_are_not(name):
    assert batches(points({}, {name: SHARED[name]}, {}, **GIVEN)) == [[0, 2], [1]]


@pytest.mark.parametrize("name", ["l2", "clip"])
def test_runs_with_and_without_what_wraps_the_optimizer_are_not(name):
    assert batches(points({}, {name: None}, {}, **GIVEN)) == [[0, 2], [1]]


def test_every_option_is_one_s_own_or_shared():
    assert {*OWN, "weight_decay"} == {*module.OWN}
    assert {*SHARED, *OWN, "weight_decay", "output_activation", "backend", "precision", "data"} == {*points({})[0]}


def test_a_batch_ends_before_it_has_too_many_epochs_or_products(monkeypatch):
    five = points(*({"seed": seed, "epochs": 10} for seed in range(5)))
    assert batches(five) == [[0, 1, 2, 3, 4]]
    monkeypatch.setattr(module, "MOST_EPOCHS", 20)
    assert batches(five) == [[0, 1], [2, 3], [4]]
    monkeypatch.setattr(module, "MOST_EPOCHS", 10**9)
    monkeypatch.setattr(module, "MOST_PRODUCTS", 3 * 10 * 4 * 21 * (2 * 8 + 8 * 8 + 8 * 2))
    assert batches(five) == [[0, 1, 2], [3, 4]]
    monkeypatch.setattr(module, "MOST_PRODUCTS", 1)
    assert batches(five) == [[0], [1], [2], [3], [4]]


def test_one_that_diverges_and_one_that_is_refused_are_results_like_others():
    rates = [{"rate": rate} for rate in (0.01, 1e30, 0.02)]
    three = points(*rates, optimizer="sgd", loss="mean-squared-error", epochs=5, arithmetic="reproducible")
    assert batches(three) == [[0, 1, 2]]
    found = run_together(three)
    assert [result.status for result in found] == ["finished", "diverged", "finished"]
    assert [figures(result) for result in found] == [figures(run(options)) for options in three]
    wrong = points({"batch_size": 22}, {"batch_size": 22, "seed": 1}, {"rate": -1.0}, {"activation": "sigmod"})
    assert batches(wrong) == [[0, 1], [2], [3]]
    assert [result.status for result in run_together(wrong[:2])] == ["refused", "refused"]


def test_what_the_test_part_gives_is_measured_for_each():
    both = points({"seed": 0}, {"seed": 1}, dataset="iris", epochs=2, arithmetic="reproducible")
    found = [result.test for result in run_together(both)]
    assert found == [run(options).test for options in both]
    assert set(found[0]) == {"final_test_loss", "final_test_accuracy"}


def test_early_stopping_is_each_run_s_own():
    given = {"dataset": "iris", "epochs": 40, "rate": 0.3, "monitor": "training_accuracy", "arithmetic": "reproducible"}
    four = points(*({"patience": patience, "seed": seed} for patience in (1, 3) for seed in (0, 1)), **given)
    assert batches(four) == [[0, 1, 2, 3]]
    found = run_together(four)
    assert len({len(result.history) for result in found}) > 1
    assert [figures(result) for result in found] == [figures(run(options)) for options in four]


def test_a_sweep_tells_how_many_of_its_runs_were_trained_together():
    grid = {"method": "grid", "parameters": {"optimizer": {"values": ["sgd", "sgd", "adam"]}, "epochs": {"value": 2}}}
    assert bp.sweep(grid, dataset="xor").batched == 2
