"""Digests of trainings side by side: what agrees, what differs and where, and what is left out."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.checking import golden
from portable_bp.cli import bitwise
from portable_bp.errors import BackendError

MNIST = Path(__file__).parents[2] / "examples/data/mnist"
NUMPY = type(bp.get_backend("numpy"))
LAYERS = (bp.Dense(8, 3), bp.Sigmoid(), bp.Dense(3, 8))
ENCODER = golden.Training(LAYERS, bp.BinaryCrossEntropy(), bp.SGD(0.5), "float64", 3, "encoder")
IMAGES = golden.Training((bp.Dense(784, 10),), bp.SoftmaxCrossEntropy(), bp.SGD(0.5), "float32", 1, "mnist")
DIGEST = ENCODER.digest(bp.get_backend("numpy"))
WRONG = "f" * 64


def test_trainings_side_by_side_that_end_early_leave_numpy_s_error_state_as_it_was():
    before = np.geterr()
    both = ENCODER.steps(bp.get_backend("numpy")), ENCODER.steps(bp.get_backend("numpy"))
    for one in both:
        next(one)
        assert np.geterr() == before
    for one in both:  # the first one first, not as nested contexts end
        one.close()
    assert np.geterr() == before


class Twin(NUMPY):
    """NumPy's arrays under another name."""

    spec = name = "twin"


class Absent(NUMPY):
    def __init__(self, device=None):
        raise BackendError("needs a library: pip install it")


@pytest.fixture
def here(monkeypatch):
    """Two quick trainings, no golden digest, and the backends named."""

    def give(*names, **digests):
        classes = {"numpy": NUMPY, "twin": Twin, "absent": Absent}
        found = {name: SimpleNamespace(load=lambda name=name: classes[name]) for name in names}
        monkeypatch.setattr("portable_bp.backend.installed_backends", lambda: found)
        monkeypatch.setattr(bitwise, "installed_backends", lambda: found)
        monkeypatch.setattr(golden, "TRAININGS", {"small": ENCODER, "images": IMAGES})
        monkeypatch.setattr(golden, "GOLDEN", digests)

    return give


@pytest.fixture
def different(monkeypatch):
    """Let the twin begin with one bias that is off by 1e-9."""
    real = golden.Training.network

    def network(training, backend):
        net = real(training, backend)
        if backend.name == "twin":
            net.params[2]["bias"][0] += 1e-9
        return net

    monkeypatch.setattr(golden.Training, "network", network)


def report(run, *options):
    outcome = run("verify", "--bitwise", "--json", *options)
    found = json.loads(outcome.stdout)
    assert outcome.stderr == ""
    assert found["ok"] == (outcome.status == 0)
    return outcome.status, found


def text(run, *options):
    lines = run("verify", "--bitwise", *options).stdout.splitlines()
    return [line.strip() for line in lines if line.strip()]


def test_equal_digests_are_reported_whole_and_shown_by_their_first_16_digits(run, here):
    here("twin", "numpy", small=DIGEST)
    status, found = report(run)
    assert status == 0
    assert found == {
        "ok": True,
        "trainings": [{
            "training": "small", "ok": True, "digests": {"numpy": DIGEST, "twin": DIGEST}, "agree": True,
            "golden": DIGEST, "equals_golden": True, "first_differences": {},
        }],
        "left_out": ["images"],
        "unable": {},
    }  # fmt: skip
    lines = text(run)
    assert lines[0].split() == ["training", "numpy", "twin", "agree", "golden"]
    assert lines[2].split() == ["small", DIGEST[:16], DIGEST[:16], "yes", "yes"]
    assert lines[3] == "left out for lack of MNIST's files (give --data FOLDER): images"
    assert lines[4:] == ["all digests agree with each other and equal the golden ones"]


def test_without_golden_digests_agreement_alone_is_claimed(run, here):
    here("numpy", "twin")
    assert report(run)[1]["trainings"][0]["equals_golden"] is None
    assert text(run)[2].split()[-2:] == ["yes", "-"]
    assert text(run)[-1] == "all digests agree with each other"


