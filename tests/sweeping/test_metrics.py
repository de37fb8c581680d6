"""The figure by which runs are compared."""

import pytest

import portable_bp as bp
from portable_bp.sweeping.metrics import Metric, choose_metric, final_and_best

IRIS = ["loss", "training_loss", "training_accuracy", "validation_loss", "validation_accuracy", "test_accuracy"]
XOR = IRIS[:3]


@pytest.mark.parametrize(
    ("written", "columns", "name"),
    [
        ("validation_loss", IRIS, "validation_loss"), ("val_loss", IRIS, "validation_loss"),
        ("val/acc", IRIS, "validation_accuracy"), ("Train Loss", XOR, "training_loss"), ("loss", XOR, "loss"),
        ("accuracy", IRIS, "validation_accuracy"), ("accuracy", XOR, "training_accuracy"),
        ("acc", XOR, "training_accuracy"),
        ("test-acc", IRIS, "test_accuracy"),
    ],
)  # fmt: skip
def test_metrics_have_the_names_of_other_programs_too(written, columns, name):
    assert choose_metric((written, "minimize"), columns) == Metric(name, rises=False)


def test_the_goal_decides_what_is_best_and_accuracy_off_the_training_set_is_the_default():
    assert choose_metric(("loss", "maximize"), XOR).rises
    assert choose_metric(None, IRIS) == Metric("validation_accuracy", rises=True)
    assert choose_metric(None, XOR) == Metric("training_accuracy", rises=True)


def test_a_metric_that_no_run_has_is_refused_with_those_there_are():
    with pytest.raises(bp.ConfigurationError, match=r"metric 'val_f1': no run .* has it: .* loss, training_loss, tr"):
        choose_metric(("val_f1", "minimize"), XOR)


def test_the_last_and_the_best_of_every_figure_are_given():
    history = bp.History()
    history.extend({"epoch": [1, 2, 3], "loss": [3, 1, 2], "training_accuracy": [0.2, 0.9, 0.5], "seconds": [1, 1, 1]})
    assert final_and_best(history) == {
        "final_loss": 2, "best_loss": 1, "final_training_accuracy": 0.5, "best_training_accuracy": 0.9,
    }  # fmt: skip
