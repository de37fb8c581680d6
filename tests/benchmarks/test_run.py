"""The benchmark's driver on little work: what it writes, that its contenders train the same, what it refuses."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MNIST = BENCHMARKS.parent / "examples/data/mnist"
WORKS = {
    "seed": ["portable_bp numpy", "numpy hand", "numpy hand in place"],
    "tiny": ["portable_bp numpy", "numpy hand", "numpy hand in place"],
    "population": ["portable_bp numpy", "numpy hand batched"],
}
needs_mnist = pytest.mark.skipif(
    not MNIST.is_dir(), reason="clone the repository: its examples/data/mnist holds the real files"
)


def run(*options):
    command = [sys.executable, str(BENCHMARKS / "run.py"), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def results(out, *options):
    done = run("--out", out, *options)
    assert done.returncode == 0, done.stderr
    return json.loads((out / "results.json").read_text()), done.stdout


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A hundred images, one full batch, so that the order of the rows doesn't count; a few steps of the encoders."""
    names = ",".join(dict.fromkeys(name for names in WORKS.values() for name in names))
    sizes = ("--images", 100, "--steps", 20, "--rounds", 2)
    out = tmp_path_factory.mktemp("results")
    return results(out, "--works", ",".join(WORKS), "--contenders", names, *sizes)


@needs_mnist
def test_every_contender_of_every_work_is_measured_in_every_round(quick):
    report, text = quick
    assert [(r["work"], r["contender"]) for r in report["results"]] == [
        (work, name) for work, names in WORKS.items() for name in names
    ]
    for result in report["results"]:
        assert result["missing"] is None
        assert len(result["rounds"]) == 2
        assert min(result["rounds"]) > 0
        assert result["first"] > 0
        assert 0 <= result["accuracy"] <= 1
        assert result["peak_mb"] >= result["loaded_mb"] > 10
        assert f"| {result['contender']} |" in text
    assert {"versions", "processor", "variables", "blas", "load"} <= set(report["machine"])


@needs_mnist
def test_programs_by_hand_and_portable_bp_have_the_same_losses_from_the_same_start(quick):
    report, _ = quick
    for work in WORKS:
        losses = [r["losses"] for r in report["results"] if r["work"] == work]
        assert losses[0][-1] < losses[0][0]
        for other in losses[1:]:
            np.testing.assert_allclose(other, losses[0], rtol=1e-3, err_msg=work)


@needs_mnist
def test_mini_batches_with_a_rest_lower_the_loss_alike(tmp_path):
    report, _ = results(
        tmp_path, "--works", "seed", "--contenders", ",".join(WORKS["seed"]), "--images", 500, "--rounds", 1
    )
    first = [r["losses"][0] for r in report["results"]]
    np.testing.assert_allclose(first, first[0], rtol=0.03)  # the orders differ


@needs_mnist
def test_ratios_are_medians_over_the_pairs_of_the_rounds(quick):
    report, text = quick
    ours, hand = ([r["rounds"] for r in report["results"] if r["work"] == "tiny"])[:2]
    ratios = np.divide(ours, hand)
    measured = f"{np.median(ratios):.2f} | {ratios.min():.2f}–{ratios.max():.2f}"
    assert f"| portable_bp numpy ÷ numpy hand | tiny | {measured} | 1.3 | 1.0 |" in text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--works", "seed,huge"], "'huge'"),
        (["--contenders", "caffe"], "'caffe'"),
        (["--rounds", "0"], "--rounds"),
        (["--nonsense"], "--nonsense"),
        (["--works", "seed", "--data", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_in_one_line_with_status_2(options, named, tmp_path):
    done = run("--out", tmp_path, *options)
    assert done.returncode == 2
    assert done.stderr.startswith("benchmarks/run.py: ")
    assert done.stderr.count("\n") == 1
    assert named in done.stderr


@pytest.fixture
def measuring(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("measuring")


def test_a_missing_peer_stands_in_the_table_with_its_reason(measuring, tmp_path):
    contenders, works = import_module("contenders"), import_module("works")
    work = works.sized(works.WORKS["tiny"], gpu=False, images=None, steps=1)
    import_module("problem").write(work, lambda: None, tmp_path / "tiny")
    entry = contenders.Entry("nobody", "nobodys_module", "Nobody", frozenset({"tiny"}))
    (result,) = measuring.measure(work, [entry], tmp_path / "tiny", 1, lambda line: None)
    assert "No module named" in result.missing
    assert "nobodys_module" in import_module("report").work_table(work, [result])


def test_who_is_not_trained_right_is_marked(measuring):
    report, work = import_module("report"), import_module("works").WORKS["small"]
    scores = {"good": 0.97, "as good": 0.965, "wrong": 0.93, "no net": 0.1}
    found = [measuring.Result("small", name, rounds=[1.0], accuracy=score) for name, score in scores.items()]
    assert set(report.marks(work, found)) == {"no net"}
    assert set(report.marks(work, found[:3])) == {"wrong"}
