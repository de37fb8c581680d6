"""Every option of `train` is one of a sweep's, in its own type."""

import inspect

import pytest

import portable_bp as bp
from portable_bp.cli.train import train
from portable_bp.sweeping.options import option_named, train_options


def test_every_option_of_train_that_decides_its_result_can_be_swept():
    not_deciding = {"context", "output", "json", "track", "checkpoint_every", "checkpoint_keep", "resume"}
    assert set(train_options()) == set(inspect.signature(train).parameters) - not_deciding


def test_the_defaults_are_those_of_train():
    found = {name: option.default for name, option in train_options().items()}
    assert (found["dataset"], found["optimizer"], found["seed"], found["bias"]) == (None, "adam", 0, True)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("learning_rate", "rate"), ("learning-rate", "rate"), ("lr", "rate"), ("rate", "rate"), ("task", "dataset"),
        ("batch-size", "batch_size"), ("hidden_layers", "hidden"),
    ],
)  # fmt: skip
def test_options_have_the_names_of_other_programs_too(written, name):
    assert option_named(written).name == name


def test_an_unknown_parameter_is_refused_with_the_names_there_are():
    with pytest.raises(bp.ConfigurationError, match=r"unknown parameter 'momentun': .*rate, .*seed, .*learning_rate"):
        option_named("momentun")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("rate", 1, 1.0), ("rate", "1e-3", 0.001), ("rate", None, None), ("epochs", 32.0, 32), ("epochs", "7", 7),
        ("hidden", 32, "32"), ("hidden", [128, 32], "128,32"), ("hidden", "4,4", "4,4"), ("hidden", [], ""),
        ("bias", False, False), ("batch_size", None, None), ("optimizer", "sgd", "sgd"),
    ],
)  # fmt: skip
def test_values_are_read_in_the_type_of_their_option(name, value, expected):
    found = option_named(name).read(name, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("rate", "fast", "a number"), ("rate", True, "a number"), ("rate", [0.1], "a number"),
        ("epochs", 2.5, "a whole number"), ("epochs", float("nan"), "a whole number"), ("seed", None, "a whole number"),
        ("bias", 1, "true or false"), ("bias", "no", "true or false"), ("optimizer", 3, "a word or text"),
        ("hidden", [3, "x"], "a word or text"), ("hidden", [True], "a word or text"),
    ],
)  # fmt: skip
def test_values_of_another_type_are_refused_with_value_and_rule(name, value, rule):
    with pytest.raises(bp.ConfigurationError) as caught:
        option_named(name).read("as written", value)
    assert str(caught.value) == f"parameter 'as written' has the value {value!r}: it must be {rule}"
