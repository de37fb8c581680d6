"""The command line: ``portable-bp train | sweep | evaluate | predict | verify | diff | info``, one file a command.

Whatever is wrong with the input ends in one line on stderr and the exit status 2, never in a traceback.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from portable_bp.cli import diff, evaluate, info, predict, sweep, train, verify
from portable_bp.errors import PortableBPError

__all__ = ["main"]

UsageError: Any = typer.BadParameter.__mro__[1]
"""What typer raises for a wrong command line; newer versions bring their own Click, so its name is no fixed one."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
for command in (train.train, sweep.sweep, evaluate.evaluate, predict.predict, verify.verify, diff.diff, info.info):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"portable-bp {version('portable-bp')}")
        raise typer.Exit


@app.callback()
def portable_bp(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Train, check and use networks whose backpropagation is written by hand, on NumPy, CuPy, torch or JAX arrays."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, ``sys.argv`` by default, and return its exit status: 0, 1, 2 or 130."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt as end:
        return _fail(str(end) or "interrupted: nothing was written", 130)
    except BrokenPipeError:  # the reader, `head` for example, had enough; Python flushes stdout once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (PortableBPError, OSError, MemoryError) as error:
        return _fail(str(error) or "out of memory: take a smaller network, batch or set", 2)


def _run(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("portable-bp", arguments) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except UsageError as error:
        place = error.ctx.command_path if error.ctx else "portable-bp"
        return _fail(f"{error.format_message().rstrip('.')}; see `{place} --help`", 2)
    sys.stdout.flush()
    return 0


def _fail(message: str, status: int) -> int:
    print("portable-bp:", " ".join(message.split()), file=sys.stderr)
    return status
