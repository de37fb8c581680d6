"""Measuring a saved network."""

import json

import pytest

import portable_bp as bp


def test_loss_and_accuracy_are_the_networks_own(run, xor_model):
    report = json.loads(run("evaluate", xor_model, "xor", "--json").stdout)
    expected = bp.load(xor_model).evaluate(*bp.datasets.xor())
    assert report == {"model": str(xor_model), "dataset": "xor", "part": "train", "backend": "numpy", **expected}
    assert run("evaluate", xor_model, "xor").stdout == f"xor, train: loss {expected['loss']:.4g}, accuracy 100.00 %\n"


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "binary-cross-entropy", "mean-squared-error"])
def test_each_part_is_measured_with_the_targets_that_the_loss_wants(run, part, loss):
    run("train", "iris", "--loss", loss, "--epochs", "2", "--output", "o", "--json")
    report = json.loads(run("evaluate", "o/model.safetensors", "iris", "--part", part, "--json").stdout)
    x, y = getattr(bp.datasets.iris(), part)
    assert report["accuracy"] == pytest.approx((bp.load("o/model.safetensors").classify(x) == y).mean())


REFUSED = {
    "no such model": (["nowhere", "xor"], "there is no file 'nowhere'"),
    "foreign file": ([__file__, "xor"], "can't be read as a safetensors file"),
    "unknown dataset": (["{model}", "cifar"], "dataset 'cifar': write one of"),
    "unknown part": (["{model}", "xor", "--part", "half"], "--part 'half': write one of train, validation, test"),
    "part that isn't there": (["{model}", "xor", "--part", "test"], "xor has no part 'test': it has train"),
    "data of another shape": (["{model}", "iris"], "x must have the shape (n, 2)"),
    "unknown backend": (["{model}", "xor", "--backend", "abacus"], "there is no backend 'abacus'"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_can_not_be_measured_is_refused_in_one_line(refused, xor_model, arguments, said):
    assert said in refused("evaluate", *(argument.replace("{model}", str(xor_model)) for argument in arguments))
