"""The README's code runs as pasted, and prints what it says; the examples check themselves."""

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
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
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


def test_the_page_on_parts_of_one_s_own_runs_as_pasted(tmp_path):
    text = (ROOT / "docs" / "parts.md").read_text()
    (tmp_path / "pasted.py").write_text("\n".join(blocks("python", text)))
    assert run("pasted.py", cwd=tmp_path) == "".join(blocks("text", text))


def test_the_page_on_sweeps_runs_as_pasted(tmp_path):
    text = (ROOT / "docs" / "sweeps.md").read_text()
    (tmp_path / "pasted.py").write_text("\n".join(blocks("python", text)))
    assert run("pasted.py", cwd=tmp_path) == "".join(blocks("text", text))


def test_the_readme_s_network_reaches_its_accuracy(printed):
    accuracy = float(re.search(r"test accuracy: ([\d.]+)", printed)[1])
    assert accuracy >= 0.973


def test_the_readme_is_short_and_its_first_script_and_output_fit_forty_lines():
    assert README.count("\n") <= 170
    assert blocks("python")[0].count("\n") + blocks("text")[0].count("\n") <= 40


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_every_link_of_the_readme_leads_somewhere(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_every_example_runs_and_passes_its_own_check(example, tmp_path):
    output = run(str(example), "--quick", "--data", str(ROOT / "examples" / "data" / "mnist"), cwd=tmp_path)
    assert "expected" in output
