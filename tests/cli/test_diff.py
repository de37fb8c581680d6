"""``portable-bp diff``: the report, its JSON, and the exit status."""

import json

import pytest


def test_sides_that_agree_give_a_table_and_status_0(run):
    outcome = run("diff", "numpy", "numpy@float64", "--steps", "3", "--dropout", "0.2")
    assert (outcome.status, outcome.stderr) == (0, "")
    first, header, *rows = outcome.stdout.splitlines()
    assert first == "numpy and numpy@float64 agree within 0.0001 in all 3 steps; in the last one:"
    assert header.split()[:3] == ["layer", "array", "difference"]
    assert rows[0].startswith("0 Dense    y ")


def test_a_first_difference_gives_one_line_and_status_1(run):
    arguments = ("diff", "numpy", "numpy@float64", "--tolerance", "0", "--task", "xor", "--optimizer", "sgd")
    outcome = run(*arguments)
    assert (outcome.status, outcome.stdout.count("\n")) == (1, 1)
    assert outcome.stdout.startswith("numpy and numpy@float64 differ first in step 1, y of 0 Dense: by up to ")
    report = run(*arguments, "--json")
    found = json.loads(report.stdout)
    assert (report.status, found["ok"], found["steps"], found["first"]["layer"]) == (1, False, 1, "0 Dense")


def test_the_options_of_train_shape_what_is_trained(run):
    options = ("--hidden", "5", "--activation", "tanh", "--batch-size", "4", "--optimizer", "momentum", "--steps", "2")
    found = json.loads(run("diff", "numpy", "numpy", "--task", "one-hot", *options, "--json").stdout)
    places = [(row["layer"], row["array"]) for row in found["rows"]]
    assert ("1 Tanh", "y") in places
    assert ("0 Dense", "optimizer.v.weight") in places
    assert found["steps"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["numpy", "abacus"], "there is no backend 'abacus'"),
        (["numpy", "numpy@half"], "'numpy@half': write BACKEND[:DEVICE][@DTYPE][@ARITHMETIC]"),
        (["numpy", "numpy", "--task", "cifar"], "dataset 'cifar': write one of mnist"),
        (["numpy", "numpy", "--steps", "0"], "steps=0: it must be a whole number of at least 1"),
        (["numpy", "numpy", "--data", "here"], "--data 'here' is for mnist, fashion-mnist: leave it out with iris"),
        (["numpy"], "Missing argument"),
    ],
)
def test_mistakes_end_in_one_line(refused, arguments, said):
    assert said in refused("diff", *arguments)
