"""The entry point: help, version, and how every failure ends."""

import signal
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

from portable_bp import cli
from portable_bp.cli import main

COMMANDS = ("train", "evaluate", "predict", "verify", "diff", "info")


def test_the_installed_command_reports_its_version_and_a_mistake_without_a_traceback(tmp_path):
    command = Path(sys.executable).with_name("portable-bp")
    shown = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout == f"portable-bp {version('portable-bp')}\n"
    wrong = subprocess.run([command, "train", "cifar"], capture_output=True, text=True, cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
    assert wrong.stderr.startswith("portable-bp: dataset 'cifar': write one of mnist, ")


def test_the_entry_point_is_main():
    (found,) = entry_points(group="console_scripts", name="portable-bp")
    assert found.load() is main


def test_help_names_every_command(run):
    outcome = run("--help")
    assert outcome.status == 0
    for command in COMMANDS:
        assert f"\n  {command} " in outcome.stdout
        assert run(command, "--help").stdout.startswith(f"Usage: portable-bp {command} ")


def test_help_imports_no_array_library():
    code = (
        "import sys; from portable_bp.cli import main; main(['train', '--help']); "
        "print(*{'numpy', 'torch', 'jax', 'matplotlib', 'rich'} & set(sys.modules), file=sys.stderr)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (outcome.returncode, outcome.stderr) == (0, "\n")


@pytest.mark.parametrize(
    ("arguments", "said", "place"),
    [
        ([], "Missing command", "portable-bp"),
        (["fly"], "No such command 'fly'", "portable-bp"),
        (["train"], "Missing argument", "portable-bp train"),
        (["train", "xor", "more"], "unexpected extra argument", "portable-bp train"),
        (["train", "xor", "--epoch-count", "3"], "No such option: --epoch-count", "portable-bp train"),
        (["train", "xor", "--epochs", "many"], "'--epochs'", "portable-bp train"),
        (["train", "xor", "--rate", "fast"], "'--rate'", "portable-bp train"),
        (["info", "--all"], "No such option: --all", "portable-bp info"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_says_where_to_look(refused, arguments, said, place):
    message = refused(*arguments)
    assert said in message
    assert f"see `{place} --help`" in message


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted: nothing was written"),
        (OSError(28, "No space left\non device"), 2, "No space left on device"),
        (MemoryError(), 2, "out of memory: take a smaller network, batch or set"),
    ],
)
def test_failures_from_outside_are_one_line_and_leave_nothing(refused, monkeypatch, tmp_path, raised, status, said):
    def fail(*_, **__):
        raise raised

    monkeypatch.setattr("portable_bp.cli.train.carry_out", fail)
    assert said in refused("train", "xor", status=status)
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_the_program_itself_keeps_its_traceback(run, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("portable_bp.cli.train.carry_out", fail)
    with pytest.raises(ZeroDivisionError):
        run("train", "xor")


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="needs POSIX pipes")
def test_a_reader_that_closes_the_pipe_is_no_error_message(tmp_path, xor_model):
    (tmp_path / "many.csv").write_text("0,1\n" * 20_000)
    code = "import sys; from portable_bp.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "predict", str(xor_model), str(tmp_path / "many.csv"), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


def test_only_main_is_public():
    assert cli.__all__ == ["main"]
