"""A command line run in this process, in an empty folder, and a model that it trained."""

from dataclasses import dataclass

import pytest

from portable_bp.cli import main


@dataclass(frozen=True)
class Outcome:
    status: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Outcome(status, *capsys.readouterr())

    return call


@pytest.fixture
def refused(run):
    """Run a command line that must fail, and give its message."""

    def call(*arguments, status=2):
        outcome = run(*arguments)
        assert (outcome.status, outcome.stdout) == (status, "")
        assert outcome.stderr.startswith("portable-bp: ")
        assert outcome.stderr.count("\n") == 1
        assert outcome.stderr.endswith("\n")
        return outcome.stderr

    return call


@pytest.fixture(scope="session")
def xor_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("xor") / "run"
    assert main(["train", "xor", "--output", str(folder), "--json"]) == 0
    return folder / "model.safetensors"
