"""``portable-bp verify``: are the gradients right, and the same, on the backends of this machine?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from portable_bp.backend import backend_class
from portable_bp.cli.choices import ARITHMETICS, choose
from portable_bp.cli.printing import as_json, print_table
from portable_bp.errors import ConfigurationError

REFERENCE = "numpy"
Result = dict[str, Any]


def verify(
    backends: Annotated[
        str | None, typer.Option(help="Such as numpy,torch,cupy:1. [default: all that can run here]")
    ] = None,
    arithmetic: Annotated[
        str | None, typer.Option(help=f"{' or '.join(ARITHMETICS)}; in the second no difference at all is allowed.")
    ] = None,
    bitwise: Annotated[
        bool, typer.Option("--bitwise", help="Compare whole trainings in reproducible arithmetic, bit for bit.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder with MNIST's files, for --bitwise. [default: examples/data/mnist]")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Check the backends against each other.

    Every layer's, loss's and optimizer's result on every backend is held to NumPy's; with --bitwise the digests of
    whole trainings, to each other and to those known. The exit status is 1 where one differs, by more than the
    tolerance if there is one, or where a backend that was named can't run.
    """
    check(arithmetic, bitwise, data)
    named = None if backends is None else [spec.strip() for spec in backends.split(",")]
    for spec in named or ():
        backend_class(spec.partition(":")[0])  # an unknown name is no failed check but a mistake in the command
    ok = _bitwise(named, data, json) if bitwise else _cases(named, arithmetic or ARITHMETICS[0], json)
    raise typer.Exit(int(not ok))


def check(arithmetic: str | None, bitwise: bool, data: Path | None) -> None:
    """Refuse options that don't go together."""
    choose("--arithmetic", arithmetic or ARITHMETICS[0], dict.fromkeys(ARITHMETICS))
    if bitwise and arithmetic == "native":
        raise ConfigurationError(
            "--arithmetic native with --bitwise: native bits differ between libraries; leave one of the two out"
        )
    if data is not None and not bitwise:
        raise ConfigurationError(f"--data {str(data)!r} is for --bitwise: add that, or leave it out")


def _bitwise(named: list[str] | None, data: Path | None, json: bool) -> bool:
    from portable_bp.cli import bitwise

    report = bitwise.compare_digests(named, data)
    if json:
        print(as_json(report))
    else:
        bitwise.show(report, named is not None)
    return bool(report["ok"])


def _cases(named: list[str] | None, arithmetic: str, json: bool) -> bool:
    from portable_bp.checking import verify_backends

    results = verify_backends(named, arithmetic=arithmetic)
    ok = not any(fails(result, named is not None) for result in results)
    note = nothing_compared(results, named is not None) if ok else None
    if json:
        print(as_json({"ok": ok, "arithmetic": arithmetic, "note": note, "results": results}))
    else:
        _show([result for result in results if result["message"]] if note else results)
        print(note or ("all that could run is right" if ok else "FAILED"))
    return ok


def nothing_compared(results: list[Result], named: bool) -> str | None:
    """Say so where the reference ran alone, and was held to itself."""
    ran = {result["backend"].partition(":")[0] for result in results if not result["message"]}
    if ran != {REFERENCE}:
        return None
    return (
        f"only {REFERENCE} {'was named' if named else 'can run here'}: nothing to compare with; "
        "the gradients themselves are checked by pytest and bp.check_gradients"
    )


def fails(result: Result, named: bool) -> bool:
    """Whether a result counts as a failure; a backend that can't run does only if the user asked for it."""
    return not result["ok"] and (named or not result["message"])


def _show(results: list[Result]) -> None:
    """Print cases × (backend, dtype), and below them the backends that can't run."""
    ran = [result for result in results if not result["message"]]
    columns = list(dict.fromkeys((result["backend"], result["dtype"]) for result in ran))
    cells = {(result["case"], result["backend"], result["dtype"]): cell(result) for result in ran}
    cases = dict.fromkeys(result["case"] for result in ran)
    if ran:
        print_table(
            ["case", *(f"{backend} {dtype}" for backend, dtype in columns)],
            ([case, *(cells.get((case, *column), "") for column in columns)] for case in cases),
        )
    for line in dict.fromkeys(f"{result['backend']}: {result['message']}" for result in results if result["message"]):
        print(line)


def cell(result: Result) -> str:
    """The difference, and where it is too large, from what."""
    difference = "not run" if result["difference"] is None else f"{result['difference']:.1e}"
    return difference if result["ok"] else f"{difference} FAILED (> {result['tolerance']:.1e})"
