"""``portable-bp verify``: are the gradients right, and the same, on the backends of this machine?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from portable_bp.backend import backend_class
from portable_bp.cli.printing import as_json, print_table

Result = dict[str, Any]


def verify(
    backends: Annotated[
        str | None, typer.Option(help="Such as numpy,torch,cupy:1. [default: all that can run here]")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Check the backends against each other.

    Every layer's, loss's and optimizer's result on every backend is held to NumPy's. The exit status is 1 where one
    differs by more than the tolerance, or where a backend that was named can't run.
    """
    from portable_bp.checking import verify_backends

    named = None if backends is None else [spec.strip() for spec in backends.split(",")]
    for spec in named or ():
        backend_class(spec.partition(":")[0])  # an unknown name is no failed check but a mistake in the command
    results = verify_backends(named)
    failed = any(fails(result, named is not None) for result in results)
    if json:
        print(as_json({"ok": not failed, "results": results}))
    else:
        _show(results)
        print("FAILED" if failed else "all that could run is right")
    raise typer.Exit(int(failed))


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