@pytest.mark.usefixtures("different")
def test_a_difference_is_failure_and_names_its_first_step_and_array(run, here):
    here("numpy", "twin", small=DIGEST)
    status, found = report(run)
    (row,) = found["trainings"]
    assert (status, row["ok"], row["agree"], row["equals_golden"]) == (1, False, False, False)
    assert row["digests"]["numpy"] == DIGEST != row["digests"]["twin"]
    assert list(row["first_differences"]) == ["twin"]
    assert row["first_differences"]["twin"].startswith("against numpy, step 1, ")
    lines = text(run)
    assert lines[2].split()[-2:] == ["NO", "NO"]
    assert lines[3].startswith("small: twin against numpy, step 1, ")
    assert lines[-1] == "FAILED"


def test_a_difference_that_no_single_step_shows_is_still_a_failure(run, here, monkeypatch):
    here("numpy", "twin")
    monkeypatch.setattr(golden.Training, "digest", lambda training, backend, folder: backend.spec)
    status, found = report(run)
    assert status == 1
    expected = {"twin": "against numpy, no single step differs: compiled epochs do"}
    assert found["trainings"][0]["first_differences"] == expected


@pytest.mark.parametrize("names", [["numpy"], ["numpy", "twin"]])
def test_backends_that_agree_on_other_than_the_golden_digest_fail(run, here, names):
    here(*names, small=WRONG)
    status, found = report(run)
    assert (status, found["trainings"][0]["equals_golden"]) == (1, False)
    assert text(run)[-1] == "FAILED"
    assert f"small: the golden digest is {WRONG[:16]}" in text(run)


def test_one_backend_alone_is_held_to_the_golden_digests_or_to_nothing(run, here):
    here("numpy", small=DIGEST)
    assert text(run)[2].split() == ["small", DIGEST[:16], "-", "yes"]
    assert text(run)[-1] == "all digests equal the golden ones"
    here("numpy")
    assert report(run)[0] == 0
    said = "nothing to compare with here; hold these digests to another machine's"
    assert text(run)[-1] == f"only numpy can run here: {said}"
    assert text(run, "--backends", "numpy")[-1] == f"only numpy was named: {said}"


@pytest.mark.parametrize(("named", "status"), [([], 0), (["--backends", "numpy,absent"], 1)])
def test_a_backend_that_can_not_run_fails_only_if_it_was_named(run, here, named, status):
    here("numpy", "absent", small=DIGEST)
    found = report(run, *named)
    assert found[0] == status
    assert found[1]["unable"] == {"absent": "needs a library: pip install it"}
    assert list(found[1]["trainings"][0]["digests"]) == ["numpy"]
    assert "absent: needs a library: pip install it" in text(run, *named)


def test_where_no_backend_named_can_run_nothing_is_trained(run, here):
    here("numpy", "absent")
    status, found = report(run, "--backends", "absent")
    assert (status, found["trainings"]) == (1, [])
    assert text(run, "--backends", "absent")[-1] == "FAILED"


@pytest.mark.skipif(not MNIST.is_dir(), reason="clone the repository: its examples/data/mnist holds the real files")
@pytest.mark.parametrize("given", [True, False])
def test_the_images_are_taken_from_the_folder_given_or_from_the_checkout(run, here, tmp_path, given):
    here("numpy")
    place = tmp_path / ("elsewhere" if given else "examples/data/mnist")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(MNIST, target_is_directory=True)
    status, found = report(run, *(["--data", "elsewhere"] if given else []))
    assert (status, found["left_out"]) == (0, [])
    assert found["trainings"][1]["digests"] == {"numpy": IMAGES.digest(bp.get_backend("numpy"), MNIST)}


def test_a_folder_without_the_files_is_refused_before_any_training(refused, here, monkeypatch):
    here("numpy")
    monkeypatch.setattr(golden.Training, "digest", lambda *_: pytest.fail("trained"))
    assert "the folder 'nowhere' lacks train-images" in refused("verify", "--bitwise", "--data", "nowhere")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--bitwise", "--arithmetic", "native"], "--arithmetic native with --bitwise: native bits differ"),
        (["--arithmetic", "exact"], "--arithmetic 'exact': write one of native, reproducible"),
        (["--data", "."], "--data '.' is for --bitwise"),
        (["--bitwise", "--backends", "abacus"], "there is no backend 'abacus'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(refused, options, said):
    assert said in refused("verify", *options)


def test_torch_gives_numpys_digest(run, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(golden, "TRAININGS", {"small": ENCODER})
    status, found = report(run, "--backends", "numpy,torch:cpu")
    assert status == 0
    assert found["trainings"][0]["digests"] == {"numpy": DIGEST, "torch:cpu": DIGEST}
