"""One run: its figures are those of `train`, and a run that fails is a result."""

import json

from portable_bp.cli import main
from portable_bp.sweeping.definition import read_definition
from portable_bp.sweeping.run import columns_of, run


def options(**given):
    values = {name: {"value": value} for name, value in given.items()}
    definition = read_definition({"method": "grid", "parameters": values}, {})
    return definition.options(given)


def test_a_run_is_that_of_train(capsys, tmp_path):
    found = run(options(dataset="iris", epochs=3, seed=2, optimizer="sgd"))
    words = ["train", "iris", "--epochs", "3", "--seed", "2", "--optimizer", "sgd", "--output", str(tmp_path / "o")]
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (found.status, found.reason, found.digest) == ("finished", "", report["digest"])
    assert found.test == {"final_test_loss": report["loss"], "final_test_accuracy": report["accuracy"]}
    last = {name: value for name, value in found.history.rows[-1].items() if name != "seconds"}
    assert last.items() <= report["last_epoch"].items()
    assert found.seconds == sum(found.history["seconds"]) > 0


def test_a_run_that_diverges_keeps_its_finite_epochs_and_its_reason():
    found = run(options(dataset="xor", rate=1e25, optimizer="sgd", loss="mean-squared-error", epochs=9))
    assert found.status == "diverged"
    assert len(found.history) < 9
    assert "after epoch 1" in found.reason
    assert "lower the learning rate" in found.reason
    assert "\n" not in found.reason
    assert found.digest == ""


def test_options_that_the_data_doesn_t_fit_are_a_result_too():
    found = run(options(dataset="xor", batch_size=22))
    assert (found.status, len(found.history), found.seconds) == ("refused", 0, 0.0)
    assert found.reason == "--batch-size 22: write a whole number from 1 to the 21 training examples"


def test_the_columns_are_the_figures_that_runs_have():
    history = run(options(dataset="iris", epochs=1)).history
    found = columns_of([("iris", None), ("xor", None)])
    assert [name for name in found if not name.startswith("test_")] == [
        name for name in history.columns if name not in ("epoch", "seconds")
    ]
    assert found[-2:] == ["test_loss", "test_accuracy"]
    assert columns_of([("xor", None)]) == ["loss", "training_loss", "training_accuracy"]
