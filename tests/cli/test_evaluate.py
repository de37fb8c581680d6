"""Measuring a saved network."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import portable_bp as bp
from portable_bp.cli.tasks import TASKS, Data


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


def test_the_folder_of_a_run_stands_for_its_network(run, xor_model):
    assert run("evaluate", xor_model.parent, "xor", "--json") == run("evaluate", xor_model, "xor", "--json")


@pytest.fixture
def asked(run, xor_model, tmp_path, monkeypatch):
    """The folder that data is loaded from, for a configuration beside the network, or its text."""

    def folder(configuration, *options):
        shutil.copy(xor_model, tmp_path / "model.safetensors")
        written = configuration if isinstance(configuration, str) else json.dumps(configuration)
        (tmp_path / "configuration.json").write_text(written)
        folders = []
        task = replace(TASKS["xor"], load=lambda folder, _: folders.append(folder) or TASKS["linear"].load(None, False))
        monkeypatch.setitem(TASKS, "xor", replace(task, has_files=True))
        (tmp_path / "there").mkdir(exist_ok=True)
        assert run("evaluate", ".", "xor", *options).status == 0
        return folders[0]

    return folder


@pytest.mark.parametrize(
    ("configuration", "options", "expected"),
    [
        ({"dataset": "xor", "data": "there"}, [], Path("there")),
        ({"dataset": "xor", "data": "there"}, ["--data", "other"], Path("other")),
        ({"dataset": "xor", "data": "gone"}, [], None),
        ({"dataset": "xor", "data": None}, [], None),
        ({"dataset": "mnist", "data": "there"}, [], None),
        ({"dataset": "xor"}, [], None),
        ([], [], None),
        ("{", [], None),
        ("[" * 5000, [], None),
        (" " * (1 << 20) + "{}", [], None),
        ({"dataset": "xor", "data": "a" * 300}, [], None),
        ({"dataset": "xor", "data": "a\0b"}, [], None),
    ],
)
def test_data_is_by_default_where_the_run_took_it(asked, configuration, options, expected):
    assert asked(configuration, *options) == expected


REFUSED = {
    "folder without a model": ([".", "xor"], "there is no file 'model.safetensors'"),
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


def test_a_network_that_rescales_is_given_bytes_or_numbers_as_asked(run, refused, tmp_path, monkeypatch):
    small = bp.datasets.mnist(Path(bp.__file__).parents[1] / "examples/data/mnist", as_bytes=True).test
    parts = {True: small, False: type(small)(small.x / 255, small.y)}
    monkeypatch.setitem(
        TASKS, "mnist", replace(TASKS["mnist"], load=lambda _, as_bytes: Data({"test": parts[as_bytes]}, 10))
    )
    net = bp.Network([bp.Rescale(1 / 255), bp.Dense(784, 10)], bp.SoftmaxCrossEntropy())
    net.save(tmp_path / "m.safetensors")
    assert "--no-bytes where they were numbers" in refused("evaluate", "m.safetensors", "mnist")
    for option in ("--bytes", "--no-bytes"):
        report = json.loads(run("evaluate", "m.safetensors", "mnist", option, "--json").stdout)
        assert report["loss"] == pytest.approx(net.evaluate(*parts[option == "--bytes"])["loss"])
