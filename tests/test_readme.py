"""The README's code runs as pasted, and prints what it says; the examples check themselves."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def blocks(kind, text=README):
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


def run(*command, cwd):
    """What the command prints, on one thread: with small arrays several only wait for each other on shared cores."""
    one = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=one, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What the README's Python blocks print when they are pasted one after the other."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "pasted.py").write_text("\n".join(blocks("python")))
    return run("pasted.py", cwd=folder)


def test_the_code_prints_what_the_readme_says_but_for_digits(printed):
    """The words are the same; numbers may differ by the rounding of another processor's products."""
    expected = "".join(blocks("text"))
    assert re.sub(r"\s+", " ", NUMBER.sub("#", printed)) == re.sub(r"\s+", " ", NUMBER.sub("#", expected))


@pytest.mark.parametrize("page", ["parts.md", "populations.md", "checkpoints.md"])
def test_a_page_of_the_docs_runs_as_pasted(page, tmp_path):
    text = (ROOT / "docs" / page).read_text()
    (tmp_path / "pasted.py").write_text("\n".join(blocks("python", text)))
    assert run("pasted.py", cwd=tmp_path) == "".join(blocks("text", text))


def test_the_page_on_seeing_the_gradients_runs_as_pasted_and_prints_what_it_says_but_for_digits(tmp_path):
    pytest.importorskip("matplotlib")
    text = (ROOT / "docs" / "seeing.md").read_text()
    (tmp_path / "pasted.py").write_text("\n".join(blocks("python", text)))
    printed, expected = run("pasted.py", cwd=tmp_path), "".join(blocks("text", text))
    assert re.sub(r"\s+", " ", NUMBER.sub("#", printed)) == re.sub(r"\s+", " ", NUMBER.sub("#", expected))
    assert {path.name for path in tmp_path.glob("*.png")} == set(re.findall(r"\w+\.png", text))


def test_the_page_on_diagnosing_runs_as_pasted_and_prints_what_it_says_but_for_digits(tmp_path):
    text = (ROOT / "docs" / "diagnosing.md").read_text()
    (tmp_path / "pasted.py").write_text("\n".join(blocks("python", text)))
    printed, expected = run("pasted.py", cwd=tmp_path), "".join(blocks("text", text))
    digits = re.compile(rf"{NUMBER.pattern}|\b(inf|nan)\b|(?<=ULP)s")  # another order of sums overflows as nan
    assert digits.sub("#", printed).replace("ULP#", "ULP") == digits.sub("#", expected).replace("ULP#", "ULP")


def test_the_page_on_sweeps_runs_as_pasted(tmp_path):
    text = (ROOT / "docs" / "sweeps.md").read_text()
    (tmp_path / "pasted.py").write_text("\n".join(blocks("python", text)))
    assert run("pasted.py", cwd=tmp_path) == "".join(blocks("text", text))


def test_the_readme_s_network_reaches_its_accuracy(printed):
    accuracy = float(re.search(r"test accuracy: ([\d.]+)", printed)[1])
    assert accuracy >= 0.973


def test_the_readme_is_short_and_its_first_script_and_output_fit_forty_lines():
    assert README.count("\n") <= 200
    assert blocks("python")[0].count("\n") + blocks("text")[0].count("\n") <= 40


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_every_link_of_the_readme_leads_somewhere(path):
    assert (ROOT / path).exists()


EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if "__main__" in path.read_text())
"""The scripts; what they share is no script."""
NEED_MNIST = {"mnist.py", "mnist_report.py"}


def run_example(example, backend, folder):
    data = ["--data", str(ROOT / "examples" / "data" / "mnist")] if example.name in NEED_MNIST else []
    return run(str(example), "--quick", "--backend", backend, *data, cwd=folder)


def test_the_examples_are_those_of_the_five_reports():
    names = {"chain_rule", "encoder", "iris", "linear_xor", "mnist", "mnist_report", "relu_autoencoder"}
    assert {path.stem for path in EXAMPLES} == names


@pytest.mark.parametrize("spec", ["numpy", "torch", "jax", "cupy"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_runs_and_passes_its_own_check(example, spec, tmp_path, require_backend):
    require_backend(spec)
    assert "expected" in run_example(example, spec, tmp_path)
    written = {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*")}
    assert written <= {("runs",), ("runs", example.stem)}


WITHOUT_MATPLOTLIB = """
import importlib.util, runpy, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "matplotlib" else found(name, *rest)
sys.path.insert(0, {folder!r})
sys.argv = ["chain_rule.py", "--quick"]
runpy.run_path({path!r}, run_name="__main__")
"""


def test_an_example_without_matplotlib_says_why_there_are_no_pictures(tmp_path):
    path = ROOT / "examples" / "chain_rule.py"
    output = run("-c", WITHOUT_MATPLOTLIB.format(folder=str(path.parent), path=str(path)), cwd=tmp_path)
    assert "no pictures: pip install 'portable-bp[plot]' installs matplotlib" in output
    assert list(tmp_path.rglob("*.png")) == []


def test_a_check_that_fails_ends_an_example_with_one_line_and_status_1():
    failing = [sys.executable, "-c", "from reporting import expect; expect('1 is 2', False)"]
    done = subprocess.run(failing, cwd=ROOT / "examples", capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "-c: expected that 1 is 2; it is not so\n")
